package write

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/flow"
	"github.com/sluice-io/sluice/service/internal/retry"
	"github.com/sluice-io/sluice/service/internal/table"
)

// Limits are the numbers of the write path. Zero fields take the default in brackets.
type Limits struct {
	GatherBytes   int64         // rows gathered before a block opens [8 MiB]
	BlockBytes    int64         // a block closes at this size [64 MiB]
	BlockIdle     time.Duration // an open block without rows closes after this [30 s]
	BlockAge      time.Duration // rows of a RESUME slice leave at the latest after this [60 s]
	AgePerSlice   time.Duration // … but not more often than open slices × this [4.3 s = 24 h / 20,000 ids]
	ReplayDefault int64         // window of a client that names none [128 MiB]
	ReplayLeast   int64         // smaller windows are raised to it [16 MiB]
	ReplayMost    int64         // larger ones are BAD_ARGUMENT [1 GiB]
	PutSlots      int           // PUTs open at once [64]
	MaxBlocks     BlockID       // ids of a session; the last one is the probe's [20,000]
	MaxOutputs    int           // outputs of a run [256]
	MaxSlices     int32         // slices of an output [9,500]
	SessionLife   time.Duration // life of an upload session [24 h]
	SessionMargin time.Duration // no opens so long before its end [10 min]

	LeaseDefault, LeaseLeast, LeaseMost time.Duration // [60 s, 10 s, 1 h]
	RunDefault, RunLeast, RunMost       time.Duration // run_ttl [10 min, 1 min, 24 h]

	Retention  time.Duration // ended runs, and runs never opened, are forgotten after this [7 days]
	SweepEvery time.Duration // how often runs are looked at [30 s]

	// UnfencedWait is how long a commit waits before it lists the blocks, when the backend ignores block versions and
	// the fate of a dead block is unknown [300 s, the tunnel's upper idle cut].
	UnfencedWait time.Duration

	PutRetry    retry.Policy // repetition of a block that never outgrew its gathered bytes [200 ms … 5 s, 5 tries]
	CallRetry   retry.Policy // repetition of other calls of the backend [100 ms … 5 s, 6 tries]
	CommitRetry retry.Policy // rounds of a commit before it is left to the sweeper [100 ms … 5 s, 12 tries]
}

func orElse[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (l Limits) withDefaults() Limits {
	const mib = 1 << 20
	orElse(&l.GatherBytes, 8*mib)
	orElse(&l.BlockBytes, 64*mib)
	orElse(&l.BlockIdle, 30*time.Second)
	orElse(&l.BlockAge, time.Minute)
	orElse(&l.AgePerSlice, 4300*time.Millisecond)
	orElse(&l.ReplayDefault, 128*mib)
	orElse(&l.ReplayLeast, 16*mib)
	orElse(&l.ReplayMost, 1024*mib)
	orElse(&l.PutSlots, 64)
	orElse(&l.MaxBlocks, 20_000)
	orElse(&l.MaxOutputs, 256)
	orElse(&l.MaxSlices, 9500)
	orElse(&l.SessionLife, 24*time.Hour)
	orElse(&l.SessionMargin, 10*time.Minute)
	orElse(&l.LeaseDefault, time.Minute)
	orElse(&l.LeaseLeast, 10*time.Second)
	orElse(&l.LeaseMost, time.Hour)
	orElse(&l.RunDefault, 10*time.Minute)
	orElse(&l.RunLeast, time.Minute)
	orElse(&l.RunMost, 24*time.Hour)
	orElse(&l.Retention, 7*24*time.Hour)
	orElse(&l.SweepEvery, 30*time.Second)
	orElse(&l.UnfencedWait, 300*time.Second)
	orElse(&l.PutRetry, retry.Policy{First: 200 * time.Millisecond, Max: 5 * time.Second, Tries: 5})
	orElse(&l.CallRetry, retry.Policy{First: 100 * time.Millisecond, Max: 5 * time.Second, Tries: 6})
	orElse(&l.CommitRetry, retry.Policy{First: 100 * time.Millisecond, Max: 5 * time.Second, Tries: 12})
	return l
}

// Config is what an Engine is made of.
type Config struct {
	Ledger  Ledger
	Backend Backend
	Budget  *flow.Budget     // gathered bytes of all slices; nil = 512 MiB
	Logger  *slog.Logger     // nil = none
	Now     func() time.Time // nil = time.Now; used for what people see and for the lives of runs, never for fencing
	Replica string           // this process, in hold records
	Limits  Limits
	// Predefined says which outputs an implicit run may write; nil = all.
	Predefined func(table.Ref) bool
	// AllowUnfenced lets the engine work on a deployment that ignores block versions, whose zombies can then not be
	// fenced surely. Off, such a deployment is refused with UNSUPPORTED.
	AllowUnfenced bool
}

// rules switches single rules of design.md 3 off, so that tests can show that each of them is needed. The zero value,
// the only one in production, has all of them on.
type rules struct {
	buryListedOnly     bool // H1: tombstones only for what the list shows
	fenceByAttempt     bool // H2: the term is not compared
	ignoreContiguity   bool // H2: a record need not begin at durable_through
	ignoreRunState     bool // H3: slice transactions do not look at the run
	abortAnytime       bool // H6: AbortRun and expiry also from COMMITTING
	refusalIsFailure   bool // H6: any failed commit POST counts as refused for good
	unknownIsFailure   bool // H7: an unknown ledger outcome is taken for a failure
	resumeIsReopen     bool // H8: the same worker's open always discards
	ignoreTry          bool // H13: delayed opens are not refused
	reuseIDs           bool // H12: an id whose PUT failed gets the next bytes
	overwriteAliens    bool // H11: what the list shows and the ledger does not know is overwritten
	buryCurrentTerm    bool // H12: ids of the current term are buried before COMMITTING
	expiryDiscards     bool // H15: an expired lease discards the rows
	tombstoneAsData    bool // tombstones have the version of data
	skipListCheck      bool // the commit does not compare the list with the ledger
	freeLockEarly      bool // the output is free before its commit is settled
	leaseRunsWhileBusy bool // H17: the lease clock runs while the server owes an answer
	expireWithoutDoor  bool // H14: expiry does not look again once the run is CLOSING
}

// Engine is the write path of one replica. Its methods are safe for concurrent use. Run must be running: it keeps
// leases and blocks in time, carries commits on after a crash, and waits for everything the engine started.
type Engine struct {
	cfg   Config
	log   *slog.Logger
	rules rules
	slots *flow.Slots
	wheel *wheel

	fence       fenceProbe
	outputLocks keyedMutex // one per output: serialises reservations and session making within this process

	mu       sync.Mutex
	closed   bool                       // no new work; guarded by mu
	work     sync.WaitGroup             // Add only under mu while !closed
	holds    map[sliceKey]*Writer       // the newest hold known here; guarded by mu
	lives    map[RunID]*runLife         // runs that have not ended; guarded by mu
	reusable []BlockID                  // rules.reuseIDs only; guarded by mu
	forgot   time.Time                  // when old runs were looked for last; guarded by mu
	sweeping bool                       // guarded by mu
	drives   map[RunID]*drive           // commits and aborts under way here; guarded by mu
	burying  map[string]bool            // outputs whose dead blocks are being buried; guarded by mu
	cancels  map[int]context.CancelFunc // of what runs in the background; guarded by mu
	started  int                        // key of the next of them; guarded by mu
}

// runLife is what this process knows of a run beyond the ledger.
type runLife struct {
	lastSign time.Time     // guarded by Engine.mu
	changed  chan struct{} // closed and replaced when the run may have moved; guarded by Engine.mu
	wait     *Wait         // guarded by Engine.mu
	err      error         // last failure of its commit, while not settled; guarded by Engine.mu
}

// New makes an engine. It does nothing until Run.
func New(cfg Config) *Engine {
	if cfg.Budget == nil {
		cfg.Budget = flow.NewBudget(512 << 20)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Limits = cfg.Limits.withDefaults()
	return &Engine{
		cfg: cfg, log: cfg.Logger, slots: flow.NewSlots(cfg.Limits.PutSlots), wheel: newWheel(),
		holds: map[sliceKey]*Writer{}, lives: map[RunID]*runLife{}, drives: map[RunID]*drive{}, burying: map[string]bool{}, cancels: map[int]context.CancelFunc{},
	}
}

// Run works until ctx ends, then ends all open slices with DRAINING, stops what it started and waits for it. It takes
// up what an earlier process left: every held slice gets a fresh lease, and commits go on.
func (e *Engine) Run(ctx context.Context) error {
	defer e.stop()
	if err := e.adopt(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("take up the ledger: %w", err)
	}
	sweep := time.NewTicker(e.cfg.Limits.SweepEvery)
	defer sweep.Stop()
	e.startSweep(ctx)
	for {
		due := e.wheel.timer()
		select {
		case <-ctx.Done():
			return nil
		case <-e.wheel.sooner:
		case <-due:
			for _, w := range e.wheel.take(time.Now()) {
				w.tick(ctx)
			}
		case <-sweep.C:
			e.startSweep(ctx)
		}
	}
}

// stop refuses new work, cuts what runs and waits for it.
func (e *Engine) stop() {
	e.mu.Lock()
	e.closed = true
	holds := make([]*Writer, 0, len(e.holds))
	for _, w := range e.holds {
		holds = append(holds, w)
	}
	for _, cancel := range e.cancels {
		cancel()
	}
	e.mu.Unlock()
	for _, w := range holds {
		w.fail(apierr.New(apierr.Draining, "this replica shuts down").OnStream())
	}
	e.work.Wait()
	e.wheel.stop()
}

// background runs f in a goroutine that outlives the caller's context, keeps its values, and ends with the engine.
func (e *Engine) background(ctx context.Context, f func(context.Context)) bool {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		cancel()
		return false
	}
	id := e.started
	e.started++
	e.cancels[id] = cancel
	e.work.Go(func() {
		defer func() {
			cancel()
			e.mu.Lock()
			defer e.mu.Unlock()
			delete(e.cancels, id)
		}()
		f(ctx)
	})
	return true
}

// adopt reads what the ledger holds: runs that have not ended, and holders, who get a fresh lease.
func (e *Engine) adopt(ctx context.Context) error {
	runs, err := list[runRecord](ctx, e, "run/")
	if err != nil {
		return err
	}
	for _, r := range runs {
		if r.v.State.Ended() && !r.v.Unclean && r.v.State != RunPartiallyCommitted {
			continue
		}
		e.touch(r.v.ID)
		holds, err := list[holdRecord](ctx, e, prefixHolds(r.v.ID))
		if err != nil {
			return err
		}
		for _, h := range holds {
			key, err := parseSliceKey(h.key)
			if err != nil {
				return err
			}
			e.ghost(key, h.v.Term, r.v.LeaseTTL, r.v.Implicit)
		}
	}
	return nil
}

// touch notes a sign of life of a run.
func (e *Engine) touch(id RunID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.lives[id]
	if l == nil {
		l = &runLife{changed: make(chan struct{})}
		e.lives[id] = l
	}
	l.lastSign = e.cfg.Now()
}

// moved wakes those who wait for the run.
func (e *Engine) moved(id RunID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.lives[id]; l != nil {
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

func (e *Engine) draining() error {
	return apierr.New(apierr.Draining, "this replica shuts down")
}

// call repeats a call of the backend that is safe to repeat.
func (e *Engine) call(ctx context.Context, what string, f func(context.Context) error) error {
	if err := e.cfg.Limits.CallRetry.Do(ctx, f); err != nil {
		return backendError(err, what)
	}
	return nil
}

// backendError makes any failure of the backend one of ours, for callers.
func backendError(err error, what string) error {
	var e *apierr.Error
	if errors.As(err, &e) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return apierr.Wrap(err, apierr.BackendUnavailable, "%s: the backend did not answer", what)
}

// keyedMutex is a mutex per name; names cost nothing while nobody holds them.
type keyedMutex struct {
	mu  sync.Mutex
	all map[string]*keyedLock // guarded by mu
}

type keyedLock struct {
	sem   chan struct{} // capacity 1: held while full
	users int           // guarded by keyedMutex.mu
}

// lock waits for the name or the context; the returned function unlocks.
func (k *keyedMutex) lock(ctx context.Context, name string) (func(), error) {
	k.mu.Lock()
	if k.all == nil {
		k.all = map[string]*keyedLock{}
	}
	l := k.all[name]
	if l == nil {
		l = &keyedLock{sem: make(chan struct{}, 1)}
		k.all[name] = l
	}
	l.users++
	k.mu.Unlock()
	leave := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(k.all, name)
		}
	}
	select {
	case l.sem <- struct{}{}:
		return func() { <-l.sem; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
