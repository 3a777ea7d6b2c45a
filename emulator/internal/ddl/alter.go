package ddl

import "strings"

// Alteration is one change of a table's definition.
type Alteration interface{ alteration() }

// AlterTable is ALTER TABLE with any change but those of partitions.
type AlterTable struct {
	Table  Name
	Change Alteration
}

// SetLifecycle is SET LIFECYCLE days.
type SetLifecycle struct{ Days int }

// SetComment is SET COMMENT of the table.
type SetComment struct{ Text string }

// SetProperties is SET TBLPROPERTIES.
type SetProperties struct{ Properties []Property }

// RenameTable is RENAME TO; the new name has one part.
type RenameTable struct{ To string }

// AddColumns is ADD COLUMNS.
type AddColumns struct {
	IfNotExists bool
	Columns     []Column // never empty
}

// DropColumns is DROP COLUMNS.
type DropColumns struct{ Names []string }

// ChangeColumn is CHANGE COLUMN: a new name, type or comment.
type ChangeColumn struct {
	Name    string
	NewName string // as the old one if it stays
	Type    string // source text; empty when not given
	TypePos Pos
	Comment *string // nil when not given
}

// SetClustering is CLUSTERED BY, or NOT CLUSTERED.
type SetClustering struct{ To *Clustered } // nil: none

// NoChange is a change without an effect here: TOUCH, CHANGEOWNER.
type NoChange struct{}

func (*AlterTable) statement() {}

func (*SetLifecycle) alteration()  {}
func (*SetComment) alteration()    {}
func (*SetProperties) alteration() {}
func (*RenameTable) alteration()   {}
func (*AddColumns) alteration()    {}
func (*DropColumns) alteration()   {}
func (*ChangeColumn) alteration()  {}
func (*SetClustering) alteration() {}
func (*NoChange) alteration()      {}

func (p *parser) alter() (Statement, error) {
	if err := p.expect("ALTER"); err != nil {
		return nil, err
	}
	if !p.tok.Is("TABLE") {
		return nil, p.unsupportedKind("ALTER")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	table, err := p.tableName()
	if err != nil {
		return nil, err
	}
	if p.tok.Is("ADDPARTITION") {
		specs, err := p.specs("ADDPARTITION")
		return &AddPartitions{Table: table, Specs: specs}, err
	}
	verb := p.tok
	if verb.Kind != Ident {
		return nil, p.unexpected("'ADD', 'DROP', 'SET', 'RENAME' or 'CHANGE'")
	}
	if !verb.Is("RANGE") && !verb.Is("CLUSTERED") {
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	switch {
	case verb.Is("ADD") && !p.columnsFollow():
		return p.addPartitions(table)
	case verb.Is("DROP") && !p.columnsFollow():
		return p.dropPartitions(table)
	}
	change, err := p.alteration(verb)
	return &AlterTable{Table: table, Change: change}, err
}

func (p *parser) columnsFollow() bool { return p.tok.Is("COLUMNS") || p.tok.Is("COLUMN") }

// alteration reads what follows the verb.
func (p *parser) alteration(verb Token) (Alteration, error) {
	switch {
	case verb.Is("ADD"):
		return p.addColumns()
	case verb.Is("DROP"):
		return p.dropColumns()
	case verb.Is("SET"):
		return p.setTable()
	case verb.Is("RENAME"):
		return p.renameTable()
	case verb.Is("CHANGE"):
		return p.changeColumn()
	case verb.Is("TOUCH"):
		return &NoChange{}, nil
	case verb.Is("CHANGEOWNER"):
		if err := p.expect("TO"); err != nil {
			return nil, err
		}
		_, err := p.str("an owner")
		return &NoChange{}, err
	case verb.Is("RANGE"), verb.Is("CLUSTERED"):
		to, err := p.clustered()
		return &SetClustering{To: to}, err
	case verb.Is("NOT"):
		return &SetClustering{}, p.expect("CLUSTERED")
	default:
		return nil, p.failAt(CodeUnsupported, verb, "ALTER TABLE … %s is not supported by this endpoint", strings.ToUpper(verb.Text))
	}
}

func (p *parser) addColumns() (Alteration, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	c := &AddColumns{}
	var err error
	if c.IfNotExists, err = p.accept("IF", "NOT", "EXISTS"); err != nil {
		return nil, err
	}
	err = p.list(func() error {
		column, err := p.column(nil)
		c.Columns = append(c.Columns, column)
		return err
	})
	return c, err
}

func (p *parser) dropColumns() (Alteration, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	c := &DropColumns{}
	for {
		name, err := p.name("a column name")
		if err != nil {
			return nil, err
		}
		c.Names = append(c.Names, name)
		more, err := p.accept(",")
		if err != nil || !more {
			return c, err
		}
	}
}

func (p *parser) setTable() (Alteration, error) {
	switch {
	case p.tok.Is("LIFECYCLE"):
		days, err := p.lifecycle()
		return &SetLifecycle{Days: days}, err
	case p.tok.Is("COMMENT"):
		if err := p.advance(); err != nil {
			return nil, err
		}
		text, err := p.str("a comment")
		return &SetComment{Text: text}, err
	case p.tok.Is("TBLPROPERTIES"):
		var s CreateTable
		err := p.properties(&s)
		return &SetProperties{Properties: s.Properties}, err
	case p.tok.Kind == Ident:
		return nil, p.unsupported("ALTER TABLE … SET " + strings.ToUpper(p.tok.Text))
	default:
		return nil, p.unexpected("'LIFECYCLE', 'COMMENT' or 'TBLPROPERTIES'")
	}
}

func (p *parser) renameTable() (Alteration, error) {
	if err := p.expect("TO"); err != nil {
		return nil, err
	}
	name, err := p.name("a table name")
	return &RenameTable{To: name}, err
}

// changeColumn reads COLUMN a RENAME TO b, COLUMN a COMMENT 'c' or COLUMN a b TYPE [COMMENT 'c'].
func (p *parser) changeColumn() (Alteration, error) {
	if err := p.expect("COLUMN"); err != nil {
		return nil, err
	}
	name, err := p.name("a column name")
	if err != nil {
		return nil, err
	}
	c := &ChangeColumn{Name: name, NewName: name}
	switch {
	case p.tok.Is("RENAME"):
		if err := p.expect("RENAME", "TO"); err != nil {
			return nil, err
		}
		c.NewName, err = p.name("a column name")
		return c, err
	case !p.tok.Is("COMMENT"):
		if p.tok.Is("NULL") || p.tok.Is("NOT") {
			return nil, p.unsupported("ALTER TABLE … CHANGE COLUMN … " + strings.ToUpper(p.tok.Text))
		}
		if c.NewName, err = p.name("a column name"); err != nil {
			return nil, err
		}
		if c.Type, c.TypePos, err = p.typeText(); err != nil {
			return nil, err
		}
	}
	comment, err := p.accept("COMMENT")
	if err != nil || !comment {
		return c, err
	}
	text, err := p.str("a comment")
	c.Comment = &text
	return c, err
}
