package instance

import (
	"context"
	"fmt"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

// Columns that MERGE adds for itself; no column of a user has a blank in its name.
const (
	mergeHit    = "merge hit"    // of the source: true
	mergeRow    = "merge row"    // of the target: its number
	mergeAction = "merge action" // the clause that applies, -1 for none
	mergeCount  = "merge count"  // how many rows of the source change the row
	mergeRank   = "merge rank"   // of the row among its copies, 1 for the one that counts
)

// merge runs MERGE INTO: the rows of the target, changed by the clauses for those that
// match, and behind them those of the source that match nothing.
func (x *executor) merge(ctx context.Context, j *job, s *ddl.Merge) error {
	t, err := x.changeable(j, s.Target)
	if err != nil {
		return err
	}
	kept, err := mergeKept(t, s)
	if err != nil {
		return err
	}
	added, err := mergeAdded(t, s)
	if err != nil {
		return err
	}
	query := kept
	if added != "" {
		query += " union all " + added
	}
	return x.rewrite(ctx, j, t, query)
}

// action is the number of the first clause that applies, as an expression.
func action(s *ddl.Merge, matched bool, otherwise string) string {
	var out strings.Builder
	out.WriteString("case" + otherwise)
	for i, c := range s.Clauses {
		if c.Matched != matched {
			continue
		}
		when := "true"
		if c.And != nil {
			when = "(" + c.And.SQL + ")"
		}
		fmt.Fprintf(&out, " when %s then %d", when, i)
	}
	out.WriteString(" else -1 end")
	return out.String()
}

// mergeKept is the query for the rows of the target that stay, changed or not. A row that
// several rows of the source would change is an error.
func mergeKept(t store.Table, s *ddl.Merge) (string, error) {
	act := action(s, true, " when "+quoted(s.SourceAlias, mergeHit)+" is null then -1")
	var list, names, deletes []string
	sets := map[int]map[string]string{}
	for i, c := range s.Clauses {
		if c.Delete {
			deletes = append(deletes, fmt.Sprintf(" when %s = %d then false", quoted(mergeAction), i))
		}
		set, err := assignments(t, s.Target, c.Set)
		if err != nil {
			return "", err
		}
		sets[i] = set
	}
	for _, c := range t.Columns {
		old := quoted(s.Alias, c.Name)
		if choice := mergeChoice(s, sets, c); choice != "" {
			old = "case (" + act + ")" + choice + " else " + old + " end"
		}
		list, names = append(list, old+" as "+quoted(c.Name)), append(names, quoted(c.Name))
	}
	for _, c := range givenPartitions(t) {
		list, names = append(list, quoted(s.Alias, c.Name)), append(names, quoted(c.Name))
	}
	row := quoted(s.Alias, mergeRow)
	inner := fmt.Sprintf("select %s, %s as %s, count(case when (%s) >= 0 then 1 end) over (partition by %s) as %s, row_number() over (partition by %s order by case when (%s) >= 0 then 0 else 1 end) as %s"+
		" from (select *, row_number() over () as %s from %s) as %s left join (select *, true as %s from %s) as %s on (%s)",
		strings.Join(list, ", "), act, quoted(mergeAction), act, row, quoted(mergeCount), row, act, quoted(mergeRank),
		quoted(mergeRow), quoted(s.Table.Parts...), quoted(s.Alias), quoted(mergeHit), s.Source.SQL, quoted(s.SourceAlias), s.On.SQL)
	return fmt.Sprintf("select %s from (%s) as %s where case when %s > 1 then error('MERGE: a row of the target matches several rows of the source')%s else %s = 1 end",
		strings.Join(names, ", "), inner, quoted("merge rows"), quoted(mergeCount), strings.Join(deletes, ""), quoted(mergeRank)), nil
}

// mergeChoice are the branches that give a column the values of the clauses.
func mergeChoice(s *ddl.Merge, values map[int]map[string]string, c store.Column) string {
	var out strings.Builder
	for i := range s.Clauses {
		if v, ok := values[i][c.Name]; ok {
			fmt.Fprintf(&out, " when %d then cast((%s) as %s)", i, v, c.Type)
		}
	}
	return out.String()
}

// mergeAdded is the query for the rows that come from the source; empty if no clause adds
// any.
func mergeAdded(t store.Table, s *ddl.Merge) (string, error) {
	values := map[int]map[string]string{}
	for i, c := range s.Clauses {
		if c.Matched {
			continue
		}
		given, err := mergeValues(t, s, c)
		if err != nil {
			return "", err
		}
		values[i] = given
	}
	if len(values) == 0 {
		return "", nil
	}
	act := action(s, false, "")
	var list []string
	for _, c := range givenColumns(t) {
		choice := mergeChoice(s, values, c)
		if choice == "" {
			choice = fmt.Sprintf(" when 0 then cast(null as %s)", c.Type)
		}
		list = append(list, "case ("+act+")"+choice+" end")
	}
	return fmt.Sprintf("select %s from %s as %s where (%s) >= 0 and not exists (select 1 from %s as %s where %s)",
		strings.Join(list, ", "), s.Source.SQL, quoted(s.SourceAlias), act, quoted(s.Table.Parts...), quoted(s.Alias), s.On.SQL), nil
}

// mergeValues are the values of a WHEN NOT MATCHED by column, the defaults of columns that
// it leaves out among them.
func mergeValues(t store.Table, s *ddl.Merge, c ddl.MergeClause) (map[string]string, error) {
	names := c.Columns
	all := givenColumns(t)
	if len(names) == 0 {
		for _, column := range all {
			names = append(names, column.Name)
		}
	}
	if len(names) != len(c.Values) {
		return nil, semantic(s.Table.Pos, "MERGE inserts %d values into %d columns", len(c.Values), len(names))
	}
	out := map[string]string{}
	for i, name := range names {
		name = strings.ToLower(name)
		if _, twice := out[name]; twice {
			return nil, semantic(s.Table.Pos, "MERGE inserts twice into column %s of table %s", name, t.Key)
		}
		out[name] = c.Values[i].SQL
	}
	known := 0
	for _, column := range all {
		if _, given := out[column.Name]; given {
			known++
		} else if column.DefaultSQL != "" {
			out[column.Name] = column.DefaultSQL
			known++
		}
	}
	if known != len(out) {
		return nil, semantic(s.Table.Pos, "MERGE inserts into columns that table %s has not", t.Key)
	}
	return out, nil
}
