package maxcompute_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/sluice-io/sluice/emulator"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/read"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
)

// fault is armed for the next request that it matches.
type fault struct {
	armed  atomic.Bool
	method string
	key    string // a query key
	act    emulator.Action
	hits   atomic.Int64 // requests that match, armed or not
}

func (f *fault) intercept(r *http.Request) emulator.Action {
	if r.Method != f.method || !r.URL.Query().Has(f.key) {
		return emulator.Action{}
	}
	f.hits.Add(1)
	if f.armed.CompareAndSwap(true, false) {
		return f.act
	}
	return emulator.Action{}
}

// Faults before and after the effect of a PUT: the caller hears the same, the block list tells the difference.
func TestEndpoint_put_fails_before_or_after_its_effect(t *testing.T) {
	for name, k := range map[string]struct {
		act    emulator.Action
		blocks int
		want   apierr.Reason
	}{
		"reply lost":     {emulator.Action{DropReply: true}, 1, apierr.BackendUnavailable},
		"body cut":       {emulator.Action{CutRequestAt: 1000}, 0, apierr.BackendUnavailable},
		"refused at 503": {emulator.Action{Refuse: &emulator.Refusal{Status: 503, Code: "ServiceUnavailable", Message: "later"}}, 0, apierr.BackendUnavailable},
		"throttled":      {emulator.Action{Refuse: &emulator.Refusal{Status: 429, Code: "FlowExceeded", Message: "slowly"}}, 0, apierr.Throttled},
	} {
		f := &fault{method: http.MethodPut, key: "blockid", act: k.act}
		c := endpointWith(t, emulator.Options{Intercept: f.intercept}, nil)
		ref := create(t, c, "t1")
		u := newUpload(t, c, write.UploadSpec{Output: ref})
		target := write.BlockTarget{Output: ref, UploadID: u.ID, Version: write.DataVersion, Form: batch.FormArrow}
		f.armed.Store(true)
		w, err := c.OpenBlock(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		_ = w.Write(rows(t, &u.Schema, 0, 1000)) // may already hear of it
		_, err = w.Close(t.Context())
		if got := apierr.ReasonOf(err); got != k.want && got != apierr.BackendUnavailable || errors.Is(err, write.ErrNotSent) {
			t.Errorf("%s: Close = %v, want %v", name, err, k.want)
		}
		if loaded, err := c.Upload(t.Context(), ref, u.ID); err != nil || len(loaded.Blocks) != k.blocks {
			t.Errorf("%s: Upload = %+v, %v, want %d blocks", name, loaded, err, k.blocks)
		}
		// The same bytes under the same id and version: no harm, whichever it was.
		putBlock(t, c, u, target, 0, 1)
		if err := c.CommitUpload(t.Context(), ref, u.ID); err != nil {
			t.Fatal(err)
		}
		if got := ids(t, c, ref); len(got) != 1000 {
			t.Errorf("%s: %d rows, want 1000", name, len(got))
		}
	}
}

func TestEndpoint_commit_whose_reply_is_lost(t *testing.T) {
	f := &fault{method: http.MethodPost, key: "uploadid", act: emulator.Action{DropReply: true}}
	c := endpointWith(t, emulator.Options{Intercept: f.intercept}, nil)
	ref := create(t, c, "t1")
	u := newUpload(t, c, write.UploadSpec{Output: ref})
	putBlock(t, c, u, write.BlockTarget{Output: ref, UploadID: u.ID, Version: write.DataVersion, Form: batch.FormArrow}, 0, 1)
	f.armed.Store(true)
	err := c.CommitUpload(t.Context(), ref, u.ID)
	if err == nil || errors.Is(err, write.ErrRefused) || errors.Is(err, write.ErrNotSent) || f.hits.Load() != 1 {
		t.Errorf("CommitUpload = %v after %d POSTs, want an unknown outcome after one", err, f.hits.Load())
	}
	if loaded, err := c.Upload(t.Context(), ref, u.ID); err != nil || loaded.Status != write.UploadClosed {
		t.Errorf("Upload = %+v, %v, want closed", loaded, err)
	}
	if err := c.CommitUpload(t.Context(), ref, u.ID); err != nil {
		t.Errorf("CommitUpload again = %v", err)
	}
	if got := ids(t, c, ref); len(got) != 1000 {
		t.Errorf("%d rows, want 1000", len(got))
	}
}

func TestEndpoint_rows_that_break_off(t *testing.T) {
	f := &fault{method: http.MethodGet, key: "data", act: emulator.Action{CutReplyAt: 5000}}
	c := endpointWith(t, emulator.Options{Intercept: f.intercept}, nil)
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
	target := read.ReadTarget{Ref: ref, DownloadID: d.ID, Range: table.RowRange{End: d.Rows}, Columns: []string{"id", "s"}}
	resumable := func(err error) bool {
		return apierr.Is(err, apierr.BackendUnavailable) && apierr.From(err).Meta("retry") == apierr.RetryResume
	}
	f.armed.Store(true)
	m, err := c.ReadArrow(t.Context(), target)
	for err == nil {
		var msg batch.Payload
		if msg, _, err = m.Next(); err == nil {
			msg.Release()
		}
	}
	if !resumable(err) {
		t.Errorf("ReadArrow = %v, want BACKEND_UNAVAILABLE, retry=resume", err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	f.armed.Store(true)
	body, err := c.ReadRecords(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := io.Copy(&got, body); !resumable(err) {
		t.Errorf("ReadRecords = %d bytes, %v, want BACKEND_UNAVAILABLE, retry=resume", got.Len(), err)
	}
	if err := body.Close(); err != nil {
		t.Error(err)
	}
}

// A timestamp outside int64 nanoseconds cannot come in Arrow form; the same rows come as records.
func TestEndpoint_arrow_refused(t *testing.T) {
	c := endpoint(t, nil)
	ref := table.Ref{Name: table.Name{Project: "p1", Table: "t1"}}
	if err := c.CreateTable(t.Context(), &table.Info{Name: ref.Name, Schema: table.Schema{Columns: []table.Column{column("at", "timestamp")}}}); err != nil {
		t.Fatal(err)
	}
	second, nano := int64(-62135596800), uint32(5) // year 1
	field := binary.LittleEndian.AppendUint32(nil, 1)
	field = binary.LittleEndian.AppendUint64(field, uint64(second))
	field = binary.LittleEndian.AppendUint32(field, nano)
	crc := batch.CRC32C(field)
	record := binary.AppendVarint(binary.AppendVarint([]byte{1<<3 | 2}, second), int64(nano))
	record = binary.AppendUvarint(append(record, 0x80, 0xc0, 0xff, 0x7f), uint64(crc))
	u := newUpload(t, c, write.UploadSpec{Output: ref})
	w, err := c.OpenBlock(t.Context(), write.BlockTarget{Output: ref, UploadID: u.ID, Version: write.DataVersion, Form: batch.FormRecord})
	if err != nil {
		t.Fatal(err)
	}
	total := batch.CRC32C(binary.LittleEndian.AppendUint32(nil, crc))
	if err := w.Write(&batch.Checked{Rows: 1, Form: batch.FormRecord, RecordCRC: total, Body: batch.NewPayload(nil, record)}); err != nil {
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
	target := read.ReadTarget{Ref: ref, DownloadID: d.ID, Range: table.RowRange{End: 1}, Columns: []string{"at"}}
	if _, err := c.ReadArrow(t.Context(), target); !errors.Is(err, read.ErrArrowRefused) {
		t.Errorf("ReadArrow = %v, want ErrArrowRefused", err)
	}
	body, err := c.ReadRecords(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(body)
	if err := errors.Join(err, body.Close()); err != nil || !bytes.HasPrefix(got, record) {
		t.Errorf("ReadRecords = %x, %v, want %x first", got, err, record)
	}
}
