package emulator

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/store"
)

// checkLockTimeout is how long Check waits for an endpoint that is just ending.
const checkLockTimeout = time.Second

// Report is what Check saw of a data folder.
type Report = store.Report

// Finding is one line of a report.
type Finding = store.Finding

// Errors for errors.Is. ErrHeld, of New and Check: another endpoint has the folder open. ErrNoStore, of Check: it is
// no data folder.
var (
	ErrHeld    = store.ErrHeld
	ErrNoStore = store.ErrNoStore
)

// Check verifies the data folder of an endpoint that does not run, down to the last
// byte, and changes nothing. Damage is in the report; an error means that nothing was
// checked. What it looks at: docs/endpoint.md 3.
func Check(ctx context.Context, dir string) (*Report, error) {
	report, err := store.Check(ctx, dir, checkLockTimeout)
	if err != nil {
		return nil, fmt.Errorf("check data folder: %w", err)
	}
	return report, nil
}
