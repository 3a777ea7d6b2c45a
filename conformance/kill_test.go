package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// killRounds is how often the process is killed in a test run; `make fault` asks for more.
func killRounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("SLUICE_FAULT_ROUNDS")
	if text == "" {
		return 20
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("SLUICE_FAULT_ROUNDS: %v", err)
	}
	return n
}

// TestFaultKillsOfTheWholeProcess imports rows by slices while service and endpoint, one process, are killed at random
// moments and started again. Nothing is restarted on the client's side. Every round ends with exactly its rows.
func TestFaultKillsOfTheWholeProcess(t *testing.T) {
	p := newProcess(t)
	for round := range killRounds(t) {
		if !t.Run(fmt.Sprintf("seed_%d", round), func(t *testing.T) { killRound(t, p, uint64(round)) }) {
			break
		}
	}
}

func killRound(t *testing.T, p *process, seed uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c, err := client.Dial(ctx, p.grpc)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Errorf("close client: %v", err)
		}
	}()
	name := fmt.Sprintf("kills_%d", seed)
	path := "odps://" + project + "/tables/" + name
	if _, _, err := c.CreateTable(ctx, &sluicev1.Table{
		Ref:    &sluicev1.TableRef{Path: path},
		Schema: &sluicev1.TableSchema{Columns: columnsOf(t, []string{"uid bigint", "twice bigint"})},
	}, true); err != nil {
		t.Fatalf("create table: %v", err)
	}
	const sliceCount = 2
	if _, _, err := c.CreateRun(ctx, &sluicev1.CreateRunRequest{RunId: name, Outputs: []*sluicev1.OutputSpec{
		{Table: &sluicev1.TableRef{Path: path}, SliceCount: sliceCount},
	}}); err != nil {
		t.Fatalf("create run: %v", err)
	}
	stop := p.killAtRandom(seed)
	var wg sync.WaitGroup
	for id := range int64(sliceCount) {
		random := rand.New(rand.NewPCG(seed, uint64(id)+1))
		wg.Go(func() {
			if err := importSlice(ctx, c, name, path, id, random); err != nil {
				t.Errorf("slice %d: %v", id, err)
			}
		})
	}
	wg.Wait()
	stop()
	if t.Failed() {
		return
	}
	wantCommitted(ctx, t, c, name)
	wantSliceRows(ctx, t, c, path, sliceCount)
}

const rowsPerKilledSlice = 20_000

// importSlice writes rows (id·10⁶+n, twice that) of one slice in batches of random size, with a flush now and then.
func importSlice(ctx context.Context, c *client.Client, run, path string, id int64, random *rand.Rand) error {
	w, err := c.NewWriter(ctx, client.WriterConfig{Run: run, Output: &sluicev1.TableRef{Path: path}, Slice: int32(id)})
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	for n := int64(0); n < rowsPerKilledSlice; {
		size := min(1+random.Int64N(900), rowsPerKilledSlice-n)
		batch := intBatch(id*1_000_000+n, size)
		err := w.WriteArrow(batch)
		batch.Release()
		if err != nil {
			return errors.Join(fmt.Errorf("write at %d: %w", n, err), w.Close())
		}
		n += size
		if random.IntN(12) == 0 {
			if _, err := w.Flush(ctx); err != nil {
				return errors.Join(fmt.Errorf("flush at %d: %w", n, err), w.Close())
			}
		}
	}
	if _, err := w.Seal(ctx); err != nil {
		return errors.Join(fmt.Errorf("seal: %w", err), w.Close())
	}
	return w.Close()
}

func intBatch(first, n int64) arrow.RecordBatch {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "uid", Type: arrow.PrimitiveTypes.Int64, Nullable: true}, {Name: "twice", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	uid, twice := b.Field(0).(*array.Int64Builder), b.Field(1).(*array.Int64Builder)
	for v := first; v < first+n; v++ {
		uid.Append(v)
		twice.Append(2 * v)
	}
	return b.NewRecordBatch()
}

// killAtRandom kills the process one to three times after random waits and starts it again each time. The function
// returned waits for the last start.
func (p *process) killAtRandom(seed uint64) (stop func()) {
	random := rand.New(rand.NewPCG(seed, 0))
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 1 + random.IntN(3) {
			moment := time.NewTimer(time.Duration(random.Int64N(int64(250 * time.Millisecond))))
			<-moment.C
			p.kill()
			p.start()
		}
	})
	return wg.Wait
}

func wantCommitted(ctx context.Context, t *testing.T, c *client.Client, run string) {
	t.Helper()
	got, err := c.GetRun(ctx, run, time.Minute)
	if err != nil || got.GetState() != sluicev1.RunState_RUN_STATE_COMMITTED {
		t.Fatalf("run = %v, %v, want COMMITTED", got, err)
	}
}

// wantSliceRows checks that each slice's rows are there once and in order.
func wantSliceRows(ctx context.Context, t *testing.T, c *client.Client, path string, sliceCount int64) {
	t.Helper()
	stream, err := sluicev1.NewRowServiceClient(c.Conn()).ReadRows(ctx, &sluicev1.ReadRowsRequest{
		Source: &sluicev1.ReadRowsRequest_Spec{Spec: &sluicev1.ReadSessionSpec{Table: &sluicev1.TableRef{Path: path}}},
		Format: sluicev1.DataFormat_DATA_FORMAT_COLUMNS,
	})
	if err != nil {
		t.Fatal(err)
	}
	next := make([]int64, sliceCount)
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if msg.GetRowCount() == 0 {
			continue
		}
		columns := columnsOf(t, []string{"uid bigint", "twice bigint"})
		for _, c := range columns {
			c.Type.Kind = sluicev1.TypeKind_TYPE_KIND_BIGINT
		}
		for _, r := range decodeBatch(columns, msg.GetColumns(), int(msg.GetRowCount())) {
			uid, twice := r.GetValues()[0].GetInteger(), r.GetValues()[1].GetInteger()
			id, n := uid/1_000_000, uid%1_000_000
			if id >= sliceCount || n != next[id] || twice != 2*uid {
				t.Fatalf("row (%d, %d): want row %d of slice %d", uid, twice, next[min(id, sliceCount-1)], id)
			}
			next[id]++
		}
	}
	for id, n := range next {
		if n != rowsPerKilledSlice {
			t.Errorf("slice %d has %d rows, want %d", id, n, rowsPerKilledSlice)
		}
	}
}
