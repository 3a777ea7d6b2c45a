package rest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/sluice-io/sluice/emulator/internal/refusal"
)

// maxBodyBytes bounds request bodies; SQL texts are the largest.
const maxBodyBytes = 16 << 20

// WriteError answers with the XML form of an error. The request id must be in the
// response's headers already.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	e := refusal.Of(err)
	refusal.Note(r.Context(), e.Status, e.Code, e.Message)
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
		return refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:read the request's body: %s", err)
	}
	decoder := xml.NewDecoder(bytes.NewReader(body))
	err = decoder.Decode(v)
	if err == nil {
		err = nothingLeft(decoder)
	}
	if err != nil {
		return refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:the request's body is not the expected XML: %s", err)
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
