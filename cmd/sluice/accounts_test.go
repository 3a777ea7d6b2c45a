package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator"
)

func TestEmulator_credentials(t *testing.T) {
	end := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	local := emulator.Options{AccessID: "local", AccessKey: "local-secret"}
	more := local
	more.Accounts = []emulator.Account{{AccessID: "a", AccessKey: "k"}, {AccessID: "b", AccessKey: "k", Token: "t="}, {AccessID: "c", AccessKey: "k", Token: "t", Expires: end}}
	more.BearerTokens = []emulator.BearerToken{{Token: "x"}, {Token: "y", Expires: end}}
	for name, tt := range map[string]struct {
		flags emulatorFlags
		want  emulator.Options
	}{
		"nothing given": {emulatorFlags{}, local},
		"anonymous":     {emulatorFlags{anonymous: true}, emulator.Options{}},
		"all forms": {emulatorFlags{
			accounts: []string{"a:k", "b:k:t=", "c:k:t:2027-01-02T03:04:05Z"}, tokens: []string{"x", "y@2027-01-02T03:04:05Z"},
		}, more},
	} {
		var got emulator.Options
		err := tt.flags.credentials(&got)
		if diff := cmp.Diff(tt.want.Accounts, got.Accounts); err != nil || diff != "" || got.AccessID != tt.want.AccessID || got.AccessKey != tt.want.AccessKey {
			t.Errorf("%s: credentials = %v, %+v\n%s", name, err, got, diff)
		}
		if diff := cmp.Diff(tt.want.BearerTokens, got.BearerTokens); diff != "" {
			t.Errorf("%s: tokens %s", name, diff)
		}
	}
	for name, flags := range map[string]emulatorFlags{
		"no key":              {accounts: []string{"a"}},
		"an end that is none": {accounts: []string{"a:k:t:tomorrow"}},
		"a token's, too":      {tokens: []string{"x@tomorrow"}},
		"both":                {anonymous: true, accounts: []string{"a:k"}},
	} {
		if err := flags.credentials(new(emulator.Options)); err == nil {
			t.Errorf("credentials with %s: want an error", name)
		}
	}
}
