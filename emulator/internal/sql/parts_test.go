//go:build cgo && duckdb_arrow

package sql

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// manyPieces is a table that is worked on in parts.
func manyPieces(t *testing.T) fakeTable {
	t.Helper()
	r := &maker{Rand: rand.New(rand.NewPCG(7, 7))}
	wide, out := randomTable(r, table(t, randomTypes).columns, 3*partPieces, 50)
	t.Cleanup(func() {
		for _, b := range append(wide, out.batches...) {
			b.Release()
		}
	})
	return out
}

// watched tells of every piece that is read.
type watched struct {
	fakeTable
	read func() error
}

func (w watched) Open(context.Context, []string) (Relation, error) { return w, nil }

func (w watched) Pieces() ([]Piece, error) {
	pieces, err := w.fakeTable.Pieces()
	for i, p := range pieces {
		pieces[i] = watchedPiece{p, w.read}
	}
	return pieces, err
}

type watchedPiece struct {
	Piece
	read func() error
}

func (p watchedPiece) Read(columns []int) ([]arrow.Array, error) {
	if err := p.read(); err != nil {
		return nil, err
	}
	return p.Piece.Read(columns)
}

// The queries of these tests: in parts, with and without chosen rows, and as a whole.
var manyWays = []string{
	"select i8, s from t", "select * from t where i8 % 3 = 0", "select count(*), max(s) from t where i8 % 3 = 0", "select s from t order by i8",
	"select * from t where length(s) > 12", "select count(*), max(v) from t where length(s) > 12",
}

func TestQuery_in_parts_frees_its_memory(t *testing.T) {
	e := engine(t)
	source := manyPieces(t)
	checked := memory.NewCheckedAllocator(memory.NewGoAllocator())
	usual := memory.DefaultAllocator
	memory.DefaultAllocator = checked
	defer func() { memory.DefaultAllocator = usual }()
	for _, query := range manyWays {
		for _, whole := range []bool{true, false} {
			rows, err := e.Query(t.Context(), fakeTables{"t": source}, query, nil)
			if err != nil {
				t.Fatalf("%s: %v", query, err)
			}
			for more := rows.Next(); more && whole; more = rows.Next() {
			}
			if rows.Err() != nil {
				t.Errorf("%s: %v", query, rows.Err())
			}
			if err := rows.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	checked.AssertSize(t, 0)
}

func TestQuery_ends_when_it_is_cancelled(t *testing.T) {
	e := engine(t)
	source := manyPieces(t)
	for _, query := range manyWays {
		for _, after := range []int64{1, 20, 60} {
			ctx, cancel := context.WithCancel(t.Context())
			var reads atomic.Int64
			w := watched{source, func() error {
				if reads.Add(1) == after {
					cancel()
				}
				return nil
			}}
			err := readAll(e.Query(ctx, w, query, nil))
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s, cancelled at read %d of %d: %v", query, after, reads.Load(), err)
			}
			cancel()
		}
	}
}

func TestQuery_in_parts_tells_a_pieces_error(t *testing.T) {
	e := engine(t)
	source := manyPieces(t)
	broken := errors.New("disk gone")
	for _, query := range manyWays {
		for _, at := range []int64{1, 20, 60} {
			var reads atomic.Int64
			w := watched{source, func() error {
				if reads.Add(1) >= at {
					return broken
				}
				return nil
			}}
			if err := readAll(e.Query(t.Context(), w, query, nil)); !errors.Is(err, broken) {
				t.Errorf("%s, broken at read %d: %v", query, at, err)
			}
		}
	}
}

func readAll(rows *Rows, err error) error {
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	return errors.Join(rows.Err(), rows.Close())
}

func TestQuery_reads_only_columns_and_rows_that_it_needs(t *testing.T) {
	e := engine(t)
	source := manyPieces(t)
	for query, want := range map[string][]string{
		"select count(*) from t":               {"[]"},
		"select i8 from t where i4 > 3":        {"[0 1]", "[1]"},
		"select * from t where i8 = 12345678":  {"[0]", "[18 19 24 27]"}, // no row passes; timestamps are looked over before
		"select max(s) from t where i8 = 1234": {"[0]"},
	} {
		seen := map[string]bool{}
		w := &recorded{fakeTable: source, seen: seen}
		if err := readAll(e.Query(t.Context(), w, query, nil)); err != nil {
			t.Fatal(err)
		}
		var got []string
		for columns := range seen {
			got = append(got, columns)
		}
		if slices.Sort(got); !slices.Equal(got, want) && (len(got) > 0 || want[0] != "[]") {
			t.Errorf("%s read the columns %v, want %v", query, got, want)
		}
	}
}

// recorded keeps which columns were read together.
type recorded struct {
	fakeTable
	mu   chan struct{}
	seen map[string]bool
}

func (r *recorded) Open(context.Context, []string) (Relation, error) {
	r.mu = make(chan struct{}, 1)
	return r, nil
}

func (r *recorded) Pieces() ([]Piece, error) {
	pieces, err := r.fakeTable.Pieces()
	for i, p := range pieces {
		pieces[i] = recordedPiece{p, r}
	}
	return pieces, err
}

type recordedPiece struct {
	Piece
	to *recorded
}

func (p recordedPiece) Read(columns []int) ([]arrow.Array, error) {
	p.to.mu <- struct{}{}
	p.to.seen[fmt.Sprint(columns)] = true
	<-p.to.mu
	return p.Piece.Read(columns)
}

func TestPlan_says_which_queries_are_worked_on_in_parts(t *testing.T) {
	e := engine(t)
	columns := []Column{{"id", types.Type{Kind: types.BigInt}}, {"name", types.Type{Kind: types.String}}, {"st", types.StructOf(types.Field{Name: "a", Type: types.Type{Kind: types.Int}})}}
	for query, want := range map[string]struct{ rowwise, chooses bool }{
		"select * from t":                                        {true, false},
		"select * from t where id % 100 = 0":                     {true, true},
		"select id from t where id % 100 = 0":                    {true, false},
		"select upper(name) from p.t x where x.id = 1":           {true, true},
		"select name from p.t where p.t.id = 1":                  {true, true},
		"select name from t where id > 1 limit 3":                {false, false},
		"select name from t where id > 1 order by name":          {false, true},
		"select count(*), max(name) from t where id > 1":         {false, true},
		"select distinct name from t where id > 1":               {false, true},
		"select name, row_number() over () from t where id > 1":  {false, true},
		"select name, random() from t where id > 1":              {false, true},
		"select name from t where random() > 0.5":                {false, false},
		"select name from t where id = (select max(id) from t)":  {false, false},
		"select unnest([id]), name from t where id > 1":          {false, true},
		"select a.name from t a, t b where a.id = b.id":          {false, false},
		"select name, id + 1 as k from t where k > 1":            {true, false},
		"select name from t where st.a = 1":                      {true, false},
		"select name from t x(id2, name) where id2 > 1":          {true, false},
		"select name from t tablesample 10 percent where id = 1": {false, false},
		"select 1": {false, false},
	} {
		s, err := e.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.parse(t.Context(), &translation{text: query, source: query})
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		tree, err := p.choosing(columns, s.known, "places")
		if err != nil || p.rowwise(s.known) != want.rowwise || (tree != nil) != want.chooses {
			t.Errorf("%s: rowwise %t, choosing %s, %v; want %+v", query, p.rowwise(s.known), tree, err, want)
		}
		s.close()
	}
}
