package tunnel

import (
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

func (h *Handler) createUpload(w http.ResponseWriter, r *request) error {
	spec, err := r.spec()
	if err != nil {
		return err
	}
	u, err := h.opt.Store.CreateUpload(store.UploadRequest{
		Key: r.key, Spec: spec, Overwrite: isTrue(r.text("overwrite")), CreatePartition: r.flag("create_partition"),
	})
	if err != nil {
		return err
	}
	h.sendUpload(w, http.StatusCreated, u)
	return nil
}

// isTrue reads a boolean parameter, whose spelling differs between clients.
func isTrue(s string) bool {
	v, err := strconv.ParseBool(s)
	return err == nil && v
}

func (h *Handler) reloadUpload(w http.ResponseWriter, r *request) error {
	u, err := h.opt.Store.Upload(r.text("uploadid"))
	if err != nil {
		return err
	}
	if err := sameTable(u, r); err != nil {
		return err
	}
	h.sendUpload(w, http.StatusOK, u)
	return nil
}

// sameTable refuses a session that belongs to another table than the path names.
func sameTable(u store.Upload, r *request) error {
	if u.Table.Key != r.key {
		return fmt.Errorf("session %s of table %s, not %s: %w", u.ID, u.Table.Key, r.key, store.ErrNoSuchUpload)
	}
	return nil
}

func (h *Handler) commitUpload(w http.ResponseWriter, r *request) error {
	id := r.text("uploadid")
	u, err := h.opt.Store.Session(id)
	if err != nil {
		return err
	}
	if err := sameTable(u, r); err != nil {
		return err
	}
	if u, err = h.opt.Store.CommitUpload(id); err != nil {
		return err
	}
	h.sendUpload(w, http.StatusOK, u)
	return nil
}

func (h *Handler) sendUpload(w http.ResponseWriter, status int, u store.Upload) {
	out := uploadJSON{
		UploadID: u.ID, Initiated: httpDate(u.Created), Owner: h.opt.Owner, Status: "normal", IsOverwrite: u.Overwrite,
		MaxFieldSize: wire.MaxFieldBytes, Schema: schemaOf(u.Table.Columns, u.Table.PartitionColumns),
		UploadedBlockList: make([]blockJSON, 0, len(u.Blocks)),
	}
	if u.Closed {
		out.Status = "closed"
	}
	for _, b := range u.Blocks {
		out.UploadedBlockList = append(out.UploadedBlockList, blockJSON{
			BlockID: b.ID, CreateTime: b.Created.Unix(), Date: httpDate(b.Created), FileName: b.Segment, RecordCount: b.Rows, Version: b.Version,
		})
	}
	sendJSON(w, status, out)
}

func (h *Handler) putBlock(w http.ResponseWriter, r *request) error {
	block, err := strconv.Atoi(r.text("blockid"))
	if err != nil || block < 0 || block > store.MaxBlockID {
		return badRequest("blockid %q is not in 0..%d", r.text("blockid"), store.MaxBlockID)
	}
	version := int64(0)
	if v := r.text("block_version"); v != "" {
		if version, err = strconv.ParseInt(v, 10, 64); err != nil {
			return badRequest("block_version %q is no number", v)
		}
	}
	if h.opt.IgnoreBlockVersion {
		version = 0
	}
	u, err := h.opt.Store.Session(r.text("uploadid"))
	if err != nil {
		return err
	}
	if err := sameTable(u, r); err != nil {
		return err
	}
	if u.Closed {
		return fmt.Errorf("upload session %s is closed: %w", u.ID, store.ErrUploadState)
	}
	seg, err := h.receive(r, u.Table, r.flag("arrow"))
	if err != nil {
		return fmt.Errorf("block %d: %w", block, err)
	}
	if err := h.opt.Store.PutBlock(u.ID, block, version, seg); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// receive reads a whole body into a durable segment for rows of t.
func (h *Handler) receive(r *request, t store.Table, isArrow bool) (*store.Segment, error) {
	enc, ok := wire.ParseEncoding(r.Header.Get("Content-Encoding"))
	if !ok {
		return nil, badRequest("unknown Content-Encoding %q", r.Header.Get("Content-Encoding"))
	}
	body, err := wire.NewDecompressor(enc, r.Body)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	seg := h.opt.Store.NewSegment(t)
	defer seg.Abort() // no effect after Finish
	if isArrow {
		err = copyArrow(seg, body)
	} else {
		err = copyRecords(seg, body, store.WireColumns(t.Columns))
	}
	if err != nil {
		return nil, err
	}
	if err := atEnd(r.Body); err != nil {
		return nil, err
	}
	return seg.Finish()
}

// atEnd makes sure that the request itself was complete: a decoder may stop at the
// end of its own format.
func atEnd(body io.Reader) error {
	n, err := io.Copy(io.Discard, body)
	if err != nil {
		return fmt.Errorf("read body: %w: %w", wire.ErrMalformed, err)
	}
	if n > 0 {
		return fmt.Errorf("%w: %d bytes after the end of the data", wire.ErrMalformed, n)
	}
	return nil
}

// copyArrow is the hot path: checked bytes go from the socket's buffer to the file.
func copyArrow(seg *store.SegmentWriter, body io.Reader) error {
	c := wire.NewChunkReader(body)
	defer c.Close()
	c.OnChunk = seg.Chunk
	for {
		p, err := c.Next()
		if err == io.EOF { //nolint:errorlint // a clean end is io.EOF itself; an error that wraps it is a cut
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := seg.Write(p); err != nil {
			return err
		}
	}
}

func copyRecords(seg *store.SegmentWriter, body io.Reader, cols []wire.Column) error {
	rd := wire.NewRecordReader(body, cols, memory.DefaultAllocator)
	defer rd.Close()
	for {
		rec, _, err := rd.Next()
		if err == io.EOF { //nolint:errorlint // a clean end is io.EOF itself; an error that wraps it is a cut
			return nil
		}
		if err != nil {
			return err
		}
		err = seg.WriteBatch(rec)
		rec.Release()
		if err != nil {
			return err
		}
	}
}
