// Package ledgertest is the suite that every implementation of write.Ledger passes.
package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/service/internal/write"
)

// Run runs the suite. open gives an empty ledger for each test; reopen, if not nil, closes it and opens what it stored.
func Run(t *testing.T, open func(t *testing.T) write.Ledger, reopen func(t *testing.T, l write.Ledger) write.Ledger) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, write.Ledger){
		"an absent key has revision 0":            absentKey,
		"a put raises the revision":               putRaises,
		"a failed comparison changes nothing":     failedComparison,
		"a deleted key never repeats a revision":  deletedKey,
		"a list is ordered, bounded and prefixed": listing,
		"values belong to the caller":             ownValues,
		"racing increments are all counted":       racingIncrements,
		"a read sees whole transactions":          wholeTransactions,
		"one of many creators wins":               oneCreator,
		"a cancelled context changes nothing":     cancelled,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
	if reopen != nil {
		t.Run("what was committed is there after a restart", func(t *testing.T) { restart(t, open(t), reopen) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, l write.Ledger, k write.Key) write.Entry {
	t.Helper()
	entries, err := l.Get(t.Context(), k)
	must(t, err)
	if len(entries) != 1 || entries[0].Key != k {
		t.Fatalf("Get(%q) = %v", k, entries)
	}
	return entries[0]
}

func put(t *testing.T, l write.Ledger, k write.Key, v string) {
	t.Helper()
	must(t, l.Commit(t.Context(), write.Txn{Puts: []write.Put{{Key: k, Value: []byte(v)}}}))
}

func absentKey(t *testing.T, l write.Ledger) {
	t.Helper()
	if e := get(t, l, "a"); e.Revision != 0 || e.Value != nil {
		t.Errorf("an absent key = %+v", e)
	}
	create := write.Txn{Compares: []write.Compare{{Key: "a"}}, Puts: []write.Put{{Key: "a", Value: []byte("1")}}}
	must(t, l.Commit(t.Context(), create))
	if err := l.Commit(t.Context(), create); !errors.Is(err, write.ErrConflict) {
		t.Errorf("creating a key twice = %v, want a conflict", err)
	}
}

func putRaises(t *testing.T, l write.Ledger) {
	t.Helper()
	put(t, l, "a", "1")
	first := get(t, l, "a")
	put(t, l, "b", "1")
	if same := get(t, l, "a"); same.Revision != first.Revision {
		t.Errorf("writing another key moved the revision from %d to %d", first.Revision, same.Revision)
	}
	put(t, l, "a", "1")
	if second := get(t, l, "a"); second.Revision <= first.Revision || first.Revision == 0 {
		t.Errorf("revisions %d, %d do not rise", first.Revision, second.Revision)
	}
}

func failedComparison(t *testing.T, l write.Ledger) {
	put(t, l, "a", "old")
	put(t, l, "gone", "here")
	e := get(t, l, "a")
	err := l.Commit(t.Context(), write.Txn{
		Compares: []write.Compare{{Key: "a", Revision: e.Revision}, {Key: "b", Revision: 7}},
		Puts:     []write.Put{{Key: "a", Value: []byte("new")}, {Key: "c", Value: []byte("new")}},
		Deletes:  []write.Key{"gone"},
	})
	if !errors.Is(err, write.ErrConflict) {
		t.Fatalf("Commit = %v, want a conflict", err)
	}
	if diff := cmp.Diff(e, get(t, l, "a")); diff != "" {
		t.Errorf("a changed: %s", diff)
	}
	if get(t, l, "c").Revision != 0 || get(t, l, "gone").Revision == 0 {
		t.Error("a transaction whose comparison failed took effect in part")
	}
}

func deletedKey(t *testing.T, l write.Ledger) {
	put(t, l, "a", "1")
	before := get(t, l, "a").Revision
	must(t, l.Commit(t.Context(), write.Txn{Compares: []write.Compare{{Key: "a", Revision: before}}, Deletes: []write.Key{"a", "never"}}))
	if get(t, l, "a").Revision != 0 {
		t.Fatal("a deleted key is there")
	}
	put(t, l, "a", "1")
	err := l.Commit(t.Context(), write.Txn{Compares: []write.Compare{{Key: "a", Revision: before}}, Deletes: []write.Key{"a"}})
	if !errors.Is(err, write.ErrConflict) {
		t.Errorf("the revision from before the delete still matches: %v", err)
	}
}

func listing(t *testing.T, l write.Ledger) {
	for _, k := range []write.Key{"x/2", "x/10", "x/1", "w", "x", "y", "x/\xff"} {
		put(t, l, k, string(k))
	}
	keys := func(prefix, after write.Key, limit int) (all []write.Key) {
		entries, err := l.List(t.Context(), prefix, after, limit)
		must(t, err)
		for _, e := range entries {
			if string(e.Value) != string(e.Key) || e.Revision == 0 {
				t.Errorf("listed %+v", e)
			}
			all = append(all, e.Key)
		}
		return all
	}
	for _, tc := range []struct {
		prefix, after write.Key
		limit         int
		want          []write.Key
	}{
		{"x/", "", 0, []write.Key{"x/1", "x/10", "x/2", "x/\xff"}},
		{"x/", "", 2, []write.Key{"x/1", "x/10"}},
		{"x/", "x/10", 2, []write.Key{"x/2", "x/\xff"}},
		{"x/", "x/11", 1, []write.Key{"x/2"}},
		{"x/", "w", 1, []write.Key{"x/1"}},
		{"x/", "x/\xff", 0, nil},
		{"z", "", 0, nil},
		{"", "x", 2, []write.Key{"x/1", "x/10"}},
	} {
		if diff := cmp.Diff(tc.want, keys(tc.prefix, tc.after, tc.limit)); diff != "" {
			t.Errorf("List(%q, %q, %d): %s", tc.prefix, tc.after, tc.limit, diff)
		}
	}
}

func ownValues(t *testing.T, l write.Ledger) {
	v := []byte("good")
	must(t, l.Commit(t.Context(), write.Txn{Puts: []write.Put{{Key: "a", Value: v}, {Key: "empty", Value: nil}}}))
	copy(v, "evil")
	e := get(t, l, "a")
	copy(e.Value, "evil")
	if got := string(get(t, l, "a").Value); got != "good" {
		t.Errorf("a = %q after its buffers were changed", got)
	}
	if e := get(t, l, "empty"); e.Revision == 0 || len(e.Value) != 0 {
		t.Errorf("an empty value = %+v", e)
	}
}

func racingIncrements(t *testing.T, l write.Ledger) {
	const workers, each = 8, 20
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				if err := increment(t.Context(), l, "n"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got := string(get(t, l, "n").Value); got != strconv.Itoa(workers*each) {
		t.Errorf("n = %s, want %d", got, workers*each)
	}
}

func increment(ctx context.Context, l write.Ledger, k write.Key) error {
	for {
		entries, err := l.Get(ctx, k)
		if err != nil {
			return err
		}
		n, _ := strconv.Atoi(string(entries[0].Value)) // absent counts as 0
		err = l.Commit(ctx, write.Txn{
			Compares: []write.Compare{{Key: k, Revision: entries[0].Revision}},
			Puts:     []write.Put{{Key: k, Value: []byte(strconv.Itoa(n + 1))}},
		})
		if !errors.Is(err, write.ErrConflict) {
			return err
		}
	}
}

func wholeTransactions(t *testing.T, l write.Ledger) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			v := []byte(strconv.Itoa(i))
			if err := l.Commit(context.Background(), write.Txn{Puts: []write.Put{{Key: "a", Value: v}, {Key: "b", Value: v}}}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 100 {
		entries, err := l.Get(t.Context(), "a", "b")
		must(t, err)
		if string(entries[0].Value) != string(entries[1].Value) {
			t.Errorf("read half a transaction: %q and %q", entries[0].Value, entries[1].Value)
			break
		}
	}
	close(stop)
	wg.Wait()
}

func oneCreator(t *testing.T, l write.Ledger) {
	var wg sync.WaitGroup
	won := make(chan string, 50)
	for i := range 50 {
		wg.Go(func() {
			name := fmt.Sprint("worker ", i)
			err := l.Commit(t.Context(), write.Txn{Compares: []write.Compare{{Key: "slice"}}, Puts: []write.Put{{Key: "slice", Value: []byte(name)}}})
			switch {
			case err == nil:
				won <- name
			case !errors.Is(err, write.ErrConflict):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	close(won)
	winner := <-won
	if more, ok := <-won; ok {
		t.Fatalf("%q and %q both won", winner, more)
	}
	if got := string(get(t, l, "slice").Value); got != winner {
		t.Errorf("stored %q, told %q", got, winner)
	}
}

func cancelled(t *testing.T, l write.Ledger) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := l.Commit(ctx, write.Txn{Puts: []write.Put{{Key: "a", Value: []byte("1")}}})
	if !errors.Is(err, context.Canceled) || get(t, l, "a").Revision != 0 {
		t.Errorf("Commit of a cancelled context = %v, stored %+v", err, get(t, l, "a"))
	}
}

func restart(t *testing.T, l write.Ledger, reopen func(*testing.T, write.Ledger) write.Ledger) {
	for i := range 10 {
		put(t, l, write.Key(fmt.Sprint("k/", i)), "v")
	}
	before, err := l.List(t.Context(), "", "", 0)
	must(t, err)
	l = reopen(t, l)
	after, err := l.List(t.Context(), "", "", 0)
	must(t, err)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("after a restart: %s", diff)
	}
	put(t, l, "k/0", "new")
	if e := get(t, l, "k/0"); e.Revision <= before[len(before)-1].Revision {
		t.Errorf("revision %d does not rise over a restart", e.Revision)
	}
}
