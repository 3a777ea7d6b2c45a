package write_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/write"
)

// Two jobs with one run id must see at once in what they differ.
func TestACreateRunThatConflictsSaysWhatDiffers(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		spec := write.RunSpec{ID: "r", LeaseTTL: time.Minute, Outputs: []write.OutputSpec{output(t1, 2)}}
		if _, _, err := r.CreateRun(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		for want, change := range map[string]func(*write.RunSpec){
			"outputs[0].slice_count is 2, not 3":                       func(s *write.RunSpec) { s.Outputs = []write.OutputSpec{output(t1, 3)} },
			"outputs[0].table is not declared: " + t2.Path():           func(s *write.RunSpec) { s.Outputs = []write.OutputSpec{output(t2, 2)} },
			"outputs are 1, not 2":                                     func(s *write.RunSpec) { s.Outputs = []write.OutputSpec{output(t1, 2), output(t2, 2)} },
			"lease_ttl is 1m0s, not 30s":                               func(s *write.RunSpec) { s.LeaseTTL = 30 * time.Second },
			"outputs[0].options.mode is REPLACE, not APPEND":           func(s *write.RunSpec) { s.Outputs[0].Options.Mode = write.Append },
			"outputs[0].options.clear is AT_COMMIT, not AT_OPEN":       func(s *write.RunSpec) { s.Outputs[0].Options.Clear = write.ClearAtOpen },
			"outputs[0].options.missing_partition is CREATE, not FAIL": func(s *write.RunSpec) { s.Outputs[0].Options.MissingPartition = write.FailMissing },
		} {
			other := spec
			other.Outputs = []write.OutputSpec{output(t1, 2)}
			change(&other)
			_, _, err := r.CreateRun(t.Context(), other)
			e := errorWith(t, want, err, apierr.BadArgument)
			if e.Message() != `run "r" exists with other settings: `+want {
				t.Errorf("%q, want it to end in %q", e.Message(), want)
			}
			if v := e.Violations(); len(v) != 1 || v[0].Field+" "+v[0].Message != want {
				t.Errorf("violations %v, want one that says %q", v, want)
			}
		}
	})
}

func TestASealOfAnotherNumberOfRowsSaysBothNumbers(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.send(1))
		for rows, reason := range map[int64]apierr.Reason{3: apierr.OffsetGap, 0: apierr.OffsetOverlap} {
			_, err := a.wr.Seal(t.Context(), &rows)
			e := errorWith(t, "seal", err, reason)
			if want := map[int64]string{3: "the seal names 3 rows, the slice has 1", 0: "the seal names 0 rows, the slice has 1"}[rows]; e.Message() != want || e.Meta("expected_offset") != "1" {
				t.Errorf("%q, expected_offset %q, want %q and 1", e.Message(), e.Meta("expected_offset"), want)
			}
		}
		a.detach()
	})
}

func TestAnOpenInAnUnknownRunSaysWhatIsMissing(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		err := w.worker(w.start(), "nobody", 0, "a", "a").open()
		if e := errorWith(t, "open", err, apierr.RunNotFound); !strings.HasSuffix(e.Message(), "call CreateRun first") {
			t.Errorf("%q, want it to say: call CreateRun first", e.Message())
		}
	})
}
