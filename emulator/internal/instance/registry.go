package instance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/refusal"
	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

// Bounds of the instances kept in memory; results lie in files.
const (
	workers      = 2    // queries at a time; DuckDB uses every core for each
	maxQueued    = 256  // queries waiting or running
	maxInstances = 2000 // the oldest finished ones are forgotten beyond
)

// instance is the registry's record. Fields of Instance are guarded by Registry.mu.
type instance struct {
	Instance
	ctx    context.Context //nolint:containedctx // The instance's life, not a call's.
	cancel context.CancelFunc
	done   chan struct{} // closed when the state is final
	tally  *tally
}

// Registry runs submitted tasks and remembers them. Create it with New.
type Registry struct {
	exec    *executor
	log     *slog.Logger
	now     func() time.Time
	schemas bool
	slots   *semaphore.Weighted
	wg      sync.WaitGroup
	base    context.Context //nolint:containedctx // The registry's life: ends with Close, the parent of every task's.
	stop    context.CancelFunc

	mu     sync.Mutex
	byID   map[string]*instance
	byUUID map[string]*instance // key: project and uuid
	order  []*instance          // by time of submission
	queued int
	number uint64 // of the last submission
	closed bool
}

// Options configure New.
type Options struct {
	Store  *store.Store
	Engine *sql.Engine
	// Schemas says that names have three levels unless a task says otherwise.
	Schemas bool
	// Dir is an existing folder for results; files in it are removed by Close.
	Dir string
	Log *slog.Logger
	Now func() time.Time
}

// New returns an empty registry. Close ends it.
func New(opt Options) *Registry {
	base, stop := context.WithCancel(context.Background())
	return &Registry{
		exec: &executor{store: opt.Store, engine: opt.Engine, dir: opt.Dir}, log: opt.Log, now: opt.Now, schemas: opt.Schemas,
		slots: semaphore.NewWeighted(workers), base: base, stop: stop,
		byID: map[string]*instance{}, byUUID: map[string]*instance{},
	}
}

// Close cancels what runs, waits for it, and removes the results.
func (m *Registry) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.stop()
	m.wg.Wait()
	var errs []error
	for _, i := range m.order {
		if i.Result != nil {
			errs = append(errs, i.Result.remove())
		}
	}
	return errors.Join(errs...)
}

// Submit starts a task. Definitions of tables and partitions are done when it returns;
// queries go on. The error says that the task was not taken; a task that fails is an
// instance that failed.
func (m *Registry) Submit(project string, task Task) (Instance, error) {
	task.Kind = cmp.Or(task.Kind, KindSQL)
	script, parseErr := ddl.Parse(task.Query)
	i, fresh, err := m.add(project, task, parseErr == nil && isQuery(script))
	if err != nil {
		return Instance{}, err
	}
	if !fresh { // it may be running
		return m.snapshot(i), nil
	}
	switch {
	case parseErr != nil:
		m.finish(i, outcome{}, parseErr)
	case isQuery(script):
		m.wg.Go(func() { m.work(i, m.job(i, script)) })
	default:
		m.execute(i, m.job(i, script))
	}
	return m.snapshot(i), nil
}

// job is what an instance has to do.
func (m *Registry) job(i *instance, script *ddl.Script) *job {
	return &job{project: i.Project, settings: m.settings(i.Task, script), script: script, id: i.ID, tally: i.tally, kind: i.Task.Kind}
}

// isQuery tells what needs a worker from what is done at once.
func isQuery(script *ddl.Script) bool { return needsEngine(script.Statement) }

func needsEngine(statement ddl.Statement) bool {
	switch s := statement.(type) {
	case *ddl.Query, *ddl.Insert, *ddl.MultiInsert, *ddl.Update, *ddl.Delete, *ddl.Merge, *ddl.CreateView, *ddl.RebuildView, *ddl.Explain:
		return true
	case *ddl.CreateTable:
		return s.Query != nil
	case *ddl.Block:
		return slices.ContainsFunc(s.Statements, needsEngine)
	default:
		return false
	}
}

// settings joins those of the endpoint, of the submission and of the script; the later
// ones win.
func (m *Registry) settings(task Task, script *ddl.Script) map[string]string {
	out := map[string]string{"odps.namespace.schema": strconv.FormatBool(m.schemas)}
	maps.Copy(out, task.Settings)
	for _, s := range script.Settings {
		out[s.Key] = s.Value
	}
	return out
}

// add registers a task, or finds the instance of an earlier submission of it.
func (m *Registry) add(project string, task Task, query bool) (i *instance, fresh bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := project + "\x00" + task.UUID
	if old := m.byUUID[key]; old != nil && task.UUID != "" && old.Task.Query == task.Query {
		return old, false, nil
	}
	switch {
	case m.closed:
		return &instance{}, false, refusal.New(503, "ServiceUnavailable", "ODPS-0010000:the endpoint is closing")
	case query && m.queued >= maxQueued:
		return &instance{}, false, refusal.New(429, "FlowExceeded", "ODPS-0010000:%d queries are waiting already", m.queued)
	}
	i = &instance{done: make(chan struct{}), tally: &tally{}}
	i.ctx, i.cancel = context.WithCancel(m.base)
	m.number++
	i.Instance = Instance{ID: newInstanceID(m.now()), Project: project, Task: task, Started: m.now(), Number: m.number}
	if task.Interactive {
		i.ID += "_mcqa" // by which one client tells them
	}
	m.byID[i.ID] = i
	if task.UUID != "" {
		m.byUUID[key] = i
	}
	m.order = append(m.order, i)
	if query {
		m.queued++
	}
	m.forget()
	return i, true, nil
}

// newInstanceID has the service's shape: date, time, and letters.
func newInstanceID(now time.Time) string {
	return now.UTC().Format("20060102150405.000")[:14] + strings.ReplaceAll(uuid.NewString(), "-", "")[:12]
}

// forget drops the oldest finished instances beyond the bound. mu is held.
func (m *Registry) forget() {
	for n := 0; len(m.order) > maxInstances && n < len(m.order); {
		i := m.order[n]
		if !i.State.Final() {
			n++
			continue
		}
		m.order = slices.Delete(m.order, n, n+1)
		delete(m.byID, i.ID)
		delete(m.byUUID, i.Project+"\x00"+i.Task.UUID)
		if i.Result != nil {
			if err := i.Result.remove(); err != nil {
				m.log.LogAttrs(m.base, slog.LevelWarn, "remove a result", slog.String("instance", i.ID), slog.Any("err", err))
			}
		}
	}
}

// work runs one query when its turn comes.
func (m *Registry) work(i *instance, j *job) {
	defer func() {
		m.mu.Lock()
		m.queued--
		m.mu.Unlock()
	}()
	if err := m.slots.Acquire(i.ctx, 1); err != nil {
		m.finish(i, outcome{}, err)
		return
	}
	defer m.slots.Release(1)
	m.execute(i, j)
}

func (m *Registry) execute(i *instance, j *job) {
	m.mu.Lock()
	i.State = Running
	m.mu.Unlock()
	out, err := m.attempt(i, j)
	m.finish(i, out, err)
}

// attempt runs a job. A panic is a fault of this program: it fails the instance, not the
// endpoint.
func (m *Registry) attempt(i *instance, j *job) (out outcome, err error) {
	defer func() {
		if r := recover(); r != nil {
			m.log.LogAttrs(i.ctx, slog.LevelError, "a task panicked", slog.String("instance", i.ID), slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
			err = refusal.New(500, "InternalServerError", "ODPS-0010000:an internal fault of the endpoint ended the task")
		}
	}()
	return m.exec.run(i.ctx, j)
}

func (m *Registry) finish(i *instance, out outcome, err error) {
	defer m.logFailure(i)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err != nil && i.ctx.Err() != nil:
		i.State, i.Text = Cancelled, "ODPS-0123144:the task was cancelled"
	case err != nil:
		i.State, i.Text = Failed, failureText(err)
	default:
		i.State, i.Result, i.Text = Succeeded, out.result, out.text
	}
	i.Ended = m.now()
	i.cancel()
	close(i.done)
}

// logFailure writes a line for a task that failed: the requests about it are all answered with 200. The text is left
// out, as it may quote rows, unless the endpoint itself is at fault.
func (m *Registry) logFailure(i *instance) {
	s := m.snapshot(i)
	if s.State != Failed {
		return
	}
	code, text, _ := strings.Cut(s.Text, ":")
	attrs := []slog.Attr{slog.String("instance", s.ID), slog.String("project", s.Project), slog.String("code", code)}
	level := slog.LevelInfo
	if code == internalFault {
		level, attrs = slog.LevelWarn, append(attrs, slog.String("err", text))
	}
	m.log.LogAttrs(i.ctx, level, "task failed", attrs...)
}

// internalFault is the number of failures that no user can cause.
const internalFault = "ODPS-0010000"

// failureText is a failure's message with MaxCompute's number in front.
func failureText(err error) string {
	var parse *ddl.Error
	var query *sql.Error
	switch {
	case errors.As(err, &parse):
		return parse.Error()
	case errors.As(err, &query):
		return query.Error()
	case errors.Is(err, sql.ErrNotBuilt):
		return err.Error()
	default:
		return refusal.Of(err).Message
	}
}

func (m *Registry) snapshot(i *instance) Instance {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.value(i)
}

// value is an instance as it is now. mu is held.
func (m *Registry) value(i *instance) Instance {
	out := i.Instance
	out.Stats, out.seen = i.tally.snapshot(), m.now()
	return out
}

// Get returns an instance of a project.
func (m *Registry) Get(project, id string) (Instance, error) {
	i, err := m.find(project, id)
	if err != nil {
		return Instance{}, err
	}
	return m.snapshot(i), nil
}

func (m *Registry) find(project, id string) (*instance, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.byID[id]
	if i == nil || !strings.EqualFold(i.Project, project) {
		return nil, refusal.New(404, "NoSuchObject", "ODPS-0430104:instance not found - %s.%s", project, id)
	}
	return i, nil
}

// Stop cancels an instance and waits until it is over. One that is over stays as it is.
func (m *Registry) Stop(ctx context.Context, project, id string) error {
	i, err := m.find(project, id)
	if err != nil {
		return err
	}
	i.cancel()
	select {
	case <-i.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for instance %s to end: %w", id, ctx.Err())
	}
}

// Await waits until an instance is over, but not beyond ctx or patience, and returns it as
// it is then.
func (m *Registry) Await(ctx context.Context, i Instance, patience time.Duration) Instance {
	if i.State.Final() {
		return i
	}
	running, err := m.find(i.Project, i.ID)
	if err != nil { // over and forgotten
		return i
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-running.done:
	case <-ctx.Done():
	}
	return m.snapshot(running)
}

// List returns a project's instances, the newest first.
func (m *Registry) List(project string) []Instance {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Instance
	for _, i := range slices.Backward(m.order) {
		if strings.EqualFold(i.Project, project) {
			out = append(out, m.value(i))
		}
	}
	return out
}

// removeFile removes a file that may be gone already.
func removeFile(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove result: %w", err)
	}
	return nil
}
