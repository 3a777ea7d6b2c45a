package ddl

import (
	"strconv"
	"strings"
)

func (p *parser) create() (Statement, error) {
	if err := p.expect("CREATE"); err != nil {
		return nil, err
	}
	replace, err := p.accept("OR", "REPLACE")
	if err != nil {
		return nil, err
	}
	switch {
	case p.tok.Is("VIEW"), p.tok.Is("MATERIALIZED"):
		return p.createView(replace)
	case p.tok.Is("SCHEMA"), p.tok.Is("DATABASE"):
		return p.createSchema()
	case p.tok.Is("EXTERNAL"):
		return nil, p.unsupported("an external table")
	case !p.tok.Is("TABLE"):
		return nil, p.unsupportedKind("CREATE")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	s := &CreateTable{Lifecycle: -1, OrReplace: replace}
	if s.IfNotExists, err = p.accept("IF", "NOT", "EXISTS"); err != nil {
		return nil, err
	}
	if s.Table, err = p.tableName(); err != nil {
		return nil, err
	}
	if p.tok.Is("(") {
		if err := p.list(func() error { return p.columnOrKey(s) }); err != nil {
			return nil, err
		}
	}
	if err := p.tableOptions(s); err != nil {
		return nil, err
	}
	if len(s.Columns) == 0 && s.Query == nil && s.Like == nil {
		return nil, p.unexpected("a list of columns")
	}
	return s, nil
}

func (p *parser) columnOrKey(s *CreateTable) error {
	if p.tok.Is("PRIMARY") {
		// A column may be called primary; a key has KEY behind it.
		saved := *p
		if err := p.advance(); err != nil {
			return err
		}
		if p.tok.Is("KEY") {
			return p.primaryKey(s)
		}
		*p = saved
	}
	c, err := p.column(s)
	s.Columns = append(s.Columns, c)
	return err
}

func (p *parser) primaryKey(s *CreateTable) error {
	if len(s.PrimaryKey) > 0 {
		return p.failAt(CodeParse, p.tok, "a second primary key")
	}
	if err := p.expect("KEY"); err != nil {
		return err
	}
	var err error
	s.PrimaryKey, err = p.names()
	return err
}

// column reads name, type and constraints. s takes a primary key written behind the
// column; nil means there can be none.
func (p *parser) column(s *CreateTable) (Column, error) {
	c := Column{Pos: Position(p.lex.Source, p.tok.Start)}
	var err error
	if c.Name, err = p.name("a column name"); err != nil {
		return c, err
	}
	if c.Type, c.TypePos, err = p.typeText(); err != nil {
		return c, err
	}
	for {
		switch {
		case p.tok.Is("NOT"):
			c.NotNull = true
			err = p.expect("NOT", "NULL")
		case p.tok.Is("NULL"):
			err = p.advance()
		case p.tok.Is("COMMENT"):
			if err = p.advance(); err == nil {
				c.Comment, err = p.str("a comment")
			}
		case p.tok.Is("DEFAULT"):
			c.Default, err = p.defaultText()
		case p.tok.Is("PRIMARY") && s != nil && len(s.PrimaryKey) == 0:
			s.PrimaryKey = []string{c.Name}
			err = p.expect("PRIMARY", "KEY")
		case p.tok.Is("AS"), p.tok.Is("GENERATED"):
			err = p.unsupported("a generated column")
		default:
			return c, nil
		}
		if err != nil {
			return c, err
		}
	}
}

// defaultText takes the expression up to the next comma, parenthesis or constraint.
func (p *parser) defaultText() (string, error) {
	if err := p.advance(); err != nil {
		return "", err
	}
	start, end, depth := p.tok.Start, p.tok.Start, 0
	for p.tok.Kind != EOF {
		switch {
		case p.tok.Is("("):
			depth++
		case depth > 0 && p.tok.Is(")"):
			depth--
		case depth == 0 && (p.tok.Is(",") || p.tok.Is(")") || p.tok.Is(";") || p.tok.Is("COMMENT") || p.tok.Is("NOT")):
			if start == end {
				return "", p.unexpected("a default value")
			}
			return p.lex.Source[start:end], nil
		}
		end = p.tok.End
		if err := p.advance(); err != nil {
			return "", err
		}
	}
	return "", p.unexpected("')'")
}

// typeText reads a type: a word, then (…) or <…>.
func (p *parser) typeText() (string, Pos, error) {
	pos := Position(p.lex.Source, p.tok.Start)
	if p.tok.Kind != Ident {
		return "", pos, p.unexpected("a type")
	}
	start, end := p.tok.Start, p.tok.End
	if err := p.advance(); err != nil {
		return "", pos, err
	}
	for depth := 0; ; {
		opens := p.tok.Is("(") || p.tok.Is("<")
		closes := p.tok.Is(")") || p.tok.Is(">")
		switch {
		case opens && depth == maxNesting:
			return "", pos, p.failAt(CodeParse, p.tok, "a type nested deeper than %d", maxNesting)
		case opens:
			depth++
		case depth == 0:
			return p.lex.Source[start:end], pos, nil
		case closes:
			depth--
		case p.tok.Kind == EOF || p.tok.Is(";"):
			return "", pos, p.unexpected("the end of a type")
		}
		end = p.tok.End
		if err := p.advance(); err != nil {
			return "", pos, err
		}
		if depth == 0 {
			return p.lex.Source[start:end], pos, nil
		}
	}
}

// tableOptions reads what follows the columns, in any order.
func (p *parser) tableOptions(s *CreateTable) error {
	for {
		var err error
		switch {
		case p.tok.Is("COMMENT"):
			if err = p.advance(); err == nil {
				s.Comment, err = p.str("a comment")
			}
		case p.tok.Is("PARTITIONED"):
			err = p.partitionedBy(s)
		case p.tok.Is("TBLPROPERTIES"):
			err = p.properties(s)
		case p.tok.Is("LIFECYCLE"):
			s.Lifecycle, err = p.lifecycle()
		case p.tok.Is("RANGE"), p.tok.Is("CLUSTERED"):
			s.Clustered, err = p.clustered()
		case p.tok.Is("STORED"):
			err = p.stored()
		case p.tok.Is("AUTO"):
			err = p.autoPartitioned(s)
		case p.tok.Is("ROW"), p.tok.Is("LOCATION"), p.tok.Is("USING"):
			err = p.unsupported(strings.ToUpper(p.tok.Text))
		case p.tok.Is("AS"):
			return p.createAs(s)
		case p.tok.Is("LIKE"):
			err = p.createLike(s)
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (p *parser) partitionedBy(s *CreateTable) error {
	if len(s.PartitionedBy) > 0 {
		return p.unexpected("one PARTITIONED BY")
	}
	if err := p.expect("PARTITIONED", "BY"); err != nil {
		return err
	}
	return p.list(func() error {
		c, err := p.column(nil)
		s.PartitionedBy = append(s.PartitionedBy, c)
		return err
	})
}

// autoPartitioned reads AUTO PARTITIONED BY (trunc_time(column, 'unit') [AS name]).
func (p *parser) autoPartitioned(s *CreateTable) error {
	a := &AutoPartition{Pos: Position(p.lex.Source, p.tok.Start), Name: "_pt_col_0_"}
	if s.Auto != nil || len(s.PartitionedBy) > 0 {
		return p.unexpected("one PARTITIONED BY")
	}
	if err := p.expect("AUTO", "PARTITIONED", "BY", "("); err != nil {
		return err
	}
	if !p.tok.Is("TRUNC_TIME") {
		return p.unsupported("AUTO PARTITIONED BY with anything but trunc_time")
	}
	if err := p.expect("TRUNC_TIME", "("); err != nil {
		return err
	}
	var err error
	if a.Column, err = p.name("a column name"); err != nil {
		return err
	}
	if err = p.expect(","); err != nil {
		return err
	}
	if a.Unit, err = p.str("'year', 'month', 'day' or 'hour'"); err != nil {
		return err
	}
	if err = p.expect(")"); err != nil {
		return err
	}
	as, err := p.accept("AS")
	if err == nil && as {
		a.Name, err = p.name("a column name")
	}
	if err != nil {
		return err
	}
	s.Auto = a
	return p.expect(")")
}

func (p *parser) properties(s *CreateTable) error {
	if err := p.advance(); err != nil {
		return err
	}
	return p.list(func() error {
		key, err := p.str("a property name in quotes")
		if err != nil {
			return err
		}
		if err := p.expect("="); err != nil {
			return err
		}
		value, err := p.str("a property value in quotes")
		s.Properties = append(s.Properties, Property{Key: key, Value: value})
		return err
	})
}

func (p *parser) lifecycle() (int, error) {
	if err := p.advance(); err != nil {
		return 0, err
	}
	return p.positive("a number of days")
}

func (p *parser) positive(what string) (int, error) {
	n, err := strconv.Atoi(p.tok.Text)
	if p.tok.Kind != Number || err != nil || n <= 0 {
		return 0, p.unexpected(what)
	}
	return n, p.advance()
}

// clustered reads [RANGE] CLUSTERED BY (…) [SORTED BY (…)] [INTO n BUCKETS], a hint about
// the layout of files that changes no answer.
func (p *parser) clustered() (*Clustered, error) {
	c := &Clustered{}
	var err error
	if c.Range, err = p.accept("RANGE"); err != nil {
		return nil, err
	}
	if err := p.expect("CLUSTERED", "BY"); err != nil {
		return nil, err
	}
	if c.Columns, err = p.names(); err != nil {
		return nil, err
	}
	sorted, err := p.accept("SORTED", "BY")
	if err != nil {
		return nil, err
	}
	if sorted {
		if err := p.list(func() error { return p.sortedColumn(c) }); err != nil {
			return nil, err
		}
	}
	into, err := p.accept("INTO")
	if err != nil || !into {
		return c, err
	}
	if c.Buckets, err = p.positive("a number of buckets"); err != nil {
		return nil, err
	}
	return c, p.expect("BUCKETS")
}

func (p *parser) sortedColumn(c *Clustered) error {
	name, err := p.name("a column name")
	if err != nil {
		return err
	}
	c.Sorted = append(c.Sorted, Sorted{Column: name})
	if ascending, err := p.accept("ASC"); err != nil || ascending {
		return err
	}
	c.Sorted[len(c.Sorted)-1].Descending, err = p.accept("DESC")
	return err
}

// stored reads STORED AS format; the format is ours to choose. STORED BY is an external
// table.
func (p *parser) stored() error {
	if err := p.advance(); err != nil {
		return err
	}
	if p.tok.Is("BY") {
		return p.unsupported("an external table")
	}
	if err := p.expect("AS"); err != nil {
		return err
	}
	_, err := p.name("a file format")
	return err
}

func (p *parser) createAs(s *CreateTable) error {
	if len(s.Columns) > 0 {
		return p.unexpected("no list of columns before AS")
	}
	if err := p.advance(); err != nil {
		return err
	}
	text, err := p.rest("a query")
	s.Query = &text
	return err
}

func (p *parser) createLike(s *CreateTable) error {
	if len(s.Columns) > 0 || s.Like != nil {
		return p.unexpected("no list of columns before LIKE")
	}
	if err := p.advance(); err != nil {
		return err
	}
	name, err := p.tableName()
	s.Like = &name
	return err
}
