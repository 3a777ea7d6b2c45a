package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// interruptAt ends a context when the import has been given rows and says so.
type interruptAt struct {
	bytes.Buffer
	cancel context.CancelFunc
}

func (w *interruptAt) Write(b []byte) (int, error) {
	w.cancel()
	return w.Buffer.Write(b)
}

func TestInterruptedImportLeavesNothingBusy(t *testing.T) {
	addr, _ := startDev(t)
	t.Setenv("SLUICE_ADDR", addr)
	file := numbers(t, 30_000)
	mustSluice(t, "table", "create", "stopped", "-c", "id bigint")
	for _, named := range [][]string{nil, {"--run", "stopped"}} {
		err := interrupted(t, append([]string{file, "stopped"}, named...)...)
		if err == nil || !strings.Contains(err.Error(), "nothing was committed") {
			t.Errorf("interrupted import %v: %v", named, err)
		}
		again := append([]string{"table", "import", file, "stopped", "-q"}, named...)
		if out := mustSluice(t, again...); !strings.Contains(out, "30000 rows") || !strings.Contains(out, "committed") {
			t.Errorf("import %v after the interrupt: %s", named, out)
		}
	}
}
