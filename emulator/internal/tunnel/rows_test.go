package tunnel_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/tunnel"
	"github.com/sluice-io/sluice/emulator/internal/types"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

const allTypes = "a boolean;b tinyint;c smallint;d int;e bigint;f float;g double;h decimal(10,2);i decimal(38,18);j decimal;k string;l char(4);m varchar(9);n binary;o json;p date;q datetime;" +
	"r timestamp;s timestamp_ntz;t interval_day_time;u interval_year_month;v array<bigint>;w map<string,bigint>;x struct<sec:bigint,nano:int>;y array<struct<a:map<string,array<decimal>>,b:interval_day_time>>;z array<timestamp>"

func (e *endpoint) upload(t testing.TB, path, extra string, bodies ...[]byte) {
	t.Helper()
	id := e.session(t, path+"?uploads", "UploadID")
	for i, body := range bodies {
		e.want(t, 200, "", "PUT", fmt.Sprintf("%s?blockid=%d&uploadid=%s%s", path, i, id, extra), body)
	}
	e.want(t, 200, "", "POST", path+"?uploadid="+id, nil)
}

func (e *endpoint) read(t testing.TB, path, extra string) []byte {
	t.Helper()
	id := e.session(t, path+"?downloads", "DownloadID")
	return e.want(t, 200, "", "GET", path+"?data&downloadid="+id+extra, nil)
}

func recordBody(t testing.TB, cols []wire.Column, recs ...arrow.RecordBatch) []byte {
	t.Helper()
	var out bytes.Buffer
	w := wire.NewRecordWriter(&out, cols)
	for _, r := range recs {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// unframe returns the Arrow messages of a framed body.
func unframe(t testing.TB, body []byte) (data []byte) {
	t.Helper()
	c := wire.NewChunkReader(bytes.NewReader(body))
	defer c.Close()
	for {
		p, err := c.Next()
		if errors.Is(err, io.EOF) {
			return data
		}
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, p...)
	}
}

// TestRowsSurviveEveryForm sends random rows of all types as records, reads them as
// Arrow, sends that (plain, and with LZ4 and ZSTD buffers) into other tables and
// reads all back as records: the bytes must be those sent first.
func TestRowsSurviveEveryForm(t *testing.T) {
	e := start(t, nil)
	for seed := range uint64(3) {
		name := fmt.Sprint("t", seed)
		path := "/projects/p/tables/" + name
		tab := e.create(t, name, allTypes, "")
		cols := store.WireColumns(tab.Columns)
		rng := rand.New(rand.NewPCG(seed, 5))
		first := recordBody(t, cols, randomRows(rng, cols, 40))
		e.upload(t, path, "", first)
		framed := e.read(t, path, "&arrow")
		forms := map[string][]byte{
			"plain": framed,
			"lz4":   recompress(t, unframe(t, framed), cols, ipc.WithLZ4()),
			"zstd":  recompress(t, unframe(t, framed), cols, ipc.WithZstd()),
		}
		for form, body := range forms {
			e.create(t, name+form, allTypes, "")
			e.upload(t, path+form, "&arrow", body)
			if got := e.read(t, path+form, ""); !bytes.Equal(got, first) {
				t.Errorf("seed %d: rows differ after Arrow %s", seed, form)
			}
			if got := e.read(t, path+form, "&arrow"); form == "plain" && !bytes.Equal(got, framed) {
				t.Errorf("seed %d: Arrow bytes are not those received", seed)
			}
		}
		// A slice and a choice of columns, in both forms.
		half := e.read(t, path, "&rowrange=(7,11)&columns=z,e")
		arrowHalf := unframe(t, e.read(t, path, "&arrow&rowrange=(7,11)&columns=z,e")) // table order: e, z
		two := []wire.Column{cols[4], cols[25]}
		var recs []arrow.RecordBatch
		decode(t, arrowHalf, two, func(rec arrow.RecordBatch) {
			swapped := array.NewRecordBatch(wire.ArrowSchema([]wire.Column{two[1], two[0]}, 0), []arrow.Array{rec.Column(1), rec.Column(0)}, rec.NumRows())
			recs = append(recs, swapped)
		})
		if got := recordBody(t, []wire.Column{two[1], two[0]}, recs...); !bytes.Equal(got, half) {
			t.Errorf("seed %d: slices differ between records and Arrow", seed)
		}
	}
}

// decode visits the batches of plain Arrow messages.
func decode(t testing.TB, data []byte, cols []wire.Column, visit func(arrow.RecordBatch)) {
	t.Helper()
	var s wire.Scanner
	s.Visit = func(m wire.Message) error {
		at := m.Offset + 8
		b, err := wire.OpenBatch(data[at:at+m.Meta], data[at+m.Meta:at+m.Meta+m.Body])
		if err != nil {
			return err
		}
		if err := b.Check(cols, 0); err != nil {
			return err
		}
		visit(b.Decode(wire.ArrowSchema(cols, 0)))
		return nil
	}
	if _, err := s.Write(data); err != nil {
		t.Fatal(err)
	}
}

func recompress(t testing.TB, data []byte, cols []wire.Column, opt ipc.Option) []byte {
	t.Helper()
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(wire.ArrowSchema(cols, 0)), opt)
	decode(t, data, cols, func(rec arrow.RecordBatch) {
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
	})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	plain := out.Bytes()
	plain = plain[8+binary.LittleEndian.Uint32(plain[4:]):] // past the schema message
	var framed bytes.Buffer
	c := wire.NewChunkWriter(&framed, 1000)
	if _, err := c.Write(plain); err != nil || c.Close() != nil {
		t.Fatal(err)
	}
	return framed.Bytes()
}

// randomRows makes rows of all types in the usual layout; pairs of the wide form get no NULL parts.
func randomRows(rng *rand.Rand, cols []wire.Column, n int) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(cols, types.LayoutNanos))
	defer b.Release()
	for range n {
		for i := range cols {
			randomValue(rng, b.Field(i), true)
		}
	}
	return b.NewRecordBatch()
}

func randomValue(rng *rand.Rand, b array.Builder, nullable bool) {
	if nullable && rng.IntN(4) == 0 {
		b.AppendNull()
		return
	}
	switch b := b.(type) {
	case *array.StructBuilder:
		b.Append(true)
		pair := arrow.TypeEqual(b.Type(), types.SecNano)
		for i := range b.NumField() {
			if pair && i == 1 {
				b.FieldBuilder(1).(*array.Int32Builder).Append(rng.Int32N(1_000_000_000))
				continue
			}
			randomValue(rng, b.FieldBuilder(i), !pair)
		}
	case *array.MapBuilder:
		b.Append(true)
		for range rng.IntN(3) {
			randomValue(rng, b.KeyBuilder(), false)
			randomValue(rng, b.ItemBuilder(), true)
		}
	case *array.ListBuilder:
		b.Append(true)
		for range rng.IntN(3) {
			randomValue(rng, b.ValueBuilder(), true)
		}
	default:
		text := fmt.Sprint(rng.IntN(100))
		switch b := b.(type) {
		case *array.BooleanBuilder:
			text = "true"
		case *array.BinaryBuilder:
			text = "AP8="
		case *array.Date32Builder, *array.TimestampBuilder:
			text = fmt.Sprintf("%d-01-02", 1700+rng.IntN(500))
		case *array.MonthIntervalBuilder:
			b.Append(arrow.MonthInterval(rng.Int32N(1000)))
			return
		}
		if err := b.AppendValueFromString(text); err != nil {
			panic(err)
		}
	}
}

func TestNotNullColumns(t *testing.T) {
	e := start(t, nil)
	def := store.Table{Key: store.NewKey("p", "", "t"), Columns: columns(t, "id bigint")}
	def.Columns[0].Nullable = false
	if _, _, err := e.store.CreateTable(def, false); err != nil {
		t.Fatal(err)
	}
	cols := store.WireColumns(columns(t, "id bigint"))
	b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(cols, 0))
	defer b.Release()
	b.Field(0).AppendNull()
	rec := b.NewRecordBatch()
	defer rec.Release()
	id := e.session(t, table+"?uploads", "UploadID")
	e.want(t, 400, "InvalidArgument", "PUT", table+"?blockid=0&uploadid="+id, recordBody(t, cols, rec))
	var framed bytes.Buffer
	c := wire.NewChunkWriter(&framed, 0)
	if err := wire.WriteBatch(c, rec, memory.DefaultAllocator); err != nil || c.Close() != nil {
		t.Fatal(err)
	}
	msg := e.want(t, 400, "InvalidArgument", "PUT", table+"?arrow&blockid=0&uploadid="+id, framed.Bytes())
	if !strings.Contains(string(msg), "column id") {
		t.Errorf("error does not name the column: %s", msg)
	}
}

// fullFS has no room once told so.
type fullFS struct {
	store.FS
	full atomic.Bool
}

type fullFile struct {
	store.File
	fs *fullFS
}

func (f *fullFS) Create(name string) (store.File, error) {
	file, err := f.FS.Create(name)
	return fullFile{file, f}, err
}

func (f fullFile) Write(p []byte) (int, error) {
	if f.fs.full.Load() {
		return 0, syscall.ENOSPC
	}
	return f.File.Write(p)
}

// A full disk fails the block with a 500, the whole body read first; the process
// serves on.
func TestFullDiskFailsTheBlock(t *testing.T) {
	full := &fullFS{}
	e := start(t, func(so *store.Options, _ *tunnel.Options) {
		so.Folder = func(dir string) (store.FS, error) {
			inner, err := store.DirFS(dir)
			if filepath.Base(dir) != "segments" {
				return inner, err
			}
			full.FS = inner
			return full, err
		}
	})
	tab := e.create(t, "t", wideTypes, "")
	body, rows := wideBody(t, tab.Columns, 4<<20)
	id := e.session(t, table+"?uploads", "UploadID")
	full.full.Store(true)
	e.want(t, 500, "InternalServerError", "PUT", table+"?arrow&blockid=0&uploadid="+id, body)
	if got := e.blocks(t, id); len(got) != 0 {
		t.Errorf("blocks %v", got)
	}
	full.full.Store(false)
	e.want(t, 200, "", "PUT", table+"?arrow&blockid=0&uploadid="+id, body)
	e.want(t, 200, "", "POST", table+"?uploadid="+id, nil)
	if got, err := e.store.Table(tab.Key); err != nil || got.Rows != int64(rows) {
		t.Errorf("%d rows, %v, want %d", got.Rows, err, rows)
	}
}

// Readers keep their snapshot while writers replace the table again and again.
func TestReadersDuringOverwrites(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint", "")
	replace := func(v int64) error {
		u, err := e.store.CreateUpload(store.UploadRequest{Key: store.NewKey("p", "", "t"), Overwrite: true})
		if err != nil {
			return err
		}
		for block := range 4 {
			req, err := http.NewRequest(http.MethodPut, fmt.Sprintf("%s%s?arrow&blockid=%d&uploadid=%s", e.url, table, block, u.ID), bytes.NewReader(idArrow(t, slices.Repeat([]int64{v}, 200)...)))
			if err != nil {
				return err
			}
			resp, err := e.srv.Client().Do(req)
			if err != nil {
				return err
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return errors.New(resp.Status)
			}
		}
		_, err = e.store.CommitUpload(u.ID)
		return err
	}
	if err := replace(0); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var stop atomic.Bool
	for range 2 {
		wg.Go(func() {
			for !stop.Load() {
				got := e.ids(t)
				if len(got) != 800 || slices.Min(got) != slices.Max(got) {
					t.Errorf("%d rows, from %d to %d: a mixture", len(got), slices.Min(got), slices.Max(got))
					return
				}
			}
		})
	}
	for v := range int64(8) {
		if err := replace(v + 1); err != nil {
			t.Fatal(err)
		}
	}
	stop.Store(true)
	wg.Wait()
	if got := e.ids(t); got[0] != 8 {
		t.Errorf("last content %d, want 8", got[0])
	}
}

// Go's SDK knows day-time intervals as interval[day_time] only, the others as a
// struct: each gets its form, and a value that has none is an error that says so.
func TestIntervalFormByClient(t *testing.T) {
	e := start(t, nil)
	tab := e.create(t, "t", "i interval_day_time", "")
	cols := store.WireColumns(tab.Columns)
	body := func(nano int32) []byte {
		b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(cols, 0))
		defer b.Release()
		s := b.Field(0).(*array.StructBuilder)
		s.Append(true)
		s.FieldBuilder(0).(*array.Int64Builder).Append(90000)
		s.FieldBuilder(1).(*array.Int32Builder).Append(nano)
		return recordBody(t, cols, b.NewRecordBatch())
	}
	e.upload(t, table, "", body(5_000_000))
	id := e.session(t, table+"?downloads", "DownloadID")
	get := func(agent, id string) (int, []byte) {
		req, err := http.NewRequest(http.MethodGet, e.url+table+"?data&arrow&downloadid="+id, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("User-Agent", agent)
		resp, err := e.srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, b
	}
	for agent, nodes := range map[string]int{"pyodps/0.13.1": 3, "odps-go-sdk/0.4.x": 1} {
		code, b := get(agent, id)
		var s wire.Scanner
		s.Visit = func(m wire.Message) error {
			if m.Nodes != nodes {
				t.Errorf("%s gets %d field nodes, want %d", agent, m.Nodes, nodes)
			}
			return nil
		}
		if _, err := s.Write(unframe(t, b)); err != nil || code != 200 || s.Rows != 1 {
			t.Errorf("%s: %d, %d rows, %v", agent, code, s.Rows, err)
		}
	}
	e.upload(t, table, "", body(5))
	id = e.session(t, table+"?downloads", "DownloadID")
	if code, b := get("odps-go-sdk/0.4.x", id); code != 400 || !strings.Contains(string(b), "column i") {
		t.Errorf("5 ns for the Go SDK: %d %s", code, b)
	}
	if code, _ := get("other", id); code != 200 {
		t.Errorf("5 ns as a struct: %d", code)
	}
}

// Columns added later are NULL in old rows, whatever their type; new rows have them.
func TestAddedColumns(t *testing.T) {
	e := start(t, nil)
	tab := e.create(t, "t", "id bigint", "")
	e.upload(t, table, "", idRecords(t, 1, 2))
	tab, err := e.store.AlterTable(tab.Key, func(tab *store.Table) error {
		tab.Columns = append(tab.Columns, columns(t, allTypes)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	cols := store.WireColumns(tab.Columns)
	e.upload(t, table, "", recordBody(t, cols, randomRows(rand.New(rand.NewPCG(1, 6)), cols, 3)))
	b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(cols, 0))
	defer b.Release()
	b.Field(0).(*array.Int64Builder).AppendValues([]int64{1, 2}, nil)
	for i := range cols[1:] {
		b.Field(i + 1).AppendNulls(2)
	}
	old := b.NewRecordBatch()
	defer old.Release()
	if got, want := e.read(t, table, "&rowrange=(0,2)"), recordBody(t, cols, old); !bytes.Equal(got, want) {
		t.Errorf("old rows as records:\n got %x\nwant %x", got, want)
	}
	rows := int64(0)
	decode(t, unframe(t, e.read(t, table, "&arrow")), cols, func(rec arrow.RecordBatch) {
		if rows == 0 && !array.RecordEqual(rec, old) {
			t.Errorf("old rows in Arrow: %v", rec)
		}
		rows += rec.NumRows()
	})
	if rows != 5 {
		t.Errorf("%d rows, want 5", rows)
	}
}
