// Package limits holds production's limits and enforces those that count requests of a
// table: the strict mode of the embedded endpoint.
//
// [Limits] are numbers, [Production] the documented ones. A [Gate] counts:
//
//	            ┌ 500 sessions ┐
//	request ─▶  │ 500 blocks   │ per table in any 5 minutes ─▶ admitted, or ErrExceeded
//	            └ 32 commits   ┘ per table at a time
//
// Windows slide: a request is admitted if fewer than the limit were admitted in the
// window that ends with it. Refused requests do not count. Counts live in memory and
// start at nothing with the process.
package limits

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Production's limits, each with where it is said. The protocol is
// docs/maxcompute-protocol.md; the rest is MaxCompute's own manual.
const (
	sessionsPerWindow  = 500               // batch upload sessions of a table; docs/design.md 1
	blocksPerWindow    = 500               // blocks of a table; docs/design.md 1
	window             = 5 * time.Minute   // of both; docs/design.md 1
	commitsAtOnce      = 32                // of a table; docs/design.md 1
	sessionLife        = 24 * time.Hour    // protocol 10 and 11
	bodyIdle           = 120 * time.Second // without a byte; protocol 10
	blockBytes         = 100 << 30         // of one block; protocol 10
	partitionsPerTable = 60_000            // manual, "Overview of partitioned tables", limits
	partitionLevels    = 6                 // as before
)

// Limits are the numbers; zero means no limit.
type Limits struct {
	Sessions, Blocks   int           // admitted per table in a Window
	Window             time.Duration // the sliding one
	Commits            int           // of one table at a time
	SessionLife        time.Duration // of uploads, downloads, streams
	BodyIdle           time.Duration // how long a body may move no byte
	BlockBytes         int64         // of the body of one block, as it comes
	Partitions, Levels int           // of a table
}

// Production returns the documented limits with their times divided by scale, which is
// positive: at 300 a window is one second.
func Production(scale float64) Limits {
	short := func(d time.Duration) time.Duration { return max(time.Duration(float64(d)/scale), 1) }
	return Limits{
		Sessions: sessionsPerWindow, Blocks: blocksPerWindow, Window: short(window), Commits: commitsAtOnce,
		SessionLife: short(sessionLife), BodyIdle: short(bodyIdle), BlockBytes: blockBytes,
		Partitions: partitionsPerTable, Levels: partitionLevels,
	}
}

// ErrExceeded marks a request beyond a limit.
var ErrExceeded = errors.New("flow exceeded")

// Gate admits requests. Safe for concurrent use; the nil gate admits everything.
type Gate struct {
	limits Limits
	now    func() time.Time

	mu     sync.Mutex
	tables map[string]*counts // by table; guarded by mu
	swept  time.Time          // when tables without recent requests were last dropped; guarded by mu
}

type counts struct {
	sessions, blocks recent
	commits          int
}

// NewGate enforces l by the clock now.
func NewGate(l Limits, now func() time.Time) *Gate {
	return &Gate{limits: l, now: now, tables: map[string]*counts{}, swept: now()}
}

// Session admits one more upload session of a table, or is ErrExceeded.
func (g *Gate) Session(table string) error {
	if g == nil {
		return nil
	}
	return g.admit(table, "upload sessions", g.limits.Sessions, func(c *counts) *recent { return &c.sessions })
}

// Block admits one more block of a table, or is ErrExceeded.
func (g *Gate) Block(table string) error {
	if g == nil {
		return nil
	}
	return g.admit(table, "blocks", g.limits.Blocks, func(c *counts) *recent { return &c.blocks })
}

func (g *Gate) admit(table, what string, limit int, of func(*counts) *recent) error {
	if limit == 0 {
		return nil
	}
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sweep(now)
	if wait, ok := of(g.of(table)).admit(now, limit, g.limits.Window); !ok {
		return fmt.Errorf("table %s has had %d %s in %s, the next is admitted in %s: %w", table, limit, what, g.limits.Window, wait, ErrExceeded)
	}
	return nil
}

// Commit admits one more commit of a table at the same time, or is ErrExceeded. done
// ends it.
func (g *Gate) Commit(table string) (done func(), err error) {
	if g == nil || g.limits.Commits == 0 {
		return func() {}, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.of(table)
	if c.commits >= g.limits.Commits {
		return nil, fmt.Errorf("table %s: more than %d commits at the same time: %w", table, g.limits.Commits, ErrExceeded)
	}
	c.commits++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		c.commits--
	}, nil
}

// of returns a table's counts; the lock is held.
func (g *Gate) of(table string) *counts {
	c := g.tables[table]
	if c == nil {
		c = &counts{}
		g.tables[table] = c
	}
	return c
}

// sweep drops the tables of which nothing counts any more, once in a window; the lock
// is held.
func (g *Gate) sweep(now time.Time) {
	if now.Sub(g.swept) < g.limits.Window {
		return
	}
	g.swept = now
	for name, c := range g.tables {
		if c.commits == 0 && c.sessions.idle(now, g.limits.Window) && c.blocks.idle(now, g.limits.Window) {
			delete(g.tables, name)
		}
	}
}

// recent is a ring of the times of the last admissions, as many as the limit.
type recent struct {
	at   []time.Time
	next int // the oldest, once the ring is full
}

// admit notes now, or tells how long until it would be admitted. What was admitted a
// whole window ago no longer counts.
func (r *recent) admit(now time.Time, limit int, window time.Duration) (wait time.Duration, ok bool) {
	if len(r.at) < limit {
		r.at = append(r.at, now)
		return 0, true
	}
	if age := now.Sub(r.at[r.next]); age < window {
		return window - age, false
	}
	r.at[r.next] = now
	r.next = (r.next + 1) % limit
	return 0, true
}

// idle says whether everything admitted is a window old.
func (r *recent) idle(now time.Time, window time.Duration) bool {
	for _, at := range r.at {
		if now.Sub(at) < window {
			return false
		}
	}
	return true
}
