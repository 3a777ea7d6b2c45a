package read

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// openAtOnce bounds the download sessions that one call makes at the same time.
const openAtOnce = 16

// create checks a spec, in the order shape, table, columns, partitions, and fixes its snapshot.
func (e *Engine) create(ctx context.Context, spec Spec) (*snapshot, string, error) {
	if err := checkSpec(&spec); err != nil {
		return nil, "", err
	}
	info, err := e.table(ctx, spec.Table)
	if err != nil {
		return nil, "", err
	}
	snap := &snapshot{nonce: nonce(), name: info.Name}
	if snap.columns, err = resolveColumns(&info.Schema, spec.Columns, spec.ExcludedColumns); err != nil {
		return nil, "", err
	}
	for _, c := range info.Schema.PartitionColumns {
		snap.levels = append(snap.levels, c.Name)
	}
	if snap.parts, err = e.selectPartitions(ctx, info, &spec); err != nil {
		return nil, "", err
	}
	if err := e.fix(ctx, snap); err != nil {
		return nil, "", err
	}
	token, err := snap.seal(e.cfg.Key)
	return snap, token, err
}

// checkSpec finds what is wrong with a spec by itself.
func checkSpec(spec *Spec) error {
	switch {
	case !blank(spec.RowFilter):
		return apierr.New(apierr.Unsupported, "this server does not offer row_filter").WithViolation("spec.row_filter", "not offered")
	case len(spec.Partition) > 0 && len(spec.Partitions) > 0:
		return apierr.New(apierr.BadArgument, "partitions are named in the table and in the list").WithViolation("spec.partitions", "not together with table.partition")
	case len(spec.Columns) > 0 && len(spec.ExcludedColumns) > 0:
		return apierr.New(apierr.BadArgument, "columns are both chosen and excluded").WithViolation("spec.excluded_columns", "not together with columns")
	}
	if err := spec.Plan.validate(); err != nil {
		return err
	}
	if spec.Plan != nil && spec.Plan.Slice != nil {
		_, err := table.Slice(0, spec.Plan.Slice.ID, spec.Plan.Slice.Count)
		return err
	}
	return nil
}

// table loads a table that can be read.
func (e *Engine) table(ctx context.Context, name table.Name) (info *table.Info, err error) {
	err = e.cfg.Retry.Do(ctx, func(ctx context.Context) error {
		info, err = e.cfg.Backend.Table(ctx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	if info.Kind != table.Managed {
		kinds := map[table.TableKind]string{table.External: "an external table", table.View: "a view", table.MaterializedView: "a materialized view"}
		return nil, apierr.New(apierr.BadArgument, "%s is %s; only managed tables can be read", name, kinds[info.Kind]).
			With("project", name.Project).With("table", name.Table).WithViolation("spec.table", "not a managed table")
	}
	return info, nil
}

// resolveColumns gives the output columns: those named, in their order, or all data columns but the excluded ones.
func resolveColumns(s *table.Schema, named, excluded []string) ([]column, error) {
	if len(named) > 0 {
		return namedColumns(s, named)
	}
	drop := map[int]bool{}
	for _, name := range excluded {
		name = strings.TrimSpace(name)
		i := s.Index(name)
		if i < 0 && s.PartitionIndex(name) < 0 { // a partition column is not there anyway
			return nil, noColumn(s, name)
		}
		drop[i] = true
	}
	out := make([]column, 0, len(s.Columns))
	for i, c := range s.Columns {
		if !drop[i] {
			out = append(out, column{bare(c), i})
		}
	}
	if len(out) == 0 {
		return nil, apierr.New(apierr.BadColumn, "no column is left to read")
	}
	return out, nil
}

func namedColumns(s *table.Schema, named []string) ([]column, error) {
	out := make([]column, 0, len(named))
	seen := map[string]bool{}
	for _, name := range named {
		name = strings.TrimSpace(name)
		c := column{ordinal: s.Index(name)}
		switch p := s.PartitionIndex(name); {
		case c.ordinal >= 0:
			c.Column = bare(s.Columns[c.ordinal])
		case p >= 0:
			c.Column = bare(s.PartitionColumns[p])
			c.NotNull = true // a partition always has a value
		default:
			return nil, noColumn(s, name)
		}
		if seen[c.Name] {
			return nil, badColumn(name, "is named twice")
		}
		seen[c.Name] = true
		out = append(out, c)
	}
	return out, nil
}

func noColumn(s *table.Schema, name string) error {
	return badColumn(name, "does not exist; there are "+table.ListNames(s.Names()))
}

func badColumn(name, why string) error {
	return apierr.New(apierr.BadColumn, "column %q %s", name, why).With("column", name)
}

// bare is a column as tokens carry it: name, type, NOT NULL.
func bare(c table.Column) table.Column {
	return table.Column{Name: c.Name, Type: c.Type, NotNull: c.NotNull}
}

// fix opens the download sessions of a snapshot, or leaves them to the first read when there are many and their row
// counts are known, and sets the times.
func (e *Engine) fix(ctx context.Context, snap *snapshot) error {
	now := e.cfg.Now()
	snap.at, snap.expires = now, now.Add(e.cfg.SessionTTL)
	eager := len(snap.parts) <= e.cfg.LazyPartitions
	ends := make([]time.Time, len(snap.parts))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(openAtOnce)
	for i := range snap.parts {
		p := &snap.parts[i]
		if !eager && p.rows != unknownRows {
			continue
		}
		g.Go(func() error {
			d, err := e.download(ctx, snap, i)
			if err != nil {
				return err
			}
			p.download, p.rows = d.ID, d.Rows
			if !d.Created.IsZero() {
				ends[i] = d.Created.Add(e.cfg.SessionTTL)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, end := range ends {
		if !end.IsZero() && end.Before(snap.expires) {
			snap.expires = end
		}
	}
	return nil
}

// download opens a download session for partition i and checks that the snapshot's columns are still there.
func (e *Engine) download(ctx context.Context, snap *snapshot, i int) (d *Download, err error) {
	ref := snap.ref(i)
	err = e.cfg.Retry.Do(ctx, func(ctx context.Context) error {
		d, err = e.cfg.Backend.CreateDownload(ctx, ref)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, c := range snap.columns {
		if c.ordinal < 0 || len(d.Schema.Columns) == 0 {
			continue
		}
		k := d.Schema.Index(c.Name)
		if k < 0 || d.Schema.Columns[k].Type.Kind != c.Type.Kind {
			return nil, apierr.New(apierr.SchemaChanged, "the table was altered while a session was made: column %q", c.Name).
				With("project", snap.name.Project).With("table", snap.name.Table).With("column", c.Name)
		}
	}
	return d, nil
}

// ref is the upstream object of partition i.
func (s *snapshot) ref(i int) table.Ref {
	return table.Ref{Name: s.name, Partition: s.parts[i].spec}
}

func nonce() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
