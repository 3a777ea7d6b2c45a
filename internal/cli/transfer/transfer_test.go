package transfer

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

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

func TestRefusalsForOthersAreWorded(t *testing.T) {
	conflict := func(state string, rest time.Duration) error {
		return fmt.Errorf("open: %w", &client.Error{
			Reason: sluicev1.Reason_REASON_SLICE_CONFLICT, Message: "held", RetryAfter: rest,
			Metadata: map[string]string{"holder_worker_id": "w", "holder_attempt": "2", "state": state},
		})
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{conflict("OPEN", 28_100*time.Millisecond), "open: SLICE_CONFLICT: held\nslice 4 of run r is held by worker w, attempt 2, for another 29 s at least, longer if it gives signs of life: wait (--wait 5m), or take it over with a larger --attempt"},
		{conflict("OPEN", time.Millisecond), "for another 1 s at least"},
		{conflict("OPEN", 0), "attempt 2, for as long as it gives signs of life: wait"},
		{conflict("SEALED", time.Minute), "slice 4 of run r was sealed by worker w, attempt 2: its rows are complete; a larger --attempt writes them anew"},
		{conflict("COMMITTED", time.Minute), "slice 4 of run r is COMMITTED, by worker w, attempt 2: it cannot be opened any more"},
		{&client.Error{Reason: sluicev1.Reason_REASON_SLICE_CONFLICT}, "is not open, by worker (not told), attempt (not told)"},
		{&client.Error{Reason: sluicev1.Reason_REASON_OUTPUT_BUSY, Metadata: map[string]string{"run_id": "x"}}, "run x has the output: wait for its end (--wait 5m), look at it (sluice run show x), or drop what it wrote (sluice run abort x)"},
	} {
		if got := inWords(c.err, "r", 4); !errors.Is(got, c.err) || !strings.Contains(got.Error(), c.want) {
			t.Errorf("inWords(%v) = %q, want %q in it", c.err, got, c.want)
		}
	}
	for _, other := range []error{nil, io.EOF, &client.Error{Reason: sluicev1.Reason_REASON_RUN_CLOSED}} {
		if got := inWords(other, "r", 4); got != other { //nolint:errorlint // it passes as it is
			t.Errorf("inWords(%v) = %v, want it unchanged", other, got)
		}
	}
}
