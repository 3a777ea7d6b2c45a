package write

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Key is a ledger key: canonical text, parts joined by '/'. docs/formats/ledger.md lists them.
type Key string

// Revision counts the changes of one key. It rises with every put; 0 stands for a key that is not there. A key deleted
// and put again never meets a revision it had before.
type Revision int64

// Entry is one key as read. A key that is not there has Revision 0 and a nil Value.
type Entry struct {
	Key      Key
	Value    []byte // the caller's own
	Revision Revision
}

// Compare demands that a key still has the revision it was read at; 0 demands that it is not there.
type Compare struct {
	Key      Key
	Revision Revision
}

// Put writes a key.
type Put struct {
	Key   Key
	Value []byte
}

// Txn is one atomic step: if every comparison holds, all puts and deletes happen, else none. Puts and deletes name
// different keys.
type Txn struct {
	Compares []Compare
	Puts     []Put
	Deletes  []Key
}

// Sentinels that a Ledger's errors are compared with (errors.Is).
var (
	// ErrConflict says that a comparison failed and nothing was changed: read again, decide again.
	ErrConflict = errors.New("ledger entry changed meanwhile")
	// ErrUnknownOutcome says that the transaction may or may not have happened: read before anything else.
	ErrUnknownOutcome = errors.New("outcome of the ledger transaction is unknown")
)

// Ledger is the record of who owns what and what is safe. It knows nothing of runs and slices: it is a store of small
// entries with linearizable reads and compare-and-swap transactions, and every rule is in this package. When Commit
// returns nil the change survives the loss of any process. Implementations are safe for concurrent use;
// ledger/ledgertest is the suite they pass.
type Ledger interface {
	// Get reads the keys in one snapshot, in the order asked.
	Get(ctx context.Context, keys ...Key) ([]Entry, error)
	// List reads up to limit entries whose keys begin with prefix and are greater than after, in byte order. limit ≤ 0
	// means all of them.
	List(ctx context.Context, prefix, after Key, limit int) ([]Entry, error)
	// Commit carries out one transaction: nil, ErrConflict, ErrUnknownOutcome, or another error that means nothing was
	// changed.
	Commit(ctx context.Context, txn Txn) error
}

// maxTxnOps is the most comparisons, and the most puts and deletes together, in one transaction (etcd's default is
// 128 of each kind).
const maxTxnOps = 100

// Keys. Frozen: docs/formats/ledger.md. Outputs are numbered by their place in the run's declaration.
func keyRun(id RunID) Key { return Key("run/" + string(id)) }

func keyOutput(id RunID, out int) Key { return Key(fmt.Sprintf("out/%s/%03d", id, out)) }

func keySchema(id RunID, out int) Key { return Key(fmt.Sprintf("schema/%s/%03d", id, out)) }

func prefixSlices(id RunID, out int) Key { return Key(fmt.Sprintf("slice/%s/%03d/", id, out)) }

func prefixRunSlices(id RunID) Key { return Key(fmt.Sprintf("slice/%s/", id)) }

func prefixHolds(id RunID) Key { return Key(fmt.Sprintf("hold/%s/", id)) }

func prefixBlocks(id RunID, out int) Key { return Key(fmt.Sprintf("block/%s/%03d/", id, out)) }

func keyBlock(id RunID, out int, b BlockID) Key {
	return prefixBlocks(id, out) + Key(fmt.Sprintf("%05d", b))
}

func keyLock(outputKey string) Key { return Key("lock/" + outputKey) }

// sliceKey addresses a slice within the ledger and within this process.
type sliceKey struct {
	run   RunID
	out   int
	slice SliceID
}

func (k sliceKey) slices() Key {
	return prefixSlices(k.run, k.out) + Key(fmt.Sprintf("%010d", k.slice))
}

func (k sliceKey) hold() Key {
	return Key(fmt.Sprintf("hold/%s/%03d/%010d", k.run, k.out, k.slice))
}

// parseSliceKey reads "slice/<run>/<output>/<slice>" and "hold/…" back.
func parseSliceKey(k Key) (sliceKey, error) {
	parts := strings.Split(string(k), "/")
	if len(parts) != 4 {
		return sliceKey{}, fmt.Errorf("read ledger key %q: wrong shape", k)
	}
	r := sliceKey{run: RunID(parts[1])}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "%d %d", &r.out, &r.slice); err != nil {
		return sliceKey{}, fmt.Errorf("read ledger key %q: %w", k, err)
	}
	return r, nil
}
