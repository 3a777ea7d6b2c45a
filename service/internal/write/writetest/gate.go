package writetest

import (
	"context"
	"errors"
	"sync"

	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
)

// ErrCrashed is what a process gets that does not exist any more.
var ErrCrashed = errors.New("the process has crashed")

// Gate stands between one engine and its backend and ledger, and can let the engine crash at any of its calls: from
// then on nothing it does has an effect, as if the process were gone.
type Gate struct {
	backend write.Backend
	ledger  write.Ledger

	mu    sync.Mutex
	dead  bool // guarded by mu
	count int  // calls so far; guarded by mu
	at    int  // the call to crash at, -1 = none; guarded by mu
	after bool // crash after its effect; guarded by mu
}

// NewGate makes an open gate.
func NewGate(b write.Backend, l write.Ledger) *Gate { return &Gate{backend: b, ledger: l, at: -1} }

// CrashAt lets the process crash at its n-th call from now, counted from 0, before or after the call's effect.
func (g *Gate) CrashAt(n int, after bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.at, g.after = g.count+n, after
}

// Crash lets it crash now.
func (g *Gate) Crash() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dead = true
}

// Crashed says that it has.
func (g *Gate) Crashed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.dead
}

// pass is one call: before says that it must not happen, after that nobody hears of it.
func (g *Gate) pass() (before, after bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead {
		return true, true
	}
	here := g.count == g.at
	g.count++
	if here {
		g.dead = true
	}
	return here && !g.after, here
}

func gated[T any](g *Gate, call func() (T, error)) (T, error) {
	var zero T
	before, after := g.pass()
	if before {
		return zero, ErrCrashed
	}
	v, err := call()
	if after {
		return zero, ErrCrashed
	}
	return v, err
}

func gatedErr(g *Gate, call func() error) error {
	_, err := gated(g, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

// Get implements write.Ledger.
func (g *Gate) Get(ctx context.Context, keys ...write.Key) ([]write.Entry, error) {
	return gated(g, func() ([]write.Entry, error) { return g.ledger.Get(ctx, keys...) })
}

// List implements write.Ledger.
func (g *Gate) List(ctx context.Context, prefix, after write.Key, limit int) ([]write.Entry, error) {
	return gated(g, func() ([]write.Entry, error) { return g.ledger.List(ctx, prefix, after, limit) })
}

// Commit implements write.Ledger.
func (g *Gate) Commit(ctx context.Context, txn write.Txn) error {
	return gatedErr(g, func() error { return g.ledger.Commit(ctx, txn) })
}

// Table implements write.Backend.
func (g *Gate) Table(ctx context.Context, n table.Name) (*table.Info, error) {
	return gated(g, func() (*table.Info, error) { return g.backend.Table(ctx, n) })
}

// PartitionExists implements write.Backend.
func (g *Gate) PartitionExists(ctx context.Context, r table.Ref) (bool, error) {
	return gated(g, func() (bool, error) { return g.backend.PartitionExists(ctx, r) })
}

// CreateUpload implements write.Backend.
func (g *Gate) CreateUpload(ctx context.Context, s write.UploadSpec) (*write.Upload, error) {
	return gated(g, func() (*write.Upload, error) { return g.backend.CreateUpload(ctx, s) })
}

// Upload implements write.Backend.
func (g *Gate) Upload(ctx context.Context, r table.Ref, id string) (*write.Upload, error) {
	return gated(g, func() (*write.Upload, error) { return g.backend.Upload(ctx, r, id) })
}

// OpenBlock implements write.Backend.
func (g *Gate) OpenBlock(ctx context.Context, t write.BlockTarget) (write.BlockWriter, error) {
	var opened write.BlockWriter
	bw, err := gated(g, func() (_ write.BlockWriter, err error) {
		opened, err = g.backend.OpenBlock(ctx, t)
		return opened, err
	})
	if err != nil {
		if opened != nil {
			opened.Abort() // the connection went with the process
		}
		return nil, err
	}
	return &gatedPut{g: g, bw: bw}, nil
}

// Tombstone implements write.Backend.
func (g *Gate) Tombstone(ctx context.Context, t write.BlockTarget) error {
	return gatedErr(g, func() error { return g.backend.Tombstone(ctx, t) })
}

// CommitUpload implements write.Backend.
func (g *Gate) CommitUpload(ctx context.Context, r table.Ref, id string) error {
	return gatedErr(g, func() error { return g.backend.CommitUpload(ctx, r, id) })
}

type gatedPut struct {
	g  *Gate
	bw write.BlockWriter
}

func (p *gatedPut) Write(c *batch.Checked) error {
	err := gatedErr(p.g, func() error {
		owned := c
		c = nil
		return p.bw.Write(owned)
	})
	if c != nil {
		c.Release()
	}
	return err
}

func (p *gatedPut) Close(ctx context.Context) (string, error) {
	receipt, err := gated(p.g, func() (string, error) { return p.bw.Close(ctx) })
	if errors.Is(err, ErrCrashed) {
		p.bw.Abort()
	}
	return receipt, err
}

func (p *gatedPut) Abort() { p.bw.Abort() }

var (
	_ write.Backend = (*Gate)(nil)
	_ write.Ledger  = (*Gate)(nil)
)
