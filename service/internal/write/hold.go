package write

import "time"

// ghost stands for a holder that an earlier process served: only its lease runs. A writer that is back already stays.
func (e *Engine) ghost(key sliceKey, term Term, ttl time.Duration, implicit bool) {
	w := &Writer{e: e, key: key, term: term, ttl: ttl, implicit: implicit, detached: true, seen: time.Now()}
	w.entry = wheelEntry{index: -1, w: w}
	e.mu.Lock()
	if e.closed || e.holds[key] != nil {
		e.mu.Unlock()
		return
	}
	e.holds[key] = w
	e.mu.Unlock()
	w.schedule()
}

// register makes w the newest hold of its slice here and ends the one before.
func (e *Engine) register(w *Writer) bool {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return false
	}
	old := e.holds[w.key]
	e.holds[w.key] = w
	e.mu.Unlock()
	if old != nil {
		old.leaseOver()
		old.fail(fencedBy(sliceRecord{Attempt: w.attempt, Term: w.term, Worker: w.worker}))
	}
	w.mu.Lock()
	w.joined = true
	w.mu.Unlock()
	e.cfg.Budget.Join()
	w.schedule()
	return true
}

// unregister forgets the hold, if it is still the newest.
func (e *Engine) unregister(w *Writer) {
	e.mu.Lock()
	if e.holds[w.key] == w {
		delete(e.holds, w.key)
	}
	e.mu.Unlock()
	w.leaseOver()
}

// leaseOver takes the writer out of the wheel: its hold is no longer the newest, or needs no lease.
func (w *Writer) leaseOver() {
	w.mu.Lock()
	w.gone = true
	w.mu.Unlock()
	w.e.wheel.set(&w.entry, time.Time{})
}

func (e *Engine) holdOf(key sliceKey) *Writer {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.holds[key]
}

// failRun ends all holds of a run here.
func (e *Engine) failRun(id RunID, err error) {
	e.mu.Lock()
	var all []*Writer
	for key, w := range e.holds {
		if key.run == id {
			all = append(all, w)
			delete(e.holds, key)
		}
	}
	e.mu.Unlock()
	for _, w := range all {
		w.leaseOver()
		w.fail(err)
	}
}

// heldHere says that this replica holds a slice of the run, which is therefore not sealed.
func (e *Engine) heldHere(id RunID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for key := range e.holds {
		if key.run == id {
			return true
		}
	}
	return false
}
