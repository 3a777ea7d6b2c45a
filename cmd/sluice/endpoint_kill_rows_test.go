package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/aliyun/aliyun-odps-go-sdk/odps"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/data"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/tunnel"
)

// killedRows is a table that uploads of two blocks each are committed to; some replace all that was there.
type killedRows struct {
	e         *killedEndpoint
	c         *odps.Odps
	tunnel    *tunnel.Tunnel
	table     string
	rng       *rand.Rand
	now, next []int64 // the numbers of the uploads whose rows are in the table
	session   *tunnel.UploadSession
	n         int64
	made      bool
}

const (
	rowsPerKilledBlock = 300
	killedBlocks       = 2
)

func newKilledRows(e *killedEndpoint, seed uint64) *killedRows {
	c := e.client()
	return &killedRows{e: e, c: c, tunnel: tunnel.NewTunnel(c, "http://"+e.addr), table: fmt.Sprintf("t%d", seed), rng: rand.New(rand.NewPCG(seed, 1))}
}

func (k *killedRows) steps() int { return int(k.n) }

func (k *killedRows) step() error {
	if !k.made {
		if err := query(k.c, "create table if not exists "+k.table+" (id bigint)"); err != nil {
			return err
		}
		k.made = true
	}
	k.session = nil
	options := []tunnel.Option{}
	k.next = append(slices.Clone(k.now), k.n)
	if k.rng.IntN(4) == 0 {
		options = append(options, tunnel.SessionCfg.Overwrite())
		k.next = []int64{k.n}
	}
	session, err := k.tunnel.CreateUploadSession("p", k.table, options...)
	if err != nil {
		return err
	}
	for block := range killedBlocks {
		if err := k.upload(session, block); err != nil {
			return err
		}
	}
	k.session = session
	if err := session.Commit([]int{0, 1}); err != nil {
		return err
	}
	k.now, k.session = k.next, nil
	k.n++
	return nil
}

func (k *killedRows) upload(session *tunnel.UploadSession, block int) error {
	w, err := session.OpenRecordWriter(block)
	if err != nil {
		return err
	}
	for i := range rowsPerKilledBlock {
		if err := w.Write(data.Record{data.BigInt((k.n*killedBlocks+int64(block))*rowsPerKilledBlock + int64(i))}); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	return w.Close()
}

func (k *killedRows) verify() error {
	if !k.made {
		return query(k.c, "create table if not exists "+k.table+" (id bigint)")
	}
	got, err := k.read()
	if err != nil {
		return err
	}
	if !slices.Equal(got, k.now) && (k.session == nil || !slices.Equal(got, k.next)) {
		return fmt.Errorf("the table holds uploads %v, want %v or %v", got, k.now, k.next)
	}
	if k.session == nil {
		return nil
	}
	if err := k.session.Commit([]int{0, 1}); err != nil {
		return fmt.Errorf("repeat the commit: %w", err)
	}
	if got, err = k.read(); err != nil || !slices.Equal(got, k.next) {
		return fmt.Errorf("after the repeated commit the table holds %v, %w, want %v", got, err, k.next)
	}
	return nil
}

// read returns the numbers of the uploads that the table holds, each of which must be whole and in order.
func (k *killedRows) read() (uploads []int64, err error) {
	session, err := k.tunnel.CreateDownloadSession("p", k.table)
	if err != nil {
		return nil, err
	}
	if session.RecordCount() == 0 {
		return nil, nil
	}
	r, err := session.OpenRecordReader(0, session.RecordCount(), nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	const whole = killedBlocks * rowsPerKilledBlock
	for at := int64(0); ; at++ {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			if at%whole != 0 {
				return nil, fmt.Errorf("%d rows are no whole number of uploads", at)
			}
			return uploads, nil
		}
		if err != nil {
			return nil, err
		}
		id, err := strconv.ParseInt(record[0].String(), 10, 64)
		if err != nil {
			return nil, err
		}
		if at%whole == 0 {
			uploads = append(uploads, id/whole)
		}
		if want := uploads[len(uploads)-1]*whole + at%whole; id != want {
			return nil, fmt.Errorf("row %d is %d, want %d", at, id, want)
		}
	}
}
