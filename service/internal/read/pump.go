package read

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
)

// readAhead is the capacity of the channel between reader and sender. With the chunk in the reader's hand it makes two
// read ahead of the one being sent, so that receiving overlaps sending.
const readAhead = 1

// pump moves the rows of one call: a reader goroutine that asks upstream, and the caller's, which encodes and sends. A
// sink that blocks fills the channel, then the reader stops reading the tunnel.
//
//	reader.run ──chunks──▶ pump.run ──▶ Encoder ──▶ Sink
type pump struct {
	engine   *Engine
	snap     *snapshot
	segments []segment
	sink     Sink
	enc      *batch.Encoder

	reader  *reader
	next    int64 // row number in the snapshot of the next row to send
	sent    int64 // NextSkipRows so far
	want    int64 // NextSkipRows at the end
	part    int
	deliver func(*batch.Out) error // p.send, bound once
	life    *time.Timer
}

// item is a chunk of rows, or the end of the reading with its error.
type item struct {
	segment int
	first   int64 // row number in the snapshot
	chunk   *batch.Chunk
	err     error
}

func (e *Engine) newPump(snap *snapshot, segments []segment, rows int64, req *RowsRequest, sink Sink) (*pump, error) {
	fetch, outs := snap.fetch()
	enc, err := batch.NewEncoder(fetch, outs, req.Options)
	if err != nil {
		return nil, err
	}
	dec, err := batch.NewDecoder(fetch)
	if err != nil {
		return nil, err
	}
	p := &pump{engine: e, snap: snap, segments: segments, sink: sink, enc: enc, sent: req.SkipRows, want: req.SkipRows + rows}
	p.deliver = p.send
	if len(segments) > 0 { // what a sign of life before the first row says
		p.next, p.part = segments[0].base+segments[0].rows.Start, segments[0].part
	}
	p.reader = &reader{
		engine: e, snap: snap, segments: segments, dec: dec, out: make(chan item, readAhead),
		form: batch.FetchForm(fetch, req.Options),
	}
	for _, c := range fetch {
		p.reader.columns = append(p.reader.columns, c.Name)
		p.reader.stamps = p.reader.stamps || hasStamp(c.Type)
	}
	return p, nil
}

func hasStamp(t table.Type) bool {
	return t.Kind == table.KindTimestamp || t.Kind == table.KindTimestampNTZ ||
		slices.ContainsFunc(t.Children, func(c table.Column) bool { return hasStamp(c.Type) })
}

// fetch gives the data columns to ask upstream for, in table order, and where the output columns come from.
func (s *snapshot) fetch() ([]table.Column, []batch.OutColumn) {
	most := -1
	for _, c := range s.columns {
		most = max(most, c.ordinal)
	}
	place := make([]int, most+1) // 1 + index into the columns fetched, 0 = not asked for
	byOrdinal := make([]table.Column, most+1)
	for _, c := range s.columns {
		if c.ordinal >= 0 {
			place[c.ordinal], byOrdinal[c.ordinal] = 1, c.Column
		}
	}
	var fetched []table.Column
	for i := range place {
		if place[i] != 0 {
			fetched = append(fetched, byOrdinal[i])
			place[i] = len(fetched)
		}
	}
	outs := make([]batch.OutColumn, len(s.columns))
	for i, c := range s.columns {
		outs[i] = batch.OutColumn{Column: c.Column, Source: batch.PartitionColumn}
		if c.ordinal >= 0 {
			outs[i].Source = place[c.ordinal] - 1
		}
	}
	return fetched, outs
}

// run sends everything. It returns after the reader goroutine did.
func (p *pump) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var reading sync.WaitGroup
	reading.Go(func() { p.reader.run(ctx) })
	defer func() {
		stop()
		reading.Wait()
		for it := range p.reader.out { // closed by the reader
			it.release()
		}
	}()
	p.life = time.NewTimer(p.engine.cfg.SignOfLife)
	defer p.life.Stop()
	return p.loop(ctx)
}

func (it *item) release() {
	if it.chunk != nil {
		it.chunk.Release()
	}
}

func (p *pump) loop(ctx context.Context) error {
	current := -1
	for {
		select {
		case it, more := <-p.reader.out:
			if !more {
				return p.end(ctx)
			}
			if it.err != nil {
				if err := p.enc.Flush(p.deliver); err != nil {
					return err
				}
				return it.err
			}
			if it.segment != current {
				current = it.segment
				if err := p.enter(&it); err != nil {
					it.release()
					return err
				}
			}
			if err := p.enc.Add(it.first, it.chunk, p.deliver); err != nil {
				return err
			}
		case <-p.life.C:
			if err := p.sign(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// end sends what is left once the reader has closed its channel, which it also does when the call is cancelled.
func (p *pump) end(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.enc.Flush(p.deliver); err != nil {
		return err
	}
	if p.sent != p.want {
		return fmt.Errorf("sent rows up to %d of %d and found no more", p.sent, p.want)
	}
	return nil
}

// enter ends the segment before and begins the item's.
func (p *pump) enter(it *item) error {
	if err := p.enc.Flush(p.deliver); err != nil {
		return err
	}
	p.next = it.first
	p.part = p.segments[it.segment].part
	return p.enc.Start(p.snap.parts[p.part].spec)
}

// send is the encoder's Emit.
func (p *pump) send(out *batch.Out) error {
	m := &Message{FirstRow: p.next, PartitionIndex: p.part, Out: out}
	p.next += int64(out.Rows)
	p.sent += int64(out.Rows)
	m.NextSkipRows = p.sent
	err := p.sink.Send(m)
	p.life.Reset(p.engine.cfg.SignOfLife)
	return err
}

// sign ends a silence: with the rows gathered so far, or with a message without any.
func (p *pump) sign() error {
	if p.enc.Pending() > 0 {
		return p.enc.Flush(p.deliver)
	}
	err := p.sink.Send(&Message{FirstRow: p.next, NextSkipRows: p.sent, PartitionIndex: p.part, Wait: p.reader.waiting(p.engine.cfg.Now())})
	p.life.Reset(p.engine.cfg.SignOfLife)
	return err
}
