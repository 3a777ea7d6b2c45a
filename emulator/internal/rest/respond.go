package rest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// maxBodyBytes bounds request bodies; SQL texts are the largest.
const maxBodyBytes = 16 << 20

// Error is a refusal as clients see it.
type Error struct {
	Status  int
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func errorf(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// causes maps the store's errors to answers, the first match wins.
var causes = []struct {
	cause  error
	status int
	code   string
	number string
}{
	{store.ErrNoSuchTable, http.StatusNotFound, "NoSuchObject", "ODPS-0130131"},
	{store.ErrKind, http.StatusBadRequest, "InvalidArgument", "ODPS-0130071"},
	{store.ErrChanged, http.StatusConflict, "StatusConflict", "ODPS-0110999"},
	{store.ErrNoSuchPartition, http.StatusNotFound, "NoSuchPartition", "ODPS-0130131"},
	{store.ErrTableExists, http.StatusConflict, "ObjectAlreadyExists", "ODPS-0130211"},
	{store.ErrPartitionExists, http.StatusConflict, "ObjectAlreadyExists", "ODPS-0130211"},
	{store.ErrInvalidPartition, http.StatusBadRequest, "InvalidPartitionSpec", "ODPS-0130121"},
	{store.ErrInvalidTable, http.StatusBadRequest, "InvalidArgument", "ODPS-0130071"},
	{store.ErrNoSuchResource, http.StatusNotFound, "NoSuchObject", "ODPS-0420061"},
	{store.ErrNoSuchPart, http.StatusNotFound, "NoSuchObject", "ODPS-0420061"},
	{store.ErrResourceExists, http.StatusConflict, "ObjectAlreadyExists", "ODPS-0420061"},
	{store.ErrInvalidResource, http.StatusBadRequest, "InvalidArgument", "ODPS-0420061"},
	{store.ErrBadContent, http.StatusBadRequest, "CheckSumError", "ODPS-0420061"},
	{store.ErrTooLarge, http.StatusRequestEntityTooLarge, "InvalidArgument", "ODPS-0420061"},
	{store.ErrBadData, http.StatusBadRequest, "InvalidArgument", "ODPS-0121095"},
	{types.ErrPartitionSpec, http.StatusBadRequest, "InvalidPartitionSpec", "ODPS-0130121"},
	{types.ErrUnsupported, http.StatusBadRequest, "InvalidArgument", "ODPS-0130071"},
	{store.ErrOverwriteForbidden, http.StatusBadRequest, "OverwriteModeNotAllowed", "ODPS-0130071"},
	{store.ErrNoSuchProject, http.StatusNotFound, "NoSuchProject", "ODPS-0420111"},
	// Not NoSuchSchema: one client takes that for a session whose schema is not there yet,
	// and its question whether a schema exists knows NoSuchObject only.
	{store.ErrNoSuchSchema, http.StatusNotFound, "NoSuchObject", "ODPS-0422155"},
	{store.ErrSchemaExists, http.StatusConflict, "ObjectAlreadyExists", "ODPS-0110061"},
	{store.ErrSchemaNotEmpty, http.StatusConflict, "ObjectNotEmpty", "ODPS-0110061"},
	{store.ErrInvalidSchema, http.StatusBadRequest, "InvalidArgument", "ODPS-0420061"},
	{store.ErrNoSuchFunction, http.StatusNotFound, "NoSuchObject", "ODPS-0420111"},
	{store.ErrFunctionExists, http.StatusConflict, "ObjectAlreadyExists", "ODPS-0420061"},
	{store.ErrInvalidFunction, http.StatusBadRequest, "InvalidArgument", "ODPS-0420061"},
	{store.ErrStorage, http.StatusInternalServerError, "InternalServerError", "ODPS-0010000"},
}

// asError turns any error into an answer.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	for _, c := range causes {
		if errors.Is(err, c.cause) {
			return errorf(c.status, c.code, "%s:%s", c.number, err)
		}
	}
	return errorf(http.StatusInternalServerError, "InternalServerError", "ODPS-0010000:%s", err)
}

// WriteError answers with the XML form of an error. The request id must be in the
// response's headers already.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	e := asError(err)
	// Some clients look at the answer only when their body is sent.
	_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBodyBytes))
	writeXML(w, e.Status, struct {
		XMLName   xml.Name `xml:"Error"`
		Code      string
		Message   cdata
		RequestID string `xml:"RequestId"`
		HostID    string `xml:"HostId"`
	}{Code: e.Code, Message: cdata{e.Message}, RequestID: header(w, "x-odps-request-id"), HostID: "http://" + r.Host})
}

// cdata is text that is written in a CDATA section.
type cdata struct {
	Text string `xml:",cdata"`
}

// setHeader writes a header in the case given: one client compares case-sensitively.
func setHeader(w http.ResponseWriter, name, value string) { w.Header()[name] = []string{value} }

func header(w http.ResponseWriter, name string) string {
	if values := w.Header()[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

func writeXML(w http.ResponseWriter, status int, v any) {
	body, err := xml.Marshal(v)
	if err != nil { // a programming error; the types are ours
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, xml.Header)
	_, _ = w.Write(bytes.Map(xmlRune, body)) //nolint:gosec // Marshalled just now, and no HTML.
}

// xmlRune puts U+FFFD in the place of what XML cannot hold, not even in a CDATA section,
// which the encoder does not look into.
func xmlRune(r rune) rune {
	switch {
	case r == '\t', r == '\n', r == '\r', r >= 0x20 && r <= 0xD7FF, r >= 0xE000 && r <= 0xFFFD, r >= 0x10000 && r <= 0x10FFFF:
		return r
	default:
		return utf8.RuneError
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) //nolint:errchkjson // Maps of ours; the client may be gone.
}

func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8") // without it one client reads Latin-1
	_, _ = io.WriteString(w, text)
}

// httpDate is the form of dates in headers and in most XML.
func httpDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

func readXML(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if err != nil {
		return errorf(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:read the request's body: %s", err)
	}
	decoder := xml.NewDecoder(bytes.NewReader(body))
	err = decoder.Decode(v)
	if err == nil {
		err = nothingLeft(decoder)
	}
	if err != nil {
		return errorf(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:the request's body is not the expected XML: %s", err)
	}
	return nil
}

// nothingLeft refuses anything but blanks and comments behind the root element.
func nothingLeft(decoder *xml.Decoder) error {
	for {
		token, err := decoder.Token()
		switch t := token.(type) {
		case nil:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return errors.New("there is text behind the root element")
			}
		case xml.Comment:
		default:
			return errors.New("there is more than one root element")
		}
	}
}
