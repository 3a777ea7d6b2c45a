package storageapi

import (
	"crypto/md5" //nolint:gosec // The header's name says so; it guards against accidents only.
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/refusal"
	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// Error is an error reply: the status and the JSON body's Code and Message.
type Error struct {
	Status  int
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func badRequest(format string, args ...any) *Error {
	return &Error{http.StatusBadRequest, "InvalidArgument", fmt.Sprintf(format, args...)}
}

// codes maps what can go wrong below to replies (protocol 3.2); the first match counts.
var codes = []struct {
	err    error
	status int
	code   string
}{
	{store.ErrNoSuchTable, http.StatusNotFound, "NoSuchTable"},
	{store.ErrNoSuchPartition, http.StatusNotFound, "NoSuchPartition"},
	{store.ErrInvalidPartition, http.StatusBadRequest, "InvalidPartitionSpec"},
	{types.ErrPartitionSpec, http.StatusBadRequest, "InvalidPartitionSpec"},
	{store.ErrTimestampRange, http.StatusBadRequest, "InvalidArgument"},
	{sql.ErrNotBuilt, http.StatusBadRequest, "InvalidArgument"},
}

func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return &Error{c.status, c.code, err.Error()}
		}
	}
	if e, ok := errors.AsType[*sql.Error](err); ok {
		return badRequest("FilterPredicate: %s", e)
	}
	if e, ok := errors.AsType[*ddl.Error](err); ok {
		return badRequest("FilterPredicate: %s", e)
	}
	return &Error{http.StatusInternalServerError, "InternalServerError", err.Error()}
}

// requestIDHeader, like every name set here, bypasses Go's canonical case: one client looks
// names up as written (protocol section 1).
const requestIDHeader = "x-odps-request-id"

// fail sends an error reply. Nothing may have been sent before.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := asError(err)
	refusal.Note(r.Context(), e.Status, e.Code, e.Message)
	_, _ = io.CopyN(io.Discard, r.Body, maxBody) // clients read the answer only then
	id := strings.Join(map[string][]string(w.Header())[requestIDHeader], "")
	sendJSON(w, e.Status, map[string]string{"Code": e.Code, "Message": e.Message, "RequestId": id})
}

func sendJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) //nolint:errchkjson // the client is gone: nobody to tell
}

// maxBody bounds what a session is asked with.
const maxBody = 8 << 20

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, badRequest("read the body: %v", err)
	}
	if want := r.Header.Get("Content-MD5"); want != "" {
		if sum := md5.Sum(body); !strings.EqualFold(want, hex.EncodeToString(sum[:])) { //nolint:gosec // as above
			return nil, &Error{http.StatusBadRequest, "CheckSumError", "Content-MD5 is not that of the body"}
		}
	}
	return body, nil
}
