package writetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sluice-io/sluice/service/internal/write"
)

// Ledger is a write.Ledger in memory.
type Ledger struct {
	mu      sync.Mutex
	fault   func(write.Txn) Outcome   // guarded by mu
	read    func([]write.Key)         // guarded by mu
	entries map[write.Key]write.Entry // guarded by mu
	last    write.Revision            // guarded by mu
	commits int                       // guarded by mu
}

// NewLedger makes an empty ledger.
func NewLedger() *Ledger { return &Ledger{entries: map[write.Key]write.Entry{}} }

// SetFault has f decide about each transaction from now on; nil = OK always. FailBefore and FailAfter answer
// write.ErrUnknownOutcome. f may block, and may use the ledger.
func (l *Ledger) SetFault(f func(write.Txn) Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = f
}

// SetRead has f called after each Get has read its keys, before it answers; nil = nothing. f may block, and may use the
// ledger.
func (l *Ledger) SetRead(f func(keys []write.Key)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read = f
}

// Commits is how many transactions were asked for.
func (l *Ledger) Commits() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.commits
}

// Get implements write.Ledger.
func (l *Ledger) Get(ctx context.Context, keys ...write.Key) ([]write.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	all := make([]write.Entry, len(keys))
	for i, k := range keys {
		e := l.entries[k]
		all[i] = write.Entry{Key: k, Revision: e.Revision, Value: bytes.Clone(e.Value)}
	}
	read := l.read
	l.mu.Unlock()
	if read != nil {
		read(keys)
	}
	return all, nil
}

// List implements write.Ledger.
func (l *Ledger) List(ctx context.Context, prefix, after write.Key, limit int) ([]write.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []write.Entry
	for k, e := range l.entries {
		if strings.HasPrefix(string(k), string(prefix)) && k > after {
			all = append(all, write.Entry{Key: k, Revision: e.Revision, Value: bytes.Clone(e.Value)})
		}
	}
	slices.SortFunc(all, func(a, b write.Entry) int { return strings.Compare(string(a.Key), string(b.Key)) })
	if limit > 0 && len(all) > limit {
		all = all[:limit]
	}
	return all, nil
}

// Commit implements write.Ledger.
func (l *Ledger) Commit(ctx context.Context, txn write.Txn) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	l.commits++
	fault := l.fault
	l.mu.Unlock()
	outcome := OK
	if fault != nil {
		outcome = fault(txn)
	}
	if outcome == FailBefore {
		return fmt.Errorf("%w: %w", write.ErrUnknownOutcome, ErrInjected)
	}
	if !l.apply(txn) {
		return write.ErrConflict
	}
	if outcome == FailAfter {
		return fmt.Errorf("%w: %w", write.ErrUnknownOutcome, ErrInjected)
	}
	return nil
}

func (l *Ledger) apply(txn write.Txn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range txn.Compares {
		if l.entries[c.Key].Revision != c.Revision {
			return false
		}
	}
	l.last++
	for _, p := range txn.Puts {
		l.entries[p.Key] = write.Entry{Key: p.Key, Value: bytes.Clone(p.Value), Revision: l.last}
	}
	for _, k := range txn.Deletes {
		delete(l.entries, k)
	}
	return true
}

// Keys lists the keys under a prefix, sorted.
func (l *Ledger) Keys(prefix string) (keys []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range l.entries {
		if strings.HasPrefix(string(k), prefix) {
			keys = append(keys, string(k))
		}
	}
	slices.Sort(keys)
	return keys
}

var _ write.Ledger = (*Ledger)(nil)
