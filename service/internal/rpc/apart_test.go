package rpc

import (
	"strings"
	"testing"
)

func TestApartPassesPanicsOn(t *testing.T) {
	defer func() {
		err, ok := recover().(error)
		if !ok || !strings.Contains(err.Error(), "boom") || !strings.Contains(err.Error(), "apart_test.go") {
			t.Errorf("recovered %v, want the panic with its own stack", err)
		}
	}()
	apart(func() { panic("boom") })
	t.Error("the panic was lost")
}
