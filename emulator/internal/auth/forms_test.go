package auth

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/aliyun-odps-go-sdk/odps/account"
)

// Clients disagree about the text behind a path with a plus, an escaped query, a repeated
// parameter, and a parameter that looks like a header: each form is taken, and no other.
func TestCheck_takes_every_form_of_the_text_that_clients_sign(t *testing.T) {
	const path = "/api/projects/p/resources/a+b"
	for name, tt := range map[string]struct{ target, headers, text string }{
		"path as it is":                    {path, "", path},
		"path without the mount":           {path, "", "/projects/p/resources/a+b"},
		"path form-decoded":                {path, "", "/api/projects/p/resources/a b"},
		"path form-decoded, without mount": {path, "", "/projects/p/resources/a b"},
		"query decoded once":               {"/q?a=x%2525y", "", "/q?a=x%25y"},
		"query decoded twice":              {"/q?a=x%2525y", "", "/q?a=x%y"},
		"first of a repeated parameter":    {"/q?a=1&a=2", "", "/q?a=1"},
		"last of a repeated parameter":     {"/q?a=1&a=2", "", "/q?a=2"},
		"parameter among the headers":      {"/q?x-odps-b=1", "x-odps-b:1\n", "/q?x-odps-b=1"},
	} {
		signed := func(text string) *http.Request {
			signature := sum([]byte("sk"), "GET\n\n\n"+goldenHeader+"\n"+tt.headers+text)
			return request("GET", tt.target, "Date", goldenHeader, "Authorization", "ODPS ak:"+encode(signature))
		}
		if _, err := verifier(goldenDate).Check(signed(tt.text)); err != nil {
			t.Errorf("%s: Check = %v, want nil", name, err)
		}
		_, err := verifier(goldenDate).Check(signed(tt.text + "0"))
		wantRefused(t, name+", another text", err, 401, "SignatureNotMatch")
	}
}

func TestCheck_takes_no_signature_of_another_form(t *testing.T) {
	c := credential{date: "20261120", region: "r"}
	key, err := c.derive("sk", goldenDate) // of a corporation without a name
	if err != nil {
		t.Fatal(err)
	}
	noName := encode(sum(key, "GET\n\n\n"+goldenHeader+"\n/q"))
	for name, tt := range map[string]struct{ authorization, message string }{
		"scheme":                    {"Basic ak:" + lookupSignature, "the scheme is not ODPS"},
		"base64 but no signature":   {"ODPS AAAA", "it holds no signature"},
		"id of no letter":           {"ODPS :" + lookupSignature, "it holds no signature"},
		"v4 of another service":     {"ODPS ak/20261120/r/oss/aliyun_v4_request:" + lookupSignature, "the credential is not id/date/region/odps/request"},
		"v4 of a nameless one":      {"ODPS ak/20261120/r/odps/_v4_request:" + noName, "does not end in _v4_request"},
		"a token that is not there": {"ODPS temp:" + lookupSignature, "lacks the header authorization-sts-token"},
	} {
		v := verifier(goldenDate)
		v.Accounts = append(v.Accounts, Account{AccessID: "temp", AccessKey: "tk", Token: "session"})
		_, err := v.Check(request("GET", "/q", "Date", goldenHeader, "Authorization", tt.authorization))
		wantRefused(t, name, err, 401, "Unauthorized")
		if err == nil || !strings.Contains(err.Error(), tt.message) {
			t.Errorf("%s: %v, want a message with %q", name, err, tt.message)
		}
	}
}

// A Date header is good up to the allowed distance and not a second more, and that
// distance can be set.
func TestCheck_allows_a_skew_up_to_its_bound(t *testing.T) {
	for _, maxSkew := range []time.Duration{0, time.Minute} {
		allowed := maxSkew
		if allowed == 0 {
			allowed = 15 * time.Minute
		}
		for off, code := range map[time.Duration]string{
			allowed: "", -allowed: "", allowed + time.Second: "RequestTimeTooSkewed", -allowed - time.Second: "RequestTimeTooSkewed",
		} {
			v := verifier(goldenDate.Add(off))
			v.MaxSkew = maxSkew
			_, err := v.Check(block())
			wantRefused(t, "allowed "+allowed.String()+", off by "+off.String(), err, 403, code)
		}
	}
	_, err := verifier(goldenDate).Check(request("GET", "/q", "Authorization", "ODPS ak:"+lookupSignature))
	if err == nil || !strings.Contains(err.Error(), "carries no Date header") {
		t.Errorf("without a date: %v", err)
	}
}

func TestCheck_takes_the_first_account_that_fits(t *testing.T) {
	now := time.Now()
	v := &Verifier{Mounts: []string{"/api"}, Now: func() time.Time { return now }, Accounts: []Account{
		{AccessID: "id", AccessKey: "k1", Token: "t"}, {AccessID: "id", AccessKey: "k2", Token: "t"},
	}}
	_, err := v.Check(signed(t, account.NewStsAccount("id", "k1", "t"), now))
	wantRefused(t, "first", err, 0, "")
	_, err = v.Check(signed(t, account.NewStsAccount("id", "k2", "t"), now))
	wantRefused(t, "second", err, 401, "SignatureNotMatch")
}

func TestCheck_takes_a_configured_token_until_its_end(t *testing.T) {
	now := goldenDate
	v := &Verifier{Now: func() time.Time { return now }, Bearers: []Bearer{{Token: "b", Expires: now.Add(time.Second)}}}
	check := func() error {
		_, err := v.Check(request("GET", "/q", "x-odps-bearer-token", "b"))
		return err
	}
	wantRefused(t, "before its end", check(), 0, "")
	now = now.Add(time.Second)
	wantRefused(t, "at its end", check(), 403, "AuthenticationRequestExpired")
}

// goldenToken was computed with Python's hmac from the form that bearer.go tells: tokens
// outlive a restart, so the form may not change.
const goldenToken = "c2x1aWNlMSx0ZW1wLDE3OTUxOTcyMjksNjA2NWY3YmJhMTU1MmE0MmUxNzhiZTc2ODQzOGE3ZWVjYTA5ODM5MjY5ZWMwYTQ0NjYzMDY2MTI3NDFmODI0OQ=="

// The third field is where a client reads the end: that of the account, when it is nearer.
func TestIssue_writes_the_nearer_end_in_the_frozen_form(t *testing.T) {
	v := &Verifier{Now: func() time.Time { return goldenDate }, Accounts: []Account{
		{AccessID: "temp", AccessKey: "tk", Token: "s", Expires: goldenDate.Add(time.Minute)},
	}}
	for _, until := range []time.Duration{time.Minute, time.Hour} {
		token, err := v.Issue(Identity{AccessID: "temp"}, goldenDate.Add(until))
		if err != nil || token != goldenToken {
			t.Errorf("Issue for %s = %q, %v, want %q", until, token, err, goldenToken)
		}
	}
	if _, err := v.Issue(Identity{}, goldenDate); err == nil || !strings.Contains(err.Error(), "ODPS-0130013:") {
		t.Errorf("Issue for nobody: %v, want the service's number of a denial", err)
	}
}

// An account may be given a nearer end, by a restart, after it made a token.
func TestCheck_ends_an_issued_token_with_its_account(t *testing.T) {
	v := &Verifier{Now: func() time.Time { return goldenDate }, Accounts: []Account{{AccessID: "ak", AccessKey: "sk"}}}
	token, err := v.Issue(Identity{AccessID: "ak"}, goldenDate.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	v.Accounts[0].Expires = goldenDate
	_, err = v.Check(request("GET", "/q", "x-odps-bearer-token", token))
	wantRefused(t, "a token of an account that ended", err, 403, "AuthenticationRequestExpired")
}

// Whoever holds the key can seal what he likes: the form is checked behind the seal.
func TestCheck_takes_no_sealed_token_of_another_form(t *testing.T) {
	v := verifier(goldenDate)
	for _, body := range []string{"sluice2,ak,9999999999", "sluice1,ak", "sluice1,ak,9999999999,more", "sluice1,ak,soon", ""} {
		token := base64.StdEncoding.EncodeToString([]byte(body + "," + seal(&v.Accounts[0], body)))
		_, err := v.Check(request("GET", "/q", "x-odps-bearer-token", token))
		wantRefused(t, body, err, 401, "Unauthorized")
	}
}

// A client that was given http://HOST/apii signs what lies below: the refusal names the wrong end of the address.
func TestCheck_names_the_wrong_end_of_an_endpoint(t *testing.T) {
	for target, want := range map[string]string{
		"/apii/projects/p": "the client's endpoint ends in /apii, which is not here: an endpoint is http://HOST:PORT/api",
		"/api/projects/q":  "the signature does not match the request and the access key",
	} {
		signature := encode(sum([]byte("sk"), "GET\n\n\n"+goldenHeader+"\n/projects/p"))
		_, err := verifier(goldenDate).Check(request("GET", target, "Date", goldenHeader, "Authorization", "ODPS ak:"+signature))
		wantRefused(t, target, err, 401, "SignatureNotMatch")
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", target, err, want)
		}
	}
}
