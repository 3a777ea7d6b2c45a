package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-io/sluice/emulator"
)

const (
	writers = 48
	readers = 16
	// unitsKept is how many units a partition gathers before an overwrite begins anew, so
	// that the data does not grow.
	unitsKept = 8
)

// warm is when the endpoint has as much as it will ever have of what lives for a time: sessions (10 s here), and the
// idle connections that the SDK leaves behind with each call, until the endpoint closes them (15 s).
const warm = 20 * time.Second

// ways are those in which a writer makes a unit visible; writer n uses n modulo their number.
var ways = []string{"raw upload", "sdk upload", "raw stream", "sdk stream"}

type soak struct {
	t      *testing.T
	child  *child
	models []*model // by partition
	tally  tally
	ids    sync.Mutex
	lastID int64 // guarded by ids
}

// client is one of the 64, with connections of its own.
func (s *soak) client() *raw {
	return &raw{base: s.child.url + "/projects/" + project + "/tables/" + table, http: &http.Client{Transport: &http.Transport{}}, tally: &s.tally}
}

func partition(n int) string { return fmt.Sprintf("pt=w%02d", n) }

func (s *soak) newUnit() unit {
	s.ids.Lock()
	defer s.ids.Unlock()
	s.lastID++
	return unit{id: s.lastID, rows: 1 + rand.IntN(300)}
}

// write adds one unit to the writer's partition, or replaces all by it, and settles what
// became of it.
func (s *soak) write(ctx context.Context, n int, c *raw, official *sdk) error {
	m, u, way := s.models[n], s.newUnit(), ways[n%len(ways)]
	now := m.current()
	overwrite := len(now) >= unitsKept
	next := append(slices.Clone(now), u)
	if overwrite {
		next = []unit{u}
		if strings.HasSuffix(way, "stream") { // a stream cannot overwrite
			way = strings.Replace(way, "stream", "upload", 1)
		}
	}
	m.propose(next)
	stands, err := s.send(ctx, way, n, u, overwrite, c, official)
	if errors.Is(err, errExpired) { // the fate is not known: ask the table
		s.tally.add("asked")
		rows, readErr := c.read(ctx, partition(n))
		if err = readErr; err == nil {
			stands = has(rows, u.id)
		}
	}
	if err != nil {
		return fmt.Errorf("%s of unit %d: %w", way, u.id, err)
	}
	m.settle(stands)
	m.forget()
	s.tally.add(way + map[bool]string{true: "s that stand", false: "s that do not"}[stands])
	return nil
}

func (s *soak) send(ctx context.Context, way string, n int, u unit, overwrite bool, c *raw, official *sdk) (bool, error) {
	switch way {
	case "raw upload":
		return c.upload(ctx, partition(n), u, overwrite)
	case "sdk upload":
		return official.upload(partition(n), u, overwrite)
	case "raw stream":
		return c.stream(ctx, partition(n), u)
	}
	return official.stream(partition(n), u)
}

// read looks at some partition and compares.
func (s *soak) read(ctx context.Context, c *raw, official *sdk, n int) error {
	m := s.models[n]
	mark := m.mark()
	if official != nil {
		rows, err := official.read(partition(n))
		if errors.Is(err, errAgain) {
			s.tally.add("sdk failures")
			return nil
		}
		if err == nil {
			err = m.check(mark, rows)
		}
		s.tally.add("sdk reads")
		return err
	}
	rows, err := c.read(ctx, partition(n))
	if err == nil {
		err = m.check(mark, rows)
	}
	s.tally.add("raw reads")
	return err
}

// run lets all clients go on until the time is over or one of them saw a wrong answer.
func (s *soak) run(ctx context.Context, until time.Time) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var clients sync.WaitGroup
	each := func(name string, step func(c *raw, official *sdk) error) {
		clients.Go(func() {
			c, official := s.client(), newSDK(s.child.url, &s.tally)
			defer c.http.CloseIdleConnections()
			for time.Now().Before(until) && ctx.Err() == nil {
				if err := step(c, official); err != nil {
					if ctx.Err() == nil {
						s.t.Errorf("%s: %v", name, err)
					}
					cancel()
					return
				}
			}
		})
	}
	for n := range writers {
		each(fmt.Sprint("writer ", n), func(c *raw, official *sdk) error { return s.write(ctx, n, c, official) })
	}
	for n := range readers {
		each(fmt.Sprint("reader ", n), func(c *raw, official *sdk) error {
			if n%2 == 0 {
				official = nil
			}
			pause() // leaves the machine to the writers
			return s.read(ctx, c, official, rand.IntN(writers))
		})
	}
	clients.Wait()
}

// watch samples memory after a warm-up, until done is closed.
func (s *soak) watch(ctx context.Context, done <-chan struct{}, warmUp, every time.Duration) (samples []memory) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	begun := time.Now()
	for {
		select {
		case <-done:
			return samples
		case now := <-tick.C:
			if now.Sub(begun) < warmUp {
				continue
			}
			m, err := s.child.memory(ctx)
			if err != nil {
				s.t.Errorf("memory: %v", err)
				return samples
			}
			samples = append(samples, m)
		}
	}
}

func seconds(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SLUICE_SOAK_SECONDS")
	if text == "" {
		return 5 * time.Second
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("SLUICE_SOAK_SECONDS=%s", text)
	}
	return time.Duration(n) * time.Second
}

// 64 clients, faults in one request of nine: no wrong answer, and memory stays flat.
func TestSoak(t *testing.T) {
	faults := os.Getenv("SLUICE_SOAK_FAULTS")
	if faults == "" {
		faults = "20261126"
	}
	length := seconds(t)
	s := &soak{t: t, child: startChild(t, faults)}
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	ctx := t.Context()
	c := s.client()
	defer c.http.CloseIdleConnections()
	s.prepare(ctx, c)
	done := make(chan struct{})
	var samples []memory
	var watcher sync.WaitGroup
	watcher.Go(func() { samples = s.watch(ctx, done, min(warm, length/3), length/60) })
	s.run(ctx, time.Now().Add(length))
	close(done)
	watcher.Wait()
	for n, m := range s.models { // when all is quiet, every partition is what its writer knows
		rows, err := c.read(ctx, partition(n))
		if err == nil {
			err = m.check(m.mark(), rows)
		}
		if err != nil {
			t.Errorf("%s at the end: %v", partition(n), err)
		}
	}
	counts, err := s.child.faults(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.report(counts, samples, length)
}

// prepare creates the table and its partitions.
func (s *soak) prepare(ctx context.Context, c *raw) {
	s.t.Helper()
	query := "create table if not exists " + table + " (unit bigint, seq bigint, text string) partitioned by (pt string)"
	body := "<Instance><Job><Tasks><SQL><Name>N</Name><Query>" + query + "</Query></SQL></Tasks></Job></Instance>"
	statement := &raw{base: s.child.url + "/api/projects/" + project + "/instances", http: c.http, tally: &s.tally}
	a, _, err := statement.until(ctx, http.MethodPost, map[string][]string{"tryWait": {""}}, "", []byte(body))
	if err != nil || a.status != http.StatusOK {
		s.t.Fatalf("create table: %d %s, %v", a.status, a.body, err)
	}
	for n := range writers {
		s.models = append(s.models, newModel())
		if _, _, err := c.session(ctx, "uploads", "UploadID", map[string][]string{"partition": {partition(n)}, "create_partition": {""}}); err != nil {
			s.t.Fatal(err)
		}
	}
}

// report prints the counts and judges them and the memory.
func (s *soak) report(counts emulator.FaultCounts, samples []memory, length time.Duration) {
	s.t.Helper()
	byKind := map[string]int64{}
	var requests, injected int64
	for _, n := range counts.Requests {
		requests += n
	}
	for _, kinds := range counts.Injected {
		for k, n := range kinds {
			byKind[string(k)] += n
			injected += n
		}
	}
	s.t.Logf("%d clients, %s, seed %d: %d requests, %d faults", writers+readers, length, counts.Seed, requests, injected)
	s.t.Logf("requests by class: %v", counts.Requests)
	s.t.Logf("faults by kind: %v", byKind)
	s.t.Logf("clients: %s", &s.tally)
	for _, way := range ways {
		if s.tally.of(way+"s that stand") == 0 {
			s.t.Errorf("no %s stands", way)
		}
	}
	for _, word := range []string{"raw reads", "sdk reads"} {
		if s.tally.of(word) == 0 {
			s.t.Errorf("no %s", word)
		}
	}
	if injected == 0 || len(samples) < 9 {
		s.t.Fatalf("%d faults, %d looks at the memory: nothing is proven", injected, len(samples))
	}
	third := len(samples) / 3
	first, last := median(samples[:third]), median(samples[len(samples)-third:])
	s.t.Logf("memory, median of the first and the last third of %d: heap %d and %d KiB, anonymous %d and %d KiB",
		len(samples), first.heap>>10, last.heap>>10, first.anon>>10, last.anon>>10)
	slack := int64(8 << 20) // chance; 2 KiB left behind by each request of a minute would be more
	if length < 3*warm {
		slack = 64 << 20 // too short to be warm: only a gross leak shows
	}
	if last.heap > first.heap+first.heap/4+slack || last.anon > first.anon+first.anon/4+slack {
		s.t.Error("memory grows")
	}
}

func median(samples []memory) memory {
	heap, anon := make([]int64, len(samples)), make([]int64, len(samples))
	for i, m := range samples {
		heap[i], anon[i] = m.heap, m.anon
	}
	slices.Sort(heap)
	slices.Sort(anon)
	return memory{anon: anon[len(anon)/2], heap: heap[len(heap)/2]}
}
