package store

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
)

// Piece is a run of rows of a snapshot, readable apart from the others. Safe for concurrent
// use.
type Piece struct {
	sn *Snapshot
	it item
}

// Pieces cuts the rows that opt asks for into runs of at most so many rows and about so many
// bytes, in order; a run never crosses stored batches.
func (sn *Snapshot) Pieces(opt ReadOptions, rows, bytes int64) ([]Piece, error) {
	var out []Piece
	for it, err := range sn.items(opt) {
		if err != nil {
			return nil, err
		}
		most := min(rows, max(1, bytes*it.msg.rows/max(1, it.msg.body)))
		for from := it.from; from < it.to; from += most {
			part := it
			part.from, part.to = from, min(from+most, it.to)
			out = append(out, Piece{sn, part})
		}
	}
	return out, nil
}

// Rows is the number of rows.
func (p Piece) Rows() int64 { return p.it.to - p.it.from }

// Read returns the columns at the given positions of the table as the batch stores them,
// in the layout that it has. The caller releases the batch; its bytes are the snapshot's.
func (p Piece) Read(columns []int) (arrow.RecordBatch, error) {
	if columns == nil {
		columns = []int{}
	}
	rec, err := p.sn.batch(p.it, ReadOptions{Columns: columns, AnyLayout: true})
	if err != nil {
		return nil, fmt.Errorf("read a piece of table %s: %w", p.sn.Table.Key, err)
	}
	return rec, nil
}
