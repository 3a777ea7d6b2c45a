package tunnel

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// patient is a connection that remembers how long it may be read from.
type patient struct {
	*httptest.ResponseRecorder
	deadlines []time.Time
}

func (p *patient) SetReadDeadline(t time.Time) error {
	p.deadlines = append(p.deadlines, t)
	return nil
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// What is left of a body is read within bounds; then the connection goes on, or, when there
// is more, ends.
func TestDrainEndsTheConnectionOfABodyThatGoesOn(t *testing.T) {
	for name, tt := range map[string]struct {
		body  io.Reader
		after bool // the connection lives on
	}{
		"whole": {strings.NewReader("rest"), true}, "none": {strings.NewReader(""), true}, "endless": {endless{}, false},
	} {
		w := &patient{ResponseRecorder: httptest.NewRecorder()}
		began := time.Now()
		Drain(w, httptest.NewRequest(http.MethodPut, "/", tt.body))
		ended := time.Now()
		if len(w.deadlines) != 2 {
			t.Fatalf("%s: %d deadlines, want one for the reading and one behind it", name, len(w.deadlines))
		}
		if first := w.deadlines[0]; first.Before(began.Add(drainTime)) || first.After(ended.Add(drainTime)) {
			t.Errorf("%s: read until %s, want %s from now on", name, first, drainTime)
		}
		if last := w.deadlines[1]; last.IsZero() != tt.after || last.After(ended) {
			t.Errorf("%s: the deadline behind it is %s, the connection should live on: %t", name, last, tt.after)
		}
	}
}

func TestUntilDeadlineEndsABodyThatStillComes(t *testing.T) {
	late := untilDeadline{endless{}, time.Now().Add(-1)}
	if n, err := late.Read(make([]byte, 8)); n != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Read after the deadline = %d, %v", n, err)
	}
	early := untilDeadline{endless{}, time.Now().Add(time.Hour)}
	if n, err := early.Read(make([]byte, 8)); n != 8 || err != nil {
		t.Errorf("Read before the deadline = %d, %v", n, err)
	}
}
