package storageapi

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// ask is the body of a request for a session. Fields that clients send and that say nothing
// about the rows are not read.
type ask struct {
	RequiredDataColumns      []string
	RequiredPartitionColumns []string
	RequiredPartitions       []string
	RequiredBucketIds        []int //nolint:revive // the wire's name
	SplitOptions             struct {
		SplitMode      string
		SplitNumber    int64
		CrossPartition *bool
	}
	ArrowOptions struct {
		TimestampUnit string
		DatetimeUnit  string
	}
	FilterPredicate string

	timestamps, datetimes arrow.TimeUnit
}

// The limits of SplitOptions.
const (
	defaultSplit = 256 << 20 // bytes
	minSplit     = 10 << 20
	maxSplits    = 100_000
)

var units = map[string]arrow.TimeUnit{"second": arrow.Second, "milli": arrow.Millisecond, "micro": arrow.Microsecond, "nano": arrow.Nanosecond}

// parseAsk reads and checks a body; an empty one asks for everything.
func parseAsk(body []byte) (*ask, error) {
	a := &ask{}
	if len(bytes.TrimSpace(body)) > 0 {
		dec := json.NewDecoder(bytes.NewReader(body))
		if err := dec.Decode(a); err != nil {
			return nil, badRequest("the body is no JSON of a session: %v", err)
		}
		if _, err := dec.Token(); err != io.EOF { //nolint:errorlint // Token returns it bare
			return nil, badRequest("the body goes on behind its JSON")
		}
	}
	var ok [2]bool
	a.timestamps, ok[0] = unitOf(a.ArrowOptions.TimestampUnit, arrow.Nanosecond)
	a.datetimes, ok[1] = unitOf(a.ArrowOptions.DatetimeUnit, arrow.Millisecond)
	if !ok[0] || !ok[1] {
		return nil, badRequest("ArrowOptions: the units %q and %q are not of second, milli, micro, nano", a.ArrowOptions.TimestampUnit, a.ArrowOptions.DatetimeUnit)
	}
	return a, a.checkSplits()
}

func unitOf(name string, usual arrow.TimeUnit) (arrow.TimeUnit, bool) {
	if name == "" {
		return usual, true
	}
	u, ok := units[strings.ToLower(name)]
	return u, ok
}

// The split modes.
const (
	bySize        = "Size"
	byParallelism = "Parallelism"
	byRowOffset   = "RowOffset"
	byBucket      = "Bucket"
)

func (a *ask) checkSplits() error {
	o := &a.SplitOptions
	if o.SplitMode == "" {
		o.SplitMode = bySize
	}
	switch o.SplitMode {
	case bySize:
		if o.SplitNumber == 0 {
			o.SplitNumber = defaultSplit
		}
		if o.SplitNumber < minSplit {
			return badRequest("SplitOptions: SplitNumber %d is less than %d bytes", o.SplitNumber, minSplit)
		}
	case byParallelism:
		if o.SplitNumber < 1 || o.SplitNumber > maxSplits {
			return badRequest("SplitOptions: SplitNumber %d is not within 1 and %d", o.SplitNumber, maxSplits)
		}
	case byRowOffset:
	case byBucket:
	default:
		return badRequest("SplitOptions: SplitMode %q is not known", o.SplitMode)
	}
	if slices.ContainsFunc(a.RequiredBucketIds, func(id int) bool { return id != 0 }) {
		return badRequest("RequiredBucketIds: tables are not clustered here, so that their only bucket is 0")
	}
	return nil
}

// span is a range of a session's rows, before the filter.
type span struct{ start, count int64 }

// session is pinned rows with a plan. Everything but expires and refs stays as it is.
type session struct {
	id        string
	table     store.Table
	snapshots []*store.Snapshot // in order; their rows behind one another are the session's
	ask       *ask
	columns   []int // positions in all()
	rows      int64
	bytes     int64  // about, all columns
	splits    []span // nil for row ranges

	expires time.Time    // guarded by Handler.mu
	refs    atomic.Int64 // the registry and the requests under way
}

func (s *session) release() {
	if s.refs.Add(-1) == 0 {
		for _, sn := range s.snapshots {
			sn.Release()
		}
	}
}

// all are the data columns, then the partition columns.
func (s *session) all() []store.Column {
	return append(slices.Clip(s.table.Columns), s.table.PartitionColumns...)
}

// choose applies the columns and partitions asked for.
func (s *session) choose() error {
	data, err := positions(s.ask.RequiredDataColumns, s.table.Columns)
	if err != nil {
		return err
	}
	parts, err := positions(s.ask.RequiredPartitionColumns, s.table.PartitionColumns)
	if err != nil {
		return err
	}
	s.columns = data
	for _, at := range parts {
		s.columns = append(s.columns, len(s.table.Columns)+at)
	}
	if err := s.choosePartitions(); err != nil {
		return err
	}
	for _, sn := range s.snapshots {
		s.rows += sn.Rows()
		s.bytes += sn.Partition.Bytes
	}
	return nil
}

// positions finds columns by name in any case, in the table's order; no names are all.
func positions(names []string, columns []store.Column) ([]int, error) {
	var out []int
	for i, c := range columns {
		if len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(strings.Trim(n, "`"), c.Name) }) {
			out = append(out, i)
		}
	}
	for i, name := range names {
		name = strings.Trim(name, "`")
		if !slices.ContainsFunc(columns, func(c store.Column) bool { return strings.EqualFold(c.Name, name) }) {
			return nil, badRequest("column %q is not in the table, or not of that kind", name)
		}
		if slices.ContainsFunc(names[:i], func(n string) bool { return strings.EqualFold(strings.Trim(n, "`"), name) }) {
			return nil, badRequest("column %q is asked for twice", name)
		}
	}
	return out, nil
}

// choosePartitions keeps those that match one of the specs asked for, each of which must
// match one; a spec may name the first partition columns only.
func (s *session) choosePartitions() error {
	if len(s.ask.RequiredPartitions) == 0 {
		return nil
	}
	var specs []types.PartitionSpec
	for _, text := range s.ask.RequiredPartitions {
		spec, err := types.ParsePartitionSpec(text)
		if err == nil {
			spec, err = s.table.Spec(spec, true)
		}
		if err != nil {
			return err
		}
		if len(spec) == 0 {
			return badRequest("RequiredPartitions: %q names no partition", text)
		}
		if !slices.ContainsFunc(s.snapshots, func(sn *store.Snapshot) bool { return begins(sn.Partition.Spec, spec) }) {
			return &Error{404, "NoSuchPartition", "table " + s.table.Key.String() + " has no partition " + spec.String()}
		}
		specs = append(specs, spec)
	}
	s.snapshots = slices.DeleteFunc(s.snapshots, func(sn *store.Snapshot) bool {
		wanted := slices.ContainsFunc(specs, func(spec types.PartitionSpec) bool { return begins(sn.Partition.Spec, spec) })
		if !wanted {
			sn.Release()
		}
		return !wanted
	})
	return nil
}

func begins(spec, with types.PartitionSpec) bool {
	return len(with) <= len(spec) && slices.Equal(spec[:len(with)], with)
}

// plan cuts the session's rows into splits.
func (s *session) plan() error {
	o := s.ask.SplitOptions
	switch {
	case o.SplitMode == byRowOffset:
		return nil
	case o.SplitMode == byBucket:
		s.splits = []span{{0, s.rows}}
	case o.CrossPartition != nil && !*o.CrossPartition:
		at := int64(0)
		for _, sn := range s.snapshots {
			n := o.SplitNumber
			if o.SplitMode == byParallelism { // as many as its share, but one
				n = max(1, o.SplitNumber*sn.Rows()/max(1, s.rows))
			}
			s.cut(o.SplitMode, n, span{at, sn.Rows()}, sn.Partition.Bytes)
			at += sn.Rows()
		}
	default:
		s.cut(o.SplitMode, o.SplitNumber, span{0, s.rows}, s.bytes)
	}
	if s.splits == nil {
		s.splits = []span{}
	}
	if len(s.splits) > maxSplits {
		return badRequest("SplitOptions: %d splits, at most %d", len(s.splits), maxSplits)
	}
	return nil
}

// cut adds splits of about equal numbers of rows, none of them empty.
func (s *session) cut(mode string, number int64, rows span, bytes int64) {
	n := number
	if mode == bySize {
		n = (bytes + number - 1) / number
	}
	n = min(max(n, 1), rows.count)
	for i := range n {
		from, to := rows.count*i/n, rows.count*(i+1)/n
		s.splits = append(s.splits, span{rows.start + from, to - from})
	}
}

type columnJSON struct {
	Name, Type, Comment string
	Nullable            bool
}

// describe is the JSON of a session. Handler.mu is held, or nobody else knows the session.
func (s *session) describe() any {
	splits, records := int64(len(s.splits)), int64(-1)
	if s.splits == nil {
		splits, records = -1, s.rows
	}
	var schema struct{ DataColumns, PartitionColumns []columnJSON }
	schema.DataColumns, schema.PartitionColumns = []columnJSON{}, []columnJSON{}
	for _, at := range s.columns {
		c := s.all()[at]
		column := columnJSON{c.Name, c.Type.String(), c.Comment, c.Nullable}
		if at < len(s.table.Columns) {
			schema.DataColumns = append(schema.DataColumns, column)
		} else {
			schema.PartitionColumns = append(schema.PartitionColumns, column)
		}
	}
	return map[string]any{
		"SessionId": s.id, "SessionType": "batch_read", "SessionStatus": "NORMAL", "ExpirationTime": s.expires.UnixMilli(), "Message": "",
		"SplitsCount": splits, "RecordCount": records, "DataSchema": schema,
		"SupportedDataFormat": []map[string]string{{"Type": "ARROW", "Version": "V5"}},
		"SessionStats":        map[string]int64{"EstimatedSize": s.bytes, "EstimatedRowCount": s.rows},
	}
}
