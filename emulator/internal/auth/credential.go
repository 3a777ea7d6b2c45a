package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// credential is a parsed Authorization header.
type credential struct {
	accessID    string
	signature   []byte
	v4          bool
	date        string // yyyymmdd
	region      string
	corporation string
}

const dayForm = "20060102"

// parse reads an Authorization header of either version.
func parse(header string) (credential, error) {
	malformed := func(why string) (credential, error) {
		return credential{}, refuse("the Authorization header is malformed: %s", why)
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
	if !isRegion(parts[2]) {
		return malformed("the credential's region is not made of letters, digits, - and _")
	}
	if _, err := time.Parse(dayForm, parts[1]); err != nil {
		return malformed("the credential's date is no day yyyymmdd")
	}
	c.accessID, c.date, c.region = parts[0], parts[1], parts[2]
	c.v4, c.corporation = true, corporation
	return c, nil
}

func isRegion(text string) bool {
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// derive computes the signing key of version 4. The credential's day may differ from the
// Date header's by one, at midnight.
func (c credential) derive(accessKey string, date time.Time) ([]byte, error) {
	day, err := time.Parse(dayForm, c.date)
	if err != nil || day.Sub(date.UTC().Truncate(24*time.Hour)).Abs() > 24*time.Hour {
		return nil, &Error{http.StatusForbidden, codeSkewed, "the day " + c.date + " of the credential is not the day of the Date header"}
	}
	key := []byte(c.corporation + "_v4" + accessKey)
	for _, step := range []string{c.date, c.region, "odps", c.corporation + "_v4_request"} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(step))
		key = mac.Sum(nil)
	}
	return key, nil
}

func encode(signature []byte) string { return base64.StdEncoding.EncodeToString(signature) }
