// Package auth checks who sent a MaxCompute request.
//
// Clients sign a canonical text of the request (method, three headers, all x-odps-
// headers, path, parameters) with HMAC-SHA1. Version 2 uses the access key itself,
// version 4 a key derived from it, the date and the region:
//
//	V2      Authorization: ODPS <id>:<signature>
//	V4      Authorization: ODPS <id>/<yyyymmdd>/<region>/odps/<corporation>_v4_request:<signature>
//	STS     one of the above, and authorization-sts-token: <token>
//	bearer  x-odps-bearer-token: <token>, and no Authorization
//	app     one of the above but bearer, and application-authentication (or
//	        sts-authentication and sts-token): a second signature, over Authorization
//
// The path is signed relative to the endpoint that the client was given, which the server
// does not know: a signature may be over the full path or over the path without its mount
// prefix. Clients also disagree about how often a query is unescaped. The Verifier
// accepts every form that a known client signs.
//
// Main types: [Verifier]; [Account], a pair of keys; [Identity], who a request is from.
// The package knows no permissions: whoever is let in may do everything.
package auth

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // The protocol's signatures are HMAC-SHA1.
	"crypto/subtle"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// DefaultMaxSkew is how far a request's Date may lie from the server's clock, the 15
// minutes that the cloud's services allow.
const DefaultMaxSkew = 15 * time.Minute

// Codes of refusals, as clients map them to their error classes.
const (
	codeRequired = "AuthorizationRequired"
	codeRefused  = "Unauthorized"
	codeMismatch = "SignatureNotMatch"
	codeSkewed   = "RequestTimeTooSkewed"
	codeExpired  = "AuthenticationRequestExpired"
)

// Error is a request that is refused. Status and Code go to the client as they are.
type Error struct {
	Status  int
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func refuse(format string, args ...any) *Error {
	return &Error{http.StatusUnauthorized, codeRefused, fmt.Sprintf(format, args...)}
}

func expired(what string, at time.Time) *Error {
	return &Error{http.StatusForbidden, codeExpired, what + " expired at " + at.UTC().Format(time.RFC3339)}
}

// Account is a pair of keys that requests may be signed with.
type Account struct {
	AccessID, AccessKey string
	// Token makes the keys temporary ones (STS): every request signed with them must carry
	// it. Empty: the keys stand alone.
	Token string
	// Expires is when the account ends; zero: never.
	Expires time.Time
}

func (a *Account) over(now time.Time) bool { return !a.Expires.IsZero() && !now.Before(a.Expires) }

// Bearer is a token that lets a request in without a signature.
type Bearer struct {
	Token string
	// Expires is when the token ends; zero: never.
	Expires time.Time
}

// Identity is who a request is from: the access id whose keys signed it, or in whose name
// its bearer token was made; empty for a configured token.
type Identity struct {
	AccessID string
	Bearer   bool // let in by a token, not by a signature
}

// Verifier checks requests against accounts and tokens. Safe for concurrent use once its
// fields are set.
type Verifier struct {
	// Accounts by whose keys requests may be signed; of several with one id the first whose
	// STS token fits counts.
	Accounts []Account
	// Bearers are accepted beside the tokens that Issue makes.
	Bearers []Bearer
	// Mounts are the path prefixes at which the server offers its routes, "/api" for
	// example; a client's endpoint may or may not include one.
	Mounts []string
	// Now is the server's clock.
	Now func() time.Time
	// MaxSkew bounds the distance of the Date header from Now; 0 means DefaultMaxSkew.
	MaxSkew time.Duration
}

// Check says who sent a request, or why it is refused: then the error is an *Error.
func (v *Verifier) Check(r *http.Request) (Identity, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		if token := r.Header.Get("x-odps-bearer-token"); token != "" {
			return v.checkBearer(token)
		}
		return Identity{}, &Error{http.StatusUnauthorized, codeRequired, "the request carries neither an Authorization nor a bearer token"}
	}
	if err := v.checkSignature(r, header); err != nil {
		return Identity{}, err
	}
	if err := v.checkApplication(r, header); err != nil {
		return Identity{}, err
	}
	c, err := parse(header)
	return Identity{AccessID: c.accessID}, err
}

func (v *Verifier) checkSignature(r *http.Request, header string) error {
	c, err := parse(header)
	if err != nil {
		return err
	}
	account, err := v.account(c.accessID, r.Header.Get("authorization-sts-token"), "authorization-sts-token")
	if err != nil {
		return err
	}
	date, err := v.checkDate(r.Header.Get("Date"))
	if err != nil {
		return err
	}
	key := []byte(account.AccessKey)
	if c.v4 {
		if key, err = c.derive(account.AccessKey, date); err != nil {
			return err
		}
	}
	for _, text := range candidates(r, v.Mounts) {
		if hmac.Equal(c.signature, sum(key, text)) {
			return nil
		}
	}
	text := "the signature does not match the request and the access key"
	if mount := firstSegment(r.URL.Path); signedBelow(r, mount, key, c.signature) {
		text = fmt.Sprintf("the client's endpoint ends in %s, which is not here: an endpoint is http://HOST:PORT%s", mount, strings.Join(v.Mounts, " or "))
	}
	return &Error{http.StatusUnauthorized, codeMismatch, text}
}

// signedBelow tells whether the key's owner signed r as one below another mount: clients leave the path of their
// endpoint out of what they sign.
func signedBelow(r *http.Request, mount string, key, signature []byte) bool {
	return slices.ContainsFunc(candidates(r, []string{mount}), func(text string) bool { return hmac.Equal(signature, sum(key, text)) })
}

func firstSegment(path string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return "/" + name
}

// account finds the keys of an id. token is the STS token that came in a header.
func (v *Verifier) account(id, token, header string) (*Account, error) {
	var found *Account
	for i := range v.Accounts {
		a := &v.Accounts[i]
		if a.AccessID != id {
			continue
		}
		if found == nil || sameText(a.Token, token) && !sameText(found.Token, token) {
			found = a
		}
	}
	switch {
	case found == nil:
		return nil, refuse("the access id %s is not known here", id)
	case found.Token != "" && token == "":
		return nil, refuse("the access id %s is a temporary one: the request lacks the header %s", id, header)
	case !sameText(found.Token, token):
		return nil, refuse("the token in the header %s is not that of the access id %s", header, id)
	case found.over(v.Now()):
		return nil, expired("the access id "+id, found.Expires)
	}
	return found, nil
}

// checkApplication checks the second signature of an application, if there is one.
func (v *Verifier) checkApplication(r *http.Request, signed string) error {
	for _, h := range []struct{ signature, token string }{
		{"application-authentication", ""}, {"sts-authentication", "sts-token"},
	} {
		text := r.Header.Get(h.signature)
		if text == "" {
			continue
		}
		fields := map[string]string{}
		for pair := range strings.SplitSeq(text, ",") {
			name, value, _ := strings.Cut(pair, ":")
			fields[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
		if method := fields["signature_method"]; method != "hmac-sha1" {
			return refuse("the header %s names the method %q, hmac-sha1 is known", h.signature, method)
		}
		account, err := v.account(fields["access_id"], r.Header.Get(h.token), h.token) // no name, no token
		if err != nil {
			return err
		}
		if !sameText(fields["signature"], encode(sum([]byte(account.AccessKey), signed))) {
			return &Error{http.StatusUnauthorized, codeMismatch, "the signature in the header " + h.signature + " does not match"}
		}
	}
	return nil
}

// checkDate reads the Date header and compares it with the clock.
func (v *Verifier) checkDate(header string) (time.Time, error) {
	if header == "" {
		return time.Time{}, refuse("the request carries no Date header")
	}
	date, err := http.ParseTime(header)
	if err != nil {
		return time.Time{}, refuse("the Date header %q is no date", header)
	}
	allowed := v.MaxSkew
	if allowed == 0 {
		allowed = DefaultMaxSkew
	}
	now := v.Now()
	if skew := now.Sub(date).Abs(); skew > allowed {
		// One client reads the three values out of the message: pairs with commas between.
		const form = "2006-01-02T15:04:05.000Z"
		return time.Time{}, &Error{
			http.StatusForbidden, codeSkewed,
			fmt.Sprintf("max_interval_date:%d,expire_date:%s,now_date:%s,reason:the Date header is %s away from the server's clock and %s is allowed",
				allowed.Milliseconds(), date.Add(allowed).UTC().Format(form), now.UTC().Format(form), skew.Round(time.Second), allowed),
		}
	}
	return date, nil
}

func sum(key []byte, text string) []byte {
	mac := hmac.New(sha1.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// sameText compares secrets in a time that tells nothing but their length.
func sameText(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
