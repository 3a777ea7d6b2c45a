package types

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Limits of type arguments (MaxCompute data type edition 2.0).
const (
	maxDecimalPrecision = 76 // decimal256; the service itself stops at 38, plain DECIMAL is 54
	maxCharLength       = 255
	maxVarcharLength    = 65535
)

// MaxDepth is MaxCompute's limit of nesting.
const MaxDepth = 20

// ErrUnsupported marks a type MaxCompute knows and this endpoint does not
// (GEOGRAPHY, VECTOR, BLOB).
var ErrUnsupported = errors.New("unsupported type")

var nameKinds = func() map[string]Kind {
	m := map[string]Kind{"integer": Int, "numeric": Decimal}
	for k, n := range kindNames {
		m[n] = k
	}
	return m
}()

// Parse reads one MaxCompute type from SQL text in any case and spacing, nested
// types included; struct fields may be back-quoted. The error names the text and
// wraps ErrUnsupported for types known but not held here.
func Parse(text string) (Type, error) {
	p := parser{s: text}
	t, err := p.parseType(0)
	if err == nil {
		p.skipSpace()
		if p.i != len(p.s) {
			err = fmt.Errorf("unexpected %q", p.s[p.i:])
		}
	}
	if err != nil {
		return Type{}, fmt.Errorf("parse type %q: %w", text, err)
	}
	return t, nil
}

// ParsePrefix reads a type at the start of text and returns the rest, for DDL
// parsers that meet a type inside a column definition.
func ParsePrefix(text string) (t Type, rest string, err error) {
	p := parser{s: text}
	if t, err = p.parseType(0); err != nil {
		return Type{}, text, fmt.Errorf("parse type: %w", err)
	}
	return t, p.s[p.i:], nil
}

type parser struct {
	s string
	i int
}

func (p *parser) skipSpace() {
	for p.i < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.i]) >= 0 {
		p.i++
	}
}

// accept consumes c after blanks.
func (p *parser) accept(c byte) bool {
	p.skipSpace()
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *parser) expect(c byte) error {
	if !p.accept(c) {
		return fmt.Errorf("want %q at %q", c, p.s[p.i:])
	}
	return nil
}

func (p *parser) word() string {
	p.skipSpace()
	start := p.i
	for p.i < len(p.s) && isNameByte(p.s[p.i]) {
		p.i++
	}
	return p.s[start:p.i]
}

// name reads a plain or back-quoted name.
func (p *parser) name() (string, error) {
	p.skipSpace()
	if p.i >= len(p.s) || p.s[p.i] != '`' {
		w := p.word()
		if w == "" {
			return "", fmt.Errorf("want a name at %q", p.s[p.i:])
		}
		return w, nil
	}
	var b strings.Builder
	for p.i++; p.i < len(p.s); p.i++ {
		if p.s[p.i] != '`' {
			b.WriteByte(p.s[p.i])
			continue
		}
		if p.i+1 < len(p.s) && p.s[p.i+1] == '`' {
			b.WriteByte('`')
			p.i++
			continue
		}
		p.i++
		return b.String(), nil
	}
	return "", errors.New("unterminated name")
}

func (p *parser) parseType(depth int) (Type, error) {
	if depth > MaxDepth {
		return Type{}, fmt.Errorf("nested deeper than %d", MaxDepth)
	}
	w := strings.ToLower(p.word())
	k, ok := nameKinds[w]
	if !ok {
		switch w {
		case "geography", "vector", "blob":
			return Type{}, fmt.Errorf("%s: %w", w, ErrUnsupported)
		}
		return Type{}, fmt.Errorf("unknown type %q", w)
	}
	switch k {
	case Decimal:
		return p.parseDecimal()
	case Char:
		return p.parseLength(k, maxCharLength)
	case Varchar:
		return p.parseLength(k, maxVarcharLength)
	case Array, Map, Struct:
		return p.parseNested(k, depth)
	}
	return Type{Kind: k}, nil
}

func (p *parser) number() (int, error) {
	w := p.word()
	n, err := strconv.Atoi(w)
	if err != nil {
		return 0, fmt.Errorf("want a number, got %q", w)
	}
	return n, nil
}

func (p *parser) parseDecimal() (t Type, err error) {
	t.Kind = Decimal
	if !p.accept('(') {
		return t, nil
	}
	if t.Precision, err = p.number(); err != nil {
		return t, err
	}
	if p.accept(',') {
		if t.Scale, err = p.number(); err != nil {
			return t, err
		}
	}
	if t.Precision < 1 || t.Precision > maxDecimalPrecision || t.Scale > t.Precision {
		return t, fmt.Errorf("decimal(%d,%d) out of range", t.Precision, t.Scale)
	}
	return t, p.expect(')')
}

func (p *parser) parseLength(k Kind, most int) (t Type, err error) {
	t.Kind = k
	if err = p.expect('('); err != nil {
		return t, err
	}
	if t.Length, err = p.number(); err != nil {
		return t, err
	}
	if t.Length < 1 || t.Length > most {
		return t, fmt.Errorf("%s length %d out of 1..%d", k, t.Length, most)
	}
	return t, p.expect(')')
}

func (p *parser) parseNested(k Kind, depth int) (Type, error) {
	t := Type{Kind: k}
	if err := p.expect('<'); err != nil {
		return t, err
	}
	for {
		f, err := p.parseChild(k, len(t.Children), depth)
		if err != nil {
			return t, err
		}
		t.Children = append(t.Children, f)
		if !p.accept(',') {
			break
		}
	}
	if err := p.expect('>'); err != nil {
		return t, err
	}
	if want := map[Kind]int{Array: 1, Map: 2}[k]; want > 0 && len(t.Children) != want {
		return t, fmt.Errorf("%s takes %d types, got %d", k, want, len(t.Children))
	}
	if k == Map && len(t.Children[0].Type.Children) > 0 {
		return t, fmt.Errorf("a key of %s is a %s", k, t.Children[0].Type.Kind)
	}
	return t, nil
}

func (p *parser) parseChild(k Kind, i, depth int) (f Field, err error) {
	switch k {
	case Struct:
		if f.Name, err = p.name(); err != nil {
			return f, err
		}
		if err = p.expect(':'); err != nil {
			return f, err
		}
	case Array:
		f.Name = "element"
	case Map:
		f.Name = [...]string{"key", "value"}[min(i, 1)]
	}
	f.Type, err = p.parseType(depth + 1)
	return f, err
}
