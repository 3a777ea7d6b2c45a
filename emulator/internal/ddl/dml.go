package ddl

import (
	"slices"
	"strings"
)

// MultiInsert is FROM … INSERT … INSERT …: all take effect at once.
type MultiInsert struct{ Inserts []*Insert }

// Target is the table of an UPDATE, DELETE or MERGE, and the name by which its columns are
// qualified.
type Target struct {
	Table Name
	Alias string // the table's own name if none was given
}

// Assignment is column = expression.
type Assignment struct {
	Column string
	Value  Text
}

// Update is UPDATE … SET … WHERE.
type Update struct {
	Target
	Set   []Assignment // never empty
	Where *Text        // nil: every row
}

// Delete is DELETE FROM … WHERE.
type Delete struct {
	Target
	Where *Text // nil: every row
}

// Merge is MERGE INTO … USING … ON …, with its WHEN clauses in order.
type Merge struct {
	Target
	Source      Text // a table or a query in parentheses
	SourceAlias string
	On          Text
	Clauses     []MergeClause // never empty
}

// MergeClause is one WHEN of a MERGE.
type MergeClause struct {
	Matched bool
	And     *Text        // nil: always
	Set     []Assignment // UPDATE SET
	Delete  bool
	Columns []string // INSERT (columns); empty: all of the table
	Values  []Text   // INSERT VALUES
}

func (*MultiInsert) statement() {}
func (*Update) statement()      {}
func (*Delete) statement()      {}
func (*Merge) statement()       {}

// until takes everything up to one of the words, or the comma if comma is set, outside of
// parentheses and CASE.
func (p *parser) until(what string, comma bool, words ...string) (Text, error) {
	start, end, depth, cases := p.tok.Start, p.tok.Start, 0, 0
	for p.tok.Kind != EOF && !p.tok.Is(";") {
		outside := depth == 0 && cases == 0
		switch {
		case p.tok.Is("("), p.tok.Is("["):
			depth++
		case p.tok.Is(")"), p.tok.Is("]"):
			depth--
		case outside && (comma && p.tok.Is(",") || p.isAny(words)):
			return p.piece(what, start, end)
		case p.tok.Is("CASE"):
			cases++
		case p.tok.Is("END") && cases > 0:
			cases--
		}
		if depth < 0 {
			break
		}
		end = p.tok.End
		if err := p.advance(); err != nil {
			return Text{}, err
		}
	}
	if depth > 0 {
		return Text{}, p.unexpected("')' or ']'")
	}
	return p.piece(what, start, end)
}

func (p *parser) isAny(words []string) bool {
	return slices.ContainsFunc(words, p.tok.Is)
}

func (p *parser) piece(what string, start, end int) (Text, error) {
	if start == end {
		return Text{}, p.unexpected(what)
	}
	return Text{SQL: p.lex.Source[start:end], Offset: start}, nil
}

// target reads a table with an alias, if one of the words does not follow at once.
func (p *parser) target(words ...string) (Target, error) {
	var t Target
	var err error
	if t.Table, err = p.tableName(); err != nil {
		return t, err
	}
	t.Alias = t.Table.Parts[len(t.Table.Parts)-1]
	if p.tok.Is("PARTITION") {
		return t, p.unsupported("UPDATE, DELETE or MERGE of one partition; name it in WHERE")
	}
	as, err := p.accept("AS")
	if err != nil {
		return t, err
	}
	if as || (p.tok.Kind == Ident || p.tok.Kind == Quoted) && !p.isAny(words) {
		t.Alias, err = p.name("an alias")
	}
	return t, err
}

func (p *parser) update() (Statement, error) {
	s := &Update{}
	err := p.expect("UPDATE")
	if err != nil {
		return nil, err
	}
	if s.Target, err = p.target("SET"); err != nil {
		return nil, err
	}
	if err = p.expect("SET"); err != nil {
		return nil, err
	}
	if s.Set, err = p.assignments("WHERE", "FROM"); err != nil {
		return nil, err
	}
	if p.tok.Is("FROM") {
		return nil, p.unsupported("UPDATE … FROM; MERGE does the same")
	}
	s.Where, err = p.where()
	return s, err
}

func (p *parser) remove() (Statement, error) {
	s := &Delete{}
	err := p.expect("DELETE", "FROM")
	if err != nil {
		return nil, err
	}
	if s.Target, err = p.target("WHERE"); err != nil {
		return nil, err
	}
	s.Where, err = p.where()
	return s, err
}

func (p *parser) where() (*Text, error) {
	where, err := p.accept("WHERE")
	if err != nil || !where {
		return nil, err
	}
	text, err := p.rest("a condition")
	return &text, err
}

func (p *parser) assignments(ends ...string) ([]Assignment, error) {
	var out []Assignment
	for {
		name, err := p.name("a column name")
		if err != nil {
			return nil, err
		}
		dot, err := p.accept(".")
		if err == nil && dot { // qualified by the table
			name, err = p.name("a column name")
		}
		if err != nil {
			return nil, err
		}
		if err := p.expect("="); err != nil {
			return nil, err
		}
		value, err := p.until("a value", true, ends...)
		if err != nil {
			return nil, err
		}
		out = append(out, Assignment{Column: strings.ToLower(name), Value: value})
		more, err := p.accept(",")
		if err != nil || !more {
			return out, err
		}
	}
}

func (p *parser) merge() (Statement, error) {
	s := &Merge{}
	err := p.expect("MERGE", "INTO")
	if err != nil {
		return nil, err
	}
	if s.Target, err = p.target("USING"); err != nil {
		return nil, err
	}
	if err = p.expect("USING"); err != nil {
		return nil, err
	}
	if err = p.mergeSource(s); err != nil {
		return nil, err
	}
	if err = p.expect("ON"); err != nil {
		return nil, err
	}
	if s.On, err = p.until("a condition", false, "WHEN"); err != nil {
		return nil, err
	}
	for p.tok.Is("WHEN") {
		c, err := p.mergeClause()
		if err != nil {
			return nil, err
		}
		s.Clauses = append(s.Clauses, c)
	}
	if len(s.Clauses) == 0 {
		return nil, p.unexpected("'WHEN'")
	}
	return s, nil
}

// mergeSource reads a table or a query with an alias.
func (p *parser) mergeSource(s *Merge) error {
	var err error
	if p.tok.Is("(") {
		start := p.tok.Start
		if err := p.skipParentheses(); err != nil {
			return err
		}
		s.Source = Text{SQL: p.lex.Source[start:p.last], Offset: start}
		if _, err := p.accept("AS"); err != nil {
			return err
		}
		s.SourceAlias, err = p.name("an alias")
		return err
	}
	start := p.tok.Start
	name, err := p.tableName()
	if err != nil {
		return err
	}
	s.Source = Text{SQL: p.lex.Source[start:p.last], Offset: start}
	s.SourceAlias = name.Parts[len(name.Parts)-1]
	as, err := p.accept("AS")
	if err == nil && (as || !p.tok.Is("ON")) {
		s.SourceAlias, err = p.name("an alias")
	}
	return err
}

// skipParentheses goes behind the parenthesis that is open here.
func (p *parser) skipParentheses() error {
	depth := 0
	for {
		switch {
		case p.tok.Is("("):
			depth++
		case p.tok.Is(")"):
			depth--
		case p.tok.Kind == EOF || p.tok.Is(";"):
			return p.unexpected("')'")
		}
		if err := p.advance(); err != nil {
			return err
		}
		if depth == 0 {
			return nil
		}
	}
}

func (p *parser) mergeClause() (MergeClause, error) {
	var c MergeClause
	if err := p.expect("WHEN"); err != nil {
		return c, err
	}
	not, err := p.accept("NOT")
	if err != nil {
		return c, err
	}
	c.Matched = !not
	if err := p.expect("MATCHED"); err != nil {
		return c, err
	}
	and, err := p.accept("AND")
	if err == nil && and {
		var text Text
		text, err = p.until("a condition", false, "THEN")
		c.And = &text
	}
	if err != nil {
		return c, err
	}
	if err := p.expect("THEN"); err != nil {
		return c, err
	}
	switch {
	case c.Matched && p.tok.Is("UPDATE"):
		if err := p.expect("UPDATE", "SET"); err != nil {
			return c, err
		}
		c.Set, err = p.assignments("WHEN")
		return c, err
	case c.Matched && p.tok.Is("DELETE"):
		c.Delete = true
		return c, p.advance()
	case !c.Matched && p.tok.Is("INSERT"):
		return c, p.mergeInsert(&c)
	case c.Matched:
		return c, p.unexpected("'UPDATE' or 'DELETE'")
	default:
		return c, p.unexpected("'INSERT'")
	}
}

func (p *parser) mergeInsert(c *MergeClause) error {
	if err := p.advance(); err != nil {
		return err
	}
	if p.tok.Is("(") {
		var err error
		if c.Columns, err = p.names(); err != nil {
			return err
		}
	}
	if err := p.expect("VALUES"); err != nil {
		return err
	}
	return p.list(func() error {
		value, err := p.until("a value", true)
		c.Values = append(c.Values, value)
		return err
	})
}

// selectEnds are the words behind the list of columns of a SELECT.
var selectEnds = []string{"WHERE", "GROUP", "HAVING", "ORDER", "DISTRIBUTE", "SORT", "CLUSTER", "LIMIT", "WINDOW", "LATERAL", "INSERT"}

// multiInsert reads FROM source INSERT … SELECT … [WHERE …] INSERT ….
func (p *parser) multiInsert() (Statement, error) {
	start := p.tok.Start
	if err := p.expect("FROM"); err != nil {
		return nil, err
	}
	if _, err := p.until("a table", false, "INSERT"); err != nil {
		return nil, err
	}
	from := p.lex.Source[start:p.last]
	s := &MultiInsert{}
	for p.tok.Is("INSERT") {
		insert, err := p.insertInto()
		if err != nil {
			return nil, err
		}
		if !p.tok.Is("SELECT") {
			return nil, p.unexpected("'SELECT'")
		}
		list, err := p.until("a list of columns", false, append([]string{"FROM"}, selectEnds...)...)
		if err != nil {
			return nil, err
		}
		if p.tok.Is("FROM") {
			return nil, p.unexpected("no FROM: it stands before the first INSERT")
		}
		insert.Query = Text{SQL: list.SQL + " " + from, Offset: -1}
		if !p.tok.Is("INSERT") && p.tok.Kind != EOF && !p.tok.Is(";") {
			rest, err := p.until("the end of a query", false, "INSERT")
			if err != nil {
				return nil, err
			}
			insert.Query.SQL += " " + rest.SQL
		}
		s.Inserts = append(s.Inserts, insert)
	}
	if len(s.Inserts) == 0 {
		return nil, p.unexpected("'INSERT'")
	}
	return s, nil
}
