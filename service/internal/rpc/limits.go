package rpc

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/batch"
)

// Limits is the table of api.md section 1, told to clients by GetServerInfo and with every SliceOpened.
type Limits struct {
	Batch           batch.Limits
	BestMessage     int
	MaxReplayBytes  int64
	MaxSchemas      int
	MaxOutputs      int
	MaxSlices       int
	MaxPartitions   int
	MaxRanges       int
	MaxResource     int64
	MaxHandle       int64
	MaxOps          int
	MaxDocument     int
	MinLease        time.Duration
	MaxLease        time.Duration
	HandleIdle      time.Duration
	TransportMargin int // how far beyond MaxMessageBytes gRPC itself still takes a message, so that it gets a clear error
}

// DefaultLimits is the table's defaults.
func DefaultLimits() Limits {
	return Limits{
		Batch:           batch.DefaultLimits(),
		BestMessage:     256 << 10,
		MaxReplayBytes:  1 << 30,
		MaxSchemas:      64,
		MaxOutputs:      256,
		MaxSlices:       9500,
		MaxPartitions:   1000,
		MaxRanges:       1024,
		MaxResource:     2048 << 20,
		MaxHandle:       512 << 20,
		MaxOps:          64,
		MaxDocument:     1 << 20,
		MinLease:        10 * time.Second,
		MaxLease:        time.Hour,
		HandleIdle:      10 * time.Minute,
		TransportMargin: 64 << 10,
	}
}

func (l *Limits) proto() *sluicev1.Limits {
	return &sluicev1.Limits{
		MaxMessageBytes:         int32(l.Batch.MaxMessageBytes),
		BestMessageBytes:        int32(l.BestMessage),
		MaxBatchRows:            int32(l.Batch.MaxBatchRows),
		MaxBatchBytes:           l.Batch.MaxBatchBytes,
		MaxValueBytes:           int32(l.Batch.MaxValueBytes),
		MaxRowBytes:             int32(l.Batch.MaxRowBytes),
		MaxReplayBytes:          l.MaxReplayBytes,
		MaxSchemas:              int32(l.MaxSchemas),
		MaxNesting:              int32(l.Batch.MaxNesting),
		MaxOutputsPerRun:        int32(l.MaxOutputs),
		MaxSlicesPerOutput:      int32(l.MaxSlices),
		MaxPartitionsPerSession: int32(l.MaxPartitions),
		MaxRanges:               int32(l.MaxRanges),
		MaxResourceBytes:        l.MaxResource,
		MaxHandleBytes:          l.MaxHandle,
		MaxOpsInFlight:          int32(l.MaxOps),
		MaxDocumentBytes:        int32(l.MaxDocument),
		MinLeaseTtl:             durationpb.New(l.MinLease),
		MaxLeaseTtl:             durationpb.New(l.MaxLease),
		HandleIdleTtl:           durationpb.New(l.HandleIdle),
	}
}
