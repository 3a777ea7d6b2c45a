package conformance

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

func numbered(n int) []row {
	var rows []row
	for i := range n {
		rows = append(rows, row{i, "n"})
	}
	return rows
}

func TestTR_31_a_read_ends_with_OK_after_the_last_row(t *testing.T) {
	s := newStack(t)
	path := s.table(t, "t", []string{"uid bigint", "name string"}, nil)
	s.fill(t, path, numbered(10)...)
	stream, err := s.rows.ReadRows(ctxOf(t), &sluicev1.ReadRowsRequest{
		Source: &sluicev1.ReadRowsRequest_Spec{Spec: &sluicev1.ReadSessionSpec{
			Table: &sluicev1.TableRef{Path: path},
			Plan:  &sluicev1.ReadPlan{Plan: &sluicev1.ReadPlan_Slice{Slice: &sluicev1.SlicePlan{SliceId: 1, SliceCount: 3}}},
		}},
		Format: sluicev1.DataFormat_DATA_FORMAT_ROWS,
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("read: %v, want rows and then OK", err)
		}
		for _, r := range msg.GetRows().GetRows() {
			got = append(got, textOf(r))
		}
	}
	if diff := cmp.Diff(texts(numbered(10)[4:7]...), got); diff != "" {
		t.Errorf("slice 1 of 3 differs (-want +got):\n%s", diff)
	}
}

func TestTR_32_a_read_resumes_where_it_was_cut(t *testing.T) {
	s := newStack(t)
	path := s.table(t, "t", []string{"uid bigint", "name string"}, nil)
	s.fill(t, path, numbered(10)...)
	session, err := s.rows.CreateReadSession(ctxOf(t), &sluicev1.CreateReadSessionRequest{
		Spec: &sluicev1.ReadSessionSpec{Table: &sluicev1.TableRef{Path: path}},
	})
	if err != nil {
		t.Fatal(err)
	}
	// The table is replaced meanwhile: the session keeps its snapshot.
	s.fill(t, path, row{99, "new"})
	token := session.GetSession().GetSessionToken()
	got, skip := s.readSome(t, token, 0, 4)
	rest, _ := s.readSome(t, token, skip, 100)
	if diff := cmp.Diff(texts(numbered(10)...), append(got, rest...)); diff != "" {
		t.Errorf("rows before and after the cut differ (-want +got):\n%s", diff)
	}
}

// readSome reads from skip on, two rows a message, and drops the stream after at least n rows.
func (s *stack) readSome(t *testing.T, token string, skip int64, n int) (rows []string, next int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctxOf(t))
	defer cancel()
	stream, err := s.rows.ReadRows(ctx, &sluicev1.ReadRowsRequest{
		Source:   &sluicev1.ReadRowsRequest_SessionToken{SessionToken: token},
		SkipRows: skip, Format: sluicev1.DataFormat_DATA_FORMAT_ROWS, MaxBatchRows: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	next = skip
	for len(rows) < n {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return rows, next
		}
		if err != nil {
			t.Fatalf("read from %d: %v", skip, err)
		}
		for _, r := range msg.GetRows().GetRows() {
			rows = append(rows, textOf(r))
		}
		if len(msg.GetRows().GetRows()) > 0 {
			next = msg.GetNextSkipRows()
		}
	}
	return rows, next
}

func TestListPartitionsByPattern(t *testing.T) {
	s := newStack(t)
	path := s.table(t, "t", []string{"uid bigint"}, []string{"pt string", "hr string"})
	for _, part := range []string{"pt=a/hr=1", "pt=a/hr=2", "pt=b/hr=1"} {
		s.fill(t, path+"/"+part, row{1})
	}
	for text, want := range map[string][]string{
		"pt=a,hr=*":                    {"pt=a/hr=1", "pt=a/hr=2"},
		"pt=?/hr=1":                    {"pt=a/hr=1", "pt=b/hr=1"},
		"/*query*/ pt = 'b' or hr = 2": {"pt=a/hr=2", "pt=b/hr=1"},
		"pt=nobody,hr=1":               nil,
	} {
		resp, err := s.tables.ListPartitions(ctxOf(t), &sluicev1.ListPartitionsRequest{
			Table: &sluicev1.TableRef{Path: path}, Partitions: []string{text},
		})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var got []string
		for _, p := range resp.GetPartitions() {
			got = append(got, p.GetText())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", text, diff)
		}
	}
	_, err := s.tables.ListPartitions(ctxOf(t), &sluicev1.ListPartitionsRequest{
		Table: &sluicev1.TableRef{Path: path}, Partitions: []string{"pt=a"},
	})
	wantReason(t, err, sluicev1.Reason_REASON_BAD_PARTITION)
}

func TestListPartitionsPageByPage(t *testing.T) {
	s := newStack(t)
	path := s.table(t, "t", []string{"uid bigint"}, []string{"pt string"})
	want := []string{"pt=a", "pt=b", "pt=c", "pt=d", "pt=e"}
	for _, part := range want {
		s.fill(t, path+"/"+part)
	}
	var got []string
	token := ""
	for {
		resp, err := s.tables.ListPartitions(ctxOf(t), &sluicev1.ListPartitionsRequest{
			Table: &sluicev1.TableRef{Path: path}, PageSize: 2, PageToken: token,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range resp.GetPartitions() {
			got = append(got, p.GetText())
		}
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages differ (-want +got):\n%s", diff)
	}
}
