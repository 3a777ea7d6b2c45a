package auth

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/aliyun-odps-go-sdk/odps/account"
)

var goldenDate = time.Date(2026, 11, 20, 17, 52, 49, 0, time.UTC)

func verifier(now time.Time) *Verifier {
	return &Verifier{Accounts: []Account{{AccessID: "ak", AccessKey: "sk"}}, Mounts: []string{"/api"}, Now: func() time.Time { return now }}
}

func request(method, target string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// lookup and block are the golden requests of the protocol notes, section 2.2.
func lookup(target, signature string) *http.Request {
	return request("GET", target,
		"Date", "Fri, 20 Nov 2026 17:52:49 GMT",
		"x-odps-user-agent", "odps-go-sdk/0.4.x Go/1.26.8 (linux; amd64)",
		"Authorization", "ODPS ak:"+signature)
}

func block() *http.Request {
	return request("PUT", "/projects/p1/tables/t1?blockid=0&partition=pt%3Da&uploadid=U1",
		"Date", "Fri, 20 Nov 2026 17:52:49 GMT",
		"Content-Type", "application/octet-stream",
		"x-odps-tunnel-version", "5",
		"x-odps-user-agent", "odps-go-sdk/0.4.x Go/1.26.8 (linux; amd64)",
		"Authorization", "ODPS ak:HwX+4d5hGFTW/+SXswOycaV7Gyg=")
}

func otherMethod(r *http.Request) *http.Request {
	r.Method = "DELETE"
	return r
}

func otherHeader(r *http.Request) *http.Request {
	r.Header.Set("x-odps-user-agent", "another")
	return r
}

const goldenHeader = "Fri, 20 Nov 2026 17:52:49 GMT"

const lookupSignature = "txzAzf0pj3SwqlCpCipUiz9ijiE="

func TestCheck_accepts_golden_signatures(t *testing.T) {
	for name, r := range map[string]*http.Request{
		"mount prefix not signed": lookup("/api/projects/p1/tunnel?curr_project=p1&service=", lookupSignature),
		"endpoint at the root":    lookup("/projects/p1/tunnel?service&curr_project=p1", lookupSignature),
		"block put":               block(),
	} {
		if _, err := verifier(goldenDate).Check(r); err != nil {
			t.Errorf("%s: Check = %v, want nil", name, err)
		}
	}
}

// Signatures of version 4 and of an application, computed with Python's hmac from the protocol's formula.
func TestCheck_accepts_golden_signatures_of_other_forms(t *testing.T) {
	target := "/api/projects/p1/tunnel?curr_project=p1&service="
	v := verifier(goldenDate)
	v.Accounts = append(v.Accounts, Account{AccessID: "app", AccessKey: "appkey"})
	for name, headers := range map[string][2]string{
		"version 4":                        {"ODPS ak/20261120/cn-shanghai/odps/aliyun_v4_request:wHdOeGq51SyfFKuxoqAO+RClPSs="},
		"version 4 of another corporation": {"ODPS ak/20261120/eu_1/odps/acme_v4_request:630v0UXws2nZExFjwux4fDK/AY4="},
		"application":                      {"ODPS ak:" + lookupSignature, "account_provider:aliyun,signature_method:hmac-sha1,access_id:app,signature:ahXUQxyWK6XdeuSAvsaYriyvg+8="},
	} {
		r := lookup(target, "")
		r.Header.Set("Authorization", headers[0])
		if headers[1] != "" {
			r.Header.Set("application-authentication", headers[1])
		}
		if _, err := v.Check(r); err != nil {
			t.Errorf("%s: Check = %v, want nil", name, err)
		}
		r.Header.Set("Authorization", strings.Replace(headers[0], "/eu_1/", "/eu_2/", 1))
		r.Header.Set("x-odps-user-agent", "another")
		if _, err := v.Check(r); err == nil {
			t.Errorf("%s of another request: Check = nil, want an error", name)
		}
	}
}

func TestCheck_refuses(t *testing.T) {
	target := "/api/projects/p1/tunnel?curr_project=p1&service="
	without := func(header string) *http.Request {
		r := lookup(target, lookupSignature)
		r.Header.Del(header)
		return r
	}
	with := func(authorization string) *http.Request {
		r := lookup(target, "")
		r.Header.Set("Authorization", authorization)
		return r
	}
	tests := map[string]struct {
		request *http.Request
		now     time.Time
		status  int
		code    string
	}{
		"no authorization":    {without("Authorization"), goldenDate, 401, "AuthorizationRequired"},
		"no date":             {without("Date"), goldenDate, 401, "Unauthorized"},
		"signed header gone":  {without("x-odps-user-agent"), goldenDate, 401, "SignatureNotMatch"},
		"another parameter":   {lookup(target+"&x=1", lookupSignature), goldenDate, 401, "SignatureNotMatch"},
		"another path":        {lookup("/api/projects/p2/tunnel?curr_project=p1&service=", lookupSignature), goldenDate, 401, "SignatureNotMatch"},
		"another id":          {with("ODPS xx:" + lookupSignature), goldenDate, 401, "Unauthorized"},
		"another scheme":      {with("Basic abc"), goldenDate, 401, "Unauthorized"},
		"no signature":        {with("ODPS ak"), goldenDate, 401, "Unauthorized"},
		"signature no base64": {with("ODPS ak:***"), goldenDate, 401, "Unauthorized"},
		"credential of three": {with("ODPS ak/20261120/r:" + lookupSignature), goldenDate, 401, "Unauthorized"},
		"v4 of another day":   {with("ODPS ak/20261101/r/odps/aliyun_v4_request:" + lookupSignature), goldenDate, 403, "RequestTimeTooSkewed"},
		"v4 without region":   {with("ODPS ak/20261120//odps/aliyun_v4_request:" + lookupSignature), goldenDate, 401, "Unauthorized"},
		"v4 odd region":       {with("ODPS ak/20261120/a b/odps/aliyun_v4_request:" + lookupSignature), goldenDate, 401, "Unauthorized"},
		"v4 no day":           {with("ODPS ak/20261340/r/odps/aliyun_v4_request:" + lookupSignature), goldenDate, 401, "Unauthorized"},
		"v4 of another form":  {with("ODPS ak/20261120/r/odps/aliyun_v5_request:" + lookupSignature), goldenDate, 401, "Unauthorized"},
		"date is no date":     {request("GET", target, "Date", "yesterday", "Authorization", "ODPS ak:"+lookupSignature), goldenDate, 401, "Unauthorized"},
		"another method":      {otherMethod(lookup(target, lookupSignature)), goldenDate, 401, "SignatureNotMatch"},
		"another header":      {otherHeader(lookup(target, lookupSignature)), goldenDate, 401, "SignatureNotMatch"},
		"one header more":     {request("GET", target, "Date", goldenHeader, "x-odps-user-agent", "odps-go-sdk/0.4.x Go/1.26.8 (linux; amd64)", "x-odps-x", "1", "Authorization", "ODPS ak:"+lookupSignature), goldenDate, 401, "SignatureNotMatch"},
		"another body sum":    {request("GET", target, "Content-MD5", "00", "Date", goldenHeader, "x-odps-user-agent", "odps-go-sdk/0.4.x Go/1.26.8 (linux; amd64)", "Authorization", "ODPS ak:"+lookupSignature), goldenDate, 401, "SignatureNotMatch"},
		"parameter changed":   {lookup("/api/projects/p1/tunnel?curr_project=p2&service=", lookupSignature), goldenDate, 401, "SignatureNotMatch"},
		"parameter gone":      {lookup("/api/projects/p1/tunnel?service=", lookupSignature), goldenDate, 401, "SignatureNotMatch"},
		"date too old":        {lookup(target, lookupSignature), goldenDate.Add(16 * time.Minute), 403, "RequestTimeTooSkewed"},
		"date too new":        {lookup(target, lookupSignature), goldenDate.Add(-16 * time.Minute), 403, "RequestTimeTooSkewed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := verifier(tt.now).Check(tt.request)
			var e *Error
			if !errors.As(err, &e) || e.Status != tt.status || e.Code != tt.code {
				t.Errorf("Check = %v, want %d %s", err, tt.status, tt.code)
			}
		})
	}
}

// TestCheck_agrees_with_the_go_sdk signs with the real SDK, both versions, and proves that
// the right key passes and a wrong one fails.
func TestCheck_agrees_with_the_go_sdk(t *testing.T) {
	now := time.Now() // the SDK's version 4 reads the clock itself
	sign := func(key string, region ...string) *http.Request {
		t.Helper()
		r := request("POST", "http://h/api/projects/p/tables/t?partition=pt%3D%E4%B8%AD+x&uploads=", "Date", now.UTC().Format(http.TimeFormat),
			"Content-Type", "application/xml", "Content-MD5", "0123", "x-odps-b", "2", "X-Odps-A", "1")
		if err := account.NewAliyunAccount("ak", key, region...).SignRequest(r, "http://h/api"); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, region := range map[string][]string{"v2": nil, "v4": {"cn-shanghai"}} {
		if _, err := verifier(now).Check(sign("sk", region...)); err != nil {
			t.Errorf("%s: Check = %v, want nil", name, err)
		}
		_, err := verifier(now).Check(sign("other", region...))
		if err == nil || !strings.Contains(err.Error(), "SignatureNotMatch") {
			t.Errorf("%s with a wrong key: Check = %v, want SignatureNotMatch", name, err)
		}
	}
}
