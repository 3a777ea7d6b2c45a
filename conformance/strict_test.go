package conformance

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-io/sluice/emulator"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// Over an endpoint with production's limits the service says what holds it up, writes nothing by halves, and goes on
// when the window is over. (It does not pace itself yet.)
func TestStrictLimitsAreToldAsSuch(t *testing.T) {
	var later atomic.Int64 // how far the endpoint's clock is ahead
	s := newStackOn(t, emulator.Options{Strict: 1, Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }})
	path := s.testWrite(t)
	sdk := s.sdk()
	for i := range 500 { // another program uses the table's sessions up
		if _, err := sdk.CreateUploadSession(project, "test_write"); err != nil {
			t.Fatalf("session %d: %v", i+1, err)
		}
	}
	s.run(t, "strict", path, 1, nil)
	open, one := inRun("strict", path, 0), int64(1)
	open.WorkerId, open.WriterNumber = newWorker(), 1
	add := func() error { // the same writer, again and again
		open.OpenNumber++
		_, err := s.rows.AppendRows(ctxOf(t), &sluicev1.AppendRowsRequest{
			Open: open, Batch: &sluicev1.RowBatch{Payload: listOf([]row{apple})}, Seal: &sluicev1.SliceSeal{Rows: &one},
		})
		return err
	}
	wantReason(t, add(), sluicev1.Reason_REASON_THROTTLED)
	s.wantRows(t, path)
	later.Store(int64(5 * time.Minute))
	if err := add(); err != nil {
		t.Errorf("after the window: %v", err)
	}
	s.wantRows(t, path, apple)
}
