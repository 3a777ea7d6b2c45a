package store_test

import (
	"errors"
	"strings"
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

// A spec that does not fit is refused with what would.
func TestSpec_says_what_the_table_is_partitioned_by(t *testing.T) {
	two := store.Table{Key: store.Key{Project: "p", Schema: "default", Name: "two"}, PartitionColumns: []store.Column{{Name: "dt"}, {Name: "hh"}}}
	plain := store.Table{Key: store.Key{Project: "p", Schema: "default", Name: "plain"}}
	for _, c := range []struct {
		table store.Table
		spec  types.PartitionSpec
		want  string
	}{
		{two, nil, "table p.two is partitioned by dt, hh, the request names no partition"},
		{two, types.PartitionSpec{{Column: "dt", Value: "1"}, {Column: "h", Value: "2"}}, `table p.two is partitioned by dt, hh, the request names "dt=1/h=2"`},
		{plain, types.PartitionSpec{{Column: "dt", Value: "1"}}, `table p.plain has no partitions, the request names "dt=1"`},
	} {
		if _, err := c.table.Spec(c.spec, false); !errors.Is(err, store.ErrInvalidPartition) || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("Spec(%q) = %v, want %v, …%s", c.spec, err, store.ErrInvalidPartition, c.want)
		}
	}
}
