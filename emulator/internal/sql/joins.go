package sql

import (
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
)

var (
	// freeJoins are words before JOIN with which it takes no condition, joinKinds those that
	// may stand between.
	freeJoins = words("CROSS NATURAL POSITIONAL")
	joinKinds = words("LEFT RIGHT FULL INNER OUTER")
	// joinEnds are words that cannot stand between a JOIN and its condition.
	joinEnds = words("WHERE GROUP ORDER HAVING LIMIT UNION INTERSECT EXCEPT MINUS QUALIFY")
)

// checkJoins refuses a JOIN without its condition. DuckDB would say only that it did not
// expect what comes behind.
func (t *translator) checkJoins() error {
	waiting := [][]int{nil} // joins whose condition has not come yet, by the brackets around them
	for i, tok := range t.tokens {
		now := &waiting[len(waiting)-1]
		opens, closes := tok.Is("(") || tok.Is("[") || tok.Is("{"), tok.Is(")") || tok.Is("]") || tok.Is("}")
		ends := closes || tok.Kind == ddl.Ident && joinEnds[strings.ToUpper(tok.Text)] && !t.at(i-1).Is(".")
		switch {
		case ends && len(*now) > 0:
			return t.unconditional((*now)[len(*now)-1])
		case opens:
			waiting = append(waiting, nil)
		case closes:
			waiting = waiting[:len(waiting)-1]
		case tok.Is("JOIN") && t.conditional(i):
			*now = append(*now, i)
		case (tok.Is("ON") || tok.Is("USING")) && len(*now) > 0:
			*now = (*now)[:len(*now)-1]
		}
	}
	if last := waiting[0]; len(last) > 0 {
		return t.unconditional(last[len(last)-1])
	}
	return nil
}

// conditional reports whether the JOIN at i needs a condition.
func (t *translator) conditional(i int) bool {
	for i--; joinKinds[strings.ToUpper(t.at(i).Text)]; i-- {
	}
	return !t.at(i).Is(".") && !freeJoins[strings.ToUpper(t.at(i).Text)]
}

func (t *translator) unconditional(join int) error {
	return t.fail(ddl.CodeParse, join, "JOIN needs a condition, ON … or USING (…); CROSS JOIN has none")
}
