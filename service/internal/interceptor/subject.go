package interceptor

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/metadata"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

const (
	clientKey = "sluice-client" // metadata: what the caller's library calls itself
	// maxLogged bounds each text of a caller's in a log line.
	maxLogged = 256
)

// subject is what a call was about, for its log line: read from the first message each way, and never more of them
// than names and numbers.
type subject struct {
	heard, said atomic.Bool // the first message came, went

	mu      sync.Mutex
	runID   string // guarded by mu
	project string // guarded by mu
	table   string // guarded by mu; "schema.table" if a schema was named
	slice   *int32 // guarded by mu
	rows    *int64 // guarded by mu
}

// hear notes the first message of the caller.
func (s *subject) hear(m any) {
	if s.heard.Swap(true) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := m.(interface{ GetRunId() string }); ok {
		s.runID = r.GetRunId()
	}
	switch r := m.(type) {
	case interface{ GetOpen() *sluicev1.SliceOpen }: // WriteRows, AppendRows
		s.open(r.GetOpen(), m)
	case interface{ GetOutput() *sluicev1.TableRef }:
		s.ref(r.GetOutput())
	case interface{ GetTable() *sluicev1.TableRef }:
		s.ref(r.GetTable())
	case interface{ GetTable() *sluicev1.Table }:
		s.ref(r.GetTable().GetRef())
	case interface {
		GetSpec() *sluicev1.ReadSessionSpec
	}:
		s.ref(r.GetSpec().GetTable())
	case interface{ GetOutputs() []*sluicev1.OutputSpec }:
		if len(r.GetOutputs()) == 1 {
			s.ref(r.GetOutputs()[0].GetTable())
		}
	case interface{ GetProject() string }:
		s.project = r.GetProject()
	}
}

func (s *subject) open(o *sluicev1.SliceOpen, m any) {
	if o != nil {
		id := o.GetSliceId() // a copy: the line must not hold on to the message
		s.runID, s.slice = o.GetRunId(), &id
		s.ref(o.GetOutput())
	}
	if b, ok := m.(interface{ GetBatch() *sluicev1.RowBatch }); ok && b.GetBatch() != nil {
		n := max(int64(b.GetBatch().GetRowCount()), int64(len(b.GetBatch().GetRows().GetRows())))
		s.rows = &n
	}
}

// ref notes a table, from its parts or from its one-line text, "odps://project/tables/[schema.]table[/…]".
func (s *subject) ref(r *sluicev1.TableRef) {
	s.project, s.table = r.GetProject(), r.GetTable()
	if r.GetSchemaName() != "" {
		s.table = r.GetSchemaName() + "." + s.table
	}
	if rest, ok := strings.CutPrefix(r.GetPath(), "odps://"); ok {
		if parts := strings.SplitN(rest, "/", 4); len(parts) > 2 {
			s.project, s.table = parts[0], parts[2]
		}
	}
}

// say notes the first answer: the id of a run that the server named.
func (s *subject) say(m any) {
	if s.said.Swap(true) {
		return
	}
	if r, ok := m.(interface{ GetOpened() *sluicev1.SliceOpened }); ok && r.GetOpened() != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.runID = r.GetOpened().GetRunId()
	}
}

// attrs are the fields that there is something to say in.
func (s *subject) attrs(ctx context.Context) []slog.Attr {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []slog.Attr
	text := func(key, value string) {
		if value != "" {
			out = append(out, slog.String(key, strings.ToValidUTF8(value[:min(len(value), maxLogged)], "")))
		}
	}
	text("run_id", s.runID)
	text("project", s.project)
	text("table", s.table)
	if s.slice != nil {
		out = append(out, slog.Int("slice_id", int(*s.slice)))
	}
	if s.rows != nil {
		out = append(out, slog.Int64("rows", *s.rows))
	}
	md, _ := metadata.FromIncomingContext(ctx)
	if names := md.Get(clientKey); len(names) > 0 {
		text("client", names[0])
	}
	return out
}
