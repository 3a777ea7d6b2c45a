package emulator_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/aliyun-odps-go-sdk/odps"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/account"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/restclient"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/tunnel"

	"github.com/sluice-io/sluice/emulator"
)

// as is the Go SDK with an account of its own.
func as(s *emulator.Server, a account.Account) *odps.Odps {
	c := odps.NewOdps(a, s.Endpoint())
	c.SetDefaultProjectName("p1")
	return c
}

// wantCode checks what the Go SDK was refused with; an empty code means not at all.
func wantCode(t *testing.T, name string, err error, status int, code string) {
	t.Helper()
	var e restclient.HttpError
	switch {
	case code == "" && err != nil:
		t.Errorf("%s: %v, want no error", name, err)
	case code != "" && (!errors.As(err, &e) || e.StatusCode != status || e.ErrorMessage == nil || e.ErrorMessage.ErrorCode != code || e.RequestId == ""):
		t.Errorf("%s: %v, want %d %s with a request id", name, err, status, code)
	}
}

func TestGoSDK_accounts(t *testing.T) {
	s := start(t, emulator.Options{
		AccessID: "ak", AccessKey: "sk",
		Accounts: []emulator.Account{
			{AccessID: "second", AccessKey: "key"},
			{AccessID: "temp", AccessKey: "tk", Token: "session"},
			{AccessID: "past", AccessKey: "pk", Token: "old", Expires: time.Now()},
		},
		BearerTokens: []emulator.BearerToken{{Token: "open sesame"}, {Token: "over", Expires: time.Now()}},
	})
	must(t, client(s).Tables().Create(schema(t, "t"), false, nil, nil))
	tests := []struct {
		name    string
		account account.Account
		status  int
		code    string
	}{
		{"second account", account.NewAliyunAccount("second", "key"), 0, ""},
		{"second account with a region", account.NewAliyunAccount("second", "key", "cn-hangzhou"), 0, ""},
		{"keys of two accounts", account.NewAliyunAccount("second", "sk"), 401, "SignatureNotMatch"},
		{"unknown id", account.NewAliyunAccount("who", "sk"), 401, "Unauthorized"},
		{"sts", account.NewStsAccount("temp", "tk", "session"), 0, ""},
		{"sts with a region", account.NewStsAccount("temp", "tk", "session", "cn-hangzhou"), 0, ""},
		{"sts without token", account.NewAliyunAccount("temp", "tk"), 401, "Unauthorized"},
		{"sts with another token", account.NewStsAccount("temp", "tk", "x"), 401, "Unauthorized"},
		{"sts with another key", account.NewStsAccount("temp", "x", "session"), 401, "SignatureNotMatch"},
		{"sts, expired", account.NewStsAccount("past", "pk", "old"), 403, "AuthenticationRequestExpired"},
		{"bearer", account.NewBearerTokenAccount("open sesame"), 0, ""},
		{"bearer, unknown", account.NewBearerTokenAccount("open"), 401, "Unauthorized"},
		{"bearer, expired", account.NewBearerTokenAccount("over"), 403, "AuthenticationRequestExpired"},
		{"application", account.NewAppAccount("second", "key"), 0, ""},
		{"application with another key", account.NewAppAccount("second", "x"), 401, "SignatureNotMatch"},
	}
	for _, tt := range tests {
		c := as(s, tt.account)
		_, err := c.Project("p1").GetTunnelEndpoint()
		wantCode(t, tt.name, err, tt.status, tt.code)
		_, err = tunnel.NewTunnel(c, "http://"+s.Addr()).CreateUploadSession("p1", "t", tunnel.SessionCfg.WithPartitionKey("pt=a,hh=1"), tunnel.SessionCfg.WithCreatePartition())
		wantCode(t, tt.name+" at the tunnel", err, tt.status, tt.code)
		if tt.code == "" {
			i, err := c.ExecSQl("show tables")
			must(t, err)
			must(t, i.WaitForSuccess())
		}
	}
}

// A token that one client was issued lets another in, until its end and also after a restart.
func TestGoSDK_issued_token(t *testing.T) {
	now := time.Now()
	opt := emulator.Options{DataDir: t.TempDir(), AccessID: "ak", AccessKey: "sk", Now: func() time.Time { return now }}
	first := start(t, opt)
	c := client(first)
	sm := c.Project("p1").SecurityManager()
	token, err := sm.GenerateAuthorizationToken(`{"expires_in_hours": 2, "policy": {"Version": "1", "Statement": []}}`)
	must(t, err)
	i, err := c.ExecSQl("show tables")
	must(t, err)
	if address, err := c.LogView().GenerateLogView(i, 1); err != nil || !strings.Contains(address, i.Id()) {
		t.Errorf("GenerateLogView = %q, %v, want the instance's id in it", address, err)
	}
	_, err = as(first, account.NewBearerTokenAccount(token)).Project("p1").GetTunnelEndpoint()
	wantCode(t, "issued token", err, 0, "")
	manager := as(first, account.NewBearerTokenAccount(token)).Project("p1").SecurityManager()
	_, err = manager.GenerateAuthorizationToken(`{"expires_in_hours": 2}`)
	wantCode(t, "a token from a token", err, 403, "NoPermission")
	for _, body := range []string{`{"expires_in_hours": 0}`, `{"expires_in_hours": -1}`, `{"expires_in_hours": 1e9}`, `{"expires_in_hours": "x"}`, `[]`, `{`, ``} {
		_, err = sm.GenerateAuthorizationToken(body)
		wantCode(t, "token for "+body, err, 400, "InvalidArgument")
	}
	must(t, first.Close())
	second := start(t, opt)
	_, err = as(second, account.NewBearerTokenAccount(token)).Project("p1").GetTunnelEndpoint()
	wantCode(t, "issued token after a restart", err, 0, "")
	now = now.Add(2*time.Hour + time.Second)
	_, err = as(second, account.NewBearerTokenAccount(token)).Project("p1").GetTunnelEndpoint()
	wantCode(t, "issued token at its end", err, 403, "AuthenticationRequestExpired")
}

func TestHTTP_tunnel_refuses_as_the_tunnel_does(t *testing.T) {
	s := start(t, emulator.Options{AccessID: "ak", AccessKey: "sk"})
	status, _, body := raw(t, s, "POST", "/projects/p/tables/t?uploads", "")
	var tunnelError struct{ Code, Message, RequestID string }
	if err := json.Unmarshal([]byte(body), &tunnelError); err != nil || !strings.Contains(status, "401") || tunnelError.Code != "AuthorizationRequired" {
		t.Errorf("tunnel without a signature = %s %s, want 401 AuthorizationRequired in JSON", status, body)
	}
	status, _, body = raw(t, s, "GET", "/api/projects/p", "")
	var restError struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
	}
	if err := xml.Unmarshal([]byte(body), &restError); err != nil || !strings.Contains(status, "401") || restError.Code != "AuthorizationRequired" {
		t.Errorf("REST without a signature = %s %s, want 401 AuthorizationRequired in XML", status, body)
	}
}

func TestHTTP_security_queries(t *testing.T) {
	s := start(t, emulator.Options{})
	for body, want := range map[string]string{
		"<Authorization><Query>whoami</Query><ResponseInJsonFormat>true</ResponseInJsonFormat></Authorization>": "200 {\"DisplayName\":\"ALIYUN$local\",\"ID\":\"1\"}",
		"<Authorization><Query> WhoAmI ;</Query></Authorization>":                                               "200 Name: ALIYUN$local",
		"<Authorization><Query>grant all to x</Query></Authorization>":                                          "400 InvalidParameter",
		"<Authorization/>": "400 InvalidParameter",
		"<Other/>":         "400 InvalidArgument",
		"no xml":           "400 InvalidArgument",
	} {
		status, _, answer := raw(t, s, http.MethodPost, "/api/projects/p/authorization", body)
		var got struct{ Result, Code string }
		must(t, xml.Unmarshal([]byte(answer), &got))
		if text := strings.Fields(status)[1] + " " + got.Result + got.Code; text != want {
			t.Errorf("%s = %s, want %s", body, text, want)
		}
	}
	if status, _, _ := raw(t, s, http.MethodGet, "/api/projects/p/authorization", ""); !strings.Contains(status, "405") {
		t.Errorf("GET authorization = %s, want 405", status)
	}
}

func TestNew_refuses_accounts_that_cannot_work(t *testing.T) {
	for name, opt := range map[string]emulator.Options{
		"no id":              {Accounts: []emulator.Account{{AccessKey: "k"}}},
		"no key":             {AccessID: "a"},
		"an id with a slash": {Accounts: []emulator.Account{{AccessID: "a/b", AccessKey: "k"}}},
		"an empty token":     {BearerTokens: []emulator.BearerToken{{}}},
	} {
		if s, err := emulator.New(opt); err == nil {
			t.Errorf("New with %s: want an error", name)
			must(t, s.Close())
		}
	}
}
