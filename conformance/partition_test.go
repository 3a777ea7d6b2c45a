package conformance

import (
	"testing"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// No call lets a value into a partition column that the column cannot hold: it would make the column unreadable for the
// whole table.
func TestPartitionValuesFitTheirColumn(t *testing.T) {
	s := newStack(t)
	path := s.table(t, "t", []string{"uid bigint"}, []string{"dt string", "hr bigint"})
	s.fill(t, path+"/dt=2024-01-02/hr=5", row{1})
	for _, hr := range []string{"x", "05"} {
		part := path + "/dt=2024-01-02/hr=" + hr
		ref := &sluicev1.TableRef{Path: part}
		errs := map[string]error{"open": s.refused(t, implicit(part))}
		_, errs["create"] = s.tables.CreatePartition(ctxOf(t), &sluicev1.CreatePartitionRequest{Table: ref})
		_, errs["delete"] = s.tables.DeletePartition(ctxOf(t), &sluicev1.DeletePartitionRequest{Table: ref, AllowMissing: true})
		errs["read"] = s.readError(t, part)
		for call, err := range errs {
			if got := reasonOf(err); got != sluicev1.Reason_REASON_BAD_PARTITION {
				t.Errorf("%s of hr=%s: %v, want BAD_PARTITION", call, hr, err)
			}
		}
	}
	_, err := s.rows.CreateReadSession(ctxOf(t), &sluicev1.CreateReadSessionRequest{Spec: &sluicev1.ReadSessionSpec{
		Table: &sluicev1.TableRef{Path: path}, Columns: []string{"uid", "hr"}, Partitions: []string{"dt=2024-01-02/hr=5", "dt=2024-01-02/hr=x"},
	}})
	if got := reasonOf(err); got != sluicev1.Reason_REASON_BAD_PARTITION {
		t.Errorf("a list with hr=x: %v, want BAD_PARTITION", err)
	}
	s.wantRows(t, path+"/dt=2024-01-02/hr=5", row{1})
}
