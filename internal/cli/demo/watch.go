package demo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// watcher asks again and again how many rows a reader would get.
type watcher struct {
	client *client.Client
	table  string

	mu     sync.Mutex
	asks   int
	zeros  int
	rows   int64         // of the last answer
	answer chan struct{} // closed and replaced at each answer
}

func newWatcher(c *client.Client, table string) *watcher {
	return &watcher{client: c, table: table, answer: make(chan struct{})}
}

// run asks until it sees rows or ctx ends; an answer that differs after that would be a new run's.
func (w *watcher) run(ctx context.Context) error {
	spec := &sluicev1.ReadSessionSpec{Table: client.TableName(w.table)}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		session, err := w.client.CreateReadSession(ctx, spec, "")
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read while others write: %w", err)
		}
		if rows := w.saw(session.Info.GetRowCount()); rows > 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *watcher) saw(rows int64) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asks++
	if rows == 0 {
		w.zeros++
	}
	w.rows = rows
	close(w.answer)
	w.answer = make(chan struct{})
	return rows
}

// another waits for an answer to a question asked from now on.
func (w *watcher) another(ctx context.Context) error {
	for range 2 { // the first may have been asked before
		w.mu.Lock()
		answer := w.answer
		seen := w.rows
		w.mu.Unlock()
		if seen > 0 {
			return nil
		}
		select {
		case <-answer:
		case <-time.After(startLimit):
			return fmt.Errorf("the reader got no answer for %v", startLimit)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// waitFor waits until the reader has seen rows.
func (w *watcher) waitFor(ctx context.Context, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-time.After(startLimit):
		return fmt.Errorf("the reader sees no rows %v after the commit", startLimit)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *watcher) asked() int  { w.mu.Lock(); defer w.mu.Unlock(); return w.asks }
func (w *watcher) empty() int  { w.mu.Lock(); defer w.mu.Unlock(); return w.zeros }
func (w *watcher) last() int64 { w.mu.Lock(); defer w.mu.Unlock(); return w.rows }
