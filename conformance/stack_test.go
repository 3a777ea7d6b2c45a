package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/sluice-io/sluice/emulator"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service"
)

const project = "local"

// stack is a service in front of an embedded endpoint, both in this process, over loopback.
type stack struct {
	endpoint *emulator.Server
	service  *service.Server
	conn     *grpc.ClientConn
	runs     sluicev1.RunServiceClient
	rows     sluicev1.RowServiceClient
	tables   sluicev1.TableServiceClient
	info     sluicev1.InfoServiceClient

	ledger string
	proxy  *proxy // between the service and the endpoint
	stop   func()
}

// newStack starts a stack with its own empty data, which ends with the test.
func newStack(t *testing.T) *stack {
	t.Helper()
	return newStackOn(t, emulator.Options{})
}

// newStackOn has an endpoint with some options of its own.
func newStackOn(t *testing.T, options emulator.Options) *stack {
	t.Helper()
	s := &stack{ledger: filepath.Join(t.TempDir(), "ledger.db")}
	options.DataDir, options.Projects, options.AccessID, options.AccessKey = t.TempDir(), []string{project}, "local", "local-secret"
	endpoint, err := emulator.New(options)
	if err != nil {
		t.Fatalf("start endpoint: %v", err)
	}
	s.endpoint = endpoint
	t.Cleanup(func() {
		if err := endpoint.Close(); err != nil {
			t.Errorf("close endpoint: %v", err)
		}
	})
	endpoint.Start()
	s.proxy = newProxy(t, endpoint.Endpoint())
	s.startService(t)
	t.Cleanup(func() { s.stopService(t) })
	return s
}

func (s *stack) config() service.Config {
	return service.Config{
		Listen: "127.0.0.1:0", LedgerPath: s.ledger, Replica: "test", Grace: 5 * time.Second,
		MaxCompute: service.MaxCompute{
			Endpoint: s.proxy.server.URL + "/api", Project: project, AccessID: "local", AccessKey: "local-secret",
		},
	}
}

// startService starts a service on the stack's ledger and endpoint; after stopService it is a restart.
func (s *stack) startService(t *testing.T) {
	t.Helper()
	cfg := s.config()
	cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	server, err := service.New(cfg)
	if err != nil {
		t.Fatalf("start service: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := server.Run(ctx); err != nil {
			t.Errorf("run service: %v", err)
		}
	})
	<-server.Ready()
	s.service = server
	s.stop = func() { cancel(); wg.Wait() }
	s.conn, err = grpc.NewClient(server.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)))
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	s.runs = sluicev1.NewRunServiceClient(s.conn)
	s.rows = sluicev1.NewRowServiceClient(s.conn)
	s.tables = sluicev1.NewTableServiceClient(s.conn)
	s.info = sluicev1.NewInfoServiceClient(s.conn)
}

func (s *stack) stopService(t *testing.T) {
	t.Helper()
	if s.stop == nil {
		return
	}
	if err := s.conn.Close(); err != nil {
		t.Errorf("close connection: %v", err)
	}
	s.stop()
	s.stop = nil
}

// testWrite is the fixture of the TW rows: test_write(uid BIGINT, name STRING, price DOUBLE, virtual BOOLEAN).
func (s *stack) testWrite(t *testing.T) string {
	t.Helper()
	return s.table(t, "test_write", []string{"uid bigint", "name string", "price double", "virtual boolean"}, nil)
}

// table creates a table of "name type" columns and returns its path.
func (s *stack) table(t *testing.T, name string, columns, partitions []string) string {
	t.Helper()
	schema := &sluicev1.TableSchema{Columns: columnsOf(t, columns), PartitionColumns: columnsOf(t, partitions)}
	path := "odps://" + project + "/tables/" + name
	_, err := s.tables.CreateTable(ctxOf(t), &sluicev1.CreateTableRequest{Table: &sluicev1.Table{
		Ref: &sluicev1.TableRef{Path: path}, Schema: schema,
	}})
	if err != nil {
		t.Fatalf("create table %s: %v", name, err)
	}
	return path
}

func columnsOf(t *testing.T, texts []string) []*sluicev1.Column {
	t.Helper()
	var columns []*sluicev1.Column
	for _, text := range texts {
		var c sluicev1.Column
		var kind string
		if _, err := fmt.Sscan(text, &c.Name, &kind); err != nil {
			t.Fatalf("column %q: %v", text, err)
		}
		c.Type = &sluicev1.DataType{Text: text[len(c.Name)+1:]}
		columns = append(columns, &c)
	}
	return columns
}

// ctxOf bounds every call of a test, so that a hang fails instead of hanging.
func ctxOf(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// reasonOf is the stable reason of a failed call, from our own detail of its status.
func reasonOf(err error) sluicev1.Reason {
	if e := detailOf(err); e != nil {
		return e.GetReason()
	}
	return sluicev1.Reason_REASON_UNSPECIFIED
}

func detailOf(err error) *sluicev1.Error {
	for _, d := range status.Convert(err).Details() {
		if e, ok := d.(*sluicev1.Error); ok {
			return e
		}
	}
	return nil
}

func wantReason(t *testing.T, err error, want sluicev1.Reason) *sluicev1.Error {
	t.Helper()
	if got := reasonOf(err); got != want {
		t.Fatalf("error = %v, want reason %v", err, want)
	}
	return detailOf(err)
}

// row is one row of the fixture; nil = NULL.
type row []any

// valuesOf makes the Row of a row: int → integer, float64 → number, string → text, bool → boolean.
func valuesOf(r row) *sluicev1.Row {
	out := &sluicev1.Row{}
	for _, v := range r {
		value := &sluicev1.Value{}
		switch v := v.(type) {
		case nil:
		case int:
			value.Kind = &sluicev1.Value_Integer{Integer: int64(v)}
		case int64:
			value.Kind = &sluicev1.Value_Integer{Integer: v}
		case float64:
			value.Kind = &sluicev1.Value_Number{Number: v}
		case string:
			value.Kind = &sluicev1.Value_Text{Text: v}
		case bool:
			value.Kind = &sluicev1.Value_Boolean{Boolean: v}
		default:
			panic(fmt.Sprintf("value of type %T", v))
		}
		out.Values = append(out.Values, value)
	}
	return out
}

func listOf(rows []row) *sluicev1.RowBatch_Rows {
	list := &sluicev1.RowList{}
	for _, r := range rows {
		list.Rows = append(list.Rows, valuesOf(r))
	}
	return &sluicev1.RowBatch_Rows{Rows: list}
}

// visible reads the table as an outside reader and gives its rows as text, sorted by the caller if order matters not.
func (s *stack) visible(t *testing.T, path string) []string {
	t.Helper()
	rows, err := s.read(ctxOf(t), path)
	if err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	return rows
}

func (s *stack) read(ctx context.Context, path string) ([]string, error) {
	stream, err := s.rows.ReadRows(ctx, &sluicev1.ReadRowsRequest{
		Source: &sluicev1.ReadRowsRequest_Spec{Spec: &sluicev1.ReadSessionSpec{Table: &sluicev1.TableRef{Path: path}}},
		Format: sluicev1.DataFormat_DATA_FORMAT_ROWS,
	})
	if err != nil {
		return nil, err
	}
	var rows []string
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		for _, r := range msg.GetRows().GetRows() {
			rows = append(rows, textOf(r))
		}
	}
}

// textOf renders a row for comparison: values joined by "|", NULL as "∅".
func textOf(r *sluicev1.Row) string {
	text := ""
	for i, v := range r.GetValues() {
		if i > 0 {
			text += "|"
		}
		switch k := v.GetKind().(type) {
		case nil:
			text += "∅"
		case *sluicev1.Value_Boolean:
			text += fmt.Sprint(k.Boolean)
		case *sluicev1.Value_Integer:
			text += fmt.Sprint(k.Integer)
		case *sluicev1.Value_Number:
			text += fmt.Sprint(k.Number)
		case *sluicev1.Value_Text:
			text += k.Text
		default:
			text += v.String()
		}
	}
	return text
}

func texts(rows ...row) []string {
	var out []string
	for _, r := range rows {
		out = append(out, textOf(valuesOf(r)))
	}
	return out
}
