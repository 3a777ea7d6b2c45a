package rpc

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
	"github.com/sluice-io/sluice/service/internal/write/writetest"
)

// heard is the client's end of a stream: it notes what is said, and when.
type heard struct {
	grpc.ServerStream
	ctx context.Context

	mu      sync.Mutex
	last    time.Time                     // guarded by mu
	silence time.Duration                 // the longest; guarded by mu
	replies []*sluicev1.WriteRowsResponse // guarded by mu
}

func (h *heard) Context() context.Context { return h.ctx }

func (h *heard) Recv() (*sluicev1.WriteRowsRequest, error) { return nil, errors.New("not expected") }

func (h *heard) Send(m *sluicev1.WriteRowsResponse) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if !h.last.IsZero() {
		h.silence = max(h.silence, now.Sub(h.last))
	}
	h.last = now
	h.replies = append(h.replies, m)
	return nil
}

// TestAResumeOfASealedSliceIsNotSilentWhileTheRunCommits: a client takes 45 s of silence for a dead connection.
func TestAResumeOfASealedSliceIsNotSilentWhileTheRunCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := writetest.NewBackend(writetest.Table("t"))
		backend.SetFault(func(c writetest.Call) writetest.Outcome {
			if c.Op == writetest.OpPost {
				time.Sleep(3 * time.Minute)
			}
			return writetest.OK
		})
		engine := write.New(write.Config{Ledger: writetest.NewLedger(), Backend: backend})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- engine.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run = %v", err)
			}
		}()
		req := write.OpenRequest{Output: table.Ref{Name: table.NewName("p", "", "t")}, WorkerID: "a", WriterNumber: 1, OpenNumber: 1}
		w, _, err := engine.Open(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if sealed, err := w.Seal(t.Context(), nil); err != nil || !sealed.CompletesRun {
			t.Fatalf("Seal = %+v, %v", sealed, err)
		}
		w.Detach() // the connection broke
		req.OpenNumber++
		w, opened, err := engine.Open(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		stream := &heard{ctx: t.Context()}
		srv := &rowServer{writes: engine, limits: DefaultLimits(), streams: newStreams(), log: slog.New(slog.DiscardHandler), now: time.Now}
		c := &sliceStream{srv: srv, stream: stream, w: w, lastAck: time.Now()}
		if err := c.run(&opened); err != nil {
			t.Fatalf("run = %v", err)
		}
		if stream.silence > ackEvery {
			t.Errorf("nothing was said for %v, want at most %v", stream.silence, ackEvery)
		}
		if run := stream.replies[len(stream.replies)-1].GetFinished().GetRun(); run.GetState() != sluicev1.RunState_RUN_STATE_COMMITTED {
			t.Errorf("the last word is %v, want finished with COMMITTED", stream.replies[len(stream.replies)-1])
		}
	})
}
