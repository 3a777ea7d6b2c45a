package read

import (
	"time"

	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
)

// RowsRequest is one ReadRows call. Exactly one of Token and Spec is set.
type RowsRequest struct {
	Token    string
	Spec     *Spec            // a session just for this call; its plan may only be a slice
	Ranges   []table.RowRange // read in this order; empty = all rows (or the slice of Spec's plan)
	SkipRows int64            // of the concatenated ranges
	RowLimit int64            // rows this call sends at most, counted after SkipRows; 0 = no limit
	Options  batch.OutOptions
}

// Sink receives what a ReadRows sends, from one goroutine at a time. A sink that blocks slows the read of the tunnel.
type Sink interface {
	// Opened comes first, once.
	Opened(*Opened) error
	// Send takes over m.Out (Release included).
	Send(m *Message) error
}

// Opened is the first answer of ReadRows.
type Opened struct {
	Session     *Session
	Rows        int64 // rows this call will send
	Columns     []table.Column
	ArrowSchema []byte // encapsulated IPC Schema message, only for Arrow
}

// Message is one answer with rows, or a sign of life without.
type Message struct {
	FirstRow       int64      // row number of the snapshot
	NextSkipRows   int64      // SkipRows of a call that continues after this message
	PartitionIndex int        // into Session.Partitions
	Out            *batch.Out // nil: a sign of life
	Wait           *Wait      // what a sign of life waits for, nil when nothing is known
}

// Wait says why rows do not come.
type Wait struct {
	Reason  WaitReason
	Waited  time.Duration
	Message string
}

// WaitReason is who holds a read up; the numbers are those of sluice.v1.WaitHolder.
type WaitReason int32

// The holders a read can meet.
const (
	WaitBackendThrottle WaitReason = 4
	WaitBackendDown     WaitReason = 5
)
