package ddl

import (
	"strings"
)

// spec reads PARTITION (k='v', …). With dynamic, a key may stand alone.
func (p *parser) spec(dynamic bool) (Spec, error) {
	s := Spec{Pos: Position(p.lex.Source, p.tok.Start)}
	if err := p.expect("PARTITION"); err != nil {
		return s, err
	}
	return s, p.specKeys(&s, dynamic)
}

func (p *parser) specKeys(s *Spec, dynamic bool) error {
	return p.list(func() error {
		column, err := p.name("a partition column")
		if err != nil {
			return err
		}
		if !p.tok.Is("=") && dynamic {
			s.Keys = append(s.Keys, SpecKey{Column: column, Dynamic: true})
			return nil
		}
		if err := p.expect("="); err != nil {
			return err
		}
		value, err := p.specValue()
		s.Keys = append(s.Keys, SpecKey{Column: column, Value: value})
		return err
	})
}

func (p *parser) specValue() (string, error) {
	sign := ""
	if p.tok.Is("-") {
		sign = "-"
		if err := p.advance(); err != nil {
			return "", err
		}
		if p.tok.Kind != Number {
			return "", p.unexpected("a number")
		}
	}
	if p.tok.Kind != String && p.tok.Kind != Number && p.tok.Kind != Ident {
		return "", p.unexpected("a partition value")
	}
	text := sign + p.tok.Text
	return text, p.advance()
}

// specs reads one or more partition specifications, with or without commas between. The
// first word may be fused with ADD, as one client writes it.
func (p *parser) specs(firstWord string) ([]Spec, error) {
	var out []Spec
	for {
		s := Spec{Pos: Position(p.lex.Source, p.tok.Start)}
		if err := p.expect(firstWord); err != nil {
			return nil, err
		}
		if err := p.specKeys(&s, false); err != nil {
			return nil, err
		}
		out = append(out, s)
		firstWord = "PARTITION"
		comma, err := p.accept(",")
		if err != nil {
			return nil, err
		}
		if !comma && !p.tok.Is("PARTITION") {
			return out, nil
		}
	}
}

func (p *parser) addPartitions(table Name) (Statement, error) {
	s := &AddPartitions{Table: table}
	err := p.partitionChange("ADD", &s.IfNotExists, &s.Specs, "IF", "NOT", "EXISTS")
	return s, err
}

func (p *parser) dropPartitions(table Name) (Statement, error) {
	s := &DropPartitions{Table: table}
	var err error
	if s.IfExists, err = p.accept("IF", "EXISTS"); err != nil {
		return nil, err
	}
	if p.tok.Kind == Ident && !p.tok.Is("PARTITION") {
		return nil, p.unsupported("ALTER TABLE … DROP " + strings.ToUpper(p.tok.Text))
	}
	for {
		if err := p.dropped(s); err != nil {
			return nil, err
		}
		comma, err := p.accept(",")
		if err != nil || !comma && !p.tok.Is("PARTITION") {
			return s, err
		}
	}
}

// dropped reads PARTITION (k='v', …), or a condition in its place.
func (p *parser) dropped(s *DropPartitions) error {
	saved := *p
	spec, err := p.spec(false)
	if err == nil {
		s.Specs = append(s.Specs, spec)
		return nil
	}
	*p = saved
	if err := p.expect("PARTITION"); err != nil {
		return err
	}
	filter, err := p.filter()
	s.Filters = append(s.Filters, filter)
	return err
}

// filter reads ( column operator value {AND|,} … ).
func (p *parser) filter() (Filter, error) {
	f := Filter{Pos: Position(p.lex.Source, p.tok.Start)}
	if err := p.expect("("); err != nil {
		return f, err
	}
	for {
		var c Condition
		var err error
		if c.Column, err = p.name("a partition column"); err != nil {
			return f, err
		}
		if c.Operator, err = p.comparison(); err != nil {
			return f, err
		}
		if c.Value, err = p.specValue(); err != nil {
			return f, err
		}
		f.Conditions = append(f.Conditions, c)
		switch {
		case p.tok.Is("AND"), p.tok.Is(","):
			if err := p.advance(); err != nil {
				return f, err
			}
		case p.tok.Is("OR"):
			return f, p.unsupported("OR in a condition on partitions")
		default:
			return f, p.expect(")")
		}
	}
}

// comparison reads an operator of one or two characters.
func (p *parser) comparison() (string, error) {
	first := p.tok
	if first.Kind == Ident {
		return "", p.unsupported(strings.ToUpper(first.Text) + " in a condition on partitions")
	}
	if err := p.advance(); err != nil {
		return "", err
	}
	operator := first.Text
	if p.tok.Start == first.End && (p.tok.Is("=") || p.tok.Is(">")) {
		operator += p.tok.Text
		if err := p.advance(); err != nil {
			return "", err
		}
	}
	switch operator {
	case "<>":
		return "!=", nil
	case "==":
		return "=", nil
	case "=", "!=", "<", "<=", ">", ">=":
		return operator, nil
	}
	return "", p.failAt(CodeParse, first, "'%s' found where a comparison was expected", operator)
}

func (p *parser) partitionChange(verb string, lenient *bool, specs *[]Spec, words ...string) error {
	var err error
	if *lenient, err = p.accept(words...); err != nil {
		return err
	}
	if p.tok.Kind == Ident && !p.tok.Is("PARTITION") {
		return p.unsupported("ALTER TABLE … " + verb + " " + strings.ToUpper(p.tok.Text))
	}
	*specs, err = p.specs("PARTITION")
	return err
}
