package ddl

import "strings"

// CreateSchema is CREATE SCHEMA. The name has one part, or two with the project first.
type CreateSchema struct {
	Schema      Name
	IfNotExists bool
	Comment     string
}

// DropSchema is DROP SCHEMA.
type DropSchema struct {
	Schema   Name
	IfExists bool
}

// AlterSchema is ALTER SCHEMA … SET COMMENT, or CHANGEOWNER, which has no effect here.
type AlterSchema struct {
	Schema  Name
	Comment *string // nil: it stays
}

// UseSchema is USE SCHEMA: the schema of unqualified names in the rest of the script.
type UseSchema struct{ Name string }

func (*CreateSchema) statement() {}
func (*DropSchema) statement()   {}
func (*AlterSchema) statement()  {}
func (*UseSchema) statement()    {}

func (p *parser) createSchema() (Statement, error) {
	s := &CreateSchema{}
	var err error
	if err = p.advance(); err != nil {
		return nil, err
	}
	if s.IfNotExists, err = p.accept("IF", "NOT", "EXISTS"); err != nil {
		return nil, err
	}
	if s.Schema, err = p.tableName(); err != nil {
		return nil, err
	}
	comment, err := p.accept("COMMENT")
	if err == nil && comment {
		s.Comment, err = p.str("a comment")
	}
	return s, err
}

func (p *parser) dropSchema() (Statement, error) {
	s := &DropSchema{}
	var err error
	if err = p.advance(); err != nil {
		return nil, err
	}
	if s.IfExists, err = p.accept("IF", "EXISTS"); err != nil {
		return nil, err
	}
	if s.Schema, err = p.tableName(); err != nil {
		return nil, err
	}
	if p.tok.Is("CASCADE") {
		return nil, p.unsupported("DROP SCHEMA … CASCADE")
	}
	_, err = p.accept("RESTRICT")
	return s, err
}

func (p *parser) alterSchema() (Statement, error) {
	s := &AlterSchema{}
	var err error
	if err = p.advance(); err != nil {
		return nil, err
	}
	if s.Schema, err = p.tableName(); err != nil {
		return nil, err
	}
	owner, err := p.accept("CHANGEOWNER", "TO")
	if err != nil {
		return nil, err
	}
	if owner {
		_, err := p.str("an owner")
		return s, err
	}
	if err := p.expect("SET", "COMMENT"); err != nil {
		return nil, err
	}
	comment, err := p.str("a comment")
	s.Comment = &comment
	return s, err
}

func (p *parser) use() (Statement, error) {
	if err := p.expect("USE"); err != nil {
		return nil, err
	}
	if !p.tok.Is("SCHEMA") {
		return nil, p.unsupported("USE of a project, which the client chooses")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	name, err := p.name("a schema")
	return &UseSchema{Name: strings.ToLower(name)}, err
}
