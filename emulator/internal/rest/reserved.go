package rest

import (
	"encoding/json"
	"strconv"

	"github.com/sluice-io/sluice/emulator/internal/store"
)

// buckets of a Delta table, the service's default.
const buckets = 16

// sortColumn has each key in the spelling of every client.
type sortColumn struct {
	Col   string `json:"col"`
	Dir   string `json:"order"`
	Name  string `json:"Name"`
	Order string `json:"Order"`
}

// reservedJSON is the JSON text inside the JSON: numbers as strings but for BucketNum.
func reservedJSON(t store.Table) string {
	reserved := map[string]any{"schema_version": strconv.Itoa(t.SchemaVersion)}
	if t.Transactional {
		reserved["Transactional"] = "true"
	}
	if len(t.PrimaryKey) > 0 {
		reserved["PrimaryKey"] = t.PrimaryKey
		reserved["ClusterType"], reserved["ClusterCols"], reserved["BucketNum"] = "hash", t.PrimaryKey, bucketNum(t)
		reserved["acid.data.retain.hours"] = propertyOr(t, "acid.data.retain.hours", "24")
		reserved["acid.cdc.mode.enable"] = propertyOr(t, "acid.cdc.mode.enable", "false")
		reserved["cdc_size"], reserved["cdc_record_num"] = "-1", "-1"
	}
	if c := t.Cluster; c != nil {
		reserved["ClusterType"], reserved["ClusterCols"] = "hash", c.Columns
		if c.Range {
			reserved["ClusterType"] = "range"
		}
		sorted := []sortColumn{}
		for _, s := range c.Sorted {
			order := "asc"
			if s.Descending {
				order = "desc"
			}
			sorted = append(sorted, sortColumn{s.Column, order, s.Column, order})
		}
		reserved["SortCols"] = sorted
		if c.Buckets > 0 {
			reserved["BucketNum"] = c.Buckets
		}
	}
	text, err := json.Marshal(reserved)
	if err != nil { // strings and numbers
		panic(err)
	}
	return string(text)
}

// bucketNum is a Delta table's number of buckets.
func bucketNum(t store.Table) int {
	if n, err := strconv.Atoi(t.Properties["write.bucket.num"]); err == nil && n > 0 {
		return n
	}
	return buckets
}

func propertyOr(t store.Table, name, otherwise string) string {
	if value, ok := t.Properties[name]; ok {
		return value
	}
	return otherwise
}
