package ddl

import "strings"

// CreateView is CREATE VIEW or CREATE MATERIALIZED VIEW.
type CreateView struct {
	View         Name
	OrReplace    bool
	IfNotExists  bool
	Materialized bool
	Columns      []Column // names and comments without types; empty: the query's
	Comment      string
	Properties   []Property
	Lifecycle    int // days; -1 when not given
	Query        Text
}

// DropView is DROP VIEW or DROP MATERIALIZED VIEW.
type DropView struct {
	View         Name
	IfExists     bool
	Materialized bool
}

// RebuildView is ALTER MATERIALIZED VIEW … REBUILD: its rows are made again.
type RebuildView struct{ View Name }

func (*CreateView) statement()  {}
func (*DropView) statement()    {}
func (*RebuildView) statement() {}

// createView reads what follows CREATE [OR REPLACE]; the next word is VIEW or MATERIALIZED.
func (p *parser) createView(orReplace bool) (Statement, error) {
	s := &CreateView{OrReplace: orReplace, Lifecycle: -1}
	var err error
	if s.Materialized, err = p.accept("MATERIALIZED"); err != nil {
		return nil, err
	}
	if err = p.expect("VIEW"); err != nil {
		return nil, err
	}
	if s.IfNotExists, err = p.accept("IF", "NOT", "EXISTS"); err != nil {
		return nil, err
	}
	if s.View, err = p.tableName(); err != nil {
		return nil, err
	}
	if err = p.viewOptions(s); err != nil {
		return nil, err
	}
	if err = p.expect("AS"); err != nil {
		return nil, err
	}
	s.Query, err = p.rest("a query")
	return s, err
}

// viewOptions reads what stands between a view's name and AS, in any order.
func (p *parser) viewOptions(s *CreateView) error {
	for {
		var err error
		switch {
		case p.tok.Is("(") && len(s.Columns) == 0:
			err = p.list(func() error { return p.viewColumn(s) })
		case p.tok.Is("COMMENT"):
			if err = p.advance(); err == nil {
				s.Comment, err = p.str("a comment")
			}
		case p.tok.Is("TBLPROPERTIES"):
			var t CreateTable
			err = p.properties(&t)
			s.Properties = t.Properties
		case p.tok.Is("LIFECYCLE"):
			s.Lifecycle, err = p.lifecycle()
		case p.tok.Is("BUILD"), p.tok.Is("DISABLE"), p.tok.Is("PARTITIONED"), p.tok.Is("CLUSTERED"), p.tok.Is("RANGE"), p.tok.Is("REFRESH"):
			err = p.unsupported("a view with " + strings.ToUpper(p.tok.Text))
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (p *parser) viewColumn(s *CreateView) error {
	c := Column{Pos: Position(p.lex.Source, p.tok.Start)}
	var err error
	if c.Name, err = p.name("a column name"); err != nil {
		return err
	}
	comment, err := p.accept("COMMENT")
	if err == nil && comment {
		c.Comment, err = p.str("a comment")
	}
	s.Columns = append(s.Columns, c)
	return err
}

// dropView reads what follows DROP.
func (p *parser) dropView() (Statement, error) {
	s := &DropView{}
	var err error
	if s.Materialized, err = p.accept("MATERIALIZED"); err != nil {
		return nil, err
	}
	if err = p.expect("VIEW"); err != nil {
		return nil, err
	}
	if s.IfExists, err = p.accept("IF", "EXISTS"); err != nil {
		return nil, err
	}
	s.View, err = p.tableName()
	return s, err
}

// alterView reads what follows ALTER, where that is MATERIALIZED VIEW or VIEW.
func (p *parser) alterView() (Statement, error) {
	materialized, err := p.accept("MATERIALIZED")
	if err != nil {
		return nil, err
	}
	if err := p.expect("VIEW"); err != nil {
		return nil, err
	}
	name, err := p.tableName()
	if err != nil {
		return nil, err
	}
	switch {
	case materialized && p.tok.Is("REBUILD"):
		if err := p.advance(); err != nil {
			return nil, err
		}
		if p.tok.Is("PARTITION") {
			return nil, p.unsupported("REBUILD of a partition")
		}
		return &RebuildView{View: name}, nil
	case p.tok.Is("RENAME"), p.tok.Is("CHANGEOWNER"):
		verb := p.tok
		if err := p.advance(); err != nil {
			return nil, err
		}
		change, err := p.alteration(verb)
		return &AlterTable{Table: name, View: true, Change: change}, err
	case p.tok.Kind == Ident:
		return nil, p.unsupported("ALTER VIEW … " + strings.ToUpper(p.tok.Text))
	default:
		return nil, p.unexpected("'REBUILD', 'RENAME' or 'CHANGEOWNER'")
	}
}
