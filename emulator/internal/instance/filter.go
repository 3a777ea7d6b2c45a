package instance

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// filterPartitions says which partitions meet one of the filters, all conditions of it; nil
// if there are no filters. Integers are compared as numbers, all else as text.
func filterPartitions(t store.Table, filters []ddl.Filter) (func(types.PartitionSpec) bool, error) {
	if len(filters) == 0 {
		return nil, nil //nolint:nilnil // no condition
	}
	kinds := map[string]types.Kind{}
	for _, c := range t.PartitionColumns {
		kinds[c.Name] = c.Type.Kind
	}
	for _, f := range filters {
		for _, c := range f.Conditions {
			kind, ok := kinds[strings.ToLower(c.Column)]
			if !ok {
				return nil, semantic(f.Pos, "table %s has no partition column %s", t.Key, c.Column)
			}
			if _, err := strconv.ParseInt(c.Value, 10, 64); err != nil && isInteger(kind) {
				return nil, semantic(f.Pos, "'%s' is no value of partition column %s", c.Value, c.Column)
			}
		}
	}
	return func(spec types.PartitionSpec) bool {
		for _, f := range filters {
			if meets(spec, f.Conditions, kinds) {
				return true
			}
		}
		return false
	}, nil
}

func isInteger(k types.Kind) bool {
	return k == types.TinyInt || k == types.SmallInt || k == types.Int || k == types.BigInt
}

func meets(spec types.PartitionSpec, conditions []ddl.Condition, kinds map[string]types.Kind) bool {
	for _, c := range conditions {
		name := strings.ToLower(c.Column)
		value, _ := spec.Value(name)
		order := strings.Compare(value, c.Value)
		if isInteger(kinds[name]) {
			a, _ := strconv.ParseInt(value, 10, 64)   // checked when the partition was made
			b, _ := strconv.ParseInt(c.Value, 10, 64) // checked above
			order = cmp.Compare(a, b)
		}
		holds := map[string]bool{"=": order == 0, "!=": order != 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}
		if !holds[c.Operator] {
			return false
		}
	}
	return true
}
