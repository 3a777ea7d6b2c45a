package batch

import "github.com/sluice-io/sluice/service/internal/table"

// Limits bounds what a batch may hold; sizes are uncompressed bytes. Zero fields take the value of DefaultLimits.
type Limits struct {
	MaxMessageBytes int   // one message of the API
	MaxBatchRows    int   // rows of one batch
	MaxBatchBytes   int64 // one batch, decompressed
	MaxValueBytes   int   // one STRING or BINARY value
	MaxRowBytes     int   // one row
	MaxNesting      int   // levels of nested types
}

// DefaultLimits is the table of api.md section 1.
func DefaultLimits() Limits {
	return Limits{
		MaxMessageBytes: 16 << 20,
		MaxBatchRows:    262144,
		MaxBatchBytes:   64 << 20,
		MaxValueBytes:   8 << 20,
		MaxRowBytes:     15 << 20,
		MaxNesting:      table.MaxNesting,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	set := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&l.MaxMessageBytes, d.MaxMessageBytes)
	set(&l.MaxBatchRows, d.MaxBatchRows)
	set(&l.MaxValueBytes, d.MaxValueBytes)
	set(&l.MaxRowBytes, d.MaxRowBytes)
	set(&l.MaxNesting, d.MaxNesting)
	if l.MaxBatchBytes <= 0 {
		l.MaxBatchBytes = d.MaxBatchBytes
	}
	return l
}
