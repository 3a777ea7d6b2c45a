package maxcompute_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"strconv"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/maxcompute"
	"github.com/sluice-io/sluice/service/internal/read"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
)

// rows is one batch of n rows from id first on, checked as the write path does.
func rows(t *testing.T, schema *table.Schema, first, n int) *batch.Checked {
	t.Helper()
	layout, err := batch.Compile(schema, batch.Definition{}, batch.CastAllow, batch.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	b := array.NewRecordBuilder(memory.NewGoAllocator(), arrowSchema)
	defer b.Release()
	for i := first; i < first+n; i++ {
		b.Field(0).(*array.Int64Builder).Append(int64(i))
		b.Field(1).(*array.StringBuilder).Append("row " + strconv.Itoa(i))
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	c, err := layout.Check(batch.Incoming{Rows: int32(n), Arrow: batch.NewPayload(nil, ipcBytes(t, rec)[len(ipcBytes(t, nil)):])})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var arrowSchema = arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}, {Name: "s", Type: arrow.BinaryTypes.String, Nullable: true}}, nil)

// ipcBytes is an IPC stream without its end mark.
func ipcBytes(t *testing.T, rec arrow.RecordBatch) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, ipc.WithSchema(arrowSchema))
	if rec != nil {
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()[:buf.Len()-8]
}

// putBlock uploads batches of 1000 rows as one block.
func putBlock(t *testing.T, c *maxcompute.Client, u *write.Upload, target write.BlockTarget, first, batches int) {
	t.Helper()
	w, err := c.OpenBlock(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	for i := range batches {
		if err := w.Write(rows(t, &u.Schema, first+1000*i, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if receipt, err := w.Close(t.Context()); err != nil || receipt == "" {
		t.Fatalf("Close = %q, %v", receipt, err)
	}
}

// ids reads all rows of a table and gives the set of their ids, failing on a double one.
func ids(t *testing.T, c *maxcompute.Client, ref table.Ref) map[int64]bool {
	t.Helper()
	d, err := c.CreateDownload(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Download(t.Context(), ref, d.ID); err != nil || again.Rows != d.Rows {
		t.Errorf("Download = %+v, %v, want %d rows", again, err, d.Rows)
	}
	got := make(map[int64]bool)
	for _, part := range table.Divide(d.Rows, 3) {
		m, err := c.ReadArrow(t.Context(), read.ReadTarget{Ref: ref, DownloadID: d.ID, Range: part, Columns: []string{"id", "s"}})
		if err != nil {
			t.Fatal(err)
		}
		collect(t, m, got)
	}
	return got
}

func collect(t *testing.T, m read.MessageReader, got map[int64]bool) {
	t.Helper()
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	for {
		msg, n, err := m.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		r, err := ipc.NewReader(io.MultiReader(bytes.NewReader(ipcBytes(t, nil)), bytes.NewReader(bytes.Join(msg.Pieces(), nil))))
		if err != nil {
			t.Fatal(err)
		}
		rec, err := r.Read()
		if err != nil || int(rec.NumRows()) != n {
			t.Fatalf("message: %v, want %d rows", err, n)
		}
		for _, id := range rec.Column(0).(*array.Int64).Int64Values() {
			if got[id] {
				t.Errorf("row %d comes twice", id)
			}
			got[id] = true
		}
		r.Release()
		msg.Release()
	}
}

func span(from, to int64) map[int64]bool {
	m := make(map[int64]bool)
	for ; from < to; from++ {
		m[from] = true
	}
	return m
}

func newUpload(t *testing.T, c *maxcompute.Client, spec write.UploadSpec) *write.Upload {
	t.Helper()
	u, err := c.CreateUpload(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestEndpoint_upload_commit_read(t *testing.T) {
	for _, coding := range []maxcompute.Compression{maxcompute.CompressNone, maxcompute.CompressZstd, maxcompute.CompressSnappy, maxcompute.CompressDeflate, maxcompute.CompressLZ4} {
		t.Run("coding="+string(coding), func(t *testing.T) {
			c := endpoint(t, func(c *maxcompute.Config) { c.Compression = coding })
			ref := create(t, c, "t1")
			u := newUpload(t, c, write.UploadSpec{Output: ref})
			target := write.BlockTarget{Output: ref, UploadID: u.ID, Version: write.DataVersion, Form: batch.FormArrow}
			for i := range 3 {
				target.Block = write.BlockID(i)
				putBlock(t, c, u, target, 2000*i, 2)
			}
			if got := ids(t, c, ref); len(got) != 0 {
				t.Errorf("%d rows are visible before the commit", len(got))
			}
			loaded, err := c.Upload(t.Context(), ref, u.ID)
			if err != nil || loaded.Status != write.UploadNormal || len(loaded.Blocks) != 3 || loaded.Blocks[1] != (write.UploadedBlock{ID: 1, Rows: 2000, Version: 1}) {
				t.Errorf("Upload = %+v, %v", loaded, err)
			}
			for range 2 { // a second commit changes nothing
				if err := c.CommitUpload(t.Context(), ref, u.ID); err != nil {
					t.Fatal(err)
				}
			}
			if loaded, err := c.Upload(t.Context(), ref, u.ID); err != nil || loaded.Status != write.UploadClosed {
				t.Errorf("Upload after the commit = %+v, %v, want closed", loaded, err)
			}
			if got := ids(t, c, ref); !maps.Equal(got, span(0, 6000)) {
				t.Errorf("rows: got %d, want others", len(got))
			}
		})
	}
}

// What the commit of the write path stands on: aborted blocks are none, tombstones win whenever they arrive.
func TestEndpoint_aborts_and_tombstones(t *testing.T) {
	c := endpoint(t, nil)
	ref := create(t, c, "t1")
	u := newUpload(t, c, write.UploadSpec{Output: ref})
	at := func(id write.BlockID, version int64) write.BlockTarget {
		return write.BlockTarget{Output: ref, UploadID: u.ID, Block: id, Version: version, Form: batch.FormArrow}
	}
	putBlock(t, c, u, at(0, write.DataVersion), 0, 1)
	putBlock(t, c, u, at(1, write.DataVersion), 1000, 1)
	for _, id := range []write.BlockID{1, 2} {
		if err := c.Tombstone(t.Context(), at(id, write.TombstoneVersion)); err != nil {
			t.Fatal(err)
		}
	}
	putBlock(t, c, u, at(2, write.DataVersion), 2000, 1) // late: the tombstone stays
	w, err := c.OpenBlock(t.Context(), at(3, write.DataVersion))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rows(t, &u.Schema, 3000, 1000)); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	loaded, err := c.Upload(t.Context(), ref, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := []write.UploadedBlock{{ID: 0, Rows: 1000, Version: 1}, {ID: 1, Rows: 0, Version: 2}, {ID: 2, Rows: 0, Version: 2}}
	if d := cmp.Diff(want, loaded.Blocks); d != "" {
		t.Errorf("blocks (-want +got):\n%s", d)
	}
	if err := c.CommitUpload(t.Context(), ref, u.ID); err != nil {
		t.Fatal(err)
	}
	if got := ids(t, c, ref); !maps.Equal(got, span(0, 1000)) {
		t.Errorf("rows: got %d, want others", len(got))
	}
	if err := c.Tombstone(t.Context(), at(0, write.TombstoneVersion)); err == nil {
		t.Error("a committed session took a tombstone")
	}
}

func TestEndpoint_overwrite_append_and_new_partition(t *testing.T) {
	c := endpoint(t, nil)
	ref := create(t, c, "t1", column("pt", "string"))
	ref.Partition = table.Spec{{Column: "pt", Value: "a"}}
	if _, err := c.CreateUpload(t.Context(), write.UploadSpec{Output: ref}); !apierr.Is(err, apierr.PartitionNotFound) {
		t.Errorf("CreateUpload = %v, want PARTITION_NOT_FOUND", err)
	}
	if _, err := c.CreateUpload(t.Context(), write.UploadSpec{Output: table.Ref{Name: ref.Name}}); !apierr.Is(err, apierr.BadPartition) {
		t.Errorf("CreateUpload without partition = %v, want BAD_PARTITION", err)
	}
	commit := func(first int, overwrite bool) {
		u := newUpload(t, c, write.UploadSpec{Output: ref, CreatePartition: true, Overwrite: overwrite})
		putBlock(t, c, u, write.BlockTarget{Output: ref, UploadID: u.ID, Version: write.DataVersion, Form: batch.FormArrow}, first, 1)
		if err := c.CommitUpload(t.Context(), ref, u.ID); err != nil {
			t.Fatal(err)
		}
	}
	commit(0, false)
	commit(1000, false)
	if got := ids(t, c, ref); len(got) != 2000 {
		t.Errorf("%d rows after two appends, want 2000", len(got))
	}
	commit(5000, true)
	if got := ids(t, c, ref); !maps.Equal(got, span(5000, 6000)) {
		t.Errorf("rows after the overwrite: got %d, want others", len(got))
	}
	if ok, err := c.PartitionExists(t.Context(), ref); !ok || err != nil {
		t.Errorf("PartitionExists = %v, %v", ok, err)
	}
}

func TestEndpoint_records_and_missing_sessions(t *testing.T) {
	c := endpoint(t, nil)
	ref := create(t, c, "t1")
	u := newUpload(t, c, write.UploadSpec{Output: ref})
	putBlock(t, c, u, write.BlockTarget{Output: ref, UploadID: u.ID, Version: write.DataVersion, Form: batch.FormArrow}, 0, 3)
	if err := c.CommitUpload(t.Context(), ref, u.ID); err != nil {
		t.Fatal(err)
	}
	d, err := c.CreateDownload(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	body, err := c.ReadRecords(t.Context(), read.ReadTarget{Ref: ref, DownloadID: d.ID, Range: table.RowRange{Start: 500, End: 2500}, Columns: []string{"id", "s"}})
	if err != nil {
		t.Fatal(err)
	}
	dec := batch.NewRecordDecoder(d.Schema.Columns, memory.NewGoAllocator(), batch.RecordOptions{})
	defer dec.Release()
	for n := 0; ; {
		rec, err := dec.Read(body, 700)
		if errors.Is(err, io.EOF) {
			if n != 2000 {
				t.Errorf("%d records, want 2000", n)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, id := range rec.Column(0).(*array.Int64).Int64Values() {
			if id != int64(500+n+i) {
				t.Fatalf("record %d has id %d", n+i, id)
			}
		}
		n += int(rec.NumRows())
		rec.Release()
	}
	if err := body.Close(); err != nil {
		t.Error(err)
	}
	for name, f := range map[string]func(context.Context) error{
		"Upload":   func(ctx context.Context) error { _, err := c.Upload(ctx, ref, "gone"); return err },
		"Download": func(ctx context.Context) error { _, err := c.Download(ctx, ref, "gone"); return err },
		"ReadRecords": func(ctx context.Context) error {
			_, err := c.ReadRecords(ctx, read.ReadTarget{Ref: ref, DownloadID: "gone", Range: table.RowRange{End: 1}, Columns: []string{"id"}})
			return err
		},
	} {
		if err := f(t.Context()); !apierr.Is(err, apierr.SessionExpired) {
			t.Errorf("%s of a missing session = %v, want SESSION_EXPIRED", name, err)
		}
	}
	if err := c.CommitUpload(t.Context(), ref, "gone"); err == nil || errors.Is(err, write.ErrRefused) || errors.Is(err, write.ErrNotSent) {
		t.Errorf("CommitUpload of a missing session = %v, want an unknown outcome", err)
	}
	if _, err := c.CreateUpload(t.Context(), write.UploadSpec{Output: table.Ref{Name: table.Name{Table: "none"}}}); !apierr.Is(err, apierr.TableNotFound) {
		t.Errorf("CreateUpload without table = %v, want TABLE_NOT_FOUND", err)
	}
}

// The golden row of maxcompute-protocol.md 13 goes up in a record block and comes back byte for byte.
func TestEndpoint_golden_record_there_and_back(t *testing.T) {
	c := endpoint(t, nil)
	ref := table.Ref{Name: table.Name{Project: "p1", Table: "t1"}}
	columns := []table.Column{column("a", "bigint"), column("b", "string"), column("c", "double"), column("d", "boolean")}
	if err := c.CreateTable(t.Context(), &table.Info{Name: ref.Name, Schema: table.Schema{Columns: columns}}); err != nil {
		t.Fatal(err)
	}
	golden, err := hex.DecodeString("0832" + "12054170706c65" + "190000000000001440" + "2000" + "80c0ff7fe8b188d306" + "f0ffff7f02" + "f8ffff7f8f8fb9a807")
	if err != nil {
		t.Fatal(err)
	}
	record := golden[:len(golden)-14]
	u := newUpload(t, c, write.UploadSpec{Output: ref})
	w, err := c.OpenBlock(t.Context(), write.BlockTarget{Output: ref, UploadID: u.ID, Version: write.DataVersion, Form: batch.FormRecord})
	if err != nil {
		t.Fatal(err)
	}
	crc := batch.CRC32C([]byte{0xe8, 0x18, 0x62, 0x6a}) // over the record's own CRC
	if err := w.Write(&batch.Checked{Rows: 1, Form: batch.FormRecord, RecordCRC: crc, Body: batch.NewPayload(nil, record[:10], record[10:])}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.CommitUpload(t.Context(), ref, u.ID); err != nil {
		t.Fatal(err)
	}
	d, err := c.CreateDownload(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	body, err := c.ReadRecords(t.Context(), read.ReadTarget{Ref: ref, DownloadID: d.ID, Range: table.RowRange{End: d.Rows}, Columns: []string{"a", "b", "c", "d"}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(body)
	if err := errors.Join(err, body.Close()); err != nil || !bytes.Equal(got, golden) {
		t.Errorf("records = %x, %v, want %x", got, err, golden)
	}
}

// A damaged block is refused and leaves nothing.
func TestEndpoint_damaged_block(t *testing.T) {
	c := endpoint(t, nil)
	ref := create(t, c, "t1")
	u := newUpload(t, c, write.UploadSpec{Output: ref})
	w, err := c.OpenBlock(t.Context(), write.BlockTarget{Output: ref, UploadID: u.ID, Version: write.DataVersion, Form: batch.FormRecord})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(&batch.Checked{Rows: 1, Form: batch.FormRecord, RecordCRC: 1, Body: batch.NewPayload(nil, []byte{8, 2, 0x80, 0xc0, 0xff, 0x7f, 1})}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(t.Context()); err == nil {
		t.Error("a block with a wrong checksum was taken")
	} else if r := apierr.ReasonOf(err); r != apierr.ChecksumMismatch && r != apierr.BadArgument {
		t.Errorf("Close = %v, want CHECKSUM_MISMATCH or BAD_ARGUMENT", err)
	}
	if loaded, err := c.Upload(t.Context(), ref, u.ID); err != nil || len(loaded.Blocks) != 0 {
		t.Errorf("Upload = %+v, %v, want no block", loaded, err)
	}
}
