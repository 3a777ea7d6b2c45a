package limits_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/limits"
)

// clock is one that tests move.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)} }

func (c *clock) read() time.Time { return c.now }

func TestProductionNumbers(t *testing.T) {
	want := limits.Limits{
		Sessions: 500, Blocks: 500, Window: 5 * time.Minute, Commits: 32, SessionLife: 24 * time.Hour, BodyIdle: 120 * time.Second,
		BlockBytes: 107374182400, Partitions: 60000, Levels: 6,
	}
	if got := limits.Production(1); got != want {
		t.Errorf("Production(1) = %+v, want %+v", got, want)
	}
	want.Window, want.SessionLife, want.BodyIdle = time.Second, 288*time.Second, 400*time.Millisecond
	if got := limits.Production(300); got != want {
		t.Errorf("Production(300) = %+v, want %+v: only times are divided", got, want)
	}
}

// The 500th is admitted, the 501st is not, until exactly a window after the first.
func TestWindowIsExactAtBothEdges(t *testing.T) {
	for name, call := range map[string]func(*limits.Gate, string) error{"sessions": (*limits.Gate).Session, "blocks": (*limits.Gate).Block} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			l := limits.Production(1)
			g := limits.NewGate(l, c.read)
			start := c.now
			for i := range 500 {
				if err := call(g, "t"); err != nil {
					t.Fatalf("number %d: %v", i+1, err)
				}
				c.now = c.now.Add(time.Millisecond)
			}
			refused := func(when string) {
				t.Helper()
				if err := call(g, "t"); !errors.Is(err, limits.ErrExceeded) {
					t.Errorf("%s: %v, want ErrExceeded", when, err)
				}
			}
			refused("number 501")
			if err := call(g, "u"); err != nil {
				t.Errorf("another table: %v", err)
			}
			c.now = start.Add(l.Window - 1)
			refused("a nanosecond before the window's end")
			c.now = start.Add(l.Window)
			if err := call(g, "t"); err != nil {
				t.Errorf("at the window's end: %v", err)
			}
			refused("the second at the window's end")
			c.now = start.Add(l.Window + time.Millisecond)
			if err := call(g, "t"); err != nil {
				t.Errorf("a window after the second: %v", err)
			}
		})
	}
}

// Random times against the definition: no window of the clock holds more than the limit,
// and nothing is refused that would fit.
func TestWindowAgainstItsDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	c := newClock()
	l := limits.Limits{Blocks: 7, Window: time.Second}
	g := limits.NewGate(l, c.read)
	var admitted []time.Time
	for i := range 20_000 {
		c.now = c.now.Add(time.Duration(r.IntN(300)) * time.Millisecond)
		inside := 0
		for _, at := range admitted[max(0, len(admitted)-10):] {
			if c.now.Sub(at) < l.Window {
				inside++
			}
		}
		err := g.Block("t")
		if (err == nil) != (inside < l.Blocks) {
			t.Fatalf("request %d with %d in its window: %v", i, inside, err)
		}
		if err == nil {
			admitted = append(admitted, c.now)
		}
	}
}

func TestCommitsAtOnce(t *testing.T) {
	g := limits.NewGate(limits.Production(1), newClock().read)
	var ends []func()
	for i := range 32 {
		done, err := g.Commit("t")
		if err != nil {
			t.Fatalf("commit %d: %v", i+1, err)
		}
		ends = append(ends, done)
	}
	if _, err := g.Commit("t"); !errors.Is(err, limits.ErrExceeded) {
		t.Errorf("commit 33: %v, want ErrExceeded", err)
	}
	if _, err := g.Commit("u"); err != nil {
		t.Errorf("another table: %v", err)
	}
	ends[5]()
	if _, err := g.Commit("t"); err != nil {
		t.Errorf("after one ended: %v", err)
	}
}

// A program that makes ever new tables does not grow the gate without bound.
func TestTablesAreForgottenAfterAWindow(t *testing.T) {
	c := newClock()
	g := limits.NewGate(limits.Production(1), c.read)
	for i := range 1000 {
		if err := g.Session(fmt.Sprint("t", i)); err != nil {
			t.Fatal(err)
		}
	}
	c.now = c.now.Add(5 * time.Minute)
	if err := g.Session("new"); err != nil {
		t.Fatal(err)
	}
	if n := limits.TablesOf(g); n != 1 {
		t.Errorf("%d tables are remembered, want 1", n)
	}
}

// A table with a commit under way is not forgotten, or that commit would not count.
func TestCommitsUnderWayAreRememberedForEver(t *testing.T) {
	c := newClock()
	l := limits.Limits{Sessions: 1, Window: time.Minute, Commits: 1}
	g := limits.NewGate(l, c.read)
	done, err := g.Commit("t")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.now = c.now.Add(l.Window)
		if err := g.Session("u"); err != nil { // sweeps
			t.Fatal(err)
		}
	}
	if _, err := g.Commit("t"); !errors.Is(err, limits.ErrExceeded) {
		t.Errorf("a second commit windows later: %v, want ErrExceeded", err)
	}
	done()
	if done, err = g.Commit("t"); err != nil {
		t.Errorf("after the first one ended: %v", err)
	}
	done()
}

// Looking through all tables costs: a window passes between two times.
func TestTablesAreLookedThroughOnceInAWindow(t *testing.T) {
	c := newClock()
	l := limits.Limits{Sessions: 1, Window: time.Minute}
	g := limits.NewGate(l, c.read)
	session := func(table string, after time.Duration, want int) {
		t.Helper()
		c.now = c.now.Add(after)
		if err := g.Session(table); err != nil {
			t.Fatal(err)
		}
		if n := limits.TablesOf(g); n != want {
			t.Errorf("%d tables are remembered after %s, want %d", n, table, want)
		}
	}
	session("a", time.Second, 1)
	session("b", l.Window-time.Second, 2) // the first look: a counts still
	session("c", time.Second, 3)          // a does not, but nobody looks
	session("d", l.Window-time.Second, 2) // the second look: b went with a
}

func TestNilGateAdmitsEverything(t *testing.T) {
	var g *limits.Gate
	for range 1000 {
		done, err := g.Commit("t")
		if err = errors.Join(err, g.Session("t"), g.Block("t")); err != nil {
			t.Fatal(err)
		}
		done()
	}
}
