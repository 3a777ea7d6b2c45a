package auth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// candidates are the texts that a client may have signed for r.
func candidates(r *http.Request, mounts []string) []string {
	paths := []string{r.URL.Path}
	for _, mount := range mounts {
		if rest, ok := strings.CutPrefix(r.URL.Path, mount); ok {
			paths = append(paths, rest)
		}
	}
	if spaced := strings.ReplaceAll(r.URL.Path, "+", " "); spaced != r.URL.Path {
		for _, p := range slices.Clone(paths) { // one client form-decodes the path
			paths = append(paths, strings.ReplaceAll(p, "+", " "))
		}
	}
	var out []string
	for _, query := range queries(r.URL.RawQuery) {
		head := signedHead(r, query)
		for _, path := range paths {
			out = append(out, head+path+query.text)
		}
	}
	return out
}

// signedQuery is one reading of a query: its canonical text, and the parameters that are
// signed among the headers too.
type signedQuery struct {
	text   string
	values url.Values
}

// queries returns the readings of a raw query: decoded once, first or last of repeated
// keys, and decoded twice as one client does.
func queries(raw string) []signedQuery {
	// Malformed pairs are dropped here as the routes drop them.
	once, _ := url.ParseQuery(raw)
	out := []signedQuery{canonicalQuery(once, first), canonicalQuery(once, last)}
	if strings.ContainsAny(raw, "%+") {
		if unescaped, err := url.PathUnescape(raw); err == nil {
			twice, _ := url.ParseQuery(unescaped)
			out = append(out, canonicalQuery(twice, last))
		}
	}
	return slices.CompactFunc(out, func(a, b signedQuery) bool { return a.text == b.text })
}

func first(values []string) string { return values[0] }

func last(values []string) string { return values[len(values)-1] }

func canonicalQuery(values url.Values, pick func([]string) string) signedQuery {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var text strings.Builder
	for i, key := range keys {
		if i == 0 {
			text.WriteByte('?')
		} else {
			text.WriteByte('&')
		}
		text.WriteString(key)
		if value := pick(values[key]); value != "" {
			text.WriteByte('=')
			text.WriteString(value)
		}
	}
	return signedQuery{text: text.String(), values: values}
}

// signedHead is the canonical text before the path.
func signedHead(r *http.Request, query signedQuery) string {
	signed := map[string]string{}
	for key, values := range r.Header {
		if lower := strings.ToLower(key); strings.HasPrefix(lower, "x-odps-") {
			signed[lower] = strings.Join(values, ",")
		}
	}
	for key, values := range query.values {
		if strings.HasPrefix(key, "x-odps-") {
			signed[key] = last(values)
		}
	}
	keys := make([]string, 0, len(signed))
	for key := range signed {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var head strings.Builder
	for _, line := range []string{r.Method, r.Header.Get("Content-MD5"), r.Header.Get("Content-Type"), r.Header.Get("Date")} {
		head.WriteString(line)
		head.WriteByte('\n')
	}
	for _, key := range keys {
		head.WriteString(key)
		head.WriteByte(':')
		head.WriteString(signed[key])
		head.WriteByte('\n')
	}
	return head.String()
}
