package table

import (
	"strconv"
	"strings"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

// Kind is the kind of a type; the numbers are those of sluice.v1.TypeKind and are frozen.
type Kind uint8

// The 22 kinds of api.md 4.2.
const (
	KindBoolean Kind = iota + 1
	KindTinyint
	KindSmallint
	KindInt
	KindBigint
	KindFloat
	KindDouble
	KindDecimal
	KindString
	KindChar
	KindVarchar
	KindBinary
	KindJSON
	KindDate
	KindDatetime
	KindTimestamp
	KindTimestampNTZ
	KindIntervalDayTime
	KindIntervalYearMonth
	KindArray
	KindMap
	KindStruct
)

var kindNames = [...]string{
	KindBoolean: "boolean", KindTinyint: "tinyint", KindSmallint: "smallint", KindInt: "int", KindBigint: "bigint",
	KindFloat: "float", KindDouble: "double", KindDecimal: "decimal", KindString: "string", KindChar: "char",
	KindVarchar: "varchar", KindBinary: "binary", KindJSON: "json", KindDate: "date", KindDatetime: "datetime",
	KindTimestamp: "timestamp", KindTimestampNTZ: "timestamp_ntz", KindIntervalDayTime: "interval_day_time",
	KindIntervalYearMonth: "interval_year_month", KindArray: "array", KindMap: "map", KindStruct: "struct",
}

var kindsByName = func() map[string]Kind {
	m := make(map[string]Kind, len(kindNames))
	for k, n := range kindNames {
		if n != "" {
			m[n] = Kind(k)
		}
	}
	return m
}()

// String is the kind's name in SQL, lower case: "timestamp_ntz".
func (k Kind) String() string {
	if int(k) < len(kindNames) && k != 0 {
		return kindNames[k]
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// Limits of types. Plain DECIMAL is (54,18); lengths are in code points.
const (
	MaxNesting            = 16 // levels of ARRAY, MAP and STRUCT
	PlainDecimalPrecision = 54
	PlainDecimalScale     = 18
	MaxCharLength         = 255
	MaxVarcharLength      = 65535
	maxTypeText           = 64 << 10
)

// Type is a column type. Precision and Scale are set for DECIMAL, Length for CHAR and VARCHAR, Children for ARRAY
// (one), MAP (key, value) and STRUCT (its fields). The children of ARRAY and MAP are named "item", "key", "value".
type Type struct {
	Kind                     Kind
	Precision, Scale, Length int
	Children                 []Column
}

// Elem is the element type of an ARRAY.
func (t Type) Elem() Type { return t.Children[0].Type }

// String is the canonical text, lower case without blanks: "map<string,decimal(10,2)>". ParseType reads it back.
func (t Type) String() string {
	var b strings.Builder
	t.write(&b)
	return b.String()
}

func (t Type) write(b *strings.Builder) {
	b.WriteString(t.Kind.String())
	switch t.Kind {
	case KindDecimal:
		if t.Precision != PlainDecimalPrecision || t.Scale != PlainDecimalScale {
			b.WriteString("(" + strconv.Itoa(t.Precision) + "," + strconv.Itoa(t.Scale) + ")")
		}
	case KindChar, KindVarchar:
		b.WriteString("(" + strconv.Itoa(t.Length) + ")")
	case KindArray, KindMap, KindStruct:
		b.WriteByte('<')
		for i, c := range t.Children {
			if i > 0 {
				b.WriteByte(',')
			}
			if t.Kind == KindStruct {
				writeFieldName(b, c.Name)
				b.WriteByte(':')
			}
			c.Type.write(b)
		}
		b.WriteByte('>')
	}
}

func writeFieldName(b *strings.Builder, name string) {
	for i := range len(name) {
		if !wordByte(name[i]) {
			b.WriteString("`" + strings.ReplaceAll(name, "`", "``") + "`")
			return
		}
	}
	b.WriteString(name)
}

// Equal compares types; names of STRUCT fields fold case, other child names do not count.
func (t Type) Equal(o Type) bool {
	if t.Kind != o.Kind || t.Precision != o.Precision || t.Scale != o.Scale || t.Length != o.Length || len(t.Children) != len(o.Children) {
		return false
	}
	for i := range t.Children {
		if t.Kind == KindStruct && !strings.EqualFold(t.Children[i].Name, o.Children[i].Name) {
			return false
		}
		if !t.Children[i].Type.Equal(o.Children[i].Type) {
			return false
		}
	}
	return true
}

// ParseType reads a type as SQL writes it, in any case and with blanks. A text that is no type is BAD_ARGUMENT, a type
// that Sluice does not carry (GEOGRAPHY, VECTOR) TYPE_UNSUPPORTED. Nesting deeper than MaxNesting is BAD_ARGUMENT.
func ParseType(text string) (Type, error) {
	if len(text) > maxTypeText {
		return Type{}, apierr.New(apierr.BadArgument, "type text of %d bytes is too long", len(text))
	}
	p := typeParser{text: text}
	t, err := p.parse(0)
	if err != nil {
		return Type{}, err
	}
	if p.blanks(); p.pos != len(p.text) {
		return Type{}, p.bad("trailing text")
	}
	return t, nil
}

// MustParseType is ParseType for texts fixed in code; it panics on an error.
func MustParseType(text string) Type {
	t, err := ParseType(text)
	if err != nil {
		panic(err)
	}
	return t
}

type typeParser struct {
	text string
	pos  int
}

func (p *typeParser) bad(why string) error {
	return apierr.New(apierr.BadArgument, "type %q: %s at byte %d", clip(p.text), why, p.pos)
}

func (p *typeParser) parse(depth int) (Type, error) {
	word := fold(p.word())
	if word == "" {
		return Type{}, p.bad("want a type name")
	}
	kind, ok := kindsByName[word]
	if !ok {
		return Type{}, apierr.New(apierr.TypeUnsupported, "there is no type %q here; the types are %s", clip(word), strings.Join(kindNames[1:], ", "))
	}
	switch kind {
	case KindDecimal:
		return p.decimal()
	case KindChar:
		return p.length(kind, MaxCharLength)
	case KindVarchar:
		return p.length(kind, MaxVarcharLength)
	case KindArray, KindMap, KindStruct:
		if depth == MaxNesting {
			return Type{}, p.bad("nested too deeply")
		}
		return p.nested(kind, depth+1)
	default:
		return Type{Kind: kind}, nil
	}
}

func (p *typeParser) decimal() (Type, error) {
	t := Type{Kind: KindDecimal, Precision: PlainDecimalPrecision, Scale: PlainDecimalScale}
	if !p.take('(') {
		return t, nil
	}
	t.Precision, t.Scale = p.number(), 0
	if p.take(',') {
		t.Scale = p.number()
	}
	if !p.take(')') {
		return Type{}, p.bad("want )")
	}
	if t.Precision < 1 || t.Precision > PlainDecimalPrecision || t.Scale < 0 || t.Scale > t.Precision {
		return Type{}, p.bad("bad precision or scale")
	}
	return t, nil
}

func (p *typeParser) length(k Kind, most int) (Type, error) {
	if !p.take('(') {
		return Type{}, p.bad("want a length")
	}
	n := p.number()
	if !p.take(')') {
		return Type{}, p.bad("want )")
	}
	if n < 1 || n > most {
		return Type{}, p.bad("bad length")
	}
	return Type{Kind: k, Length: n}, nil
}

var childNames = map[Kind][]string{KindArray: {"item"}, KindMap: {"key", "value"}}

func (p *typeParser) nested(k Kind, depth int) (Type, error) {
	if !p.take('<') {
		return Type{}, p.bad("want <")
	}
	t := Type{Kind: k}
	for {
		c, err := p.child(k, len(t.Children), depth)
		if err != nil {
			return Type{}, err
		}
		t.Children = append(t.Children, c)
		if !p.take(',') {
			break
		}
	}
	if !p.take('>') {
		return Type{}, p.bad("want >")
	}
	if names := childNames[k]; names != nil && len(names) != len(t.Children) {
		return Type{}, p.bad("wrong number of child types")
	}
	return t, duplicateField(t, p)
}

func (p *typeParser) child(k Kind, i, depth int) (Column, error) {
	c := Column{}
	switch names := childNames[k]; {
	case k == KindStruct:
		c.Name = p.fieldName()
		if c.Name == "" || !p.take(':') {
			return c, p.bad("want a field name and :")
		}
	case i >= len(names):
		return c, p.bad("too many child types")
	default:
		c.Name = names[i]
		c.NotNull = c.Name == "key"
	}
	t, err := p.parse(depth)
	c.Type = t
	return c, err
}

func duplicateField(t Type, p *typeParser) error {
	if t.Kind != KindStruct {
		return nil
	}
	seen := make(map[string]bool, len(t.Children))
	for _, c := range t.Children {
		if seen[c.Name] {
			return p.bad("field " + strconv.Quote(clip(c.Name)) + " is named twice")
		}
		seen[c.Name] = true
	}
	return nil
}

// fieldName reads a word or a backquoted name, folded.
func (p *typeParser) fieldName() string {
	p.blanks()
	if p.pos >= len(p.text) || p.text[p.pos] != '`' {
		return fold(p.word())
	}
	var b strings.Builder
	for i := p.pos + 1; i < len(p.text); i++ {
		if p.text[i] != '`' {
			b.WriteByte(p.text[i])
			continue
		}
		if i+1 < len(p.text) && p.text[i+1] == '`' {
			b.WriteByte('`')
			i++
			continue
		}
		p.pos = i + 1
		return strings.ToValidUTF8(fold(b.String()), "�")
	}
	return ""
}

func (p *typeParser) word() string {
	p.blanks()
	start := p.pos
	for p.pos < len(p.text) && wordByte(p.text[p.pos]) {
		p.pos++
	}
	return p.text[start:p.pos]
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// number reads a small decimal number, −1 if there is none.
func (p *typeParser) number() int {
	p.blanks()
	start := p.pos
	for p.pos < len(p.text) && p.text[p.pos] >= '0' && p.text[p.pos] <= '9' {
		p.pos++
	}
	n, err := strconv.Atoi(p.text[start:p.pos])
	if err != nil || p.pos-start > 6 {
		return -1
	}
	return n
}

func (p *typeParser) take(c byte) bool {
	p.blanks()
	if p.pos < len(p.text) && p.text[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *typeParser) blanks() {
	for p.pos < len(p.text) && (p.text[p.pos] == ' ' || p.text[p.pos] == '\t' || p.text[p.pos] == '\n' || p.text[p.pos] == '\r') {
		p.pos++
	}
}
