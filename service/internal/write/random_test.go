package write_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/write"
	"github.com/sluice-io/sluice/service/internal/write/writetest"
)

var (
	rounds = flag.Int("rounds", 200, "rounds of TestRandomScripts")
	seed   = flag.Uint64("seed", 1, "seed of the first round of TestRandomScripts")
	off    = flag.String("off", "", "rules to switch off in TestRandomScripts, to see it fail")
)

// TestRandomScripts plays random scripts of several workers on two replicas against a backend that fails, loses replies
// and lets uploads land late, and compares what is published with a small model: per slice exactly the rows of the
// content that was sealed last, each once; nothing at all of an aborted run; and durable rows never vanish.
func TestRandomScripts(t *testing.T) {
	ends := map[write.RunState]int{}
	for i := range uint64(*rounds) {
		s := *seed + i
		inBubble(t, func(t *testing.T, w *world) {
			p := newPlay(w, s)
			ends[p.run()]++
		})
		if t.Failed() {
			t.Fatalf("seed %d (repeat with -seed %d -rounds 1)", s, s)
		}
	}
	t.Logf("runs ended %v", ends)
	if *rounds >= 100 && (ends[write.RunCommitted] < *rounds/4 || ends[write.RunAborted] == 0) {
		t.Errorf("runs ended %v: the scripts do not reach enough", ends)
	}
}

// play is one random script. resume decides for all its workers: with RESUME every worker of a slice produces the same
// rows; with DISCARD each writer has its own, so that a mixture shows.
type play struct {
	w        *world
	rnd      *rand.Rand
	replicas []*replica
	resume   bool
	slices   int
	workers  []*actor
	mu       sync.Mutex
	faults   *rand.Rand // guarded by mu
	rate     float64    // guarded by mu
}

// actor is a worker with what it was told.
type actor struct {
	*client
	durable int  // told to be durable, of the present content
	sealed  bool // told to be sealed
}

func newPlay(w *world, seed uint64) *play {
	p := &play{w: w, rnd: rand.New(rand.NewPCG(seed, 1)), faults: rand.New(rand.NewPCG(seed, 2))}
	p.resume = p.rnd.IntN(2) == 0
	p.slices = 1 + p.rnd.IntN(3)
	p.rate = []float64{0, 0.05, 0.15}[p.rnd.IntN(3)]
	return p
}

func (p *play) fault() writetest.Outcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.faults.Float64() >= p.rate {
		return writetest.OK
	}
	return []writetest.Outcome{writetest.FailBefore, writetest.FailAfter, writetest.Fly}[p.faults.IntN(3)]
}

func (p *play) calm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = 0
}

func (p *play) run() write.RunState {
	w := p.w
	w.backend.SetRows(t1, "old")
	w.backend.SetFault(func(writetest.Call) writetest.Outcome { return p.fault() })
	w.ledger.SetFault(func(write.Txn) writetest.Outcome {
		if o := p.fault(); o != writetest.Fly {
			return o
		}
		return writetest.OK
	})
	rules := strings.Fields(*off)
	p.replicas = []*replica{w.start(rules...), w.start(rules...)}
	count := int32(p.slices)
	if p.rnd.IntN(3) == 0 {
		count = 0
	}
	w.run(p.replicas[0], "r", output(t1, count))
	for range 20 + p.rnd.IntN(60) {
		p.step()
		if w.t.Failed() {
			return 0
		}
	}
	return p.finish()
}

// pick gives a worker, an old one or a new one.
func (p *play) pick() *actor {
	if n := len(p.workers); n > 0 && p.rnd.IntN(5) > 0 {
		return p.workers[p.rnd.IntN(n)]
	}
	return p.hire(p.rnd.IntN(p.slices))
}

func (p *play) hire(slice int) *actor {
	n := len(p.workers)
	c := p.w.worker(p.replicas[p.rnd.IntN(2)], "r", write.SliceID(slice), fmt.Sprint("w", n), "")
	c.req.Attempt = write.Attempt(p.rnd.IntN(4))
	if p.resume {
		c.req.OnTakeover = write.Resume
	}
	a := &actor{client: c}
	a.rename(p)
	p.workers = append(p.workers, a)
	return a
}

// rename gives the actor's present writer its rows.
func (a *actor) rename(p *play) {
	a.content = fmt.Sprintf("s%d.%s.%d", a.req.SliceID, a.req.WorkerID, a.req.WriterNumber)
	if p.resume {
		a.content = fmt.Sprintf("s%d", a.req.SliceID)
	}
}

func (p *play) step() {
	a := p.pick()
	switch p.rnd.IntN(12) {
	case 0, 1:
		a.r = p.replicas[p.rnd.IntN(2)] // perhaps another replica; the old one goes on as a zombie
		if p.rnd.IntN(2) == 0 {
			a.wr = nil // it hears nothing of its end
		}
		a.req.DurableSeen = write.RowOffset(a.durable)
		p.opened(a, a.open())
	case 2:
		if !p.resume {
			a.req.DurableSeen, a.durable = 0, 0
			err := a.reopen()
			a.rename(p)
			p.opened(a, err)
		}
	case 3, 4, 5, 6:
		if a.wr != nil && a.opened.Sealed == nil {
			_ = a.send(1 + p.rnd.IntN(150))
		}
	case 7, 8:
		if a.wr != nil && a.flush() == nil {
			a.durable = int(a.wr.Durable())
		}
	case 9:
		if a.wr != nil {
			if s, err := a.seal(); err == nil {
				a.sealed, a.durable = true, int(s.Rows)
			}
		}
	case 10:
		time.Sleep(time.Duration(p.rnd.IntN(100)) * time.Second)
	case 11:
		switch p.rnd.IntN(12) {
		case 0, 1, 2:
			p.w.backend.Land()
		case 3:
			_, _ = p.replicas[0].CompleteRun(p.w.t.Context(), "r", nil)
		case 4:
			if p.rnd.IntN(4) == 0 {
				_, _ = p.replicas[1].AbortRun(p.w.t.Context(), "r", "", false)
			}
		default:
			a.detach()
		}
	}
}

// opened checks what an open may answer.
func (p *play) opened(a *actor, err error) {
	switch apierr.ReasonOf(err) {
	case apierr.Unspecified:
	case apierr.SliceConflict, apierr.SliceFenced, apierr.RunClosed, apierr.BackendUnavailable, apierr.OutcomeUnknown:
		return
	default:
		p.w.t.Errorf("Open = %v", err)
		return
	}
	if int(a.opened.ResumeOffset) < a.durable {
		p.w.t.Errorf("worker %s resumes at %d, was told that %d are durable", a.req.WorkerID, a.opened.ResumeOffset, a.durable)
	}
	a.durable = int(a.opened.ResumeOffset)
}

// finish brings the run to an end without faults: whoever holds or can take a slice seals it.
func (p *play) finish() write.RunState {
	w := p.w
	p.calm()
	w.backend.SetFault(func(c writetest.Call) writetest.Outcome {
		if c.Op == writetest.OpPost {
			w.backend.Land() // the last moment for a zombie
		}
		return writetest.OK
	})
	for slice := range p.slices {
		p.finishSlice(slice)
	}
	_, _ = p.replicas[1].CompleteRun(w.t.Context(), "r", nil)
	time.Sleep(2 * time.Minute)
	synctest.Wait()
	run, err := p.replicas[0].GetRun(w.t.Context(), "r", time.Hour)
	if err != nil {
		w.t.Errorf("GetRun = %v", err)
		return 0
	}
	w.backend.Land()
	switch run.State {
	case write.RunCommitted:
		p.compare(run)
	case write.RunAborted:
		w.wantRows(t1, "old")
	default:
		w.t.Errorf("the run ended %v: %v", run.State, run.Err)
	}
	return run.State
}

// finishSlice lets a new worker take the slice, unless it is sealed and stays so, and write a last content.
func (p *play) finishSlice(slice int) {
	if p.rnd.IntN(2) == 0 {
		for _, a := range p.workers {
			if int(a.req.SliceID) == slice && a.sealed {
				return
			}
		}
	}
	a := p.hire(slice)
	a.req.Attempt = 10
	err := a.insist(50 + p.rnd.IntN(400))
	switch apierr.ReasonOf(err) {
	case apierr.Unspecified, apierr.RunClosed, apierr.RunIncomplete, apierr.SliceFenced, apierr.SliceConflict, apierr.WriterClosed, apierr.OffsetOverlap:
	default:
		p.w.t.Errorf("finishing slice %d: %v", slice, err)
	}
}

// compare checks the published rows against the slices: of each, the sealed writer's content, whole and once.
func (p *play) compare(run write.Run) {
	all, _, err := p.replicas[0].ListSlices(p.w.t.Context(), write.SliceQuery{RunID: "r"})
	if err != nil {
		p.w.t.Error(err)
		return
	}
	var want []string
	for _, s := range all {
		if s.State != write.SliceSealed {
			continue
		}
		content := fmt.Sprintf("s%d", s.ID)
		if !p.resume {
			content = p.sealedContent(s)
		}
		want = append(want, writetest.Tags(content, 0, int(s.DurableThrough))...)
	}
	slices.Sort(want)
	if got := p.w.backend.Rows(t1); !slices.Equal(got, want) {
		p.w.t.Errorf("%d rows are published, want %d; run %+v", len(got), len(want), run.Outputs[0])
	}
}

// sealedContent is the content of the writer that the ledger says sealed the slice.
func (p *play) sealedContent(s write.Slice) string {
	entries, err := p.w.ledger.Get(p.w.t.Context(), write.Key(fmt.Sprintf("slice/r/000/%010d", s.ID)))
	var rec struct{ Writer int64 }
	if err == nil {
		err = json.Unmarshal(entries[0].Value, &rec)
	}
	if err != nil {
		p.w.t.Errorf("read slice %d: %v", s.ID, err)
	}
	return fmt.Sprintf("s%d.%s.%d", s.ID, s.WorkerID, rec.Writer)
}
