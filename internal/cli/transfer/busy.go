package transfer

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// inWords adds to a refusal because others write there who they are, for how long, and what can be done; other errors stay
// as they are. run and slice are what was to be opened.
func inWords(err error, run string, slice int32) error {
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		return err
	}
	switch e.Reason {
	case sluicev1.Reason_REASON_OUTPUT_BUSY:
		other := cmp.Or(e.Metadata["run_id"], "(not told)")
		return fmt.Errorf("%w\nrun %s has the output: wait for its end (--wait 5m), look at it (sluice run show %s), or drop what it wrote (sluice run abort %s)",
			err, other, other, other)
	case sluicev1.Reason_REASON_SLICE_CONFLICT:
		return fmt.Errorf("%w\nslice %d of run %s %s", err, slice, run, holding(e))
	}
	return err
}

// holding says what a slice's holder is about.
func holding(e *client.Error) string {
	holder := fmt.Sprintf("worker %s, attempt %s", cmp.Or(e.Metadata["holder_worker_id"], "(not told)"), cmp.Or(e.Metadata["holder_attempt"], "(not told)"))
	switch state := e.Metadata["state"]; state {
	case "OPEN":
		rest := "for as long as it gives signs of life"
		if e.RetryAfter > 0 {
			rest = fmt.Sprintf("for another %.0f s at least, longer if it gives signs of life", max(math.Ceil(e.RetryAfter.Seconds()), 1))
		}
		return fmt.Sprintf("is held by %s, %s: wait (--wait 5m), or take it over with a larger --attempt", holder, rest)
	case "SEALED":
		return fmt.Sprintf("was sealed by %s: its rows are complete; a larger --attempt writes them anew", holder)
	default:
		return fmt.Sprintf("is %s, by %s: it cannot be opened any more", cmp.Or(state, "not open"), holder)
	}
}
