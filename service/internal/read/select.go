package read

import (
	"context"
	"strings"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// unknownRows marks a partition whose rows have not been counted yet.
const unknownRows = -1

// selectPartitions finds the partitions of a session: those named, in the order asked, else all in name order. An
// unpartitioned table counts as one partition. A partitioned table without partitions is read as empty, but texts that
// match nothing are PARTITION_NOT_FOUND.
func (e *Engine) selectPartitions(ctx context.Context, info *table.Info, spec *Spec) ([]part, error) {
	if len(info.Schema.PartitionColumns) == 0 {
		return []part{{rows: unknownRows}}, refusePartitions(info, spec)
	}
	if len(spec.Partition) > 0 {
		one, err := table.ResolveSpec(&info.Schema, spec.Partition)
		return []part{{spec: one, rows: unknownRows}}, err
	}
	patterns, err := table.CompilePatterns(&info.Schema, spec.Partitions)
	if err != nil {
		return nil, err
	}
	if parts := e.plainParts(info, spec.Partitions); len(parts) > 0 {
		return parts, nil
	}
	return e.listedParts(ctx, info, spec, patterns)
}

func refusePartitions(info *table.Info, spec *Spec) error {
	if len(spec.Partition) == 0 && len(spec.Partitions) == 0 {
		return nil
	}
	return apierr.New(apierr.BadPartition, "table %s is not partitioned", info.Name).
		With("project", info.Name.Project).With("table", info.Name.Table)
}

// plainParts gives the partitions of texts that each name exactly one; nil otherwise. Opening their download sessions
// tells whether they exist, so a table's whole list need not be fetched for a few of them.
func (e *Engine) plainParts(info *table.Info, texts []string) []part {
	if len(texts) > e.cfg.LazyPartitions {
		return nil
	}
	var parts []part
	seen := map[string]bool{}
	for _, text := range texts {
		spec, err := table.ParseSpec(&info.Schema, text)
		if err != nil {
			return nil // a pattern or a query: compiled before, so it is no mistake
		}
		if key := spec.String(); !seen[key] {
			seen[key] = true
			parts = append(parts, part{spec: spec, rows: unknownRows})
		}
	}
	return parts
}

// listedParts selects among the table's partitions.
func (e *Engine) listedParts(ctx context.Context, info *table.Info, spec *Spec, patterns *table.Patterns) ([]part, error) {
	var infos []table.PartitionInfo
	err := e.cfg.Retry.Do(ctx, func(ctx context.Context) (err error) {
		infos, err = e.cfg.Backend.Partitions(ctx, info.Name)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(spec.Partitions) > 0 {
		if infos, err = pick(infos, patterns, info.Name, spec.Partitions); err != nil {
			return nil, err
		}
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

// pick gives the partitions that the patterns select. PARTITION_NOT_FOUND if one is named that does not exist, or
// nothing matches.
func pick(infos []table.PartitionInfo, patterns *table.Patterns, name table.Name, texts []string) ([]table.PartitionInfo, error) {
	specs := make([]table.Spec, len(infos))
	for i := range infos {
		specs[i] = infos[i].Spec
	}
	selected, missing := patterns.Select(specs)
	switch {
	case len(missing) > 0:
		return nil, notFound(name, missing)
	case len(selected) == 0:
		return nil, notFound(name, texts)
	}
	out := make([]table.PartitionInfo, len(selected))
	for i, k := range selected {
		out[i] = infos[k]
	}
	return out, nil
}

func notFound(name table.Name, texts []string) error {
	const shown = 10
	asked := strings.Join(texts[:min(shown, len(texts))], " | ")
	if len(texts) > shown {
		asked += " …"
	}
	return apierr.New(apierr.PartitionNotFound, "table %s has no partition %s", name, asked).
		With("project", name.Project).With("table", name.Table).With("partition", asked)
}
