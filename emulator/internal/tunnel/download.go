package tunnel

import (
	"bufio"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/uuid"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// download is a session: a pinned snapshot of a table, or an instance's result.
type download struct {
	id      string
	created time.Time
	owner   string // the key of the table or the instance's path: a session is used under it only
	rows    int64
	snap    *store.Snapshot
	result  *Result
}

func (d *download) release() {
	if d.snap != nil {
		d.snap.Release()
	}
}

func (d *download) columns() []store.Column {
	if d.snap != nil {
		return d.snap.Table.Columns
	}
	cols := make([]store.Column, len(d.result.Columns))
	for i, c := range d.result.Columns {
		cols[i] = store.Column{Name: c.Name, Type: c.Type, Nullable: true}
	}
	return cols
}

func (r *request) owner() string {
	if r.instance != "" {
		return strings.ToLower(r.project) + "/instances/" + r.instance
	}
	return r.key.String()
}

// maxDownloads bounds the sessions kept, of which each pins its rows: the oldest goes
// when a new one finds no room.
const maxDownloads = 10_000

// keep registers a session and drops expired ones.
func (h *Handler) keep(d *download, r *request) {
	d.id = strings.ReplaceAll(uuid.NewString(), "-", "")
	d.created, d.owner = h.opt.Now(), r.owner()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropExpired()
	for len(h.downloads) >= maxDownloads {
		h.drop(h.order[0])
	}
	h.downloads[d.id] = d
	h.order = append(h.order, d)
}

// ExpireDownloads drops the sessions past their life and returns how many.
func (h *Handler) ExpireDownloads() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dropExpired()
}

// dropExpired does it; the lock is held.
func (h *Handler) dropExpired() (n int) {
	now := h.opt.Now()
	for len(h.order) > 0 && now.Sub(h.order[0].created) >= h.opt.DownloadTTL {
		h.drop(h.order[0])
		n++
	}
	return n
}

// drop ends one session; the lock is held.
func (h *Handler) drop(d *download) {
	d.release()
	delete(h.downloads, d.id)
	h.order = slices.DeleteFunc(h.order, func(o *download) bool { return o == d })
}

// ExpireDownload ends one session as its age would; none of that id is no error.
func (h *Handler) ExpireDownload(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d := h.downloads[id]; d != nil {
		h.drop(d)
	}
}

// session finds a live session. done must be called after its last use.
func (h *Handler) session(r *request) (d *download, done func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d = h.downloads[r.text("downloadid")]
	if d == nil || d.owner != r.owner() || h.opt.Now().Sub(d.created) >= h.opt.DownloadTTL {
		return nil, nil, &Error{Status: http.StatusNotFound, Code: "NoSuchDownload", Message: "download session " + r.text("downloadid") + " not found"}
	}
	if d.snap != nil {
		d.snap.Retain()
	}
	return d, d.release, nil
}

func (h *Handler) createDownload(w http.ResponseWriter, r *request) error {
	spec, err := r.spec()
	if err != nil {
		return err
	}
	snap, err := h.opt.Store.Snapshot(r.key, spec)
	if err != nil {
		return err
	}
	d := &download{snap: snap, rows: snap.Rows()}
	h.keep(d, r)
	h.sendDownload(w, http.StatusCreated, d)
	return nil
}

func (h *Handler) reloadDownload(w http.ResponseWriter, r *request) error {
	d, done, err := h.session(r)
	if err != nil {
		return err
	}
	defer done()
	h.sendDownload(w, http.StatusOK, d)
	return nil
}

func (h *Handler) sendDownload(w http.ResponseWriter, status int, d *download) {
	var parts []store.Column
	if d.snap != nil {
		parts = d.snap.Table.PartitionColumns
	}
	sendJSON(w, status, downloadJSON{
		DownloadID: d.id, Initiated: httpDate(d.created), Owner: h.opt.Owner, Status: "normal", RecordCount: d.rows,
		Schema: schemaOf(d.columns(), parts),
	})
}

func (h *Handler) downloadData(w http.ResponseWriter, r *request) error {
	d, done, err := h.session(r)
	if err != nil {
		return err
	}
	defer done()
	return h.send(w, r, d)
}

// selection is what a data request asks for.
type selection struct {
	columns      []int // nil = all
	start, count int64
	arrow        bool
	layout       types.Layout // of Arrow
}

func (r *request) selection(cols, parts []store.Column, rows int64) (s selection, err error) {
	s.arrow = r.flag("arrow")
	s.count = rows
	if v := r.text("rowrange"); v != "" {
		if s.start, s.count, err = parseRowRange(v); err != nil {
			return s, err
		}
	}
	s.start = min(s.start, rows)
	s.count = min(s.count, rows-s.start)
	if name := clientName(r.Request); strings.HasPrefix(name, "odps-go-sdk") || strings.HasPrefix(name, "JavaSDK") {
		s.layout = types.LayoutDayTime
	}
	s.columns, err = pickColumns(r.text("columns"), cols, parts, s.arrow)
	return s, err
}

// clientName is how the client calls itself. It matters for one thing: the Go and
// Java SDKs know INTERVAL_DAY_TIME only as interval[day_time], PyODPS only as a
// struct, and the format names no type (protocol section 14).
func clientName(r *http.Request) string {
	if ua := r.Header.Get("x-odps-user-agent"); ua != "" {
		return ua
	}
	return r.Header.Get("User-Agent")
}

// parseRowRange reads "(start,count)".
func parseRowRange(s string) (start, count int64, err error) {
	inner, ok := strings.CutPrefix(strings.TrimSpace(s), "(")
	inner, ok2 := strings.CutSuffix(inner, ")")
	from, n, ok3 := strings.Cut(inner, ",")
	if ok && ok2 && ok3 {
		start, err = strconv.ParseInt(strings.TrimSpace(from), 10, 64)
		if err == nil {
			count, err = strconv.ParseInt(strings.TrimSpace(n), 10, 64)
		}
	}
	if !ok || !ok2 || !ok3 || err != nil || start < 0 || count < 0 {
		return 0, 0, badRequest("rowrange %q is not (start,count)", s)
	}
	return start, count, nil
}

// pickColumns resolves names in any case. Records come in the order asked for,
// Arrow in the order of the table. Names of partition columns are passed over: their
// values are not part of the data.
func pickColumns(list string, cols, parts []store.Column, tableOrder bool) ([]int, error) {
	if list == "" {
		return nil, nil
	}
	picked := []int{}
	seen := make([]bool, len(cols))
	for name := range strings.SplitSeq(list, ",") {
		name = strings.Trim(strings.TrimSpace(name), "`")
		i := indexOf(cols, name)
		if i < 0 && indexOf(parts, name) >= 0 {
			continue
		}
		if i < 0 || seen[i] {
			return nil, badRequest("column %q is not in the table, or asked for twice", name)
		}
		seen[i] = true
		picked = append(picked, i)
	}
	if len(picked) == 0 {
		return nil, badRequest("no data column in columns=%s", list)
	}
	if tableOrder {
		picked = picked[:0]
		for i, want := range seen {
			if want {
				picked = append(picked, i)
			}
		}
	}
	return picked, nil
}

func indexOf(cols []store.Column, name string) int {
	for i, c := range cols {
		if strings.EqualFold(c.Name, name) {
			return i
		}
	}
	return -1
}

// send streams the selected rows of a session.
func (h *Handler) send(w http.ResponseWriter, r *request, d *download) error {
	var parts []store.Column
	if d.snap != nil {
		parts = d.snap.Table.PartitionColumns
	}
	sel, err := r.selection(d.columns(), parts, d.rows)
	if err != nil {
		return err
	}
	if sel, err = r.limitSize(d, sel); err != nil {
		return err
	}
	rows, err := d.rowsOf(sel)
	if err != nil {
		return err
	}
	return stream(w, r.Header.Get("Accept-Encoding"), nil, func(dst *bufio.Writer) error {
		if sel.arrow {
			return sendArrow(dst, rows)
		}
		return sendRecords(dst, store.WireColumns(pick(d.columns(), sel.columns)), rows)
	})
}

func pick[T any](all []T, at []int) []T {
	if at == nil {
		return all
	}
	out := make([]T, len(at))
	for i, k := range at {
		out[i] = all[k]
	}
	return out
}

type messages = iter.Seq2[store.Message, error]

// rowsOf opens the selected rows, having made sure that they can be sent.
func (d *download) rowsOf(sel selection) (messages, error) {
	if sel.count == 0 {
		return func(func(store.Message, error) bool) {}, nil
	}
	if d.result != nil {
		return d.resultRows(sel)
	}
	opt := store.ReadOptions{Columns: sel.columns, Start: sel.start, Count: sel.count, Layout: sel.layout, AnyLayout: !sel.arrow}
	if err := d.snap.Check(opt); err != nil {
		return nil, err
	}
	if sel.arrow {
		return d.snap.Messages(opt), nil
	}
	return asMessages(d.snap.Batches(opt)), nil
}

func asMessages(batches iter.Seq2[arrow.RecordBatch, error]) messages {
	return func(yield func(store.Message, error) bool) {
		for rec, err := range batches {
			if !yield(store.Message{Batch: rec}, err) {
				return
			}
		}
	}
}

// sendBuffer makes few large writes of the 64 KiB chunks.
const sendBuffer = 256 << 10

// stream answers 200 with what body writes, compressed if the client asked for
// exactly one encoding we know (a list is a general HTTP client talking). After the
// first byte an error can only break the connection.
func stream(w http.ResponseWriter, accept string, header map[string]string, body func(*bufio.Writer) error) error {
	enc, ok := wire.ParseEncoding(accept)
	if !ok {
		enc = wire.Identity
	}
	for k, v := range header {
		w.Header()[k] = []string{v}
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if enc != wire.Identity {
		w.Header().Set("Content-Encoding", string(enc))
	}
	out, err := wire.NewCompressor(enc, w)
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	buf := bufio.NewWriterSize(out, sendBuffer)
	err = body(buf)
	if err == nil {
		err = buf.Flush()
	}
	if err == nil {
		err = out.Close()
	}
	abortOn(err)
	return nil
}

// abortOn breaks the connection of an answer that has begun and cannot go on; the log tells why.
func abortOn(err error) {
	if err != nil {
		panic(fmt.Errorf("%w: %w", http.ErrAbortHandler, err))
	}
}

func sendArrow(dst *bufio.Writer, rows messages) error {
	c := wire.NewChunkWriter(dst, wire.ChunkSize)
	small := bufio.NewWriterSize(c, wire.ChunkSize) // gathers the little pieces of encoded batches
	for m, err := range rows {
		if err != nil {
			return err
		}
		if m.Raw != nil {
			_, err = c.Write(m.Raw)
		} else if err = wire.WriteBatch(small, m.Batch, memory.DefaultAllocator); err == nil {
			err = small.Flush()
		}
		if err != nil {
			return err
		}
	}
	return c.Close()
}

func sendRecords(dst *bufio.Writer, cols []wire.Column, rows messages) error {
	rw := wire.NewRecordWriter(dst, cols)
	for m, err := range rows {
		if err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
		if err := rw.Write(m.Batch); err != nil {
			return err
		}
	}
	return rw.Close()
}
