package bolt_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/sluice-io/sluice/service/internal/ledger/bolt"
	"github.com/sluice-io/sluice/service/internal/ledger/ledgertest"
	"github.com/sluice-io/sluice/service/internal/write"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, path string, o bolt.Options) *bolt.Ledger {
	t.Helper()
	l, err := bolt.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestLedgerSuite(t *testing.T) {
	var path string
	ledgertest.Run(t,
		func(t *testing.T) write.Ledger {
			path = filepath.Join(t.TempDir(), "new", "ledger.db")
			return open(t, path, bolt.Options{NoSync: true})
		},
		func(t *testing.T, l write.Ledger) write.Ledger {
			if err := l.(*bolt.Ledger).Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, path, bolt.Options{NoSync: true})
		})
}

func TestASecondProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	open(t, path, bolt.Options{})
	if _, err := bolt.Open(path, bolt.Options{}); !errors.Is(err, bolt.ErrLocked) {
		t.Errorf("second Open = %v, want ErrLocked", err)
	}
}

func TestAnotherFormatVersionIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("meta"))
		if err != nil {
			return err
		}
		return b.Put([]byte("version"), []byte("2"))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := bolt.Open(path, bolt.Options{}); err == nil {
		t.Error("a file of version 2 was opened")
	}
}

func TestAFailedWriteIsFatal(t *testing.T) {
	var fatal error
	l, err := bolt.Open(filepath.Join(t.TempDir(), "ledger.db"), bolt.Options{Fatal: func(err error) { fatal = err }})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	err = l.Commit(t.Context(), write.Txn{Puts: []write.Put{{Key: "a", Value: []byte("1")}}})
	if fatal == nil || !errors.Is(err, write.ErrUnknownOutcome) {
		t.Errorf("Commit into a file that cannot be written = %v, fatal %v", err, fatal)
	}
}

// TestAKeyThatBboltRefusesEndsNoProcess: the keys of locks hold partition values, which callers choose.
func TestAKeyThatBboltRefusesEndsNoProcess(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), bolt.Options{NoSync: true, Fatal: func(err error) { t.Errorf("Fatal: %v", err) }})
	for _, key := range []write.Key{"", write.Key(strings.Repeat("k", bbolt.MaxKeySize+1))} {
		err := l.Commit(t.Context(), write.Txn{Puts: []write.Put{{Key: "a"}, {Key: key}}})
		if err == nil || errors.Is(err, write.ErrUnknownOutcome) || errors.Is(err, write.ErrConflict) {
			t.Errorf("a key of %d bytes = %v, want an error that says nothing was changed", len(key), err)
		}
	}
	if have, err := l.List(t.Context(), "", "", 0); err != nil || len(have) != 0 {
		t.Errorf("the ledger holds %v, %v", have, err)
	}
	if err := l.Commit(t.Context(), write.Txn{Puts: []write.Put{{Key: "a"}}}); err != nil {
		t.Errorf("Commit afterwards = %v", err)
	}
}
