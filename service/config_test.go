package service

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestValidateNamesEveryFaultAtOnce(t *testing.T) {
	err := Config{SigningKey: "short", StreamWindow: 1, GatherBytes: 1, PutSlots: -1}.Validate()
	if err == nil {
		t.Fatal("a configuration full of faults passed")
	}
	for _, want := range []string{"ledger path", "signing key", "stream window", "gather bytes", "put slots", "endpoint"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %q:\n%v", want, err)
		}
	}
}

func TestValidatePassesTheLeastConfiguration(t *testing.T) {
	c := Config{LedgerPath: "ledger.db", MaxCompute: MaxCompute{Endpoint: "http://127.0.0.1:1/api"}}
	if err := c.Validate(); err != nil {
		t.Errorf("Validate = %v, want nil", err)
	}
}

func TestSecretsNeverPrint(t *testing.T) {
	const secret = "hunter2-hunter2-hunter2-hunter2-hunter2"
	c := Config{SigningKey: secret, MaxCompute: MaxCompute{AccessKey: secret, STSToken: secret}}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("config", slog.Any("key", c.SigningKey), slog.Any("backend", c.backend().Credentials))
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c.MaxCompute), fmt.Sprintf("%+v", c.backend()), log.String()} {
		if strings.Contains(text, secret) {
			t.Errorf("a secret shows in %s", text)
		}
	}
}
