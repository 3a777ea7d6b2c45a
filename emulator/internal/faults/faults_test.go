package faults_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-io/sluice/emulator/internal/faults"
)

func effectsOf(state func() (int, string)) int {
	n, _ := state()
	return n
}

func TestActions(t *testing.T) {
	var act faults.Action
	var mu sync.Mutex // guards what follows
	var effects int
	var seen string
	state := func() (int, string) {
		mu.Lock()
		defer mu.Unlock()
		return effects, seen
	}
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		seen = string(b)
		if err != nil {
			seen += "|" + err.Error()
		}
		effects++
		_, _ = io.WriteString(w, strings.Repeat("x", 100))
	})
	srv := httptest.NewServer(faults.Wrap(next, func(*http.Request) faults.Action { return act }))
	defer srv.Close()
	do := func() (int, string, error) {
		req, err := http.NewRequest(http.MethodPut, srv.URL, strings.NewReader("0123456789"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := srv.Client().Do(req)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b), err
	}
	if code, body, err := do(); code != 200 || len(body) != 100 || err != nil || effectsOf(state) != 1 {
		t.Errorf("pass: %d, %d bytes, %v, %d effects", code, len(body), err, effectsOf(state))
	}
	act = faults.Action{Refuse: &faults.Refusal{Status: 429, Code: "SlotExceeded", Message: "wait"}}
	if code, body, err := do(); code != 429 || !strings.Contains(body, `"Code":"SlotExceeded"`) || err != nil || effectsOf(state) != 1 {
		t.Errorf("refuse: %d, %s, %v, %d effects", code, body, err, effectsOf(state))
	}
	act = faults.Action{CutRequestAt: 4}
	_, _, err := do()
	if _, got := state(); err == nil || got != "0123|unexpected EOF" {
		t.Errorf("cut request: %v, handler saw %q", err, got)
	}
	act = faults.Action{DropReply: true}
	_, _, err = do()
	if n, got := state(); err == nil || n != 3 || got != "0123456789" {
		t.Errorf("drop reply: %v, %d effects, %q", err, n, got)
	}
	act = faults.Action{CutReplyAt: 30}
	if code, body, err := do(); code != 200 || len(body) != 30 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut reply: %d, %d bytes, %v", code, len(body), err)
	}
}
