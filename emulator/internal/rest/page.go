package rest

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/instance"
	"github.com/sluice-io/sluice/emulator/internal/refusal"
)

// markerVersion begins the text inside a marker.
const markerVersion = "1"

// page is the part of a list that a request asks for.
type page struct {
	limit int
	after string // the name behind which the page begins, empty for the first
}

// page reads maxitems and marker.
func (r *request) page() (page, error) {
	p := page{limit: defaultPage}
	if text := r.query.Get("maxitems"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return p, refusal.New(http.StatusBadRequest, "InvalidParameter", "ODPS-0420061:maxitems=%q is no number of entries", text)
		}
		if n > 0 {
			p.limit = min(n, defaultPage)
		}
	}
	text := r.query.Get("marker")
	if text == "" {
		return p, nil
	}
	plain, err := base64.RawURLEncoding.DecodeString(text)
	after, ok := strings.CutPrefix(string(plain), markerVersion)
	if err != nil || !ok || after == "" {
		return p, refusal.New(http.StatusBadRequest, "InvalidParameter", "ODPS-0420061:marker=%q did not come from a list of this endpoint", text)
	}
	p.after = after
	return p, nil
}

// marker makes the text that leads to the page behind a name; empty for none. It is
// opaque, so that nobody builds on what is inside.
func marker(after string) string {
	if after == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(markerVersion + after))
}

// ownedBy reports whether the owner filter of a list of things that all have one owner
// leaves anything.
func (r *request) ownedBy() bool {
	of := r.query.Get("owner")
	return of == "" || strings.EqualFold(of, instance.Owner)
}
