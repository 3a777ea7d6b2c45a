package conformance

import (
	"errors"
	"io"
	"testing"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// form is one of the three forms of typed data.
type form struct {
	name  string
	write func(t *testing.T, w *slice, columns []*sluicev1.Column, rows []*sluicev1.Row)
	read  *sluicev1.ReadRowsRequest
}

var forms = []form{
	{"arrow", writeArrow(false), &sluicev1.ReadRowsRequest{Format: sluicev1.DataFormat_DATA_FORMAT_ARROW}},
	{"columns", writeColumns, &sluicev1.ReadRowsRequest{Format: sluicev1.DataFormat_DATA_FORMAT_COLUMNS}},
	{"rows", writeRows, &sluicev1.ReadRowsRequest{Format: sluicev1.DataFormat_DATA_FORMAT_ROWS}},
}

// farForms are the forms that hold every TIMESTAMP: in Arrow that is the struct.
var farForms = []form{
	{"arrow structs", writeArrow(true), &sluicev1.ReadRowsRequest{
		Format: sluicev1.DataFormat_DATA_FORMAT_ARROW, ArrowTimestamp: sluicev1.ArrowTimestamp_ARROW_TIMESTAMP_STRUCT,
	}},
	forms[1], forms[2],
}

func writeArrow(pairs bool) func(*testing.T, *slice, []*sluicev1.Column, []*sluicev1.Row) {
	return func(t *testing.T, w *slice, columns []*sluicev1.Column, rows []*sluicev1.Row) {
		t.Helper()
		schema, batch := arrowMessages(t, columns, rows, pairs)
		w.send(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_DefineSchema{
			DefineSchema: &sluicev1.SchemaDefinition{SchemaId: 1, ArrowSchema: schema},
		}})
		w.sendBatch(&sluicev1.RowBatch{RowCount: int32(len(rows)), SchemaId: 1, Payload: &sluicev1.RowBatch_Arrow{Arrow: batch}})
	}
}

func writeColumns(t *testing.T, w *slice, columns []*sluicev1.Column, rows []*sluicev1.Row) {
	t.Helper()
	w.sendBatch(&sluicev1.RowBatch{RowCount: int32(len(rows)), Payload: &sluicev1.RowBatch_Columns{Columns: columnBatch(columns, rows)}})
}

func writeRows(t *testing.T, w *slice, _ []*sluicev1.Column, rows []*sluicev1.Row) {
	t.Helper()
	w.sendBatch(&sluicev1.RowBatch{RowCount: int32(len(rows)), Payload: &sluicev1.RowBatch_Rows{Rows: &sluicev1.RowList{Rows: rows}}})
}

// sendBatch sends a batch at the next offset.
func (w *slice) sendBatch(b *sluicev1.RowBatch) {
	w.t.Helper()
	w.batch++
	b.BatchId, b.Offset = w.batch, w.next
	w.send(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Batch{Batch: b}})
	w.next += int64(b.GetRowCount())
}

// readForm reads a whole table in one of the forms.
func (s *stack) readForm(t *testing.T, path string, columns []*sluicev1.Column, f form) []*sluicev1.Row {
	t.Helper()
	req := &sluicev1.ReadRowsRequest{
		Source: &sluicev1.ReadRowsRequest_Spec{Spec: &sluicev1.ReadSessionSpec{Table: &sluicev1.TableRef{Path: path}}},
		Format: f.read.GetFormat(), ArrowTimestamp: f.read.GetArrowTimestamp(),
	}
	stream, err := s.rows.ReadRows(ctxOf(t), req)
	if err != nil {
		t.Fatalf("ReadRows: %v", err)
	}
	var rows []*sluicev1.Row
	var schema []byte
	var batches [][]byte
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("read %s as %s: %v", path, f.name, err)
		}
		if msg.GetOpened() != nil {
			schema = msg.GetOpened().GetArrowSchema()
		}
		switch p := msg.GetPayload().(type) {
		case *sluicev1.ReadRowsResponse_Arrow:
			batches = append(batches, p.Arrow)
		case *sluicev1.ReadRowsResponse_Columns:
			rows = append(rows, decodeBatch(columns, p.Columns, int(msg.GetRowCount()))...)
		case *sluicev1.ReadRowsResponse_Rows:
			rows = append(rows, p.Rows.GetRows()...)
		}
	}
	if f.read.GetFormat() == sluicev1.DataFormat_DATA_FORMAT_ARROW {
		return arrowRows(t, columns, schema, batches)
	}
	return rows
}

// typed creates a table of every type and returns its columns as the server describes them.
func (s *stack) typed(t *testing.T, name string) (path string, columns []*sluicev1.Column) {
	t.Helper()
	path = s.table(t, name, everyType, nil)
	resp, err := s.tables.GetTable(ctxOf(t), &sluicev1.GetTableRequest{Table: &sluicev1.TableRef{Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	return path, resp.GetTable().GetSchema().GetColumns()
}

func TestEveryTypeRoundTripsInEveryForm(t *testing.T) {
	s := newStack(t)
	want := everyRow()
	for _, in := range forms {
		path, columns := s.typed(t, "t_"+in.name)
		w := s.open(t, implicit(path))
		in.write(t, w, columns, want)
		w.seal()
		for _, out := range forms {
			wantSameRows(t, "written as "+in.name+", read as "+out.name, columns, want, s.readForm(t, path, columns, out))
		}
	}
}

func TestTimestampsOfAllYearsRoundTripWhereTheFormHoldsThem(t *testing.T) {
	s := newStack(t)
	want := append(farTimes(), everyRow()...)
	for i, in := range farForms {
		path, columns := s.typed(t, "far_"+string(rune('a'+i)))
		w := s.open(t, implicit(path))
		in.write(t, w, columns, want)
		w.seal()
		for _, out := range farForms {
			wantSameRows(t, "written as "+in.name+", read as "+out.name, columns, want, s.readForm(t, path, columns, out))
		}
		wantReason(t, s.readError(t, path), sluicev1.Reason_REASON_TYPE_MISMATCH)
	}
}

// readError reads a table as Arrow with nanoseconds and returns the error that ends it.
func (s *stack) readError(t *testing.T, path string) error {
	t.Helper()
	stream, err := s.rows.ReadRows(ctxOf(t), &sluicev1.ReadRowsRequest{
		Source: &sluicev1.ReadRowsRequest_Spec{Spec: &sluicev1.ReadSessionSpec{Table: &sluicev1.TableRef{Path: path}}},
	})
	if err != nil {
		return err
	}
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
	}
}
