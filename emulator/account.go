package emulator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/auth"
	"github.com/sluice-io/sluice/emulator/internal/refusal"
)

// anonymousToken is handed out where no token is looked at.
const anonymousToken = "anonymous"

// newVerifier checks the accounts of the options; nil if there are none.
func newVerifier(opt Options) (*auth.Verifier, error) {
	v := &auth.Verifier{Bearers: opt.BearerTokens, Mounts: []string{mount}, Now: opt.Now}
	if opt.AccessID != "" {
		v.Accounts = append(v.Accounts, auth.Account{AccessID: opt.AccessID, AccessKey: opt.AccessKey})
	}
	v.Accounts = append(v.Accounts, opt.Accounts...)
	for _, a := range v.Accounts {
		if a.AccessID == "" || a.AccessKey == "" || strings.ContainsAny(a.AccessID, ":/, \t\r\n") {
			return nil, fmt.Errorf("account %q: an access id without : / , and blanks, and a key are needed", a.AccessID)
		}
	}
	for _, b := range v.Bearers {
		if b.Token == "" {
			return nil, errors.New("a bearer token must not be empty")
		}
	}
	if len(v.Accounts) == 0 && len(v.Bearers) == 0 {
		return nil, nil
	}
	return v, nil
}

// issueToken makes a bearer token for whoever sent the request of ctx.
func (s *Server) issueToken(ctx context.Context, until time.Time) (string, error) {
	id, checked := auth.IdentityOf(ctx)
	if !checked {
		return anonymousToken, nil
	}
	token, err := s.verifier.Issue(id, until)
	return token, restError(err)
}

// restError gives an error of package auth the type that the answers are made from.
func restError(err error) error {
	if e, ok := errors.AsType[*auth.Error](err); ok {
		return &refusal.Error{Status: e.Status, Code: e.Code, Message: e.Message}
	}
	return err
}
