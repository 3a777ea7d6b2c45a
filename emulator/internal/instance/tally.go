package instance

import (
	"sync"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// Flow is what an instance read from or wrote to one table or partition.
type Flow struct {
	// Name is the table's, with /k=v/… for a partition.
	Name        string
	Rows, Bytes int64
}

// Stats are what an instance read and wrote so far.
type Stats struct {
	Inputs, Outputs []Flow // in the order in which they came to be
	// Rows given to the client or written so far.
	Rows int64
}

// Total is the sum of flows; it has no name.
func Total(flows []Flow) (sum Flow) {
	for _, f := range flows {
		sum.Rows += f.Rows
		sum.Bytes += f.Bytes
	}
	return sum
}

// tally gathers an instance's Stats while it runs.
type tally struct {
	mu    sync.Mutex
	stats Stats
}

func flowName(k store.Key, spec types.PartitionSpec) string {
	if len(spec) == 0 {
		return k.String()
	}
	return k.String() + "/" + spec.String()
}

// read notes what was read of a table. Rows that no instance reads have a nil tally.
func (t *tally) read(table store.Table, snapshots []*store.Snapshot) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range snapshots {
		p := s.Partition
		t.stats.Inputs = append(t.stats.Inputs, Flow{flowName(table.Key, p.Spec), p.Rows, p.Bytes})
	}
}

// wrote notes what became visible.
func (t *tally) wrote(table store.Table, pubs []store.Publication) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range pubs {
		f := Flow{Name: flowName(table.Key, p.Spec)}
		for _, s := range p.Segments {
			f.Rows, f.Bytes = f.Rows+s.Rows, f.Bytes+s.Bytes
		}
		t.stats.Outputs = append(t.stats.Outputs, f)
	}
}

// made counts rows of the query's outcome as they come.
func (t *tally) made(rows int64) {
	t.mu.Lock()
	t.stats.Rows += rows
	t.mu.Unlock()
}

// snapshot is what was gathered until now.
func (t *tally) snapshot() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Stats{Inputs: append([]Flow{}, t.stats.Inputs...), Outputs: append([]Flow{}, t.stats.Outputs...), Rows: t.stats.Rows}
}
