package transfer

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestParseTable(t *testing.T) {
	for _, c := range []struct {
		text, partition string
		want            *sluicev1.TableRef
	}{
		{"fruit", "", &sluicev1.TableRef{Table: "fruit"}},
		{"p.fruit", "", &sluicev1.TableRef{Project: "p", Table: "fruit"}},
		{"p.s.fruit", "dt=1/hr='05'", &sluicev1.TableRef{Project: "p", SchemaName: "s", Table: "fruit", Partition: map[string]string{"dt": "1", "hr": "05"}}},
		{"fruit", "dt=1,hr=a=b", &sluicev1.TableRef{Table: "fruit", Partition: map[string]string{"dt": "1", "hr": "a=b"}}},
		{"odps://p/tables/fruit", "", &sluicev1.TableRef{Path: "odps://p/tables/fruit"}},
		{"odps://p/tables/fruit", "dt=1,hr=2", &sluicev1.TableRef{Path: "odps://p/tables/fruit/dt=1/hr=2"}},
	} {
		got, err := ParseTable(c.text, c.partition)
		if diff := cmp.Diff(c.want, got, protocmp.Transform()); err != nil || diff != "" {
			t.Errorf("ParseTable(%q, %q) = %v, %v", c.text, c.partition, got, err)
		}
	}
	for _, c := range [][2]string{{"", ""}, {"a.b.c.d", ""}, {"p.", ""}, {"t", "dt"}, {"t", "=1"}} {
		if got, err := ParseTable(c[0], c[1]); err == nil {
			t.Errorf("ParseTable(%q, %q) = %v, want an error", c[0], c[1], got)
		}
	}
}

func TestWithoutPartition(t *testing.T) {
	for in, want := range map[string]string{
		"odps://p/tables/t": "odps://p/tables/t", "odps://p/tables/t/dt=1/hr=2": "odps://p/tables/t", "odps://p": "odps://p",
	} {
		if got := WithoutPartition(client.TablePath(in)).GetPath(); got != want {
			t.Errorf("WithoutPartition(%q) = %q, want %q", in, got, want)
		}
	}
	ref := &sluicev1.TableRef{Table: "t", Partition: map[string]string{"dt": "1"}}
	if got := WithoutPartition(ref); got.GetPartition() != nil || ref.GetPartition() == nil {
		t.Errorf("WithoutPartition(%v) = %v, and it must not change its argument", ref, got)
	}
}

// Slice 1 of 3 was given batches 1 and 4 of 8192 rows, the first 100 rows left out by a resume.
func TestRefusedRowsAreNumberedAsInTheFile(t *testing.T) {
	s := &slice{starts: []start{{writer: 0, file: 8192 + 100}, {writer: 8092, file: 4 * 8192}}}
	for row, want := range map[int64]int64{0: 8292, 8091: 16383, 8092: 32768, 9000: 32768 + 908} {
		if got := s.fileRow(row); got != want {
			t.Errorf("fileRow(%d) = %d, want %d", row, got, want)
		}
	}
	refused := &client.RejectedError{
		FirstRow: 8092, Rows: 500, RowErrorCount: 2, RowErrors: []*sluicev1.RowError{{Row: 7, Column: "id", Message: "is NULL"}},
		Err: &client.Error{Reason: sluicev1.Reason_REASON_TYPE_MISMATCH, Code: codes.InvalidArgument, Message: "rows do not fit"},
	}
	want := "row 32776, column id: is NULL (2 rows of this batch are wrong): TYPE_MISMATCH: rows do not fit"
	if err := s.explain(refused); err.Error() != want || !client.Is(err, sluicev1.Reason_REASON_TYPE_MISMATCH) {
		t.Errorf("explain = %q, want %q", err, want)
	}
	if other := errors.New("x"); !errors.Is(s.explain(other), other) {
		t.Error("other errors must pass")
	}
}

func TestResumable(t *testing.T) {
	reason := func(r sluicev1.Reason, retry string) error {
		return &client.Error{Reason: r, Metadata: map[string]string{"retry": retry}}
	}
	if !Resumable(reason(sluicev1.Reason_REASON_DRAINING, "resume")) || !Resumable(reason(sluicev1.Reason_REASON_OUTCOME_UNKNOWN, "same")) {
		t.Error("an import that a server left off may be resumed")
	}
	if Resumable(reason(sluicev1.Reason_REASON_TYPE_MISMATCH, "no")) || Resumable(errors.New("read source")) {
		t.Error("an import of wrong rows may not be resumed")
	}
}
