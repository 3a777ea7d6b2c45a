package tunnel

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sluice-io/sluice/emulator/internal/limits"
	"github.com/sluice-io/sluice/emulator/internal/refusal"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// Error is an error reply: the status and the JSON body's Code and Message.
type Error struct {
	Status  int
	Code    string
	Message string
	// Header is added to the reply with its names as they are; may be nil.
	Header map[string]string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func noSuchPath(r *http.Request) *Error {
	return &Error{Status: http.StatusNotFound, Code: "NoSuchPath", Message: r.Method + " " + r.URL.Path + " is not served"}
}

func badRequest(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "InvalidArgument", Message: fmt.Sprintf(format, args...)}
}

// codes maps what can go wrong below to replies (protocol 3.2); the first match counts.
var codes = []struct {
	err    error
	status int
	code   string
}{
	{store.ErrNoSuchTable, http.StatusNotFound, "NoSuchTable"},
	{store.ErrKind, http.StatusBadRequest, "InvalidArgument"},
	{store.ErrNoSuchPartition, http.StatusNotFound, "NoSuchPartition"},
	{store.ErrInvalidPartition, http.StatusBadRequest, "InvalidPartitionSpec"},
	{types.ErrPartitionSpec, http.StatusBadRequest, "InvalidPartitionSpec"},
	{store.ErrNoSuchUpload, http.StatusNotFound, "NoSuchUpload"},
	{store.ErrNoSuchSchemaVersion, http.StatusNotFound, "NoSuchSchema"},
	{limits.ErrExceeded, http.StatusTooManyRequests, "FlowExceeded"},
	{store.ErrUploadState, http.StatusConflict, "StatusConflict"},
	{store.ErrOverwriteForbidden, http.StatusBadRequest, "OverwriteModeNotAllowed"},
	{wire.ErrChecksum, http.StatusBadRequest, "CheckSumError"},
	{store.ErrTimestampRange, http.StatusBadRequest, "InvalidArgument"},
	{wire.ErrRange, http.StatusBadRequest, "InvalidArgument"},
	{store.ErrStorage, http.StatusInternalServerError, "InternalServerError"},
	{store.ErrBadData, http.StatusBadRequest, "InvalidArgument"},
	{wire.ErrMalformed, http.StatusBadRequest, "InvalidArgument"},
}

func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return &Error{Status: c.status, Code: c.code, Message: err.Error()}
		}
	}
	return &Error{Status: http.StatusInternalServerError, Code: "InternalServerError", Message: err.Error()}
}

// A body is drained up to these bounds before an error is sent; a longer one loses
// its connection.
const (
	drainBytes = 256 << 20
	drainTime  = 30 * time.Second
)

// Drain reads what is left of a request's body, within bounds: clients look at an
// answer only when their body is sent.
func Drain(w http.ResponseWriter, r *http.Request) {
	conn := http.NewResponseController(w)
	end := time.Now().Add(drainTime)
	// Not every ResponseWriter has deadlines; then the byte bound stands alone.
	_ = conn.SetReadDeadline(end)
	_, err := io.CopyN(io.Discard, untilDeadline{r.Body, end}, drainBytes)
	if errors.Is(err, io.EOF) {
		_ = conn.SetReadDeadline(time.Time{})
		return
	}
	_ = conn.SetReadDeadline(time.Now()) // the connection ends with the answer: nobody waits for the rest
}

// untilDeadline ends a body that would go on beyond a time: a reader below may move
// the connection's deadline with each piece.
type untilDeadline struct {
	io.Reader
	end time.Time
}

func (u untilDeadline) Read(p []byte) (int, error) {
	if !time.Now().Before(u.end) {
		return 0, io.ErrUnexpectedEOF
	}
	return u.Reader.Read(p)
}

// fail sends an error reply. Nothing may have been sent before.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := asError(err)
	refusal.Note(r.Context(), e.Status, e.Code, e.Message)
	Drain(w, r)
	for k, v := range e.Header {
		w.Header()[k] = []string{v}
	}
	sendJSON(w, e.Status, map[string]string{"Code": e.Code, "Message": e.Message, "RequestId": w.Header()[requestIDHeader][0]}) //nolint:staticcheck // kept in lower case, as clients look it up
}

// requestIDHeader, like every name set here, bypasses Go's canonical case: one
// client looks names up as written (protocol section 1).
const requestIDHeader = "x-odps-request-id"

func ensureRequestID(w http.ResponseWriter) {
	if len(w.Header()[requestIDHeader]) == 0 { //nolint:staticcheck // kept in lower case, as clients look it up
		w.Header()[requestIDHeader] = []string{strings.ToUpper(strings.ReplaceAll(uuid.NewString(), "-", ""))}
	}
}

func sendJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) //nolint:errchkjson // the client is gone: nobody to tell
}
