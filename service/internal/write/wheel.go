package write

import (
	"container/heap"
	"sync"
	"time"
)

// wheel wakes writers in time: one entry each, one timer for all, no goroutine. Engine.Run turns it.
type wheel struct {
	sooner chan struct{} // capacity 1: an entry is due before the timer

	mu   sync.Mutex
	due  wheelHeap   // guarded by mu
	t    *time.Timer // guarded by mu
	next time.Time   // when t fires, zero = not set; guarded by mu
}

// wheelEntry is a writer's place in the wheel. All fields are guarded by wheel.mu.
type wheelEntry struct {
	at    time.Time
	index int // in the heap, -1 = not there
	w     *Writer
}

func newWheel() *wheel { return &wheel{sooner: make(chan struct{}, 1)} }

// set wakes the writer at the given time, or sooner if that is set already. The zero time takes it out.
func (h *wheel) set(entry *wheelEntry, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case at.IsZero():
		if entry.index >= 0 {
			heap.Remove(&h.due, entry.index)
		}
		return
	case entry.index < 0:
		entry.at = at
		heap.Push(&h.due, entry)
	case at.Before(entry.at):
		entry.at = at
		heap.Fix(&h.due, entry.index)
	default:
		return
	}
	if h.next.IsZero() || h.due[0].at.Before(h.next) {
		select {
		case h.sooner <- struct{}{}:
		default:
		}
	}
}

// timer gives the channel that fires when the first entry is due; nil if there is none.
func (h *wheel) timer() <-chan time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.due) == 0 {
		h.next = time.Time{}
		return nil
	}
	h.next = h.due[0].at
	wait := time.Until(h.next)
	if h.t == nil {
		h.t = time.NewTimer(wait)
	} else {
		h.t.Reset(wait)
	}
	return h.t.C
}

// take removes and returns the writers that are due.
func (h *wheel) take(now time.Time) []*Writer {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []*Writer
	for len(h.due) > 0 && !h.due[0].at.After(now) {
		all = append(all, heap.Pop(&h.due).(*wheelEntry).w)
	}
	return all
}

func (h *wheel) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.t != nil {
		h.t.Stop()
	}
}

type wheelHeap []*wheelEntry

func (h wheelHeap) Len() int           { return len(h) }
func (h wheelHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h wheelHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *wheelHeap) Push(x any) {
	entry := x.(*wheelEntry)
	entry.index = len(*h)
	*h = append(*h, entry)
}

func (h *wheelHeap) Pop() any {
	old := *h
	entry := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	entry.index = -1
	return entry
}
