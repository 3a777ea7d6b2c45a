package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-io/sluice/emulator"
)

// credentials reads who may send requests.
func (f *emulatorFlags) credentials(options *emulator.Options) error {
	if f.anonymous {
		if len(f.accounts)+len(f.tokens) > 0 {
			return errors.New("--anonymous checks nothing: --account and --bearer-token have no meaning beside it")
		}
		return nil
	}
	options.AccessID, options.AccessKey = localAccessID, localAccessKey
	for _, text := range f.accounts {
		parts := strings.SplitN(text, ":", 4)
		if len(parts) < 2 { // the text holds secrets: it is not shown
			return errors.New("--account is ID:KEY, ID:KEY:TOKEN or ID:KEY:TOKEN:END")
		}
		account := emulator.Account{AccessID: parts[0], AccessKey: parts[1]}
		if len(parts) > 2 {
			account.Token = parts[2]
		}
		if len(parts) > 3 {
			end, err := time.Parse(time.RFC3339, parts[3])
			if err != nil {
				return fmt.Errorf("--account %s: the end is no RFC 3339 time: %w", account.AccessID, err)
			}
			account.Expires = end
		}
		options.Accounts = append(options.Accounts, account)
	}
	for _, text := range f.tokens {
		token, until, timed := strings.Cut(text, "@")
		bearer := emulator.BearerToken{Token: token}
		if timed {
			end, err := time.Parse(time.RFC3339, until)
			if err != nil {
				return fmt.Errorf("--bearer-token: the end is no RFC 3339 time: %w", err)
			}
			bearer.Expires = end
		}
		options.BearerTokens = append(options.BearerTokens, bearer)
	}
	return nil
}
