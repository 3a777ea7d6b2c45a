package rpc

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/write"
	"github.com/sluice-io/sluice/service/internal/write/writetest"
)

// appendWorld is a RowService over a scripted backend, in a bubble of its own.
func appendWorld(t *testing.T, f func(t *testing.T, s *rowServer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		engine := write.New(write.Config{Ledger: writetest.NewLedger(), Backend: writetest.NewBackend(writetest.Table("t"))})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- engine.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run = %v", err)
			}
		}()
		f(t, &rowServer{writes: engine, limits: DefaultLimits(), streams: newStreams(), log: slog.New(slog.DiscardHandler), now: time.Now})
	})
}

// rejected is what AppendRows is asked in these tests: one row of nine columns, too many for any table here, or a seal
// of rows that never came.
var rejected = map[string]*sluicev1.AppendRowsRequest{
	"batch": {Batch: &sluicev1.RowBatch{Payload: &sluicev1.RowBatch_Rows{Rows: &sluicev1.RowList{Rows: []*sluicev1.Row{{Values: make([]*sluicev1.Value, 9)}}}}}},
	"seal":  {Seal: &sluicev1.SliceSeal{Rows: new(int64(3))}},
}

func openOf(worker string, number int64) *sluicev1.SliceOpen {
	return &sluicev1.SliceOpen{Output: &sluicev1.TableRef{Project: "p", Table: "t"}, WorkerId: worker, WriterNumber: number}
}

// One bad row must not keep everybody off the table until a lease runs out.
func TestARejectedCallLeavesNoImplicitRunBehind(t *testing.T) {
	for name, bad := range rejected {
		t.Run(name, func(t *testing.T) {
			appendWorld(t, func(t *testing.T, s *rowServer) {
				bad.Open = openOf("a", 1)
				_, err := s.AppendRows(t.Context(), bad)
				if err == nil || write.Fatal(err) {
					t.Fatalf("AppendRows = %v, want a rejection", err)
				}
				next := &sluicev1.AppendRowsRequest{Open: openOf("b", 1), Seal: &sluicev1.SliceSeal{}}
				if resp, err := s.AppendRows(t.Context(), next); err != nil || resp.GetFinished() == nil {
					t.Errorf("the next caller: %v, %v, want finished", resp, err)
				}
			})
		})
	}
}

func TestARejectedCallLeavesWhatOthersOpened(t *testing.T) {
	for name, bad := range rejected {
		t.Run(name, func(t *testing.T) {
			appendWorld(t, func(t *testing.T, s *rowServer) {
				if _, err := s.AppendRows(t.Context(), &sluicev1.AppendRowsRequest{Open: openOf("a", 1)}); err != nil {
					t.Fatal(err)
				}
				bad.Open = openOf("a", 1)
				if _, err := s.AppendRows(t.Context(), bad); err == nil || write.Fatal(err) {
					t.Fatalf("AppendRows = %v, want a rejection", err)
				}
				if _, err := s.AppendRows(t.Context(), &sluicev1.AppendRowsRequest{Open: openOf("b", 1)}); !apierr.Is(err, apierr.OutputBusy) {
					t.Errorf("another caller: %v, want OUTPUT_BUSY: the run was there before the rejected call", err)
				}
				resp, err := s.AppendRows(t.Context(), &sluicev1.AppendRowsRequest{Open: openOf("a", 1), Seal: &sluicev1.SliceSeal{Rows: new(int64(0))}})
				if err != nil || resp.GetFinished() == nil {
					t.Errorf("its own next call: %v, %v, want finished", resp, err)
				}
			})
		})
	}
}
