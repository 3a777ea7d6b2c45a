package demo

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sluice-io/sluice/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func contentsOf(t *testing.T, csv string) contents {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.csv")
	if err := os.WriteFile(path, []byte("a,b\n"+csv), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readCSV(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChecksumSeesWhatMatters(t *testing.T) {
	base := contentsOf(t, "1,x\n2,y\n3,\n")
	if other := contentsOf(t, "3,\n1,x\n2,y\n"); other != base {
		t.Error("the order of rows counts")
	}
	for name, csv := range map[string]string{
		"a value":           "1,x\n2,z\n3,\n",
		"a row lost":        "1,x\n2,y\n",
		"a row twice":       "1,x\n2,y\n2,y\n3,\n",
		"a row for another": "1,x\n2,y\n2,y\n",
		"moved in a row":    "1,x\n2,y\n,3\n",
		"joined":            "1x,\n2,y\n3,\n",
	} {
		if (outcome{source: base, exported: contentsOf(t, csv)}).check() == nil {
			t.Errorf("%s goes unnoticed", name)
		}
	}
}
