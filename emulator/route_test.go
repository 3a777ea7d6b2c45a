package emulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"testing"
)

// What a client or its network did is no warning in the log; what this program failed at is.
func TestOwnFault(t *testing.T) {
	ended := func(cause error) error { return fmt.Errorf("%w: %w", http.ErrAbortHandler, cause) }
	for name, c := range map[string]struct {
		status int
		broken error
		want   bool
	}{
		"answered":              {200, nil, false},
		"refused":               {429, nil, false},
		"failed":                {500, nil, true},
		"cut without a reason":  {0, http.ErrAbortHandler, false},
		"the client hung up":    {200, ended(fmt.Errorf("write: %w", &net.OpError{Op: "write", Err: syscall.EPIPE})), false},
		"the request was ended": {200, ended(context.Canceled), false},
		"a file is damaged":     {200, ended(errors.New("segment data is damaged")), true},
	} {
		if got := ownFault(c.status, c.broken); got != c.want {
			t.Errorf("%s: ownFault(%d, %v) = %t, want %t", name, c.status, c.broken, got, c.want)
		}
	}
}
