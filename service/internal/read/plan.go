package read

import (
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// maxStreams keeps an answer that lists streams well under gRPC's 4 MiB.
const maxStreams = 65536

// streams cuts the rows of ranges, in their order, as the plan says. Every stream gets at least one range, if only an
// empty one. parts are the snapshot's partitions, for PerPartition.
func (p *Plan) streams(ranges []table.RowRange, parts []part) ([]Stream, error) {
	n, ok := table.TotalRows(ranges)
	if !ok {
		return nil, apierr.New(apierr.BadArgument, "row ranges are reversed, negative or too large").WithViolation("ranges", "not ranges of rows")
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	if p != nil && p.PerPartition {
		return perPartition(ranges, parts), nil
	}
	cuts, err := p.cut(n)
	if err != nil {
		return nil, err
	}
	out := make([]Stream, len(cuts))
	for i, cut := range cuts {
		s := Stream{}
		for _, r := range cut {
			have, err := table.Within(ranges, r)
			if err != nil {
				return nil, err
			}
			s.Ranges = append(s.Ranges, have...)
			s.Rows += r.Rows()
		}
		if len(s.Ranges) == 0 {
			s.Ranges = []table.RowRange{emptyAt(ranges, cut)}
		}
		out[i] = s
	}
	return out, nil
}

// emptyAt is an empty range near where the cut would begin.
func emptyAt(ranges []table.RowRange, cut []table.RowRange) table.RowRange {
	at := int64(0)
	if len(ranges) > 0 {
		at = ranges[len(ranges)-1].End
	}
	if len(cut) > 0 && len(ranges) == 1 {
		at = ranges[0].Start + cut[0].Start
	}
	return table.RowRange{Start: at, End: at}
}

// cut gives, for each stream, its row numbers among n rows. The plan is valid but for a slice outside its count.
func (p *Plan) cut(n int64) ([][]table.RowRange, error) {
	switch {
	case p == nil:
		return [][]table.RowRange{{{Start: 0, End: n}}}, nil
	case p.StreamCount != 0:
		return singles(table.Divide(n, int(p.StreamCount))), nil
	case p.RowsPerStream != 0:
		ranges, err := table.PerStream(n, p.RowsPerStream, maxStreams)
		return singles(ranges), err
	case p.Slice != nil:
		r, err := table.Slice(n, p.Slice.ID, p.Slice.Count)
		return singles([]table.RowRange{r}), err
	case p.Ranks != nil:
		return table.Ranks(n, int(p.Ranks.WorldSize), p.Ranks.BatchRows, p.Ranks.DropRemainder), nil
	default:
		return [][]table.RowRange{{{Start: 0, End: n}}}, nil
	}
}

func (p *Plan) validate() error {
	if p == nil {
		return nil
	}
	bad := func(field, why string) error {
		return apierr.New(apierr.BadArgument, "plan: %s %s", field, why).WithViolation("plan."+field, why)
	}
	set := 0
	for _, has := range []bool{p.StreamCount != 0, p.RowsPerStream != 0, p.Slice != nil, p.Ranks != nil, p.PerPartition} {
		if has {
			set++
		}
	}
	switch {
	case set > 1:
		return bad("plan", "has more than one way to cut")
	case p.StreamCount < 0 || p.StreamCount > maxStreams:
		return bad("stream_count", "must be 1 to 65,536")
	case p.RowsPerStream < 0:
		return bad("rows_per_stream", "must be positive")
	case p.Ranks != nil && (p.Ranks.WorldSize < 1 || p.Ranks.WorldSize > maxStreams):
		return bad("ranks.world_size", "must be 1 to 65,536")
	case p.Ranks != nil && p.Ranks.BatchRows < 1:
		return bad("ranks.batch_rows", "must be positive")
	}
	return nil
}

func singles(ranges []table.RowRange) [][]table.RowRange {
	out := make([][]table.RowRange, len(ranges))
	for i := range ranges {
		out[i] = ranges[i : i+1]
	}
	return out
}

// perPartition gives one stream for each partition that the ranges touch, in the order they touch them, empty
// partitions of a whole snapshot included.
func perPartition(ranges []table.RowRange, parts []part) []Stream {
	out := make([]Stream, 0, len(parts))
	var start int64
	for _, p := range parts {
		own := table.RowRange{Start: start, End: start + p.rows}
		start = own.End
		s := Stream{}
		for _, r := range ranges {
			from, to := max(r.Start, own.Start), min(r.End, own.End)
			if from < to || (p.rows == 0 && r.Start <= own.Start && own.End <= r.End) {
				s.Ranges = append(s.Ranges, table.RowRange{Start: from, End: to})
				s.Rows += to - from
			}
		}
		if len(s.Ranges) > 0 {
			out = append(out, s)
		}
	}
	return out
}
