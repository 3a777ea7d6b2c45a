package store_test

import (
	"errors"
	"testing"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

func TestPartitionValuesFitTheirColumn(t *testing.T) {
	tests := map[string]struct {
		good, bad []string
	}{
		"tinyint":       {[]string{"-128", "127", "05"}, []string{"128", "one", "1.5", " 1"}},
		"bigint":        {[]string{"9223372036854775807"}, []string{"9223372036854775808", "0x1"}},
		"date":          {[]string{"2024-02-29", "0001-01-01"}, []string{"2023-02-29", "2024-1-2", "today"}},
		"datetime":      {[]string{"2024-02-29 23:59:59", "2024-01-02 03:04:05.678"}, []string{"today", "2023-02-29 00:00:00"}},
		"timestamp":     {[]string{"2024-02-29 23:59:59.123456789"}, []string{"today", "2023-02-29 00:00:00"}},
		"timestamp_ntz": {[]string{"2024-02-29 23:59:59"}, []string{"today"}},
		"string":        {[]string{"one", "2023-02-29"}, []string{"", "\x00"}},
	}
	for name, tt := range tests {
		typ, err := types.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		table := store.Table{PartitionColumns: []store.Column{{Name: "pt", Type: typ}}}
		for _, v := range tt.good {
			if _, err := table.Spec(types.PartitionSpec{{Column: "pt", Value: v}}, false); err != nil {
				t.Errorf("Spec(%s %q) = %v, want it taken", name, v, err)
			}
		}
		for _, v := range tt.bad {
			if _, err := table.Spec(types.PartitionSpec{{Column: "pt", Value: v}}, false); !errors.Is(err, store.ErrInvalidPartition) {
				t.Errorf("Spec(%s %q) = %v, want %v", name, v, err, store.ErrInvalidPartition)
			}
		}
	}
}
