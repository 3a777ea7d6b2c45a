package read

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/internal/testkit"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/retry"
	"github.com/sluice-io/sluice/service/internal/table"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// fault is what goes wrong with one upstream read.
type fault struct {
	open     error // instead of an answer
	after    int   // messages that still come before cut, short …
	cut      error // Next fails
	short    bool  // io.EOF early
	announce int   // added to the row count of the next message
	garbage  bool  // bytes that are no message
	surplus  bool  // more rows than asked for
	trailer  error // instead of io.EOF at the end
}

// fake is a Backend whose table `p.t(id bigint, name string)` has ids counting through its partitions. Reads are
// answered in messages of step rows; the n-th read meets faults[n].
type fake struct {
	t      *testing.T
	info   table.Info
	parts  []table.PartitionInfo
	counts map[string]int64 // rows by partition text
	step   int64
	now    func() time.Time

	downloadSchema *table.Schema // nil: the table's

	mu        sync.Mutex // guards all below
	faults    []fault    // taken from the front
	always    *fault     // met when faults is empty
	arrow     *fault     // met by all reads as Arrow
	reads     []ReadTarget
	downloads int
	open      int // payloads handed out and not released
	streams   int // readers open
	gate      chan struct{}
	served    int
}

const testStep = 4

func newFake(t *testing.T, counts ...int64) *fake {
	t.Helper()
	f := &fake{t: t, step: testStep, counts: map[string]int64{}, now: time.Now}
	f.info = table.Info{Name: table.NewName("p", "", "t"), Kind: table.Managed, Schema: table.Schema{Columns: []table.Column{
		{Name: "id", Type: table.MustParseType("bigint"), NotNull: true, Comment: "number"},
		{Name: "name", Type: table.MustParseType("string")},
	}}}
	if len(counts) == 1 {
		f.counts[""] = counts[0]
	} else {
		f.info.Schema.PartitionColumns = []table.Column{{Name: "dt", Type: table.MustParseType("string")}}
		for i, n := range counts {
			spec := table.Spec{{Column: "dt", Value: fmt.Sprintf("%04d", i)}}
			f.parts = append(f.parts, table.PartitionInfo{Spec: spec, Rows: &n})
			f.counts[spec.String()] = n
		}
	}
	t.Cleanup(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.open != 0 || f.streams != 0 {
			t.Errorf("%d payloads and %d upstream streams left open", f.open, f.streams)
		}
	})
	return f
}

func (f *fake) Table(_ context.Context, name table.Name) (*table.Info, error) {
	if name != f.info.Name {
		return nil, apierr.New(apierr.TableNotFound, "no table %s", name)
	}
	info := f.info
	return &info, nil
}

func (f *fake) Partitions(context.Context, table.Name) ([]table.PartitionInfo, error) {
	return f.parts, nil
}

func (f *fake) CreateDownload(_ context.Context, ref table.Ref) (*Download, error) {
	n, ok := f.counts[ref.Partition.String()]
	if !ok {
		return nil, apierr.New(apierr.PartitionNotFound, "no partition %s", ref.Partition)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.downloads++
	d := &Download{ID: "d-" + ref.Partition.String(), Rows: n, Schema: f.info.Schema, Created: f.now()}
	if f.downloadSchema != nil {
		d.Schema = *f.downloadSchema
	}
	return d, nil
}

func (f *fake) nextFault(target ReadTarget) fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads = append(f.reads, target)
	if len(f.faults) > 0 {
		next := f.faults[0]
		f.faults = f.faults[1:]
		return next
	}
	if f.always != nil {
		return *f.always
	}
	return fault{after: 1 << 30}
}

func (f *fake) ReadArrow(ctx context.Context, target ReadTarget) (MessageReader, error) {
	ft := f.nextFault(target)
	if f.arrow != nil {
		ft = *f.arrow
	}
	if ft.open != nil {
		return nil, ft.open
	}
	if target.DownloadID != "d-"+target.Ref.Partition.String() {
		f.t.Errorf("read of %s with download %q", target.Ref.Path(), target.DownloadID)
	}
	f.mu.Lock()
	f.streams++
	f.mu.Unlock()
	return &fakeReader{f: f, ctx: ctx, target: target, at: target.Range.Start, fault: ft}, nil
}

// ReadRecords answers the same rows as records. fault.after counts rows here, of which half of the next is still sent.
func (f *fake) ReadRecords(_ context.Context, target ReadTarget) (io.ReadCloser, error) {
	ft := f.nextFault(target)
	if ft.open != nil {
		return nil, ft.open
	}
	var cols []table.Column
	for _, name := range target.Columns {
		cols = append(cols, f.info.Schema.Columns[f.info.Schema.Index(name)])
	}
	var b []byte
	var crc uint32
	for i := target.Range.Start; i < target.Range.End; i++ {
		before := len(b)
		b, crc = appendRecord(b, crc, cols, f.base(target.Ref.Partition)+i)
		if int(i-target.Range.Start) == ft.after && (ft.cut != nil || ft.short) {
			return f.body(b[:before+(len(b)-before)/2], ft.cut), nil //nolint:nilerr // the body ends with it
		}
	}
	n := target.Range.Rows() + int64(ft.announce)
	return f.body(batch.AppendRecordTrailer(b, n, crc), ft.trailer), nil
}

// appendRecord writes a row of the fake's table; at is a timestamp, any other column NULL.
func appendRecord(b []byte, crc uint32, cols []table.Column, id int64) ([]byte, uint32) {
	var hashed []byte
	for i, c := range cols {
		tag := uint64(i+1) << 3
		switch c.Name {
		case "id":
			b = binary.AppendVarint(binary.AppendUvarint(b, tag), id)
			hashed = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(hashed, uint32(i+1)), uint64(id))
		case "name":
			b = binary.AppendUvarint(binary.AppendUvarint(b, tag|2), uint64(len(nameOf(id))))
			b = append(b, nameOf(id)...)
			hashed = append(binary.LittleEndian.AppendUint32(hashed, uint32(i+1)), nameOf(id)...)
		case "at": // years after 1970, which leave int64 nanoseconds with row 293
			sec := id * 31_557_600
			b = binary.AppendUvarint(binary.AppendVarint(binary.AppendUvarint(b, tag|2), sec), 0)
			hashed = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(hashed, uint32(i+1)), uint64(sec))
			hashed = binary.LittleEndian.AppendUint32(hashed, 0)
		}
	}
	row := batch.CRC32C(hashed)
	b = binary.AppendUvarint(binary.AppendUvarint(b, 33553408<<3), uint64(row))
	return b, crc32.Update(crc, crc32.MakeTable(crc32.Castagnoli), binary.LittleEndian.AppendUint32(nil, row))
}

// body is an HTTP body that ends with err, or cleanly.
func (f *fake) body(b []byte, end error) io.ReadCloser {
	f.mu.Lock()
	f.streams++
	f.mu.Unlock()
	if end == nil {
		end = io.EOF
	}
	return &fakeBody{Reader: io.MultiReader(bytes.NewReader(b), iotest.ErrReader(end)), f: f}
}

type fakeBody struct {
	io.Reader
	f    *fake
	once sync.Once
}

func (b *fakeBody) Close() error {
	b.once.Do(func() {
		b.f.mu.Lock()
		b.f.streams--
		b.f.mu.Unlock()
	})
	return nil
}

// base is the id of the first row of a partition.
func (f *fake) base(spec table.Spec) int64 {
	var base int64
	for _, p := range f.parts {
		if p.Spec.Equal(spec) {
			return base
		}
		base += f.counts[p.Spec.String()]
	}
	return 0
}

type fakeReader struct {
	f      *fake
	ctx    context.Context
	target ReadTarget
	at     int64
	fault  fault
	closed bool
}

func (r *fakeReader) Next() (batch.Payload, int, error) {
	if err := r.wait(); err != nil {
		return batch.Payload{}, 0, err
	}
	ft := &r.fault
	end := r.target.Range.End
	if ft.surplus {
		end++
	}
	if ft.after == 0 {
		switch {
		case ft.cut != nil:
			return batch.Payload{}, 0, ft.cut
		case ft.short:
			return batch.Payload{}, 0, io.EOF
		case ft.garbage:
			return r.f.payload([]byte("this is no arrow message at all")), 1, nil
		}
	}
	if r.at >= end {
		if ft.trailer != nil {
			return batch.Payload{}, 0, ft.trailer
		}
		return batch.Payload{}, 0, io.EOF
	}
	ft.after--
	n := min(r.f.step, end-r.at)
	msg := r.f.message(r.target, r.at, n)
	r.at += n
	return msg, int(n) + ft.announce, nil
}

// wait stops at the gate, if there is one, as a slow upstream.
func (r *fakeReader) wait() error {
	r.f.mu.Lock()
	gate := r.f.gate
	r.f.served++
	r.f.mu.Unlock()
	if gate == nil {
		return r.ctx.Err()
	}
	select {
	case <-gate:
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

func (r *fakeReader) Close() error {
	if !r.closed {
		r.closed = true
		r.f.mu.Lock()
		r.f.streams--
		r.f.mu.Unlock()
	}
	return nil
}

func (f *fake) payload(b []byte) batch.Payload {
	f.mu.Lock()
	f.open++
	f.mu.Unlock()
	return batch.NewPayload(func() {
		f.mu.Lock()
		f.open--
		f.mu.Unlock()
	}, b[:len(b)/2], b[len(b)/2:])
}

// message is n rows of a partition from row at, in the columns asked for.
func (f *fake) message(target ReadTarget, at, n int64) batch.Payload {
	var cols []table.Column
	for _, name := range target.Columns {
		cols = append(cols, f.info.Schema.Columns[f.info.Schema.Index(name)])
	}
	b := array.NewRecordBuilder(memory.NewGoAllocator(), batch.ArrowSchema(cols, batch.SchemaOptions{}))
	defer b.Release()
	for i := at; i < at+n; i++ {
		id := f.base(target.Ref.Partition) + i
		for k, c := range cols {
			if c.Name == "id" {
				b.Field(k).(*array.Int64Builder).Append(id)
			} else {
				b.Field(k).(*array.StringBuilder).Append(nameOf(id))
			}
		}
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	p, err := ipc.GetRecordBatchPayload(rec)
	if err != nil {
		f.t.Fatal(err)
	}
	defer p.Release()
	var sink sliceWriter
	if _, err := p.WritePayload(&sink); err != nil {
		f.t.Fatal(err)
	}
	return f.payload(sink.b)
}

type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

func nameOf(id int64) string { return fmt.Sprintf("n%d", id) }

// collector is a Sink that reads what it gets as rows.
type collector struct {
	opened *Opened
	rows   [][]string // values as text
	firsts []int64
	parts  []int
	next   int64
	signs  []*Wait
	lens   []int
	stop   int // fail after so many messages, 0 = never
	onSend func()
}

var errStopped = errors.New("the client went away")

func (c *collector) Opened(o *Opened) error {
	c.opened = o
	return nil
}

func (c *collector) Send(m *Message) error {
	if c.onSend != nil {
		c.onSend()
	}
	if m.Out == nil {
		c.signs = append(c.signs, m.Wait)
		return nil
	}
	defer m.Out.Release()
	for _, row := range m.Out.List.GetRows() {
		values := make([]string, len(row.Values))
		for i, v := range row.Values {
			switch {
			case v.GetText() != "":
				values[i] = v.GetText()
			default:
				values[i] = fmt.Sprint(v.GetInteger())
			}
		}
		c.rows = append(c.rows, values)
	}
	c.firsts, c.parts, c.lens = append(c.firsts, m.FirstRow), append(c.parts, m.PartitionIndex), append(c.lens, m.Out.Rows)
	c.next = m.NextSkipRows
	if c.stop > 0 && len(c.lens) >= c.stop {
		return errStopped
	}
	return nil
}

// ids is the first column as numbers.
func (c *collector) ids(t *testing.T) []int64 {
	t.Helper()
	out := make([]int64, len(c.rows))
	for i, r := range c.rows {
		if _, err := fmt.Sscan(r[0], &out[i]); err != nil {
			t.Fatal(err)
		}
		if len(r) > 1 && r[1] != nameOf(out[i]) {
			t.Errorf("row %d is %v", i, r)
		}
	}
	return out
}

func count(from, to int64) []int64 {
	out := []int64{}
	for i := from; i < to; i++ {
		out = append(out, i)
	}
	return out
}

var testKey = slices.Repeat([]byte("k"), minKeyBytes)

func newEngine(t *testing.T, f *fake, change ...func(*Config)) *Engine {
	t.Helper()
	cfg := Config{Backend: f, Key: testKey, Memory: testkit.Allocator(t), Retry: retry.Policy{First: time.Microsecond, Max: time.Microsecond, Tries: 3}}
	for _, c := range change {
		c(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// rowsOptions reads small messages of rows: the form the collector understands.
func rowsOptions() batch.OutOptions { return batch.OutOptions{Format: batch.OutRows, MaxBatchRows: 2} }

func session(t *testing.T, e *Engine, f *fake) *Session {
	t.Helper()
	s, _, err := e.CreateSession(t.Context(), Spec{Table: f.info.Name}, "")
	if err != nil {
		t.Fatal(err)
	}
	return s
}
