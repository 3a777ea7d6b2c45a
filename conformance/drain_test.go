package conformance

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// A shutdown tells streams to go, lets them, and cuts those that stay; what was durable is there after the restart.
func TestShutdownSaysGoAwayAndThenDRAINING(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 2, nil)
	open := inRun("r", path, 0)
	leaves, stays := s.open(t, open), s.open(t, inRun("r", path, 1))
	leaves.write(apple)
	leaves.flush()
	stopped := make(chan struct{})
	go func() { defer close(stopped); s.stop() }()
	for _, w := range []*slice{leaves, stays} {
		msg, err := w.reply()
		if err != nil || msg.GetGoAway().GetTimeLeft().AsDuration() <= 0 {
			t.Fatalf("reply = %v, %v, want go_away with some time left", msg, err)
		}
	}
	late := s.dial(t, inRun("r", path, 1))
	if _, err := late.stream.Recv(); reasonOf(err) != sluicev1.Reason_REASON_DRAINING && status.Code(err) != codes.Unavailable {
		t.Errorf("an open while draining: %v, want DRAINING", err)
	}
	if err := leaves.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	leaves.ended()
	if err := stays.failure(); reasonOf(err) != sluicev1.Reason_REASON_DRAINING || detailOf(err).GetMetadata()["retry"] != "resume" {
		t.Errorf("who stays: %v, want DRAINING with retry=resume", err)
	}
	<-stopped
	if err := s.conn.Close(); err != nil {
		t.Error(err)
	}
	s.stop = nil
	s.startService(t)
	open.OpenNumber, open.DurableSeen = 2, 1
	w := s.open(t, open)
	if w.opened.GetResumeOffset() != 1 {
		t.Errorf("resume_offset %d after the restart, want 1", w.opened.GetResumeOffset())
	}
	w.seal()
}

func TestShutdownOfAnIdleServiceIsQuick(t *testing.T) {
	s := newStack(t)
	start := time.Now()
	s.stopService(t)
	if took := time.Since(start); took > s.config().Grace {
		t.Errorf("took %v, more than the grace for clients although there are none", took)
	}
}
