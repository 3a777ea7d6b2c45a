package main

import (
	"strings"
	"testing"

	"github.com/sluice-io/sluice/conformance/clients/go/canon/canontest"
	"github.com/sluice-io/sluice/emulator"
)

// cannot lists what this SDK cannot do, by form; docs/endpoint.md 6 has the reasons.
func cannot(form, kind string) bool {
	if form == "arrow" {
		return strings.Contains(kind, "map<") || kind == "interval_day_time" || kind == "decimal" || kind == "timestamp_ntz" // far years
	}
	return kind == "interval_day_time" || form == "instance" && (kind == "decimal" || kind == "timestamp_ntz") // 38 digits, far years: docs/endpoint.md 5
}

func TestAdapter_gives_back_what_it_wrote(t *testing.T) {
	a := adapter
	if !emulator.SQLBuilt {
		a.ReadForms = []string{"record", "arrow"} // SELECT needs DuckDB
	}
	canontest.Run(t, a, func(*testing.T, string) {}, cannot)
}
