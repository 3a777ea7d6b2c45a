package read

import (
	"time"

	"github.com/sluice-io/sluice/service/internal/table"
)

// Spec says what a session reads (api.md 7, ReadSessionSpec).
type Spec struct {
	Table           table.Name
	Partition       map[string]string // the partition named in the table reference; empty = none
	Partitions      []string          // semantics.md 3.3 texts; not together with Partition
	Columns         []string          // in this order; empty = all data columns
	ExcludedColumns []string
	RowFilter       string // not supported yet: anything but blanks is UNSUPPORTED
	Plan            *Plan
}

// Session is a fixed snapshot with its columns. It is all in its Token; nothing is kept here.
type Session struct {
	Token      string // opaque, signed, at most 256 KiB
	Table      table.Name
	Columns    []table.Column // output columns in order: names, types and NOT NULL; comments are GetTable's
	Rows       int64
	Partitions []Partition
	Snapshot   time.Time // when the snapshot was fixed
	Expires    time.Time // the earliest end of its upstream sessions
}

// Partition is one partition of a session; an unpartitioned table has one with an empty Spec.
type Partition struct {
	Spec  table.Spec
	Range table.RowRange // row numbers of the snapshot
}

// Stream is a list of row ranges that one reader reads in order. It always has at least one range, so that an empty
// stream does not read like "all rows".
type Stream struct {
	Ranges []table.RowRange
	Rows   int64
}

// Plan cuts rows into streams. At most one field is set; none (or a nil *Plan) means one stream with everything.
type Plan struct {
	StreamCount   int32
	RowsPerStream int64
	Slice         *SlicePlan
	Ranks         *RankPlan
	PerPartition  bool
}

// SlicePlan is slice ID of Count, one stream.
type SlicePlan struct{ ID, Count int32 }

// RankPlan gives each of WorldSize ranks the same number of full batches.
type RankPlan struct {
	WorldSize     int32
	BatchRows     int64
	DropRemainder bool
}
