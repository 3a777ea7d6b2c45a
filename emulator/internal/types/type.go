package types

import (
	"slices"
	"strconv"
	"strings"
)

// Kind names a MaxCompute type without its arguments. The zero value is no type.
type Kind uint8

// The kinds. GEOGRAPHY and VECTOR are refused by Parse.
const (
	Boolean Kind = iota + 1
	TinyInt
	SmallInt
	Int
	BigInt
	Float
	Double
	Decimal
	String
	Char
	Varchar
	Binary
	JSON
	Date
	Datetime
	Timestamp
	TimestampNTZ
	IntervalDayTime
	IntervalYearMonth
	Array
	Map
	Struct
)

var kindNames = map[Kind]string{
	Boolean: "boolean", TinyInt: "tinyint", SmallInt: "smallint", Int: "int", BigInt: "bigint",
	Float: "float", Double: "double", Decimal: "decimal", String: "string", Char: "char",
	Varchar: "varchar", Binary: "binary", JSON: "json", Date: "date", Datetime: "datetime",
	Timestamp: "timestamp", TimestampNTZ: "timestamp_ntz", IntervalDayTime: "interval_day_time",
	IntervalYearMonth: "interval_year_month", Array: "array", Map: "map", Struct: "struct",
}

// String returns the lower-case SQL name, "invalid" for an unknown kind.
func (k Kind) String() string {
	if s, ok := kindNames[k]; ok {
		return s
	}
	return "invalid"
}

// Precision and scale of DECIMAL written without arguments.
const (
	PlainDecimalPrecision = 54
	PlainDecimalScale     = 18
)

// MaxDecimal128Precision is the largest precision Arrow's decimal128 holds.
const MaxDecimal128Precision = 38

// Type is one MaxCompute column type. The zero value is no type. Values are
// immutable once built and may be shared.
type Type struct {
	// Kind says which type; the other fields matter for some kinds only.
	Kind Kind
	// Precision and Scale of DECIMAL; both 0 for DECIMAL without arguments (use
	// PrecisionScale for the effective values).
	Precision, Scale int
	// Length of CHAR and VARCHAR in characters.
	Length int
	// Children: ARRAY one ("element"), MAP two ("key", "value"), STRUCT its
	// fields in declared order.
	Children []Field
}

// Field is a child of a nested type.
type Field struct {
	Name string
	Type Type
}

// ArrayOf builds ARRAY<elem>.
func ArrayOf(elem Type) Type {
	return Type{Kind: Array, Children: []Field{{Name: "element", Type: elem}}}
}

// MapOf builds MAP<key,value>.
func MapOf(key, value Type) Type {
	return Type{Kind: Map, Children: []Field{{Name: "key", Type: key}, {Name: "value", Type: value}}}
}

// StructOf builds STRUCT of fields in the given order.
func StructOf(fields ...Field) Type { return Type{Kind: Struct, Children: fields} }

// PrecisionScale returns the effective precision and scale of a DECIMAL,
// (54, 18) when it was declared without arguments.
func (t Type) PrecisionScale() (precision, scale int) {
	if t.Precision == 0 {
		return PlainDecimalPrecision, PlainDecimalScale
	}
	return t.Precision, t.Scale
}

// Depth is how deep the type is nested: 0 without children.
func (t Type) Depth() int {
	deepest := -1
	for _, c := range t.Children {
		deepest = max(deepest, c.Type.Depth())
	}
	return deepest + 1
}

// Equal reports whether both types have the same canonical text.
func (t Type) Equal(u Type) bool {
	if t.Kind != u.Kind || t.Precision != u.Precision || t.Scale != u.Scale || t.Length != u.Length ||
		len(t.Children) != len(u.Children) {
		return false
	}
	for i, f := range t.Children {
		if !strings.EqualFold(f.Name, u.Children[i].Name) || !f.Type.Equal(u.Children[i].Type) {
			return false
		}
	}
	return true
}

// Nested reports whether t is ARRAY, MAP or STRUCT.
func (t Type) Nested() bool { return t.Kind == Array || t.Kind == Map || t.Kind == Struct }

// Has reports whether t is, or contains at any depth, a type of one of kinds.
func (t Type) Has(kinds ...Kind) bool {
	if slices.Contains(kinds, t.Kind) {
		return true
	}
	for _, c := range t.Children {
		if c.Type.Has(kinds...) {
			return true
		}
	}
	return false
}

// String returns the canonical lower-case SQL text, e.g. "decimal(10,2)" or
// "map<string,array<bigint>>". Struct field names keep their case and are
// back-quoted when they are not plain identifiers.
func (t Type) String() string {
	var b strings.Builder
	t.write(&b)
	return b.String()
}

func (t Type) write(b *strings.Builder) {
	b.WriteString(t.Kind.String())
	switch t.Kind {
	case Decimal:
		if t.Precision > 0 {
			b.WriteString("(" + strconv.Itoa(t.Precision) + "," + strconv.Itoa(t.Scale) + ")")
		}
	case Char, Varchar:
		b.WriteString("(" + strconv.Itoa(t.Length) + ")")
	case Array, Map:
		b.WriteByte('<')
		for i, c := range t.Children {
			if i > 0 {
				b.WriteByte(',')
			}
			c.Type.write(b)
		}
		b.WriteByte('>')
	case Struct:
		b.WriteByte('<')
		for i, c := range t.Children {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quoteName(c.Name))
			b.WriteByte(':')
			c.Type.write(b)
		}
		b.WriteByte('>')
	}
}

func quoteName(s string) string {
	for i := range len(s) {
		if !isNameByte(s[i]) {
			return "`" + strings.ReplaceAll(s, "`", "``") + "`"
		}
	}
	if s == "" {
		return "``"
	}
	return s
}

// isNameByte reports whether c may stand unquoted in a name. Bytes above 0x7f
// are let through: MaxCompute allows letters of other scripts.
func isNameByte(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// MarshalText writes the canonical text, so that a Type is a JSON string.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads SQL text; see Parse.
func (t *Type) UnmarshalText(text []byte) error {
	p, err := Parse(string(text))
	if err != nil {
		return err
	}
	*t = p
	return nil
}
