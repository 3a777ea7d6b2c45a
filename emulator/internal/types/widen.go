package types

// integerRank orders the integers by width.
var integerRank = map[Kind]int{TinyInt: 1, SmallInt: 2, Int: 3, BigInt: 4}

// digits that hold every value of an integer.
var integerDigits = map[Kind]int{TinyInt: 3, SmallInt: 5, Int: 10, BigInt: 19}

// WidensTo reports whether every value of t is one of u, so that a column may change from t
// to u and keep its rows: to a wider integer, decimal or text, from an integer to DOUBLE
// (not BIGINT) or a DECIMAL that has room, from FLOAT to DOUBLE, and from all numbers and
// texts to STRING. A type widens to itself.
func (t Type) WidensTo(u Type) bool {
	from, to := integerRank[t.Kind], integerRank[u.Kind]
	switch {
	case t.Equal(u):
		return true
	case from > 0 && to > 0:
		return from < to
	case from > 0 && u.Kind == Decimal:
		p, s := u.PrecisionScale()
		return p-s >= integerDigits[t.Kind]
	case from > 0:
		return u.Kind == String || u.Kind == Double && t.Kind != BigInt
	case t.Kind == Float:
		return u.Kind == Double || u.Kind == String
	case t.Kind == Double:
		return u.Kind == String
	case t.Kind == Decimal && u.Kind == Decimal:
		p, s := t.PrecisionScale()
		q, r := u.PrecisionScale()
		return r >= s && q-r >= p-s
	case t.Kind == Decimal:
		return u.Kind == String
	case t.Kind == Char || t.Kind == Varchar:
		return u.Kind == String || (u.Kind == Varchar || u.Kind == Char && t.Kind == Char) && u.Length >= t.Length
	default:
		return false
	}
}
