package interceptor

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// line is the log line of a call, without what every line has.
func line(t *testing.T, run func(c *Chain, ctx context.Context) error) map[string]any {
	t.Helper()
	var log bytes.Buffer
	now := time.Unix(0, 0)
	c := New(slog.New(slog.NewJSONHandler(&log, nil)), func() time.Time { now = now.Add(1500 * time.Microsecond); return now }, "v1/r1")
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("sluice-client", "go/1"))
	if err := run(c, ctx); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(log.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"time", "level", "msg", "rpc", "request_id"} {
		if _, ok := got[k]; !ok {
			t.Errorf("the line has no %s", k)
		}
		delete(got, k)
	}
	return got
}

func TestTheLineOfASuccessfulCallSaysWhatItWasAbout(t *testing.T) {
	ref := &sluicev1.TableRef{Project: "p", SchemaName: "s", Table: "t"}
	byPath := &sluicev1.TableRef{Path: "odps://p/tables/t/dt=1/hr=2"}
	rows := &sluicev1.RowBatch{Payload: &sluicev1.RowBatch_Rows{Rows: &sluicev1.RowList{Rows: make([]*sluicev1.Row, 3)}}}
	for name, k := range map[string]struct {
		req, resp any
		want      map[string]any
	}{
		"append": {
			&sluicev1.AppendRowsRequest{Open: &sluicev1.SliceOpen{Output: ref}, Batch: rows},
			&sluicev1.AppendRowsResponse{Opened: &sluicev1.SliceOpened{RunId: "implicit.w.1"}},
			map[string]any{"run_id": "implicit.w.1", "project": "p", "table": "s.t", "slice_id": 0.0, "rows": 3.0},
		},
		"create run": {
			&sluicev1.CreateRunRequest{RunId: "r", Outputs: []*sluicev1.OutputSpec{{Table: byPath}}}, &sluicev1.CreateRunResponse{},
			map[string]any{"run_id": "r", "project": "p", "table": "t"},
		},
		"get run":      {&sluicev1.GetRunRequest{RunId: "r"}, &sluicev1.GetRunResponse{}, map[string]any{"run_id": "r"}},
		"list slices":  {&sluicev1.ListSlicesRequest{RunId: "r", Output: ref}, &sluicev1.ListSlicesResponse{}, map[string]any{"run_id": "r", "project": "p", "table": "s.t"}},
		"get table":    {&sluicev1.GetTableRequest{Table: byPath}, &sluicev1.GetTableResponse{}, map[string]any{"project": "p", "table": "t"}},
		"create table": {&sluicev1.CreateTableRequest{Table: &sluicev1.Table{Ref: ref}}, &sluicev1.CreateTableResponse{}, map[string]any{"project": "p", "table": "s.t"}},
		"list tables":  {&sluicev1.ListTablesRequest{Project: "p"}, &sluicev1.ListTablesResponse{}, map[string]any{"project": "p"}},
		"read session": {&sluicev1.CreateReadSessionRequest{Spec: &sluicev1.ReadSessionSpec{Table: ref}}, &sluicev1.CreateReadSessionResponse{}, map[string]any{"project": "p", "table": "s.t"}},
		"nothing":      {&sluicev1.AppendRowsRequest{}, &sluicev1.AppendRowsResponse{}, map[string]any{}},
	} {
		k.want["elapsed_ms"], k.want["client"] = 1.5, "go/1"
		got := line(t, func(c *Chain, ctx context.Context) error {
			_, err := c.unaryLog(ctx, k.req, &grpc.UnaryServerInfo{FullMethod: "/m"}, func(context.Context, any) (any, error) { return k.resp, nil })
			return err
		})
		if d := cmp.Diff(k.want, got); d != "" {
			t.Errorf("%s: -want +got\n%s", name, d)
		}
	}
}

// scripted is a stream that hears the messages of a script.
type scripted struct {
	grpc.ServerStream
	ctx  context.Context //nolint:containedctx // as every gRPC stream
	next []*sluicev1.WriteRowsRequest
}

func (s *scripted) Context() context.Context { return s.ctx }
func (s *scripted) SendMsg(any) error        { return nil }

func (s *scripted) RecvMsg(m any) error {
	to := m.(*sluicev1.WriteRowsRequest)
	to.Message, s.next = s.next[0].Message, s.next[1:]
	return nil
}

func TestTheLineOfAStreamSaysWhatItsOpenSaid(t *testing.T) {
	got := line(t, func(c *Chain, ctx context.Context) error {
		ss := &scripted{ctx: ctx, next: []*sluicev1.WriteRowsRequest{
			{Message: &sluicev1.WriteRowsRequest_Open{Open: &sluicev1.SliceOpen{RunId: "r", SliceId: 7, Output: &sluicev1.TableRef{Project: "p", Table: "t"}}}},
			{Message: &sluicev1.WriteRowsRequest_Batch{Batch: &sluicev1.RowBatch{RowCount: 9}}},
		}}
		return c.streamLog(nil, ss, &grpc.StreamServerInfo{FullMethod: "/m"}, func(_ any, ss grpc.ServerStream) error {
			for range 2 {
				if err := ss.RecvMsg(new(sluicev1.WriteRowsRequest)); err != nil {
					return err
				}
			}
			return ss.SendMsg(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Opened{Opened: &sluicev1.SliceOpened{RunId: "r"}}})
		})
	})
	want := map[string]any{"run_id": "r", "project": "p", "table": "t", "slice_id": 7.0, "client": "go/1", "elapsed_ms": 1.5}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}
