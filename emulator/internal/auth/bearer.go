package auth

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Tokens that the endpoint issues are base64 of
//
//	<version>,<access id>,<unix seconds of the end>,<hex HMAC-SHA256 of what stands before>
//
// under a key made of the issuer's access key: they outlive a restart, and end with the
// keys they were issued for. The end is the third field, where one client looks for it.
const tokenVersion = "sluice1"

// Issue makes a bearer token in the name of id that is good until then, or until the
// account's own end. A token cannot make another, or its end would mean nothing. The error
// is an *Error.
func (v *Verifier) Issue(id Identity, until time.Time) (string, error) {
	account := v.issuer(id.AccessID)
	if id.Bearer || account == nil {
		return "", &Error{http.StatusForbidden, "NoPermission", "ODPS-0130013:a bearer token is made for signed requests only"}
	}
	if account.over(until) {
		until = account.Expires
	}
	body := strings.Join([]string{tokenVersion, account.AccessID, strconv.FormatInt(until.Unix(), 10)}, ",")
	return base64.StdEncoding.EncodeToString([]byte(body + "," + seal(account, body))), nil
}

// issuer is the account whose key seals the tokens of an id.
func (v *Verifier) issuer(id string) *Account {
	for i := range v.Accounts {
		if v.Accounts[i].AccessID == id {
			return &v.Accounts[i]
		}
	}
	return nil
}

func seal(a *Account, body string) string {
	key := hmac.New(sha256.New, []byte(a.AccessKey+a.Token))
	key.Write([]byte("bearer token of the embedded endpoint"))
	mac := hmac.New(sha256.New, key.Sum(nil))
	mac.Write([]byte(body))
	return fmt.Sprintf("%x", mac.Sum(nil))
}

// checkBearer looks a token up among the configured ones, or checks that it was issued.
func (v *Verifier) checkBearer(token string) (Identity, error) {
	for _, b := range v.Bearers {
		if sameText(b.Token, token) {
			if !b.Expires.IsZero() && !v.Now().Before(b.Expires) {
				return Identity{}, expired("the bearer token", b.Expires)
			}
			return Identity{Bearer: true}, nil
		}
	}
	unknown := &Error{http.StatusUnauthorized, codeRefused, "the bearer token is not known here"}
	decoded, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return Identity{}, unknown
	}
	end := max(bytes.LastIndexByte(decoded, ','), 0)
	body, signature := string(decoded[:end]), strings.TrimPrefix(string(decoded[end:]), ",")
	fields := strings.Split(body, ",")
	if len(fields) != 3 || fields[0] != tokenVersion {
		return Identity{}, unknown
	}
	account := v.issuer(fields[1])
	if account == nil || !sameText(signature, seal(account, body)) {
		return Identity{}, unknown
	}
	seconds, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return Identity{}, unknown
	}
	if end := time.Unix(seconds, 0); !v.Now().Before(end) {
		return Identity{}, expired("the bearer token", end)
	}
	if account.over(v.Now()) {
		return Identity{}, expired("the access id "+account.AccessID, account.Expires)
	}
	return Identity{AccessID: account.AccessID, Bearer: true}, nil
}

type identityKey struct{}

// WithIdentity remembers in a request's context who sent it.
func WithIdentity(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// IdentityOf is who sent the request of a context; false if that was not checked.
func IdentityOf(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(Identity)
	return id, ok
}
