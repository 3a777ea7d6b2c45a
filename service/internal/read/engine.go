package read

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/retry"
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
	// MaxPartitions of one session; 0 = 1,000.
	MaxPartitions int
	// MaxRanges of one call; 0 = 1,024.
	MaxRanges int
	// LazyPartitions is how many partitions a session opens at once; sessions over more open theirs at the first read.
	// 0 = 256.
	LazyPartitions int
	// Retry says how often one row position is asked for upstream before a read ends with retry=resume, and how fast;
	// the zero value is 5 tries, 0.2 s doubling to 5 s.
	Retry retry.Policy
	// Memory holds decoded records; nil = Go's heap. Tests count with it.
	Memory memory.Allocator
}

func (c Config) withDefaults() Config {
	set := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&c.MaxMessageBytes, 16<<20)
	set(&c.MaxPartitions, 1000)
	set(&c.MaxRanges, 1024)
	set(&c.LazyPartitions, 256)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.SessionTTL <= 0 {
		c.SessionTTL = 24 * time.Hour
	}
	if c.SignOfLife <= 0 {
		c.SignOfLife = 15 * time.Second
	}
	if c.Memory == nil {
		c.Memory = memory.DefaultAllocator
	}
	if c.Retry == (retry.Policy{}) {
		c.Retry = retry.Policy{First: 200 * time.Millisecond, Max: 5 * time.Second, Tries: 5}
	}
	return c
}

// Engine serves reads. Safe for concurrent use. It keeps nothing but the upstream sessions that it opened late for
// sessions over many partitions, so that later calls with the same token find them; losing them costs an upstream
// session each, no correctness.
type Engine struct {
	cfg Config

	mu   sync.Mutex
	late map[lateKey]lateDownload // guarded by mu
}

// lateKey is a partition of one session.
type lateKey struct {
	nonce string
	part  int
}

type lateDownload struct {
	id      string
	expires time.Time
}

// maxLate bounds Engine.late: about 100 bytes each.
const maxLate = 100_000

// New checks the configuration.
func New(cfg Config) (*Engine, error) {
	if cfg.Backend == nil {
		return nil, errors.New("read: no backend")
	}
	if len(cfg.Key) < minKeyBytes {
		return nil, fmt.Errorf("read: the token key has %d bytes, want at least %d", len(cfg.Key), minKeyBytes)
	}
	return &Engine{cfg: cfg.withDefaults(), late: map[lateKey]lateDownload{}}, nil
}

// CreateSession fixes a snapshot and plans it. A session key is answered with UNSUPPORTED: the feature word session_key
// is not offered. Other errors are those of api.md 7: TABLE_NOT_FOUND, PARTITION_NOT_FOUND, BAD_PARTITION, BAD_COLUMN,
// BAD_ARGUMENT, BAD_SLICE, TYPE_UNSUPPORTED, SCHEMA_CHANGED. A repeat makes another session; nothing has to be undone.
func (e *Engine) CreateSession(ctx context.Context, spec Spec, key string) (*Session, []Stream, error) {
	if key != "" {
		return nil, nil, apierr.New(apierr.Unsupported, "this server does not offer session_key").WithViolation("session_key", "not offered")
	}
	snap, token, err := e.create(ctx, spec)
	if err != nil {
		return nil, nil, err
	}
	streams, err := spec.Plan.streams(snap.all(), snap.parts)
	if err != nil {
		return nil, nil, err
	}
	return snap.session(token), streams, nil
}

// GetSession describes a token; with a plan it also cuts streams. It asks nobody: a download session upstream has a
// fixed life, so the token returned is the one given, and whether the snapshot is really still there is found by reading.
// SESSION_EXPIRED, and what a plan can be wrong about.
func (e *Engine) GetSession(_ context.Context, token string, plan *Plan) (*Session, []Stream, error) {
	snap, err := e.open(token)
	if err != nil {
		return nil, nil, err
	}
	session := snap.session(token)
	if plan == nil {
		return session, nil, nil
	}
	streams, err := plan.streams(snap.all(), snap.parts)
	if err != nil {
		return nil, nil, err
	}
	return session, streams, nil
}

// Split cuts the given ranges (empty = all rows) anew: exactly their rows, none twice unless they overlap.
// SESSION_EXPIRED, SEEK_OUT_OF_RANGE, BAD_ARGUMENT.
func (e *Engine) Split(_ context.Context, token string, ranges []table.RowRange, plan *Plan) ([]Stream, error) {
	snap, err := e.open(token)
	if err != nil {
		return nil, err
	}
	ranges, err = e.ranges(snap, ranges)
	if err != nil {
		return nil, err
	}
	return plan.streams(ranges, snap.parts)
}

// Table tells which table a token reads, for the check of the caller's rights. SESSION_EXPIRED for a token that this
// key did not sign; an expired one still names its table.
func (e *Engine) Table(token string) (table.Name, error) {
	snap, err := open(e.cfg.Key, token)
	if err != nil {
		return table.Name{}, err
	}
	return snap.name, nil
}

// open reads a token and checks its expiry.
func (e *Engine) open(token string) (*snapshot, error) {
	snap, err := open(e.cfg.Key, token)
	if err != nil {
		return nil, err
	}
	if !e.cfg.Now().Before(snap.expires) {
		return nil, expired(nil)
	}
	return snap, nil
}

// all is the rows of the snapshot as one range.
func (s *snapshot) all() []table.RowRange { return []table.RowRange{{Start: 0, End: s.rows()}} }

// ranges checks what a client asks to read; none means all.
func (e *Engine) ranges(snap *snapshot, asked []table.RowRange) ([]table.RowRange, error) {
	if len(asked) == 0 {
		return snap.all(), nil
	}
	if len(asked) > e.cfg.MaxRanges {
		return nil, apierr.New(apierr.BadArgument, "%d ranges, %d are allowed", len(asked), e.cfg.MaxRanges).WithViolation("ranges", "too many")
	}
	total := snap.rows()
	for i, r := range asked {
		field := fmt.Sprintf("ranges[%d]", i)
		if r.Start > r.End {
			return nil, apierr.New(apierr.BadArgument, "%s ends before it starts", field).WithViolation(field, "ends before it starts")
		}
		if r.Start < 0 || r.End > total {
			return nil, outside("%s = [%d, %d) lies outside the %d rows of the session", field, r.Start, r.End, total)
		}
	}
	if _, ok := table.TotalRows(asked); !ok {
		return nil, apierr.New(apierr.BadArgument, "the ranges have too many rows").WithViolation("ranges", "too many rows")
	}
	return asked, nil
}

func outside(format string, args ...any) error {
	return apierr.New(apierr.SeekOutOfRange, format, args...)
}

// blank reports whether a text says nothing.
func blank(s string) bool { return strings.TrimSpace(s) == "" }
