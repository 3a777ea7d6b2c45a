package writetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
)

// Outcome is what becomes of one call.
type Outcome uint8

// Outcomes. Fly leaves a PUT, tombstone or POST in flight and answers with an error; Land lets it arrive.
const (
	OK         Outcome = iota
	FailBefore         // an error, and no effect
	FailAfter          // the effect, and an error
	NotSent            // write.ErrNotSent, no effect
	Refuse             // write.ErrRefused, no effect
	Fly                // an error; the effect comes when the test says so, or never
)

// Ops of the backend that change something, or could.
const (
	OpTable  = "table"
	OpCreate = "create"
	OpLoad   = "load"
	OpOpen   = "open"
	OpWrite  = "write"
	OpPut    = "put" // the end of a block's PUT
	OpBury   = "tombstone"
	OpPost   = "post"
)

// Call is one call of the backend.
type Call struct {
	Op     string
	Upload string
	Block  write.BlockID
	N      int // how many calls of this Op came before
}

// ErrInjected is the cause of every injected failure.
var ErrInjected = errors.New("injected failure")

// Backend is a tunnel in memory. Its exported fields are set before use. It is safe for concurrent use.
type Backend struct {
	// IgnoreVersions makes the last PUT of a block win, whatever its version.
	IgnoreVersions bool
	// ClosingLoads is how many loads after a commit still say "closing".
	ClosingLoads int

	mu       sync.Mutex
	fault    func(Call) Outcome        // guarded by mu
	tables   map[table.Name]*fakeTable // guarded by mu
	sessions map[string]*session       // guarded by mu
	flights  []func()                  // guarded by mu
	calls    map[string]int            // guarded by mu
	open     int                       // PUTs neither closed nor aborted; guarded by mu
	maxOpen  int                       // guarded by mu
}

type fakeTable struct {
	info  table.Info
	parts map[string][]string // rows by partition; "" for an unpartitioned table
}

type session struct {
	spec    write.UploadSpec
	status  write.UploadStatus
	blocks  map[write.BlockID]stored
	created time.Time
	loads   int
	gone    bool
}

type stored struct {
	version int64
	rows    int64
	tags    []string
}

// NewBackend makes a tunnel with the given tables.
func NewBackend(tables ...table.Info) *Backend {
	b := &Backend{tables: map[table.Name]*fakeTable{}, sessions: map[string]*session{}, calls: map[string]int{}}
	for _, info := range tables {
		t := &fakeTable{info: info, parts: map[string][]string{}}
		if len(info.Schema.PartitionColumns) == 0 {
			t.parts[""] = nil
		}
		b.tables[info.Name] = t
	}
	return b
}

// Table makes a managed table of one BIGINT column, with partition columns of STRING.
func Table(name string, partitionColumns ...string) table.Info {
	info := table.Info{Name: table.NewName("p", "", name), Kind: table.Managed}
	info.Schema.Columns = []table.Column{{Name: "id", Type: table.Type{Kind: table.KindBigint}}}
	for _, c := range partitionColumns {
		info.Schema.PartitionColumns = append(info.Schema.PartitionColumns, table.Column{Name: c, Type: table.Type{Kind: table.KindString}})
	}
	return info
}

// SetFault has f decide about each call from now on; nil = OK always. f may block, and may use the Backend.
func (b *Backend) SetFault(f func(Call) Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = f
}

// SetRows replaces what a table or partition shows, as if somebody else had written it.
func (b *Backend) SetRows(ref table.Ref, tags ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tables[ref.Name].parts[ref.Partition.String()] = slices.Clone(tags)
}

// Alter changes a table's schema.
func (b *Backend) Alter(name table.Name, change func(*table.Info)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.tables[name].info)
}

// Rows is what a reader sees, sorted. A missing partition is nil.
func (b *Backend) Rows(ref table.Ref) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(slices.Values(b.tables[ref.Name].parts[ref.Partition.String()]))
}

// HasPartition says whether the partition exists.
func (b *Backend) HasPartition(ref table.Ref) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.tables[ref.Name].parts[ref.Partition.String()]
	return ok
}

// Calls is how many calls of an op there were.
func (b *Backend) Calls(op string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[op]
}

// OpenPuts is how many PUTs are open now, and were at most.
func (b *Backend) OpenPuts() (now, most int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open, b.maxOpen
}

// Sessions gives the ids of all sessions, oldest first.
func (b *Backend) Sessions() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := make([]string, 0, len(b.sessions))
	for id := range b.sessions {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// EditSession lets a test change a session behind everybody's back: its status, whether it is gone, a block (rows < 0
// removes it).
func (b *Backend) EditSession(id string, status write.UploadStatus, gone bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sessions[id].status, b.sessions[id].gone = status, gone
}

// PlantBlock stores a block that nobody sent; a nil tags removes it.
func (b *Backend) PlantBlock(id string, block write.BlockID, tags []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if tags == nil {
		delete(b.sessions[id].blocks, block)
		return
	}
	b.sessions[id].blocks[block] = stored{version: write.DataVersion, rows: int64(len(tags)), tags: tags}
}

// Block tells rows and version of a stored block; ok is false if there is none.
func (b *Backend) Block(id string, block write.BlockID) (rows, version int64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.sessions[id].blocks[block]
	return s.rows, s.version, ok
}

// Land lets everything in flight arrive, oldest first, and says how much that was.
func (b *Backend) Land() int {
	b.mu.Lock()
	flights := b.flights
	b.flights = nil
	b.mu.Unlock()
	for _, arrive := range flights {
		arrive()
	}
	return len(flights)
}

// do carries out a call: ask Fault, then have the effect or not. effect runs under mu.
func (b *Backend) do(c Call, effect func() error) error {
	b.mu.Lock()
	c.N = b.calls[c.Op]
	b.calls[c.Op]++
	fault := b.fault
	b.mu.Unlock()
	outcome := OK
	if fault != nil {
		outcome = fault(c)
	}
	act := func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		return effect()
	}
	switch outcome {
	case OK:
		return act()
	case FailAfter:
		if err := act(); err != nil {
			return err
		}
	case Refuse:
		return fmt.Errorf("%s: %w: %w", c.Op, write.ErrRefused, ErrInjected)
	case NotSent:
		return fmt.Errorf("%s: %w: %w", c.Op, write.ErrNotSent, ErrInjected)
	case Fly:
		b.mu.Lock()
		b.flights = append(b.flights, func() { _ = act() }) // nobody is left to hear of its failure
		b.mu.Unlock()
	}
	return apierr.Wrap(ErrInjected, apierr.BackendUnavailable, "%s", c.Op)
}

// Table implements write.Backend.
func (b *Backend) Table(_ context.Context, name table.Name) (info *table.Info, err error) {
	err = b.do(Call{Op: OpTable}, func() error {
		t := b.tables[name]
		if t == nil {
			return apierr.New(apierr.TableNotFound, "no table %s", name)
		}
		i := t.info
		info = &i
		return nil
	})
	return info, err
}

// PartitionExists implements write.Backend.
func (b *Backend) PartitionExists(_ context.Context, ref table.Ref) (bool, error) {
	return b.HasPartition(ref), nil
}

// CreateUpload implements write.Backend.
func (b *Backend) CreateUpload(_ context.Context, spec write.UploadSpec) (up *write.Upload, err error) {
	err = b.do(Call{Op: OpCreate}, func() error {
		t := b.tables[spec.Output.Name]
		part := spec.Output.Partition.String()
		if _, ok := t.parts[part]; !ok {
			if !spec.CreatePartition {
				return apierr.New(apierr.PartitionNotFound, "no partition %s", part)
			}
			t.parts[part] = nil
		}
		id := fmt.Sprintf("up%04d", len(b.sessions))
		b.sessions[id] = &session{spec: spec, status: write.UploadNormal, blocks: map[write.BlockID]stored{}, created: time.Now()}
		up = b.upload(id)
		return nil
	})
	return up, err
}

// upload describes a session; mu is held.
func (b *Backend) upload(id string) *write.Upload {
	s := b.sessions[id]
	u := &write.Upload{ID: id, Status: s.status, Created: s.created, Schema: b.tables[s.spec.Output.Name].info.Schema}
	if s.status == write.UploadClosed && s.loads < b.ClosingLoads {
		u.Status = write.UploadClosing
	}
	for id, bl := range s.blocks {
		u.Blocks = append(u.Blocks, write.UploadedBlock{ID: id, Rows: bl.rows, Version: bl.version})
	}
	return u
}

// Upload implements write.Backend.
func (b *Backend) Upload(_ context.Context, _ table.Ref, id string) (up *write.Upload, err error) {
	err = b.do(Call{Op: OpLoad, Upload: id}, func() error {
		s := b.sessions[id]
		if s == nil || s.gone {
			return apierr.New(apierr.SessionExpired, "no session %s", id)
		}
		up = b.upload(id)
		if s.status == write.UploadClosed {
			s.loads++
		}
		return nil
	})
	return up, err
}

// put stores a block; mu is held.
func (b *Backend) put(t write.BlockTarget, tags []string) error {
	s := b.sessions[t.UploadID]
	if s == nil || s.gone || s.status != write.UploadNormal {
		return apierr.New(apierr.SessionExpired, "session %s takes no blocks", t.UploadID)
	}
	if old, ok := s.blocks[t.Block]; ok && old.version > t.Version && !b.IgnoreVersions {
		return nil // a higher version is there: the PUT is acknowledged and has no effect
	}
	s.blocks[t.Block] = stored{version: t.Version, rows: int64(len(tags)), tags: tags}
	return nil
}

// Tombstone implements write.Backend.
func (b *Backend) Tombstone(_ context.Context, t write.BlockTarget) error {
	return b.do(Call{Op: OpBury, Upload: t.UploadID, Block: t.Block}, func() error { return b.put(t, nil) })
}

// CommitUpload implements write.Backend.
func (b *Backend) CommitUpload(_ context.Context, _ table.Ref, id string) error {
	return b.do(Call{Op: OpPost, Upload: id}, func() error {
		s := b.sessions[id]
		switch {
		case s == nil || s.gone:
			return apierr.New(apierr.SessionExpired, "no session %s", id)
		case s.status == write.UploadExpired || s.status == write.UploadCanceled || s.status == write.UploadCritical:
			return fmt.Errorf("session %s: %w", id, write.ErrRefused)
		case s.status != write.UploadNormal:
			return nil // committed before
		}
		s.status = write.UploadClosed
		var rows []string
		for _, bl := range s.blocks {
			rows = append(rows, bl.tags...)
		}
		parts, part := b.tables[s.spec.Output.Name].parts, s.spec.Output.Partition.String()
		if !s.spec.Overwrite {
			rows = append(rows, parts[part]...)
		}
		parts[part] = rows
		return nil
	})
}

// OpenBlock implements write.Backend.
func (b *Backend) OpenBlock(ctx context.Context, t write.BlockTarget) (write.BlockWriter, error) {
	p := &put{b: b, target: t, done: ctx.Done()}
	err := b.do(Call{Op: OpOpen, Upload: t.UploadID, Block: t.Block}, func() error { return nil })
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open++
	b.maxOpen = max(b.maxOpen, b.open)
	return p, nil
}

// put is one open PUT.
type put struct {
	b      *Backend
	target write.BlockTarget
	done   <-chan struct{}

	mu    sync.Mutex
	tags  []string // guarded by mu
	ended bool     // guarded by mu
}

// Write implements write.BlockWriter.
func (p *put) Write(c *batch.Checked) error {
	defer c.Release()
	if c.Form != p.target.Form {
		return fmt.Errorf("a %s batch in a %s block", c.Form, p.target.Form)
	}
	var text strings.Builder
	for _, piece := range c.Body.Pieces() {
		text.Write(piece)
	}
	return p.b.do(Call{Op: OpWrite, Upload: p.target.UploadID, Block: p.target.Block}, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.ended {
			return errors.New("write into a PUT that has ended")
		}
		p.tags = append(p.tags, strings.Fields(text.String())...)
		return nil
	})
}

// Close implements write.BlockWriter.
func (p *put) Close(ctx context.Context) (string, error) {
	if !p.end() {
		return "", fmt.Errorf("close of a PUT that has ended: %w", write.ErrNotSent)
	}
	type reply struct{ err error }
	replied := make(chan reply, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		replied <- reply{p.b.do(Call{Op: OpPut, Upload: p.target.UploadID, Block: p.target.Block}, func() error {
			return p.b.put(p.target, p.tags)
		})}
	})
	select {
	case r := <-replied:
		return "receipt", r.err
	case <-ctx.Done():
		return "", ctx.Err()
	case <-p.done:
		return "", context.Canceled
	}
}

func (p *put) end() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return false
	}
	p.ended = true
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	p.b.open--
	return true
}

// Abort implements write.BlockWriter.
func (p *put) Abort() { p.end() }

var _ write.Backend = (*Backend)(nil)
