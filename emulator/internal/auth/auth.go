// Package auth checks the signatures of MaxCompute requests.
//
// Clients sign a canonical text of the request (method, three headers, all x-odps-
// headers, path, parameters) with HMAC-SHA1. Version 2 uses the access key itself,
// version 4 a key derived from it, the date and the region:
//
//	V2  Authorization: ODPS <id>:<signature>
//	V4  Authorization: ODPS <id>/<yyyymmdd>/<region>/odps/<corporation>_v4_request:<signature>
//
// The path is signed relative to the endpoint that the client was given, which the server
// does not know: a signature may be over the full path or over the path without its mount
// prefix. Clients also disagree about how often a query is unescaped. The Verifier
// accepts every form that a known client signs.
//
// The package knows one pair of keys and no permissions: whoever signs may do everything.
package auth

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // The protocol's signatures are HMAC-SHA1.
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// DefaultMaxSkew is how far a request's Date may lie from the server's clock, the 15
// minutes that the cloud's services allow.
const DefaultMaxSkew = 15 * time.Minute

// Error is a request that is refused. Status and Code go to the client as they are.
type Error struct {
	Status  int
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Verifier checks requests against one pair of keys. Safe for concurrent use.
type Verifier struct {
	AccessID  string
	AccessKey string
	// Mounts are the path prefixes at which the server offers its routes, "/api" for
	// example; a client's endpoint may or may not include one.
	Mounts []string
	// Now is the server's clock.
	Now func() time.Time
	// MaxSkew bounds the distance of the Date header from Now; 0 means DefaultMaxSkew.
	MaxSkew time.Duration
}

// credential is a parsed Authorization header.
type credential struct {
	accessID    string
	signature   []byte
	v4          bool
	date        string // yyyymmdd
	region      string
	corporation string
}

// Check returns nil for a request signed with the verifier's keys, else an *Error.
func (v *Verifier) Check(r *http.Request) error {
	header := r.Header.Get("Authorization")
	if header == "" {
		return &Error{http.StatusUnauthorized, "AuthorizationRequired", "the request carries no Authorization header"}
	}
	c, err := parse(header)
	if err != nil {
		return err
	}
	if c.accessID != v.AccessID {
		return &Error{http.StatusUnauthorized, "Unauthorized", "the access id " + c.accessID + " is not known here"}
	}
	date, err := v.checkDate(r.Header.Get("Date"))
	if err != nil {
		return err
	}
	key := []byte(v.AccessKey)
	if c.v4 {
		if key, err = v.derive(c, date); err != nil {
			return err
		}
	}
	for _, text := range v.candidates(r) {
		if hmac.Equal(c.signature, sum(key, text)) {
			return nil
		}
	}
	return &Error{http.StatusUnauthorized, "SignatureNotMatch", "the signature does not match the request and the access key"}
}

// parse reads an Authorization header of either version.
func parse(header string) (credential, error) {
	malformed := func(why string) (credential, error) {
		return credential{}, &Error{http.StatusUnauthorized, "Unauthorized", "the Authorization header is malformed: " + why}
	}
	rest, ok := strings.CutPrefix(header, "ODPS ")
	if !ok {
		return malformed("the scheme is not ODPS")
	}
	colon := strings.LastIndexByte(rest, ':')
	if colon <= 0 {
		return malformed("it holds no signature")
	}
	signature, err := base64.StdEncoding.DecodeString(rest[colon+1:])
	if err != nil {
		return malformed("the signature is not base64")
	}
	c := credential{accessID: rest[:colon], signature: signature}
	parts := strings.Split(c.accessID, "/")
	if len(parts) == 1 {
		return c, nil
	}
	if len(parts) != 5 || parts[3] != "odps" {
		return malformed("the credential is not id/date/region/odps/request")
	}
	corporation, ok := strings.CutSuffix(parts[4], "_v4_request")
	if !ok || corporation == "" {
		return malformed("the credential does not end in _v4_request")
	}
	c.accessID, c.date, c.region = parts[0], parts[1], parts[2]
	c.v4, c.corporation = true, corporation
	return c, nil
}

// checkDate reads the Date header and compares it with the clock.
func (v *Verifier) checkDate(header string) (time.Time, error) {
	if header == "" {
		return time.Time{}, &Error{http.StatusUnauthorized, "Unauthorized", "the request carries no Date header"}
	}
	date, err := http.ParseTime(header)
	if err != nil {
		return time.Time{}, &Error{http.StatusUnauthorized, "Unauthorized", fmt.Sprintf("the Date header %q is no date", header)}
	}
	allowed := v.MaxSkew
	if allowed == 0 {
		allowed = DefaultMaxSkew
	}
	if skew := v.Now().Sub(date).Abs(); skew > allowed {
		return time.Time{}, &Error{
			http.StatusForbidden, "RequestTimeTooSkewed",
			fmt.Sprintf("the Date header is %s away from the server's clock, %s is allowed", skew.Round(time.Second), allowed),
		}
	}
	return date, nil
}

// derive computes the signing key of version 4. The credential's day may differ from the
// Date header's by one, at midnight.
func (v *Verifier) derive(c credential, date time.Time) ([]byte, error) {
	day, err := time.Parse("20060102", c.date)
	if err != nil || day.Sub(date).Abs() > 48*time.Hour {
		return nil, &Error{http.StatusForbidden, "RequestTimeTooSkewed", "the day " + c.date + " of the credential is not the day of the Date header"}
	}
	key := []byte(c.corporation + "_v4" + v.AccessKey)
	for _, step := range []string{c.date, c.region, "odps", c.corporation + "_v4_request"} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(step))
		key = mac.Sum(nil)
	}
	return key, nil
}

func sum(key []byte, text string) []byte {
	mac := hmac.New(sha1.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// candidates are the texts that a client may have signed for r.
func (v *Verifier) candidates(r *http.Request) []string {
	paths := []string{r.URL.Path}
	for _, mount := range v.Mounts {
		if rest, ok := strings.CutPrefix(r.URL.Path, mount); ok && mount != "" {
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
