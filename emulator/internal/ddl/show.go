package ddl

import "strings"

// ShowTables is SHOW TABLES.
type ShowTables struct {
	In   string // a schema or project, empty for the session's
	Like string // a pattern in which * stands for any text; empty for all
}

// ShowPartitions is SHOW PARTITIONS.
type ShowPartitions struct {
	Table Name
	Spec  Spec // leading partition columns, or nothing
}

// Describe is DESC or DESCRIBE of a table or of one partition.
type Describe struct {
	Table    Name
	Extended bool
	Spec     Spec // empty: the table
}

// ShowCreate is SHOW CREATE TABLE, which also shows views.
type ShowCreate struct{ Table Name }

// ShowSchemas is SHOW SCHEMAS.
type ShowSchemas struct{ In string }

// ShowFunctions is SHOW FUNCTIONS.
type ShowFunctions struct{}

// ShowViews is SHOW VIEWS, or SHOW MATERIALIZED VIEWS.
type ShowViews struct {
	ShowTables
	Materialized bool
}

// Explain is EXPLAIN of a statement.
type Explain struct{ Of Statement }

func (*ShowCreate) statement()     {}
func (*ShowSchemas) statement()    {}
func (*ShowFunctions) statement()  {}
func (*Explain) statement()        {}
func (*ShowTables) statement()     {}
func (*ShowPartitions) statement() {}
func (*Describe) statement()       {}

func (p *parser) show() (Statement, error) {
	if err := p.expect("SHOW"); err != nil {
		return nil, err
	}
	switch {
	case p.tok.Is("TABLES"):
		return p.showTables()
	case p.tok.Is("CREATE"):
		if err := p.expect("CREATE", "TABLE"); err != nil {
			return nil, err
		}
		name, err := p.tableName()
		return &ShowCreate{Table: name}, err
	case p.tok.Is("SCHEMAS"):
		return p.showSchemas()
	case p.tok.Is("FUNCTIONS"):
		return &ShowFunctions{}, p.advance()
	case p.tok.Is("VIEWS"), p.tok.Is("MATERIALIZED"):
		return p.showViews()
	case p.tok.Is("PARTITIONS"):
		if err := p.advance(); err != nil {
			return nil, err
		}
		s := &ShowPartitions{}
		var err error
		if s.Table, err = p.tableName(); err == nil && p.tok.Is("PARTITION") {
			s.Spec, err = p.spec(false)
		}
		return s, err
	case p.tok.Kind == Ident:
		return nil, p.unsupported("SHOW " + strings.ToUpper(p.tok.Text))
	default:
		return nil, p.unexpected("'TABLES' or 'PARTITIONS'")
	}
}

func (p *parser) showSchemas() (Statement, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	s := &ShowSchemas{}
	in, err := p.accept("IN")
	if err == nil && in {
		s.In, err = p.name("a project")
	}
	return s, err
}

func (p *parser) showViews() (Statement, error) {
	s := &ShowViews{}
	var err error
	if s.Materialized, err = p.accept("MATERIALIZED"); err != nil {
		return nil, err
	}
	if !p.tok.Is("VIEWS") {
		return nil, p.unexpected("'VIEWS'")
	}
	tables, err := p.showTables()
	if err == nil {
		s.ShowTables = *tables.(*ShowTables) //nolint:forcetypeassert // showTables returns nothing else
	}
	return s, err
}

// explain reads EXPLAIN statement.
func (p *parser) explain() (Statement, error) {
	if err := p.expect("EXPLAIN"); err != nil {
		return nil, err
	}
	if p.tok.Is("EXPLAIN") {
		return nil, p.unexpected("a statement")
	}
	of, err := p.statement()
	return &Explain{Of: of}, err
}

func (p *parser) showTables() (Statement, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	s := &ShowTables{}
	if p.tok.Is("IN") || p.tok.Is("FROM") {
		if err := p.advance(); err != nil {
			return nil, err
		}
		var err error
		if s.In, err = p.name("a schema or project"); err != nil {
			return nil, err
		}
	}
	like, err := p.accept("LIKE")
	if err == nil && like {
		s.Like, err = p.str("a pattern")
	}
	return s, err
}

func (p *parser) describe() (Statement, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	s := &Describe{}
	var err error
	if s.Extended, err = p.accept("EXTENDED"); err != nil {
		return nil, err
	}
	if s.Table, err = p.tableName(); err == nil && p.tok.Is("PARTITION") {
		s.Spec, err = p.spec(false)
	}
	return s, err
}
