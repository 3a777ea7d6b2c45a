package tunnel

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

func (h *Handler) createUpload(w http.ResponseWriter, r *request) error {
	spec, err := r.spec()
	if err != nil {
		return err
	}
	if _, err := h.opt.Store.Table(r.key); err != nil {
		return err
	}
	if err := h.opt.Gate.Session(r.key.String()); err != nil {
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

// sameTable refuses a session that belongs to another table than the path names, or is no
// batch upload's: a stream session has neither blocks nor a commit.
func sameTable(u store.Upload, r *request) error {
	if u.Kind == store.StreamUpload {
		return fmt.Errorf("session %s is a stream session: %w", u.ID, store.ErrNoSuchUpload)
	}
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
	done, err := h.opt.Gate.Commit(r.key.String())
	if err != nil {
		return err
	}
	defer done()
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
	block, version, err := blockOf(r)
	if err != nil {
		return err
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
	if err := h.opt.Gate.Block(r.key.String()); err != nil {
		return err
	}
	if limit := h.opt.MaxBlockBytes; limit > 0 {
		r.Body = &boundedBody{ReadCloser: r.Body, rest: limit, limit: limit}
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

// blockOf reads which block a PUT names, and its version, 0 if it has none: digits
// without a sign.
func blockOf(r *request) (block int, version int64, err error) {
	id, err := strconv.ParseUint(r.text("blockid"), 10, 32)
	if err != nil || id > store.MaxBlockID {
		return 0, 0, badRequest("blockid %q is not in 0..%d", r.text("blockid"), store.MaxBlockID)
	}
	v := r.text("block_version")
	if v == "" {
		return int(id), 0, nil
	}
	n, err := strconv.ParseUint(v, 10, 63)
	if err != nil {
		return 0, 0, badRequest("block_version %q is not in 0..2^63-1", v)
	}
	return int(id), int64(n), nil
}

// boundedBody refuses a body beyond its limit.
type boundedBody struct {
	io.ReadCloser
	rest, limit int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.rest -= int64(n); b.rest < 0 {
		return 0, badRequest("the block is larger than %d bytes", b.limit)
	}
	return n, err
}

// receive reads a whole body into a durable segment for rows of t.
func (h *Handler) receive(r *request, t store.Table, isArrow bool) (*store.Segment, error) {
	seg := h.opt.Store.NewSegment(t)
	defer seg.Abort() // no effect after Finish
	if err := readBody(r, func(body io.Reader) error {
		if isArrow {
			return copyArrow(seg, body)
		}
		return copyRecords(body, store.WireColumns(t.Columns), seg.WriteBatch)
	}); err != nil {
		return nil, err
	}
	return seg.Finish()
}

// clientBody marks what the connection of a body suffers, a cut or a standstill, as the
// client's: the rows are damaged, not the server.
type clientBody struct{ io.Reader }

func (c clientBody) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err == nil || err == io.EOF || errors.As(err, new(*Error)) { //nolint:errorlint // a clean end is io.EOF itself; an error that wraps it is a cut
		return n, err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return n, badRequest("the body stood still for too long")
	}
	return n, fmt.Errorf("read body: %w: %w", wire.ErrMalformed, err)
}

// readBody hands a request's body to read without its encoding, and makes sure that
// nothing is left of it.
func readBody(r *request, read func(io.Reader) error) error {
	enc, ok := wire.ParseEncoding(r.Header.Get("Content-Encoding"))
	if !ok {
		return badRequest("unknown Content-Encoding %q", r.Header.Get("Content-Encoding"))
	}
	src := io.Reader(clientBody{r.Body})
	if enc != wire.Identity {
		src = bufio.NewReader(src) // leaves to atEnd what a decoder does not take
	}
	body, err := wire.NewDecompressor(enc, src)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := read(body); err != nil {
		return err
	}
	return atEnd(src)
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

func copyRecords(body io.Reader, cols []wire.Column, write func(arrow.RecordBatch) error) error {
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
		err = write(rec)
		rec.Release()
		if err != nil {
			return err
		}
	}
}
