package batch

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// program is a compiled schema definition. It does not change and is shared.
type program struct {
	table       *table.Schema
	lim         Limits
	cast        Cast
	form        Form // of the first batch
	passthrough bool
	arrowOnly   bool // the definition is an Arrow schema: columns do not fit it
	sent        []sentColumn
	from        []int     // table column → index into sent, or minMissing + index into missing
	missing     []conv    // columns that no batch carries
	scratch     sync.Pool // of *checker
}

// sentColumn is one column that batches carry, in its three forms.
type sentColumn struct {
	target      int
	col         *table.Column
	arrowType   *ltype
	arrow       conv
	columnsType *ltype
	columns     conv
	cells       conv
}

// programs holds the last few: the thousands of slices of a run have one between them.
var programs struct {
	sync.Mutex
	byKey map[string]*program
}

const maxPrograms = 128

// Compile lays out how batches of definition d become rows of s. A cast of 0 is CastAllow. It fails with BAD_COLUMN,
// BAD_INDICES, TYPE_MISMATCH, TYPE_UNSUPPORTED or BAD_ARGUMENT, naming the column. It is safe for concurrent use.
func Compile(s *table.Schema, d Definition, cast Cast, lim Limits) (*Layout, error) {
	lim = lim.withDefaults()
	if cast == 0 {
		cast = CastAllow
	}
	key := programKey(s, d, cast, lim)
	programs.Lock()
	p, ok := programs.byKey[key]
	programs.Unlock()
	if ok {
		return &Layout{program: p, form: p.form}, nil
	}
	p, err := compileProgram(s, d, cast, lim)
	if err != nil {
		return nil, err
	}
	keepProgram(key, p)
	return &Layout{program: p, form: p.form}, nil
}

// programKey holds everything that compileProgram looks at.
func programKey(s *table.Schema, d Definition, cast Cast, lim Limits) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %v %v %q\n", cast, lim, d.ColumnIndices, d.ArrowSchema)
	for _, cols := range [][]table.Column{s.Columns, s.PartitionColumns} {
		for i := range cols {
			fmt.Fprintf(&b, "%q %s %v\n", cols[i].Name, cols[i].Type, cols[i].NotNull)
		}
		b.WriteByte('\n')
	}
	for _, c := range d.Columns {
		fmt.Fprintf(&b, "%q %v\n", c.Name, c.Type)
	}
	return b.String()
}

func keepProgram(key string, p *program) {
	programs.Lock()
	defer programs.Unlock()
	if programs.byKey == nil {
		programs.byKey = make(map[string]*program)
	}
	for old := range programs.byKey {
		if len(programs.byKey) < maxPrograms {
			break
		}
		delete(programs.byKey, old)
	}
	programs.byKey[key] = p
}

func compileProgram(s *table.Schema, d Definition, cast Cast, lim Limits) (*program, error) {
	own := &table.Schema{Columns: slices.Clone(s.Columns), PartitionColumns: slices.Clone(s.PartitionColumns)}
	p := &program{table: own, lim: lim, cast: cast, form: tunnelForm(own), arrowOnly: len(d.ArrowSchema) > 0}
	sent, err := sentColumns(own, d, lim)
	if err != nil {
		return nil, err
	}
	targets, err := matchColumns(own, d.ColumnIndices, sent)
	if err != nil {
		return nil, err
	}
	p.from = slices.Repeat([]int{minMissing}, len(own.Columns))
	for i, target := range targets {
		p.from[target] = i
		if err := p.addColumn(target, &sent[i]); err != nil {
			return nil, err
		}
	}
	if err := p.addMissing(); err != nil {
		return nil, err
	}
	p.passthrough = p.decidePassthrough()
	return p, nil
}

// tunnelForm is FormRecord for tables that the tunnel's Arrow form cannot carry on all endpoints (protocol section 14):
// they disagree on the layout of intervals and of decimals beyond 38 digits.
func tunnelForm(s *table.Schema) Form {
	for i := range s.Columns {
		if arrowLacks(&s.Columns[i].Type) {
			return FormRecord
		}
	}
	return FormArrow
}

func arrowLacks(t *table.Type) bool {
	switch t.Kind {
	case table.KindIntervalDayTime, table.KindIntervalYearMonth:
		return true
	case table.KindDecimal:
		return t.Precision > 38
	}
	for i := range t.Children {
		if arrowLacks(&t.Children[i].Type) {
			return true
		}
	}
	return false
}

// announced is a sent column before it is matched: its name, and how it lies in Arrow and in columns. A nil layout is
// that of the table's type.
type announced struct {
	name           string
	arrow, columns *ltype
}

func sentColumns(s *table.Schema, d Definition, lim Limits) ([]announced, error) {
	switch {
	case len(d.Columns) > 0 && len(d.ArrowSchema) > 0:
		return nil, apierr.New(apierr.BadArgument, "a schema definition has columns or an Arrow schema, not both")
	case len(d.ArrowSchema) > 0:
		fields, err := parseSchema(d.ArrowSchema, lim)
		if err != nil {
			return nil, err
		}
		out := make([]announced, len(fields))
		for i := range fields {
			out[i] = announced{name: fields[i].name, arrow: &fields[i].typ}
		}
		return out, nil
	case len(d.Columns) > 0:
		out := make([]announced, len(d.Columns))
		for i, c := range d.Columns {
			out[i].name = c.Name
			if c.Type != nil {
				arrow, columns := sentType(*c.Type, false), sentType(*c.Type, true)
				out[i].arrow, out[i].columns = &arrow, &columns
			}
		}
		return out, nil
	case len(d.ColumnIndices) > 0:
		return make([]announced, len(d.ColumnIndices)), nil
	}
	out := make([]announced, len(s.Columns))
	for i := range s.Columns {
		out[i].name = s.Columns[i].Name
	}
	return out, nil
}

// matchColumns finds the table column of each sent one, by index if indices are given, else by name.
func matchColumns(s *table.Schema, indices []int32, sent []announced) ([]int, error) {
	if len(indices) > 0 {
		return matchIndices(s, indices, len(sent))
	}
	out := make([]int, len(sent))
	seen := make([]bool, len(s.Columns))
	byName := make(map[string]int, len(s.Columns))
	for i := range s.Columns {
		byName[strings.ToLower(s.Columns[i].Name)] = i
	}
	bad := func(name, why string) error {
		return apierr.New(apierr.BadColumn, "column %q %s", name, why).With("column", name)
	}
	for i := range sent {
		name := sent[i].name
		at, ok := byName[strings.ToLower(name)]
		switch {
		case !ok && s.PartitionIndex(name) >= 0:
			return nil, bad(name, "is a partition column: the output fixes its value")
		case !ok:
			return nil, bad(name, "does not exist in the table, which has "+table.ListNames(s.Names()[:len(s.Columns)]))
		case seen[at]:
			return nil, bad(name, "is sent twice")
		}
		seen[at], out[i] = true, at
	}
	return out, nil
}

func matchIndices(s *table.Schema, indices []int32, sent int) ([]int, error) {
	if len(indices) != sent {
		return nil, apierr.New(apierr.BadIndices, "%d column indices for %d columns", len(indices), sent)
	}
	out := make([]int, len(indices))
	seen := make([]bool, len(s.Columns))
	for i, at := range indices {
		switch {
		case at < 0 || int(at) >= len(s.Columns):
			return nil, apierr.New(apierr.BadIndices, "column index %d is not one of 0 to %d", at, len(s.Columns)-1)
		case seen[at]:
			return nil, apierr.New(apierr.BadIndices, "column index %d is named twice", at)
		}
		seen[at], out[i] = true, int(at)
	}
	return out, nil
}

func (p *program) addColumn(target int, a *announced) error {
	col := &p.table.Columns[target]
	own, ownColumns := sentType(col.Type, false), sentType(col.Type, true)
	if a.arrow == nil {
		a.arrow = &own
		if a.columns == nil {
			a.columns = &ownColumns
		}
	}
	sc := sentColumn{target: target, col: col}
	var why string
	if sc.arrow, why = compileConv(&col.Type, a.arrow, p.cast); why != "" {
		return typeError(col.Name, why)
	}
	sc.arrowType, sc.columnsType = a.arrow, a.columns
	if a.columns != nil {
		if sc.columns, why = compileConv(&col.Type, a.columns, p.cast); why != "" {
			return typeError(col.Name, why)
		}
	}
	sc.cells = conv{t: &col.Type, to: own}.withoutSource()
	p.sent = append(p.sent, sc)
	return nil
}

// minMissing and up, as a source in Layout.from, are the missing columns.
const minMissing = math.MinInt

// addMissing prepares the columns that no batch carries: NULL in every row.
func (p *program) addMissing() error {
	for i := range p.table.Columns {
		if p.from[i] >= 0 {
			continue
		}
		col := &p.table.Columns[i]
		if col.NotNull {
			return typeError(col.Name, "is NOT NULL and left out")
		}
		p.from[i] = minMissing + len(p.missing)
		p.missing = append(p.missing, conv{t: &col.Type, to: sentType(col.Type, false)}.withoutSource())
	}
	return nil
}

// decidePassthrough reports whether Arrow bodies are the tunnel's: all columns in table order in its own layout.
func (p *program) decidePassthrough() bool {
	if p.form != FormArrow || len(p.sent) != len(p.table.Columns) {
		return false
	}
	for i := range p.sent {
		if s := &p.sent[i]; s.target != i || !s.arrow.native || holdsPairs(s.arrowType) {
			return false
		}
	}
	return true
}

// holdsPairs reports timestamps as seconds and nanos, which the tunnel wants as one integer.
func holdsPairs(lt *ltype) bool {
	if lt.lay == layPair {
		return true
	}
	for i := range lt.kids {
		if holdsPairs(&lt.kids[i]) {
			return true
		}
	}
	return false
}
