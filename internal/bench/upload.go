package main

import (
	"context"
	"fmt"
	"time"

	sdkarray "github.com/aliyun/aliyun-odps-go-sdk/arrow/array"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/tunnel"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// Goals of the uploads of Arrow. "No more CPU" is a ratio of 1.
const (
	goalDiscard1  = 1.4
	goalDiscard16 = 1.08
	goalStore     = 1.05
	goalNoMoreCPU = 1.0
)

// uploadSlices are the numbers of writers at once.
var uploadSlices = []int{1, 16}

// setBytes is what all writers share: a set of batches that each of them writes several times over.
const setBytes = 16 << 20

// sets is how often one writer writes the set. One stream writes 256 MiB, several blocks, so that opening and commit are
// a small part; where rows are stored, the disk asks for less.
func sets(slices int, endpoint string) int {
	switch {
	case slices == 1 && endpoint == "discard":
		return 16
	case slices == 1:
		return 8
	case endpoint == "discard":
		return 2
	}
	return 1
}

// uploadGroup is the same Arrow batches through the service and through the SDK's RecordArrowWriter, from opening to commit.
// endpoint is discard (checks everything, keeps nothing) or store (writes and fsyncs).
func uploadGroup(endpoint string) group {
	g := group{}
	for _, n := range uploadSlices {
		g.rows = append(g.rows, uploadName(n, endpoint))
	}
	g.run = func(ctx context.Context, r *runner) error {
		return r.withStack(ctx, endpoint == "discard", func(s *stack) error {
			for _, n := range uploadSlices {
				if err := r.upload(ctx, s, n, endpoint); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g
}

func uploadName(slices int, endpoint string) string {
	return fmt.Sprintf("arrow_upload/wide/%d/%s", slices, endpoint)
}

func (r *runner) upload(ctx context.Context, s *stack, slices int, endpoint string) error {
	name := uploadName(slices, endpoint)
	if !r.wants(name) {
		return nil
	}
	u, err := newUpload(ctx, s, slices, r.scaled(setBytes), sets(slices, endpoint))
	if err != nil {
		return err
	}
	d := duel{
		name: name, unit: "MB/s", amount: float64(u.bytes()) / 1e6, gigabytes: float64(u.bytes()) / 1e9,
		ours: u.ours, peer: u.peer, cpuGoal: goalNoMoreCPU,
	}
	switch {
	case endpoint == "store":
		d.goal, d.cpuGoal = goalStore, 0
	case slices == 1:
		d.goal = goalDiscard1
	default:
		d.goal = goalDiscard16
	}
	return r.duel(ctx, d)
}

// upload is the batches that each slice writes, for both sides, each into its own table.
type upload struct {
	stack     *stack
	slices    int
	sets      int
	batches   *batches
	sdk       []sdkarray.Record
	ourTable  string
	peerTable string
}

func newUpload(ctx context.Context, s *stack, slices, bytes, sets int) (*upload, error) {
	b, err := arrowBatches(makeRows(wide, bytes/wide.rowBytes()))
	if err != nil {
		return nil, err
	}
	u := &upload{
		stack: s, slices: slices, sets: sets, batches: b,
		ourTable: fmt.Sprintf("ours_%d", slices), peerTable: fmt.Sprintf("peer_%d", slices),
	}
	for _, name := range []string{u.ourTable, u.peerTable} {
		if err := createTable(ctx, s.client, name, wide); err != nil {
			return nil, err
		}
	}
	session, err := s.tunnel.CreateUploadSession(project, u.peerTable)
	if err != nil {
		return nil, fmt.Errorf("create upload session: %w", err)
	}
	u.sdk, err = b.forSDK(session.ArrowSchema())
	return u, err
}

// bytes moved by one run, as Arrow.
func (u *upload) bytes() int { return u.slices * u.sets * u.batches.bytes }

// ours writes a run through the service and replaces the table with it.
func (u *upload) ours(ctx context.Context) error {
	cfg := client.WriterConfig{Output: client.TableName(u.ourTable), Schema: u.batches.schema}
	if u.slices == 1 {
		return u.writeSlice(ctx, cfg)
	}
	cfg.Run = uuid.NewString()
	_, _, err := u.stack.client.CreateRun(ctx, &sluicev1.CreateRunRequest{
		RunId: cfg.Run, Outputs: []*sluicev1.OutputSpec{{Table: cfg.Output, SliceCount: int32(u.slices)}},
	})
	if err != nil {
		return fmt.Errorf("create run: %w", err)
	}
	g, slicesCtx := errgroup.WithContext(ctx)
	for i := range u.slices {
		g.Go(func() error {
			cfg := cfg
			cfg.Slice = int32(i)
			return u.writeSlice(slicesCtx, cfg)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	run, err := u.stack.client.GetRun(ctx, cfg.Run, time.Minute)
	if err != nil {
		return fmt.Errorf("wait for commit: %w", err)
	}
	if run.GetState() != sluicev1.RunState_RUN_STATE_COMMITTED {
		return fmt.Errorf("run is %s", run.GetState())
	}
	return nil
}

func (u *upload) writeSlice(ctx context.Context, cfg client.WriterConfig) error {
	w, err := u.stack.client.NewWriter(ctx, cfg)
	if err != nil {
		return fmt.Errorf("open slice: %w", err)
	}
	defer w.Close() //nolint:errcheck // Seal told what matters
	for range u.sets {
		for _, rec := range u.batches.ours {
			if err := w.WriteArrow(rec); err != nil {
				return fmt.Errorf("write batch: %w", err)
			}
		}
	}
	return seal(ctx, w, u.sets*u.batches.rows)
}

// seal closes a slice and checks how many rows it has.
func seal(ctx context.Context, w *client.Writer, rows int) error {
	sealed, err := w.Seal(ctx)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	if sealed.Rows != int64(rows) {
		return fmt.Errorf("sealed %d rows of %d", sealed.Rows, rows)
	}
	return nil
}

// peer writes one block per slice with the SDK and replaces the table with them.
func (u *upload) peer(context.Context) error {
	session, err := u.stack.tunnel.CreateUploadSession(project, u.peerTable, tunnel.SessionCfg.Overwrite())
	if err != nil {
		return fmt.Errorf("create upload session: %w", err)
	}
	var g errgroup.Group
	ids := make([]int, u.slices)
	for i := range u.slices {
		ids[i] = i
		g.Go(func() error { return u.writeBlock(session, i) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := session.Commit(ids); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (u *upload) writeBlock(session *tunnel.UploadSession, id int) error {
	w, err := session.OpenRecordArrowWriter(id)
	if err != nil {
		return fmt.Errorf("open block: %w", err)
	}
	for range u.sets {
		for _, rec := range u.sdk {
			if err := w.WriteArrowRecord(rec); err != nil {
				return fmt.Errorf("write block: %w", err)
			}
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("close block: %w", err)
	}
	return nil
}
