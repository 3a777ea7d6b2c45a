package progress_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/sluice-io/sluice/internal/cli/progress"
)

func TestPlainLinesTellRowsRateAndTimeLeft(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	m := progress.New(&out, "import", 1000, func() time.Time { return now })
	for range 4 {
		now = now.Add(2500 * time.Millisecond)
		if err := m.Add(100); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Done(); err != nil {
		t.Fatal(err)
	}
	want := "import: 200 of 1000 rows (20%), 40 rows/s, 20s left\nimport: 400 of 1000 rows (40%), 40 rows/s, 15s left\n"
	if out.String() != want {
		t.Errorf("lines = %q, want %q", out.String(), want)
	}
}

func TestUnknownTotal(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	m := progress.New(&out, "export", -1, func() time.Time { return now })
	now = now.Add(5 * time.Second)
	if err := m.Add(10_000_000); err != nil {
		t.Fatal(err)
	}
	if want := "export: 10000000 rows, 2.0 million rows/s\n"; out.String() != want {
		t.Errorf("lines = %q, want %q", out.String(), want)
	}
}

func TestNilMeterCountsNothing(t *testing.T) {
	var m *progress.Meter
	if err := m.Add(1); err != nil {
		t.Error(err)
	}
	if err := m.Done(); err != nil {
		t.Error(err)
	}
}

func TestMoreRowsThanEstimated(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	m := progress.New(&out, "import", 100, func() time.Time { return now })
	now = now.Add(5 * time.Second)
	if err := m.Add(150); err != nil {
		t.Fatal(err)
	}
	if want := "import: 150 of 150 rows (100%), 30 rows/s, 0s left\n"; out.String() != want {
		t.Errorf("lines = %q, want %q", out.String(), want)
	}
}
