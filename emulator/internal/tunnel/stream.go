package tunnel

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"github.com/sluice-io/sluice/emulator/internal/store"
)

// maxSlots bounds what a client may ask for; the reply says how many it got.
const maxSlots = 64

// slotHeaders are the names under which clients ask for slots (protocol section 16).
var slotHeaders = []string{"odps-tunnel-slot-num", "odps-slot-num"}

// streamSession creates a session, or with uploadid (by GET or POST: the clients
// differ) shows one.
func (h *Handler) streamSession(w http.ResponseWriter, r *request) error {
	if r.flag("uploadid") {
		u, err := h.stream(r)
		if err != nil {
			return err
		}
		if u.Table, err = h.versionOf(r, u); err != nil {
			return err
		}
		h.sendStream(w, r, http.StatusOK, u)
		return nil
	}
	if r.Method != http.MethodPost {
		return noSuchPath(r.Request)
	}
	slots, err := r.slots()
	if err != nil {
		return err
	}
	version, err := r.number("schema_version")
	if err != nil {
		return err
	}
	spec, err := r.spec()
	if err != nil {
		return err
	}
	u, err := h.opt.Store.CreateUpload(store.UploadRequest{
		Kind: store.StreamUpload, Key: r.key, Spec: spec, CreatePartition: r.flag("create_partition"),
		Slots: slots, Dynamic: isTrue(r.text("dynamic_partition")), SchemaVersion: version,
	})
	if err != nil {
		return err
	}
	h.sendStream(w, r, http.StatusCreated, u)
	return nil
}

// slots is how many the client asked for, at least one and at most maxSlots.
func (r *request) slots() (int, error) {
	for _, name := range slotHeaders {
		v := r.Header.Get(name)
		if v == "" {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil {
			return 0, badRequest("%s: %q is no number", name, v)
		}
		return min(max(n, 1), maxSlots), nil
	}
	return 1, nil
}

// number reads a parameter that may be missing.
func (r *request) number(name string) (*int, error) {
	v := r.text(name)
	if v == "" {
		return nil, nil //nolint:nilnil // not asked for
	}
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return nil, badRequest("%s %q is no number", name, v)
	}
	i := int(n)
	return &i, nil
}

func (h *Handler) stream(r *request) (store.Upload, error) {
	u, err := h.opt.Store.Session(r.text("uploadid"))
	if err != nil && !errors.Is(err, store.ErrNoSuchUpload) {
		return u, err
	}
	if err != nil || u.Kind != store.StreamUpload || u.Table.Key != r.key {
		return u, &Error{Status: http.StatusNotFound, Code: "StreamSessionNotFound", Message: "stream session " + r.text("uploadid") + " not found"}
	}
	return u, nil
}

// versionOf is the session's table in the version that a request names, by default in
// the one that the session was made with.
func (h *Handler) versionOf(r *request, u store.Upload) (store.Table, error) {
	version, err := r.number("schema_version")
	if err != nil || version == nil || *version == u.Table.SchemaVersion {
		return u.Table, err
	}
	t, err := h.opt.Store.Table(u.Table.Key)
	if err != nil {
		return t, err
	}
	if t.ID != u.Table.ID {
		return t, fmt.Errorf("%s was dropped and created again: %w", t.Key, store.ErrNoSuchTable)
	}
	return t.At(*version)
}

// Address is where the client reached the server, as host:port: the Host header may
// come without a port.
func Address(r *http.Request) string {
	if host, port, err := net.SplitHostPort(r.Host); err == nil && host != "" && port != "" {
		return r.Host
	}
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return a.String()
	}
	return r.Host + ":80"
}

func (h *Handler) sendStream(w http.ResponseWriter, r *request, status int, u store.Upload) {
	out := streamJSON{
		SessionName: u.ID, Status: "normal", Slots: make([][2]any, slotsOf(u)),
		Schema: schemaOf(u.Table.Columns, u.Table.PartitionColumns), SchemaVersion: u.Table.SchemaVersion,
	}
	for i := range out.Slots {
		out.Slots[i] = [2]any{i, Address(r.Request)}
	}
	if u.Dynamic {
		out.Schema = schemaOf(dynamicColumns(u.Table), nil)
	}
	sendJSON(w, status, out)
}

// slotsOf counts a session's slots; sessions of an earlier format have one.
func slotsOf(u store.Upload) int { return max(u.Slots, 1) }

// streamPack makes the records of one PUT visible at once.
func (h *Handler) streamPack(w http.ResponseWriter, r *request) error {
	u, err := h.stream(r)
	if err != nil {
		return err
	}
	if v := r.text("slotid"); v != "" {
		if n, err := strconv.ParseUint(v, 10, 31); err != nil || int(n) >= slotsOf(u) {
			return badRequest("slotid %q is not in 0..%d", v, slotsOf(u)-1)
		}
	}
	if u.Table, err = h.versionOf(r, u); err != nil {
		return err
	}
	if isTrue(r.text("check_latest_schema")) {
		if err := h.checkLatest(u.Table); err != nil {
			return err
		}
	}
	pack, err := h.receivePack(r, u)
	if err != nil {
		return fmt.Errorf("stream pack: %w", err)
	}
	if n := r.text("record_count"); n != "" && n != strconv.FormatInt(pack.rows(), 10) {
		pack.discard(h.opt.Store)
		return badRequest("record_count=%s, but the pack holds %d", n, pack.rows())
	}
	if err := h.opt.Store.Publish(u.Table, pack, store.PublishOptions{CreatePartitions: u.Dynamic}); err != nil {
		return err
	}
	w.Header()["odps-tunnel-slot-num"] = []string{strconv.Itoa(slotsOf(u))}
	w.Header()["odps-tunnel-routed-server"] = []string{Address(r.Request)}
	w.WriteHeader(http.StatusOK)
	return nil
}

// checkLatest refuses rows of a version that is no longer the table's.
func (h *Handler) checkLatest(made store.Table) error {
	t, err := h.opt.Store.Table(made.Key)
	if err != nil {
		return err
	}
	if t.SchemaVersion == made.SchemaVersion {
		return nil
	}
	return &Error{
		Status: http.StatusPreconditionFailed, Code: "SchemaModified", Message: fmt.Sprintf("%s has schema version %d", t.Key, t.SchemaVersion),
		Header: map[string]string{"odps-tunnel-latest-schema-version": strconv.Itoa(t.SchemaVersion)},
	}
}
