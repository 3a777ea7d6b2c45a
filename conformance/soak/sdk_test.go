package soak

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/aliyun/aliyun-odps-go-sdk/odps"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/account"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/data"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/tunnel"
)

// sdk is the official Go client. It repeats nothing but its commits, and what failed is
// asked for by the raw client.
type sdk struct {
	tunnel *tunnel.Tunnel
	tally  *tally
}

func newSDK(endpoint string, tally *tally) *sdk {
	c := odps.NewOdps(account.NewAliyunAccount("local", "local-secret"), endpoint+"/api")
	c.SetDefaultProjectName(project)
	return &sdk{tunnel.NewTunnel(c, endpoint), tally}
}

// never is the fate of what failed before anything could have an effect.
func (c *sdk) never() (stands bool, err error) {
	c.tally.add("sdk failures")
	return false, nil
}

func record(r row) data.Record {
	return data.Record{data.BigInt(r.unit), data.BigInt(r.seq), data.String(r.text)}
}

// upload is raw.upload by the SDK; what fails before the commit never stands.
func (c *sdk) upload(partition string, u unit, overwrite bool) (stands bool, err error) {
	options := []tunnel.Option{tunnel.SessionCfg.WithPartitionKey(partition)}
	if overwrite {
		options = append(options, tunnel.SessionCfg.Overwrite())
	}
	up, err := c.tunnel.CreateUploadSession(project, table, options...)
	if err != nil {
		return c.never()
	}
	w, err := up.OpenRecordWriter(3)
	if err != nil {
		return c.never()
	}
	for _, r := range u.all() {
		if err = w.Write(record(r)); err != nil {
			break
		}
	}
	if closed := w.Close(); err != nil || closed != nil {
		return c.never()
	}
	if err := up.Commit([]int{3}); err != nil {
		c.tally.add("sdk failures")
		return false, errExpired
	}
	return true, nil
}

// stream is raw.stream by the SDK.
func (c *sdk) stream(partition string, u unit) (stands bool, err error) {
	s, err := c.tunnel.CreateStreamUploadSession(project, table, tunnel.SessionCfg.WithPartitionKey(partition), tunnel.SessionCfg.WithSlotNum(3))
	if err != nil {
		return c.never()
	}
	w := s.OpenRecordPackWriter()
	for _, r := range u.all() {
		if err := w.Append(record(r)); err != nil {
			return false, fmt.Errorf("append: %w", err)
		}
	}
	if _, _, _, err := w.Flush(); err != nil {
		c.tally.add("sdk failures")
		return false, errExpired
	}
	return true, nil
}

var errAgain = errors.New("the SDK met a fault")

// read returns a partition's rows, errAgain after a fault.
func (c *sdk) read(partition string) (rows []row, err error) {
	down, err := c.tunnel.CreateDownloadSession(project, table, tunnel.SessionCfg.WithPartitionKey(partition))
	if err != nil {
		return nil, errAgain
	}
	if down.RecordCount() == 0 {
		return nil, nil
	}
	r, err := down.OpenRecordReader(0, down.RecordCount(), nil)
	if err != nil {
		return nil, errAgain
	}
	defer func() { _ = r.Close() }() // says again what Read said
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) && len(rows) == down.RecordCount() {
			return rows, nil
		}
		if err != nil { // the SDK takes a cut between two rows for the end
			return nil, errAgain
		}
		unit, ok1 := rec[0].(data.BigInt)
		seq, ok2 := rec[1].(data.BigInt)
		text, ok3 := rec[2].(data.String)
		if !ok1 || !ok2 || !ok3 {
			return nil, fmt.Errorf("record %v", rec)
		}
		rows = append(rows, row{int64(unit), int64(seq), strings.Clone(string(text))})
	}
}
