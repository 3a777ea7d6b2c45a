package tunnel

import (
	"fmt"
	"net"
	"net/http"
	"strconv"

	"github.com/sluice-io/sluice/emulator/internal/store"
)

// slots is the number of slots of a stream session: one server, one slot.
const slots = 1

// streamSession creates a session, or with uploadid (by GET or POST: the clients
// differ) shows one.
func (h *Handler) streamSession(w http.ResponseWriter, r *request) error {
	if r.flag("uploadid") {
		u, err := h.stream(r)
		if err != nil {
			return err
		}
		h.sendStream(w, r, http.StatusOK, u)
		return nil
	}
	if r.Method != http.MethodPost {
		return noSuchPath(r.Request)
	}
	if isTrue(r.text("dynamic_partition")) {
		return badRequest("dynamic_partition is not supported")
	}
	if err := h.checkSchemaVersion(r); err != nil {
		return err
	}
	spec, err := r.spec()
	if err != nil {
		return err
	}
	u, err := h.opt.Store.CreateUpload(store.UploadRequest{
		Kind: store.StreamUpload, Key: r.key, Spec: spec, CreatePartition: r.flag("create_partition"),
	})
	if err != nil {
		return err
	}
	h.sendStream(w, r, http.StatusCreated, u)
	return nil
}

// checkSchemaVersion refuses a version that does not exist yet.
func (h *Handler) checkSchemaVersion(r *request) error {
	v := r.text("schema_version")
	if v == "" {
		return nil
	}
	want, err := strconv.Atoi(v)
	if err != nil {
		return badRequest("schema_version %q is no number", v)
	}
	t, err := h.opt.Store.Table(r.key)
	if err != nil {
		return err
	}
	if want > t.SchemaVersion {
		return &Error{Status: http.StatusNotFound, Code: "NoSuchSchema", Message: fmt.Sprintf("schema version %d of %s is not known yet", want, r.key)}
	}
	return nil
}

func (h *Handler) stream(r *request) (store.Upload, error) {
	u, err := h.opt.Store.Session(r.text("uploadid"))
	if err != nil || u.Kind != store.StreamUpload || u.Table.Key != r.key {
		return u, &Error{Status: http.StatusNotFound, Code: "StreamSessionNotFound", Message: "stream session " + r.text("uploadid") + " not found"}
	}
	return u, nil
}

// address is where the client reached us, as host:port: the Host header may come
// without a port.
func address(r *http.Request) string {
	if host, port, err := net.SplitHostPort(r.Host); err == nil && host != "" && port != "" {
		return r.Host
	}
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return a.String()
	}
	return r.Host + ":80"
}

func (h *Handler) sendStream(w http.ResponseWriter, r *request, status int, u store.Upload) {
	sendJSON(w, status, streamJSON{
		SessionName: u.ID, Status: "normal", Slots: [][2]any{{0, address(r.Request)}},
		Schema: schemaOf(u.Table.Columns, u.Table.PartitionColumns), SchemaVersion: u.Table.SchemaVersion,
	})
}

// streamPack makes the records of one PUT visible at once.
func (h *Handler) streamPack(w http.ResponseWriter, r *request) error {
	u, err := h.stream(r)
	if err != nil {
		return err
	}
	if isTrue(r.text("check_latest_schema")) {
		if err := h.checkLatest(u); err != nil {
			return err
		}
	}
	seg, err := h.receive(r, u.Table, false)
	if err != nil {
		return fmt.Errorf("stream pack: %w", err)
	}
	if n := r.text("record_count"); n != "" && n != strconv.FormatInt(seg.Rows, 10) {
		h.opt.Store.Discard(seg)
		return badRequest("record_count=%s, but the pack holds %d", n, seg.Rows)
	}
	err = h.opt.Store.Publish(u.Table, []store.Publication{{Spec: u.Spec, Segments: []*store.Segment{seg}}}, store.PublishOptions{})
	if err != nil {
		return err
	}
	w.Header()["odps-tunnel-slot-num"] = []string{strconv.Itoa(slots)}
	w.Header()["odps-tunnel-routed-server"] = []string{address(r.Request)}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (h *Handler) checkLatest(u store.Upload) error {
	t, err := h.opt.Store.Table(u.Table.Key)
	if err != nil {
		return err
	}
	if t.SchemaVersion == u.Table.SchemaVersion {
		return nil
	}
	return &Error{
		Status: http.StatusPreconditionFailed, Code: "SchemaModified", Message: fmt.Sprintf("%s has schema version %d", t.Key, t.SchemaVersion),
		Header: map[string]string{"odps-tunnel-latest-schema-version": strconv.Itoa(t.SchemaVersion)},
	}
}
