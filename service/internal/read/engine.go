package read

import (
	"context"
	"time"

	"github.com/sluice-io/sluice/service/internal/table"
)

// Config is what an Engine needs.
type Config struct {
	Backend Backend
	// Key signs session tokens (HMAC-SHA256). At least 32 bytes, the same in all replicas; another key makes every
	// token handed out before SESSION_EXPIRED.
	Key []byte
	// Now is the clock of snapshots and expiry; nil = time.Now.
	Now func() time.Time
	// SessionTTL is how long an upstream download session lives; 0 = 24 h (MaxCompute's).
	SessionTTL time.Duration
	// SignOfLife is the longest silence of a waiting ReadRows; 0 = 15 s.
	SignOfLife time.Duration
	// MaxMessageBytes is the server's own limit of one message; 0 = 16 MiB.
	MaxMessageBytes int
	// MaxPartitions of one session; 0 = 1,000. MaxRanges of one call; 0 = 1,024.
	MaxPartitions, MaxRanges int
	// LazyPartitions is how many partitions a session opens at once; sessions over more open theirs at the first read.
	// 0 = 256.
	LazyPartitions int
	// Tries is how often one row position is asked for before a read ends with retry=resume; 0 = 5.
	Tries int
	// Backoff is the wait before try n (from 1 = the first repeat); nil = 0.2 s doubling to 5 s.
	Backoff func(n int) time.Duration
}

// Engine serves reads. Safe for concurrent use; it keeps nothing but a small cache of lazily opened downloads.
type Engine struct {
	cfg Config
}

// New checks the configuration.
func New(cfg Config) (*Engine, error) { panic("being written") }

// CreateSession fixes a snapshot and plans it. A key is answered with UNSUPPORTED (feature session_key is not offered).
func (e *Engine) CreateSession(ctx context.Context, spec Spec, key string) (*Session, []Stream, error) {
	panic("being written")
}

// GetSession describes a token; with a plan it also cuts streams.
func (e *Engine) GetSession(ctx context.Context, token string, plan *Plan) (*Session, []Stream, error) {
	panic("being written")
}

// Split cuts the given ranges (empty = all rows) anew.
func (e *Engine) Split(ctx context.Context, token string, ranges []table.RowRange, plan *Plan) ([]Stream, error) {
	panic("being written")
}

// Table tells which table a token reads, for the check of the caller's rights. SESSION_EXPIRED for a token that this
// key did not sign; an expired one still names its table.
func (e *Engine) Table(token string) (table.Name, error) { panic("being written") }

// Rows sends the rows asked for, in order, and returns nil only when all of them were taken by sink.
func (e *Engine) Rows(ctx context.Context, req RowsRequest, sink Sink) error { panic("being written") }
