package conformance

import (
	"math"
	"testing"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// AppendRows to a sealed slice answers repeats, and nothing that contradicts the seal.
func TestAppendRowsToASealedSlice(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 2, nil)
	open := inRun("r", path, 0)
	w := s.open(t, open)
	w.write(apple, pear)
	w.seal()
	two, five := int64(2), int64(5)
	for _, c := range []struct {
		name string
		req  *sluicev1.AppendRowsRequest
		want sluicev1.Reason
	}{
		{"repeat", &sluicev1.AppendRowsRequest{Batch: &sluicev1.RowBatch{Payload: listOf([]row{apple, pear})}, Seal: &sluicev1.SliceSeal{Rows: &two}}, 0},
		{"more rows", &sluicev1.AppendRowsRequest{Batch: &sluicev1.RowBatch{Offset: 2, Payload: listOf([]row{melon})}}, sluicev1.Reason_REASON_WRITER_CLOSED},
		{"rows at the end of numbers", &sluicev1.AppendRowsRequest{Batch: &sluicev1.RowBatch{Offset: math.MaxInt64, Payload: listOf([]row{apple, pear})}}, sluicev1.Reason_REASON_WRITER_CLOSED},
		{"another count", &sluicev1.AppendRowsRequest{Seal: &sluicev1.SliceSeal{Rows: &five}}, sluicev1.Reason_REASON_WRITER_CLOSED},
		{"abort", &sluicev1.AppendRowsRequest{Abort: &sluicev1.SliceAbort{}}, sluicev1.Reason_REASON_WRITER_CLOSED},
	} {
		open.OpenNumber++
		c.req.Open = open
		resp, err := s.rows.AppendRows(ctxOf(t), c.req)
		if got := reasonOf(err); got != c.want || err == nil && resp.GetSealed().GetRows() != 2 {
			t.Errorf("%s: %v, %v, want %v", c.name, resp, err, c.want)
		}
	}
}
