package read

import (
	"context"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// unknownRows marks a partition whose rows have not been counted yet.
const unknownRows = -1

// selectPartitions finds the partitions of a session: those named, in the order asked, else all in name order. An
// unpartitioned table counts as one partition. A table that has no partitions at all gives an empty session, but texts
// that match nothing are PARTITION_NOT_FOUND.
func (e *Engine) selectPartitions(ctx context.Context, info *table.Info, spec *Spec) ([]part, error) {
	if len(info.Schema.PartitionColumns) == 0 {
		return []part{{rows: unknownRows}}, refusePartitions(info, spec)
	}
	if len(spec.Partition) > 0 {
		one, err := table.ResolveSpec(&info.Schema, spec.Partition)
		return []part{{spec: one, rows: unknownRows}}, err
	}
	var infos []table.PartitionInfo
	err := e.cfg.Retry.Do(ctx, func(ctx context.Context) (err error) {
		infos, err = e.cfg.Backend.Partitions(ctx, info.Name)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(infos) > e.cfg.MaxPartitions {
		return nil, apierr.New(apierr.BadArgument, "%d partitions, a session may have %d; name fewer", len(infos), e.cfg.MaxPartitions).
			WithViolation("spec.partitions", "too many partitions")
	}
	parts := make([]part, len(infos))
	for i, p := range infos {
		parts[i] = part{spec: p.Spec, rows: unknownRows}
		if p.Rows != nil {
			parts[i].rows = *p.Rows
		}
	}
	return parts, nil
}

func refusePartitions(info *table.Info, spec *Spec) error {
	if len(spec.Partition) == 0 && len(spec.Partitions) == 0 {
		return nil
	}
	return apierr.New(apierr.BadPartition, "table %s is not partitioned", info.Name).
		With("project", info.Name.Project).With("table", info.Name.Table)
}
