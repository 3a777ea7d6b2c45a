package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aliyun/aliyun-odps-go-sdk/odps"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/account"

	"github.com/sluice-io/sluice/emulator"
)

// killWork is one client's work on the endpoint. It does steps until the endpoint is killed.
type killWork interface {
	// step does the next piece of work. What it changed is sure after a success, in doubt after an error.
	step() error
	// verify checks, after the restart, that what was sure is there, and that what was in doubt is there in full or not at
	// all. It repeats what was in doubt, which must succeed and make it sure.
	verify() error
	// steps is how many were done.
	steps() int
}

// The endpoint is killed at random moments of uploads and commits, of definitions, and of resources in parts, all driven by the
// unmodified Go SDK. What was answered is there, what was not is whole or absent, a repeated call succeeds, and the checker finds no damage.
func TestFaultKillsOfTheEndpoint(t *testing.T) {
	e := startKilledEndpoint(t)
	done := [3]int{}
	for seed := range killRounds(t, 6) {
		sound := t.Run(fmt.Sprintf("seed_%d", seed), func(t *testing.T) {
			for i, n := range e.round(t, uint64(seed)) {
				done[i] += n
			}
		})
		if !sound {
			return
		}
	}
	t.Logf("%d commits, %d definitions, %d versions of a resource were answered", done[0], done[1], done[2])
	if done[0] == 0 || done[1] == 0 || done[2] == 0 {
		t.Errorf("commits, definitions, resources answered: %v, want some of each, or nothing was proven", done)
	}
}

// killedEndpoint is `sluice emulator` as a process that may be killed and started again at the same address.
type killedEndpoint struct {
	t          *testing.T
	data, addr string
	cmd        *exec.Cmd
}

func startKilledEndpoint(t *testing.T) *killedEndpoint {
	t.Helper()
	t.Setenv(beSluice, "1")
	e := &killedEndpoint{t: t, data: t.TempDir(), addr: closedAddress(t)}
	e.start()
	t.Cleanup(e.kill)
	return e
}

func (e *killedEndpoint) start() {
	e.t.Helper()
	program, err := os.Executable()
	if err != nil {
		e.t.Fatal(err)
	}
	e.cmd = exec.Command(program, "emulator", "--anonymous", "--quiet", "--listen", e.addr, "--data", e.data)
	e.cmd.Stderr = os.Stderr
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	if err := e.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "ready ") {
		e.t.Fatalf("sluice emulator said %q, %v", line, err)
	}
}

// kill is SIGKILL, and waits for the process to be gone.
func (e *killedEndpoint) kill() {
	e.t.Helper()
	if e.cmd == nil {
		return
	}
	if err := e.cmd.Process.Kill(); err != nil {
		e.t.Errorf("kill: %v", err)
	}
	_ = e.cmd.Wait() // says "killed"
	e.cmd = nil
}

func (e *killedEndpoint) client() *odps.Odps {
	c := odps.NewOdps(account.NewAliyunAccount("any", "any"), "http://"+e.addr+"/api")
	c.SetDefaultProjectName("p")
	return c
}

// round kills the endpoint once and returns how many steps each kind of work had done until then.
func (e *killedEndpoint) round(t *testing.T, seed uint64) (done [3]int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 42))
	works := [3]killWork{newKilledRows(e, seed), newKilledTable(e, seed), newKilledResource(e, seed)}
	stopped := make([]error, len(works))
	var killed atomic.Bool // the SDK repeats a commit by itself: a step may find the endpoint again and succeed
	var working sync.WaitGroup
	for i, w := range works {
		working.Go(func() {
			for stopped[i] == nil && !killed.Load() {
				stopped[i] = w.step()
			}
		})
	}
	moment := time.NewTimer(time.Duration(rng.Int64N(int64(400 * time.Millisecond)))) // any moment will do
	<-moment.C
	killed.Store(true)
	e.kill()
	report, err := emulator.Check(context.Background(), e.data)
	e.start()
	working.Wait()
	if err != nil || !report.Sound() {
		t.Errorf("check after the kill: %v, %+v", err, report)
	}
	for i, w := range works {
		done[i] = w.steps()
		if err := w.verify(); err != nil {
			t.Errorf("%T, stopped by %v: %v", w, stopped[i], err)
		}
	}
	return done
}

// query runs a definition.
func query(c *odps.Odps, text string) error {
	i, err := c.ExecSQl(text)
	if err != nil {
		return err
	}
	return i.WaitForSuccess()
}

// killedResource is a resource that is written in parts, version after version, and deleted now and then.
type killedResource struct {
	e         *killedEndpoint
	resources *odps.Resources
	name      string
	rng       *rand.Rand
	now, next *string // content, nil for no resource
	inDoubt   bool
	n         int
}

func newKilledResource(e *killedEndpoint, seed uint64) *killedResource {
	r := &killedResource{e: e, resources: odps.NewResources(e.client()), name: fmt.Sprintf("r%d", seed), rng: rand.New(rand.NewPCG(seed, 3))}
	r.resources.ChunkSize = 20_000
	return r
}

func (r *killedResource) steps() int { return r.n }

func (r *killedResource) step() error {
	r.next, r.inDoubt = nil, true
	if r.now == nil || r.rng.IntN(5) > 0 {
		text := strings.Repeat(fmt.Sprintf("version %d\n", r.n), r.rng.IntN(12_000))
		r.next = &text
	}
	if err := r.put(r.now != nil); err != nil {
		return err
	}
	r.now, r.inDoubt = r.next, false
	r.n++
	return nil
}

func (r *killedResource) put(overwrite bool) error {
	if r.next == nil {
		return r.resources.Delete(r.name)
	}
	f := odps.NewFileResource(r.name)
	f.SetReader(strings.NewReader(*r.next))
	return r.resources.CreateFileResource("", "", f, overwrite)
}

func (r *killedResource) verify() error {
	got, err := r.read()
	if err != nil {
		return err
	}
	if !same(got, r.now) && (!r.inDoubt || !same(got, r.next)) {
		return fmt.Errorf("after %d steps the resource is %s, want %s or %s", r.n, short(got), short(r.now), short(r.next))
	}
	if !r.inDoubt {
		return nil
	}
	if err := r.put(true); err != nil && r.next != nil { // a deletion may find nothing left to delete
		return fmt.Errorf("repeat: %w", err)
	}
	if got, err = r.read(); err != nil || !same(got, r.next) {
		return fmt.Errorf("after the repetition the resource is %s, %w, want %s", short(got), err, short(r.next))
	}
	return nil
}

// read returns the content, nil if there is none. The SDK cannot read.
func (r *killedResource) read() (*string, error) {
	answer, err := http.Get("http://" + r.e.addr + "/projects/p/resources/" + r.name) //nolint:noctx // a test
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	switch text := string(body); {
	case err != nil:
		return nil, err
	case answer.StatusCode == http.StatusNotFound:
		return nil, nil //nolint:nilnil // nil is a resource that is not there
	case answer.StatusCode != http.StatusOK:
		return nil, errors.New(answer.Status + " " + text)
	default:
		return &text, nil
	}
}

func same(a, b *string) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

func short(s *string) string {
	if s == nil {
		return "absent"
	}
	return fmt.Sprintf("%d bytes %.12q", len(*s), *s)
}

// definition is what killedTable knows of a table; the zero value is none.
type definition struct {
	columns, comment int
	partitions       []string
}

func (d definition) String() string {
	return fmt.Sprintf("%d columns, comment %d, partitions %q", d.columns, d.comment, d.partitions)
}

// killedTable is a table that is made, changed and dropped.
type killedTable struct {
	c         *odps.Odps
	name      string
	rng       *rand.Rand
	now, next definition
	again     string // the step's text in a form that may be repeated; empty when nothing is in doubt
	n         int
}

func newKilledTable(e *killedEndpoint, seed uint64) *killedTable {
	return &killedTable{c: e.client(), name: fmt.Sprintf("d%d", seed), rng: rand.New(rand.NewPCG(seed, 2))}
}

func (k *killedTable) steps() int { return k.n }

func (k *killedTable) step() error {
	k.next = definition{k.now.columns, k.now.comment, slices.Clone(k.now.partitions)}
	kind := k.rng.IntN(8)
	partition := fmt.Sprintf("p%d", k.n)
	switch {
	case k.now.columns == 0:
		k.again = "create table if not exists " + k.name + " (c1 bigint) comment '0' partitioned by (pt string)"
		k.next = definition{columns: 1}
	case kind == 0:
		k.again = "drop table if exists " + k.name
		k.next = definition{}
	case kind < 3:
		k.next.columns++
		k.again = fmt.Sprintf("alter table %s add columns if not exists (c%d string)", k.name, k.next.columns)
	case kind < 5:
		k.next.comment = k.n
		k.again = fmt.Sprintf("alter table %s set comment '%d'", k.name, k.n)
	case kind == 5 && len(k.now.partitions) > 0:
		k.again = fmt.Sprintf("alter table %s drop if exists partition (pt='%s')", k.name, k.now.partitions[0])
		k.next.partitions = k.next.partitions[1:]
	default:
		k.again = fmt.Sprintf("alter table %s add if not exists partition (pt='%s')", k.name, partition)
		k.next.partitions = append(k.next.partitions, partition)
		slices.Sort(k.next.partitions)
	}
	if err := query(k.c, k.again); err != nil {
		return err
	}
	k.now, k.again = k.next, ""
	k.n++
	return nil
}

func (k *killedTable) verify() error {
	got, err := k.read()
	if err != nil {
		return err
	}
	if got.String() != k.now.String() && (k.again == "" || got.String() != k.next.String()) {
		return fmt.Errorf("after %d steps the table has %s, want %s or after %q %s", k.n, got, k.now, k.again, k.next)
	}
	if k.again == "" {
		return nil
	}
	if err := query(k.c, k.again); err != nil {
		return fmt.Errorf("repeat %q: %w", k.again, err)
	}
	if got, err = k.read(); err != nil || got.String() != k.next.String() {
		return fmt.Errorf("after the repetition of %q the table has %s, %w, want %s", k.again, got, err, k.next)
	}
	return nil
}

func (k *killedTable) read() (d definition, err error) {
	table := k.c.Table(k.name)
	if there, err := table.Exists(); !there || err != nil {
		return d, err
	}
	if err := table.Load(); err != nil {
		return d, err
	}
	d.columns = len(table.Schema().Columns)
	if _, err := fmt.Sscan(table.Comment(), &d.comment); err != nil {
		return d, fmt.Errorf("comment %q: %w", table.Comment(), err)
	}
	if d.partitions, err = table.GetPartitionValues(); err != nil {
		return d, err
	}
	for i, p := range d.partitions {
		d.partitions[i] = strings.Trim(strings.TrimPrefix(p, "pt="), "'\"")
	}
	slices.Sort(d.partitions)
	return d, nil
}
