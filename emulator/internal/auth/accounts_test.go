package auth

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/aliyun-odps-go-sdk/odps/account"
)

// signed is a request that one of the real SDK's accounts signed.
func signed(t *testing.T, a account.Account, now time.Time) *http.Request {
	t.Helper()
	r := request("GET", "http://h/api/projects/p/tables?name=a%20b", "Date", now.UTC().Format(http.TimeFormat), "x-odps-a", "1")
	if err := a.SignRequest(r, "http://h/api"); err != nil {
		t.Fatal(err)
	}
	return r
}

// wantRefused checks the code, empty for none.
func wantRefused(t *testing.T, name string, err error, status int, code string) {
	t.Helper()
	var e *Error
	switch {
	case code == "" && err != nil:
		t.Errorf("%s: Check = %v, want nil", name, err)
	case code != "" && (!errors.As(err, &e) || e.Code != code || e.Status != status):
		t.Errorf("%s: Check = %v, want %d %s", name, err, status, code)
	}
}

func TestCheck_takes_the_accounts_of_the_go_sdk(t *testing.T) {
	now := time.Now() // version 4 of the SDK reads the clock itself
	v := verifier(now)
	v.Accounts = append(v.Accounts,
		Account{AccessID: "temp", AccessKey: "tk", Token: "session", Expires: now.Add(time.Minute)},
		Account{AccessID: "past", AccessKey: "pk", Token: "old", Expires: now.Add(-time.Second)},
		Account{AccessID: "twice", AccessKey: "k1", Token: "t1"}, Account{AccessID: "twice", AccessKey: "k2", Token: "t2"},
		Account{AccessID: "app", AccessKey: "appkey"})
	v.Bearers = []Bearer{{Token: "for ever"}, {Token: "over", Expires: now}}
	tests := map[string]struct {
		account account.Account
		status  int
		code    string
	}{
		"plain":                     {account.NewAliyunAccount("ak", "sk"), 0, ""},
		"plain v4":                  {account.NewAliyunAccount("ak", "sk", "cn-shanghai"), 0, ""},
		"second account":            {account.NewAliyunAccount("app", "appkey"), 0, ""},
		"keys of two accounts":      {account.NewAliyunAccount("ak", "appkey"), 401, "SignatureNotMatch"},
		"unknown id":                {account.NewAliyunAccount("nobody", "sk"), 401, "Unauthorized"},
		"sts":                       {account.NewStsAccount("temp", "tk", "session"), 0, ""},
		"sts v4":                    {account.NewStsAccount("temp", "tk", "session", "cn-shanghai"), 0, ""},
		"sts, another token":        {account.NewStsAccount("temp", "tk", "other"), 401, "Unauthorized"},
		"sts, another key":          {account.NewStsAccount("temp", "sk", "session"), 401, "SignatureNotMatch"},
		"sts without its token":     {account.NewAliyunAccount("temp", "tk"), 401, "Unauthorized"},
		"sts expired":               {account.NewStsAccount("past", "pk", "old"), 403, "AuthenticationRequestExpired"},
		"first of two tokens":       {account.NewStsAccount("twice", "k1", "t1"), 0, ""},
		"second of two tokens":      {account.NewStsAccount("twice", "k2", "t2"), 0, ""},
		"token of the other":        {account.NewStsAccount("twice", "k2", "t1"), 401, "SignatureNotMatch"},
		"token for permanent keys":  {account.NewStsAccount("ak", "sk", "session"), 401, "Unauthorized"},
		"bearer":                    {account.NewBearerTokenAccount("for ever"), 0, ""},
		"bearer, unknown":           {account.NewBearerTokenAccount("what"), 401, "Unauthorized"},
		"bearer, expired":           {account.NewBearerTokenAccount("over"), 403, "AuthenticationRequestExpired"},
		"bearer, empty":             {account.NewBearerTokenAccount(""), 401, "AuthorizationRequired"},
		"application":               {account.NewAppAccount("app", "appkey"), 0, ""},
		"application, wrong key":    {account.NewAppAccount("app", "no"), 401, "SignatureNotMatch"},
		"application as sts":        {account.NewAppStsAccount("temp", "tk", "session"), 401, "Unauthorized"},
		"application as sts, plain": {account.NewAppStsAccount("app", "appkey", "session"), 401, "Unauthorized"},
	}
	for name, tt := range tests {
		_, err := v.Check(signed(t, tt.account, now))
		wantRefused(t, name, err, tt.status, tt.code)
	}
}

// The application's signature is a second one, over the user's: each is checked.
func TestCheck_looks_at_both_signatures_of_an_application(t *testing.T) {
	v := verifier(time.Now())
	v.Accounts = append(v.Accounts, Account{AccessID: "app", AccessKey: "appkey"}, Account{AccessID: "temp", AccessKey: "tk", Token: "session"})
	user := signed(t, account.NewAliyunAccount("ak", "sk"), time.Now())
	authorization := user.Header.Get("Authorization")
	header := func(id, key, method string) string {
		return "account_provider:aliyun,signature_method:" + method + ",access_id:" + id + ",signature:" +
			base64.StdEncoding.EncodeToString(sum([]byte(key), authorization))
	}
	tests := map[string]struct {
		name, value, token string
		code               string
	}{
		"right":            {"application-authentication", header("app", "appkey", "hmac-sha1"), "", ""},
		"wrong key":        {"application-authentication", header("app", "sk", "hmac-sha1"), "", "SignatureNotMatch"},
		"unknown id":       {"application-authentication", header("nobody", "appkey", "hmac-sha1"), "", "Unauthorized"},
		"another method":   {"application-authentication", header("app", "appkey", "md5"), "", "Unauthorized"},
		"nonsense":         {"application-authentication", "nonsense", "", "Unauthorized"},
		"sts":              {"sts-authentication", header("temp", "tk", "hmac-sha1"), "session", ""},
		"sts, other token": {"sts-authentication", header("temp", "tk", "hmac-sha1"), "other", "Unauthorized"},
	}
	for name, tt := range tests {
		r := user.Clone(t.Context())
		r.Header.Set(tt.name, tt.value)
		if tt.token != "" {
			r.Header.Set("sts-token", tt.token)
		}
		_, err := v.Check(r)
		wantRefused(t, name, err, 401, tt.code)
	}
}

func TestIssue_makes_tokens_that_end(t *testing.T) {
	now := time.Now()
	v := verifier(now)
	v.Now = func() time.Time { return now }
	id, err := v.Check(signed(t, account.NewAliyunAccount("ak", "sk"), now))
	if err != nil || id != (Identity{AccessID: "ak"}) {
		t.Fatalf("Check = %v, %v, want ak", id, err)
	}
	token, err := v.Issue(id, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	check := func(token string) (Identity, error) {
		return v.Check(signed(t, account.NewBearerTokenAccount(token), now))
	}
	if id, err := check(token); err != nil || id != (Identity{AccessID: "ak", Bearer: true}) {
		t.Errorf("Check of an issued token = %v, %v, want ak", id, err)
	}
	plain, _ := base64.StdEncoding.DecodeString(token)
	fields := strings.Split(string(plain), ",")
	for name, change := range map[string]func([]string){
		"later end":       func(f []string) { f[2] = "9999999999" },
		"another id":      func(f []string) { f[1] = "app" },
		"another version": func(f []string) { f[0] = "sluice2" },
		"no signature":    func(f []string) { f[3] = "" },
	} {
		changed := append([]string{}, fields...)
		change(changed)
		_, err := check(base64.StdEncoding.EncodeToString([]byte(strings.Join(changed, ","))))
		wantRefused(t, name, err, 401, "Unauthorized")
	}
	for _, bad := range []string{token[:len(token)-4], "====", "LCws", "\x00"} {
		_, err := check(bad)
		wantRefused(t, "token "+bad, err, 401, "Unauthorized")
	}
	_, err = v.Issue(Identity{AccessID: "ak", Bearer: true}, now.Add(time.Hour))
	wantRefused(t, "a token for a token", err, 403, "NoPermission")
	_, err = v.Issue(Identity{}, now.Add(time.Hour))
	wantRefused(t, "a token for nobody", err, 403, "NoPermission")

	other := verifier(now)
	other.Accounts[0].AccessKey = "changed"
	_, err = other.Check(signed(t, account.NewBearerTokenAccount(token), now))
	wantRefused(t, "after a change of the key", err, 401, "Unauthorized")

	now = now.Add(time.Hour)
	_, err = check(token)
	wantRefused(t, "an hour later", err, 403, "AuthenticationRequestExpired")
}

func TestIssue_ends_with_the_account(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	v := &Verifier{Accounts: []Account{{AccessID: "temp", AccessKey: "tk", Token: "s", Expires: now.Add(time.Minute)}}, Now: func() time.Time { return now }}
	token, err := v.Issue(Identity{AccessID: "temp"}, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(59 * time.Second)
	_, err = v.Check(signed(t, account.NewBearerTokenAccount(token), now))
	wantRefused(t, "before the end", err, 0, "")
	now = now.Add(time.Second)
	_, err = v.Check(signed(t, account.NewBearerTokenAccount(token), now))
	wantRefused(t, "at the end", err, 403, "AuthenticationRequestExpired")
}
