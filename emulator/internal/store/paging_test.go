package store_test

import (
	"strings"
	"testing"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// A page begins behind the last partition of the page before, also when that was dropped meanwhile.
func TestPartitionPagesOverDrop(t *testing.T) {
	for _, reverse := range []bool{false, true} {
		s := open(t, store.Options{})
		tab := create(t, s, "t", "id bigint", "pt string")
		for v := range strings.SplitSeq("a b c d e", " ") {
			if err := s.AddPartitions(tab.Key, []types.PartitionSpec{{{Column: "pt", Value: v}}}, false); err != nil {
				t.Fatal(err)
			}
		}
		page, next, err := s.Partitions(tab.Key, store.PartitionQuery{Limit: 3, Reverse: reverse})
		if err != nil || len(page) != 3 || next == "" {
			t.Fatalf("first page %v, next %q, %v", page, next, err)
		}
		if err := s.DropPartitions(tab.Key, []types.PartitionSpec{page[2].Spec}, nil, false); err != nil {
			t.Fatal(err)
		}
		page, next, err = s.Partitions(tab.Key, store.PartitionQuery{Limit: 3, Reverse: reverse, After: next})
		var got []string
		for _, p := range page {
			got = append(got, p.Spec[0].Value)
		}
		if want := map[bool]string{false: "d e", true: "b a"}[reverse]; err != nil || next != "" || strings.Join(got, " ") != want {
			t.Errorf("reverse %v: second page %v, next %q, %v, want %s", reverse, got, next, err, want)
		}
	}
}
