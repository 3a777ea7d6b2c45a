package read

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

func TestTokenHoldsTheSession(t *testing.T) {
	f := newFake(t, 3, 0, 5)
	f.info.Schema.Columns = append(f.info.Schema.Columns, table.Column{Name: "m", Type: table.MustParseType("map<string,struct<`a b`:decimal(10,2)>>")})
	e := newEngine(t, f)
	s, _, err := e.CreateSession(t.Context(), Spec{Table: f.info.Name, Columns: []string{"m", "dt", "id"}}, "")
	if err != nil {
		t.Fatal(err)
	}
	other := newEngine(t, newFake(t, 1)) // another replica with the same key
	got, streams, err := other.GetSession(t.Context(), s.Token, &Plan{PerPartition: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Snapshot, s.Expires = s.Snapshot.UTC().Truncate(time.Millisecond), s.Expires.UTC().Truncate(time.Millisecond)
	if diff := cmp.Diff(s, got); diff != "" {
		t.Errorf("GetSession differs (-made +read):\n%s", diff)
	}
	if len(streams) != 3 {
		t.Errorf("%d streams, want 3", len(streams))
	}
	if name, err := other.Table(s.Token); err != nil || name != f.info.Name {
		t.Errorf("Table = %v, %v", name, err)
	}
}

func TestTR_33_expired_or_foreign_tokens(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	f := newFake(t, 3)
	f.now = func() time.Time { return now.Add(-time.Hour) } // upstream had it for an hour
	e := newEngine(t, f, func(c *Config) { c.Now = func() time.Time { return now } })
	s := session(t, e, f)
	if want := now.Add(23 * time.Hour); !s.Expires.Equal(want) {
		t.Errorf("expires %v, want that of the upstream session %v", s.Expires, want)
	}
	now = s.Expires.Add(-time.Millisecond)
	if _, _, err := e.GetSession(t.Context(), s.Token, nil); err != nil {
		t.Errorf("just before the end: %v", err)
	}
	now = s.Expires
	check := func(what, token string, e *Engine) {
		t.Helper()
		var c collector
		_, _, getErr := e.GetSession(t.Context(), token, nil)
		_, splitErr := e.Split(t.Context(), token, nil, nil)
		readErr := e.Rows(t.Context(), RowsRequest{Token: token}, &c)
		for _, err := range []error{getErr, splitErr, readErr} {
			if token != "" && !apierr.Is(err, apierr.SessionExpired) {
				t.Errorf("%s: %v, want SESSION_EXPIRED", what, err)
			}
		}
	}
	check("expired", s.Token, e)
	now = now.Add(-time.Hour)
	for i := 0; i < len(s.Token); i += 7 {
		damaged := []byte(s.Token)
		damaged[i] ^= 1
		check("damaged", string(damaged), e)
	}
	check("cut", s.Token[:len(s.Token)/2], e)
	foreign := newEngine(t, f, func(c *Config) {
		c.Key = []byte(strings.Repeat("x", 32))
		c.Now = func() time.Time { return now }
	})
	check("signed with another key", s.Token, foreign)
	if _, err := foreign.Table(s.Token); !apierr.Is(err, apierr.SessionExpired) {
		t.Errorf("Table with another key: %v", err)
	}
}

func TestNewRefusesAWeakKey(t *testing.T) {
	if _, err := New(Config{Backend: newFake(t, 1), Key: make([]byte, 31)}); err == nil {
		t.Error("New took a key of 31 bytes")
	}
	if _, err := New(Config{Key: testKey}); err == nil {
		t.Error("New took no backend")
	}
}

func TestColumnsOfASession(t *testing.T) {
	f := newFake(t, 1, 1)
	e := newEngine(t, f)
	names := func(cols []table.Column) string {
		var out []string
		for _, c := range cols {
			out = append(out, c.Name+" "+c.Type.String())
		}
		return strings.Join(out, ",")
	}
	for _, c := range []struct {
		row           string
		cols, exclude []string
		want          string
		err           apierr.Reason
	}{
		{row: "TR-18 empty", want: "id bigint,name string"},
		{row: "TR-13 order", cols: []string{"name", "id"}, want: "name string,id bigint"},
		{row: "TR-14 case and blanks", cols: []string{" ID ", "Name"}, want: "id bigint,name string"},
		{row: "TR-15 unknown", cols: []string{"nope"}, err: apierr.BadColumn},
		{row: "TR-16 excluded", exclude: []string{"NAME"}, want: "id bigint"},
		{row: "TR-17 both", cols: []string{"id"}, exclude: []string{"name"}, err: apierr.BadArgument},
		{row: "TR-19 partition column", cols: []string{"id", "dt"}, want: "id bigint,dt string"},
		{row: "repeated", cols: []string{"id", "ID"}, err: apierr.BadColumn},
		{row: "unknown excluded", exclude: []string{"nope"}, err: apierr.BadColumn},
		{row: "all excluded", exclude: []string{"id", "name"}, err: apierr.BadColumn},
		{row: "empty name", cols: []string{""}, err: apierr.BadColumn},
	} {
		s, _, err := e.CreateSession(t.Context(), Spec{Table: f.info.Name, Columns: c.cols, ExcludedColumns: c.exclude}, "")
		if c.err != 0 {
			if !apierr.Is(err, c.err) {
				t.Errorf("%s: %v, want %v", c.row, err, c.err)
			}
			if strings.Contains(c.row, "unknown") && !strings.HasSuffix(apierr.From(err).Message(), "does not exist; there are "+strings.Join(f.info.Schema.Names(), ", ")) {
				t.Errorf("%s: %v, want it to list the columns", c.row, err)
			}
			continue
		}
		if err != nil || names(s.Columns) != c.want {
			t.Errorf("%s: columns %q, %v; want %q", c.row, names(s.Columns), err, c.want)
		}
	}
}

func TestTR_36_views_and_others_are_refused(t *testing.T) {
	for _, kind := range []table.TableKind{table.View, table.External, table.MaterializedView} {
		f := newFake(t, 1)
		f.info.Kind = kind
		_, _, err := newEngine(t, f).CreateSession(t.Context(), Spec{Table: f.info.Name}, "")
		if !apierr.Is(err, apierr.BadArgument) {
			t.Errorf("kind %d: %v, want BAD_ARGUMENT", kind, err)
		}
	}
	f := newFake(t, 1)
	_, _, err := newEngine(t, f).CreateSession(t.Context(), Spec{Table: table.NewName("p", "", "other")}, "")
	if !apierr.Is(err, apierr.TableNotFound) {
		t.Errorf("unknown table: %v", err)
	}
}

func TestWhatIsNotOfferedSaysSo(t *testing.T) {
	f := newFake(t, 1)
	e := newEngine(t, f)
	if _, _, err := e.CreateSession(t.Context(), Spec{Table: f.info.Name, RowFilter: " id > 1 "}, ""); !apierr.Is(err, apierr.Unsupported) {
		t.Errorf("row_filter: %v, want UNSUPPORTED", err)
	}
	if _, _, err := e.CreateSession(t.Context(), Spec{Table: f.info.Name, RowFilter: " \n"}, ""); err != nil {
		t.Errorf("blank row_filter: %v", err)
	}
	if _, _, err := e.CreateSession(t.Context(), Spec{Table: f.info.Name}, "key"); !apierr.Is(err, apierr.Unsupported) {
		t.Errorf("session_key: %v, want UNSUPPORTED", err)
	}
}

// Many partitions: nothing is opened before it is read, and then once.
func TestManyPartitionsOpenLate(t *testing.T) {
	f := newFake(t, 3, 4, 0, 5)
	e := newEngine(t, f, func(c *Config) { c.LazyPartitions = 3 })
	s := session(t, e, f)
	if f.downloads != 0 || s.Rows != 12 {
		t.Fatalf("%d download sessions and %d rows, want 0 and 12", f.downloads, s.Rows)
	}
	for range 2 {
		var c collector
		if err := e.Rows(t.Context(), RowsRequest{Token: s.Token, Options: rowsOptions()}, &c); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(count(0, 12), c.ids(t)); diff != "" {
			t.Error(diff)
		}
	}
	if f.downloads != 3 {
		t.Errorf("%d download sessions, want 3: one for each partition with rows", f.downloads)
	}
	f.counts["dt=0001"] = 9
	late := newEngine(t, f, func(c *Config) { c.LazyPartitions = 3 }) // a replica that has not opened them
	var c collector
	err := late.Rows(context.Background(), RowsRequest{Token: s.Token, Options: rowsOptions()}, &c)
	if !apierr.Is(err, apierr.SessionExpired) {
		t.Errorf("partition with other rows than planned: %v, want SESSION_EXPIRED", err)
	}
}

// A partition whose row count the list does not tell is opened at once.
func TestUnknownRowCountsAreAskedFor(t *testing.T) {
	f := newFake(t, 3, 4, 5)
	f.parts[1].Rows = nil
	s := session(t, newEngine(t, f, func(c *Config) { c.LazyPartitions = 1 }), f)
	if f.downloads != 1 || s.Rows != 12 {
		t.Errorf("%d download sessions and %d rows, want 1 and 12", f.downloads, s.Rows)
	}
}

func TestTooManyPartitionsAreRefused(t *testing.T) {
	f := newFake(t, 1, 1, 1)
	e := newEngine(t, f, func(c *Config) { c.MaxPartitions = 2 })
	if _, _, err := e.CreateSession(t.Context(), Spec{Table: f.info.Name}, ""); !apierr.Is(err, apierr.BadArgument) {
		t.Errorf("3 partitions with 2 allowed: %v, want BAD_ARGUMENT", err)
	}
}

func TestPartitionsOfASession(t *testing.T) {
	f := newFake(t, 1, 2, 3) // dt=0000, 0001, 0002
	e := newEngine(t, f)
	for _, c := range []struct {
		row   string
		texts []string
		given map[string]string
		want  string
		err   apierr.Reason
	}{
		{row: "all, in name order", want: "dt=0000 dt=0001 dt=0002"},
		{row: "TR-34 the given order", texts: []string{"dt=0002", "DT = '0000'"}, want: "dt=0002 dt=0000"},
		{row: "twice is once", texts: []string{"dt=0001", "dt='0001'"}, want: "dt=0001"},
		{row: "star", texts: []string{"dt=*2", "dt=*"}, want: "dt=0002 dt=0000 dt=0001"},
		{row: "question mark", texts: []string{"dt=000?"}, want: "dt=0000 dt=0001 dt=0002"},
		{row: "query", texts: []string{"/*query*/ dt > '0000'"}, want: "dt=0001 dt=0002"},
		{row: "in the table reference", given: map[string]string{"DT": "0001"}, want: "dt=0001"},
		{row: "missing plain", texts: []string{"dt=0001", "dt=9"}, err: apierr.PartitionNotFound},
		{row: "missing plain beside a pattern", texts: []string{"dt=*", "dt=9"}, err: apierr.PartitionNotFound},
		{row: "missing in the reference", given: map[string]string{"dt": "9"}, err: apierr.PartitionNotFound},
		{row: "nothing matches", texts: []string{"dt=9*"}, err: apierr.PartitionNotFound},
		{row: "unknown column", texts: []string{"hr=1"}, err: apierr.BadPartition},
		{row: "bad query", texts: []string{"/*query*/ dt >"}, err: apierr.BadPartition},
		{row: "blank", texts: []string{" "}, err: apierr.BadPartition},
		{row: "both ways", texts: []string{"dt=*"}, given: map[string]string{"dt": "0000"}, err: apierr.BadArgument},
		{row: "bad reference", given: map[string]string{"hr": "0000"}, err: apierr.BadPartition},
	} {
		t.Run(c.row, func(t *testing.T) {
			s, _, err := e.CreateSession(t.Context(), Spec{Table: f.info.Name, Partitions: c.texts, Partition: c.given}, "")
			if c.err != 0 {
				if !apierr.Is(err, c.err) {
					t.Errorf("%v, want %v", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range s.Partitions {
				got = append(got, p.Spec.String())
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("partitions %v, want %v", got, c.want)
			}
		})
	}
	plain := newFake(t, 1)
	_, _, err := newEngine(t, plain).CreateSession(t.Context(), Spec{Table: plain.info.Name, Partitions: []string{"dt=1"}}, "")
	if !apierr.Is(err, apierr.BadPartition) {
		t.Errorf("partition of a table without: %v, want BAD_PARTITION", err)
	}
}

func TestTR_34_partitions_are_read_in_the_given_order(t *testing.T) {
	f := newFake(t, 2, 3, 1) // ids 0 1 | 2 3 4 | 5
	e := newEngine(t, f)
	var c collector
	req := RowsRequest{Spec: &Spec{Table: f.info.Name, Partitions: []string{"dt=0002", "dt=0000"}}, Options: rowsOptions()}
	if err := e.Rows(t.Context(), req, &c); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{5, 0, 1}, c.ids(t)); diff != "" {
		t.Error(diff)
	}
}

func TestTableAlteredUnderTheCallIsNoticed(t *testing.T) {
	f := newFake(t, 1)
	other := f.info.Schema
	other.Columns = []table.Column{other.Columns[0], {Name: "name", Type: table.MustParseType("double")}}
	f.downloadSchema = &other
	e := newEngine(t, f)
	if _, _, err := e.CreateSession(t.Context(), Spec{Table: f.info.Name}, ""); !apierr.Is(err, apierr.SchemaChanged) {
		t.Errorf("column of another type: %v, want SCHEMA_CHANGED", err)
	}
	if _, _, err := e.CreateSession(t.Context(), Spec{Table: f.info.Name, Columns: []string{"id"}}, ""); err != nil {
		t.Errorf("column that is not read: %v", err)
	}
}

func FuzzToken(f *testing.F) {
	s := &snapshot{nonce: "n", name: table.NewName("p", "", "t"), columns: []column{{table.Column{Name: "a", Type: table.MustParseType("bigint")}, 0}}, parts: []part{{rows: 3, download: "d"}}}
	token, err := s.seal(testKey)
	if err != nil {
		f.Fatal(err)
	}
	packed, err := verify(testKey, token)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token, packed)
	f.Add("r1.", []byte{})
	f.Fuzz(func(t *testing.T, text string, inner []byte) {
		if got, err := open(testKey, text); err == nil && text != token {
			t.Fatalf("a token we did not make was taken: %+v", got)
		}
		again, err := parseSnapshot(inner) // as if signed
		if err != nil {
			return
		}
		resealed, err := again.seal(testKey)
		if err != nil {
			return
		}
		if _, err := open(testKey, resealed); err != nil {
			t.Fatalf("a token does not read back: %v", err)
		}
	})
}
