package ddl

import "strings"

// Alteration is one change of a table's definition.
type Alteration interface{ alteration() }

// AlterTable is ALTER TABLE with any change but those of partitions.
type AlterTable struct {
	Table  Name
	View   bool // ALTER VIEW
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
	// NotNull is a change of whether NULL is allowed, nil when not given.
	NotNull *bool
	// First moves the column before all others, After behind the one named.
	First bool
	After string
}

// SetClustering is CLUSTERED BY, or NOT CLUSTERED.
type SetClustering struct{ To *Clustered } // nil: none

// UnsetProperties is UNSET TBLPROPERTIES.
type UnsetProperties struct{ Keys []string }

// ChangeOwner is CHANGEOWNER TO.
type ChangeOwner struct{ Owner string }

// NoChange is a change without an effect but the time of the last one: TOUCH, ENABLE and
// DISABLE LIFECYCLE.
type NoChange struct{}

func (*AlterTable) statement() {}

func (*SetLifecycle) alteration()    {}
func (*SetComment) alteration()      {}
func (*SetProperties) alteration()   {}
func (*RenameTable) alteration()     {}
func (*AddColumns) alteration()      {}
func (*DropColumns) alteration()     {}
func (*ChangeColumn) alteration()    {}
func (*SetClustering) alteration()   {}
func (*UnsetProperties) alteration() {}
func (*ChangeOwner) alteration()     {}
func (*NoChange) alteration()        {}

func (p *parser) alter() (Statement, error) {
	if err := p.expect("ALTER"); err != nil {
		return nil, err
	}
	switch {
	case p.tok.Is("VIEW"), p.tok.Is("MATERIALIZED"):
		return p.alterView()
	case p.tok.Is("SCHEMA"):
		return p.alterSchema()
	case !p.tok.Is("TABLE"):
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
	if p.tok.Is("PARTITION") {
		return p.alterPartition(table)
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
	case verb.Is("UNSET"):
		return p.unset()
	case verb.Is("TOUCH"):
		return &NoChange{}, nil
	case verb.Is("ENABLE"), verb.Is("DISABLE"):
		return &NoChange{}, p.expect("LIFECYCLE")
	case verb.Is("CHANGEOWNER"):
		if err := p.expect("TO"); err != nil {
			return nil, err
		}
		owner, err := p.str("an owner")
		return &ChangeOwner{Owner: owner}, err
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
	add := func() error {
		column, err := p.column(nil)
		c.Columns = append(c.Columns, column)
		return err
	}
	if p.tok.Is("(") {
		return c, p.list(add)
	}
	return c, add() // one column may come without parentheses
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

// unset reads TBLPROPERTIES ('k', …).
func (p *parser) unset() (Alteration, error) {
	if err := p.expect("TBLPROPERTIES"); err != nil {
		return nil, err
	}
	c := &UnsetProperties{}
	err := p.list(func() error {
		key, err := p.str("a property name in quotes")
		c.Keys = append(c.Keys, key)
		return err
	})
	return c, err
}

// alterPartition reads PARTITION (…) RENAME TO PARTITION (…), TOUCH, or a lifecycle.
func (p *parser) alterPartition(table Name) (Statement, error) {
	spec, err := p.spec(false)
	if err != nil {
		return nil, err
	}
	switch {
	case p.tok.Is("RENAME"):
		if err := p.expect("RENAME", "TO"); err != nil {
			return nil, err
		}
		to, err := p.spec(false)
		return &RenamePartition{Table: table, From: spec, To: to}, err
	case p.tok.Is("TOUCH"):
		return &TouchPartition{Table: table, Spec: spec}, p.advance()
	case p.tok.Is("ENABLE"), p.tok.Is("DISABLE"):
		if err := p.advance(); err != nil {
			return nil, err
		}
		return &TouchPartition{Table: table, Spec: spec}, p.expect("LIFECYCLE")
	case p.tok.Kind == Ident:
		return nil, p.unsupported("ALTER TABLE … PARTITION … " + strings.ToUpper(p.tok.Text))
	default:
		return nil, p.unexpected("'RENAME', 'TOUCH', 'ENABLE' or 'DISABLE'")
	}
}

// changeColumn reads COLUMN a and one of RENAME TO b, [NOT] NULL, COMMENT 'c', or
// b TYPE [NOT NULL|NULL] [COMMENT 'c'] [FIRST|AFTER d].
func (p *parser) changeColumn() (Alteration, error) {
	if _, err := p.accept("COLUMN"); err != nil {
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
	case !p.tok.Is("COMMENT") && !p.tok.Is("NULL") && !p.tok.Is("NOT"):
		if c.NewName, err = p.name("a column name"); err != nil {
			return nil, err
		}
		if c.Type, c.TypePos, err = p.typeText(); err != nil {
			return nil, err
		}
	}
	return c, p.columnChanges(c)
}

// columnChanges reads what may follow a column's name and type.
func (p *parser) columnChanges(c *ChangeColumn) error {
	for {
		var err error
		switch {
		case p.tok.Is("NULL"), p.tok.Is("NOT"):
			var not bool
			if not, err = p.accept("NOT"); err == nil {
				err = p.expect("NULL")
			}
			c.NotNull = &not
		case p.tok.Is("COMMENT"):
			if err = p.advance(); err == nil {
				var text string
				text, err = p.str("a comment")
				c.Comment = &text
			}
		case p.tok.Is("FIRST"):
			c.First = true
			err = p.advance()
		case p.tok.Is("AFTER"):
			if err = p.advance(); err == nil {
				c.After, err = p.name("a column name")
			}
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}
