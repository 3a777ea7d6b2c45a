package canon

import (
	"fmt"
	"strconv"
	"strings"
)

// Kind is the family of a type, written as in SQL, lower case.
type Kind string

// The kinds.
const (
	Boolean           Kind = "boolean"
	TinyInt           Kind = "tinyint"
	SmallInt          Kind = "smallint"
	Int               Kind = "int"
	BigInt            Kind = "bigint"
	Float             Kind = "float"
	Double            Kind = "double"
	Decimal           Kind = "decimal"
	String            Kind = "string"
	Char              Kind = "char"
	VarChar           Kind = "varchar"
	JSON              Kind = "json"
	Binary            Kind = "binary"
	Date              Kind = "date"
	DateTime          Kind = "datetime"
	Timestamp         Kind = "timestamp"
	TimestampNTZ      Kind = "timestamp_ntz"
	IntervalDayTime   Kind = "interval_day_time"
	IntervalYearMonth Kind = "interval_year_month"
	Array             Kind = "array"
	Map               Kind = "map"
	Struct            Kind = "struct"
)

// Type is a column's type. Parts are the element of an ARRAY, key and value of a MAP, the fields of a STRUCT.
type Type struct {
	Kind             Kind
	Precision, Scale int // DECIMAL; without arguments (54,18)
	Length           int // CHAR, VARCHAR
	Parts            []Column
}

// Column is a column, or a part of a type: the parts of ARRAY and MAP have no names.
type Column struct {
	Name string
	Type Type
}

// Names are the columns' names.
func Names(columns []Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}

// ParseType reads a type as SQL writes it.
func ParseType(text string) (Type, error) {
	p := &typeParser{rest: text}
	t := p.parse()
	p.skip("")
	if p.err == nil && p.rest != "" {
		p.fail("the end")
	}
	if p.err != nil {
		return Type{}, fmt.Errorf("type %q: %w", text, p.err)
	}
	return t, nil
}

// typeParser takes words and signs off the front of rest; the first error stays.
type typeParser struct {
	rest string
	err  error
}

func (p *typeParser) fail(want string) {
	if p.err == nil {
		p.err = fmt.Errorf("%q found where %s was expected", p.rest, want)
	}
}

// skip takes a sign, if it is there.
func (p *typeParser) skip(sign string) bool {
	p.rest = strings.TrimLeft(p.rest, " ")
	rest, ok := strings.CutPrefix(p.rest, sign)
	p.rest = rest
	return ok
}

func (p *typeParser) take(sign string) {
	if !p.skip(sign) {
		p.fail("'" + sign + "'")
	}
}

func (p *typeParser) word() string {
	p.skip("")
	if p.skip("`") {
		name, rest, ok := strings.Cut(p.rest, "`")
		if !ok {
			p.fail("a closing `")
		}
		p.rest = rest
		return name
	}
	end := strings.IndexFunc(p.rest, func(r rune) bool { return strings.ContainsRune("<>(),: ", r) })
	if end < 0 {
		end = len(p.rest)
	}
	if end == 0 {
		p.fail("a name")
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	return word
}

func (p *typeParser) number() int {
	n, err := strconv.Atoi(p.word())
	if err != nil {
		p.fail("a number")
	}
	return n
}

func (p *typeParser) parse() Type {
	t := Type{Kind: Kind(strings.ToLower(p.word()))}
	switch t.Kind {
	case Boolean, TinyInt, SmallInt, Int, BigInt, Float, Double, String, JSON, Binary, Date, DateTime, Timestamp, TimestampNTZ, IntervalDayTime, IntervalYearMonth:
	case Decimal:
		t.Precision, t.Scale = 54, 18
		if p.skip("(") {
			t.Precision, t.Scale = p.number(), 0
			if p.skip(",") {
				t.Scale = p.number()
			}
			p.take(")")
		}
	case Char, VarChar:
		p.take("(")
		t.Length = p.number()
		p.take(")")
	case Array, Map, Struct:
		p.parts(&t)
	default:
		p.fail("a type, not " + string(t.Kind))
	}
	return t
}

func (p *typeParser) parts(t *Type) {
	p.take("<")
	for p.err == nil {
		var part Column
		if t.Kind == Struct {
			part.Name = p.word()
			p.take(":")
		}
		part.Type = p.parse()
		t.Parts = append(t.Parts, part)
		if !p.skip(",") {
			break
		}
	}
	p.take(">")
	if n := len(t.Parts); t.Kind == Array && n != 1 || t.Kind == Map && n != 2 {
		p.fail("another number of parts of " + string(t.Kind))
	}
}
