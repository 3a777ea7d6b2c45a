package sql

import (
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
)

// groupEnds are the words that end the list of a GROUP BY.
var groupEnds = words("HAVING QUALIFY WINDOW ORDER LIMIT UNION INTERSECT EXCEPT MINUS DISTRIBUTE CLUSTER SORT WITH GROUPING LATERAL INSERT")

// groupList returns the range of the expressions of the GROUP BY at i.
func (t *translator) groupList(i, to int) argument {
	end := i + 2 //nolint:mnd // behind GROUP BY
	for end < to && !t.tokens[end].Is(")") && !t.tokens[end].Is(";") {
		if tok := t.tokens[end]; tok.Kind == ddl.Ident && groupEnds[strings.ToUpper(tok.Text)] && !t.at(end-1).Is(".") && (end > i+2 || !tok.Is("GROUPING")) {
			break
		}
		if t.closes[end] > 0 {
			end = t.closes[end]
		}
		end++
	}
	return argument{i + 2, min(end, to)} //nolint:mnd // behind GROUP BY
}

// groupBy writes what Hive lets stand behind the list as the standard does: WITH ROLLUP,
// WITH CUBE, GROUPING SETS (…).
func (t *translator) groupBy(i, to int) (end int, done bool, err error) {
	list := t.groupList(i, to)
	next, after := t.at(list.to), t.at(list.to+1)
	switch {
	case list.to >= to || list.to == list.from:
		return i, false, nil
	case next.Is("WITH") && (after.Is("ROLLUP") || after.Is("CUBE")):
		t.write(i, "GROUP BY "+strings.ToUpper(after.Text)+" (")
		if err := t.span(list.from, list.to); err != nil {
			return 0, false, err
		}
		t.out.WriteString(")")
		return list.to + 2, true, nil //nolint:mnd // two words
	case next.Is("GROUPING") && after.Is("SETS") && t.at(list.to+2).Is("("):
		end = t.closes[list.to+2] + 1
		t.write(i, "GROUP BY ")
		return end, true, t.span(list.to, end)
	}
	return i, false, nil
}

// groupingID writes grouping__id, which says by a bit for each expression of the GROUP BY
// whether the row sums over it.
func (t *translator) groupingID(i int) (end int, done bool, err error) {
	for at := i + 1; at < len(t.tokens) && !t.tokens[at].Is(")") && !t.tokens[at].Is("UNION"); at++ {
		if t.tokens[at].Is("GROUP") && t.at(at+1).Is("BY") {
			list := t.groupList(at, len(t.tokens))
			if first := t.at(list.from); (first.Is("ROLLUP") || first.Is("CUBE")) && t.at(list.from+1).Is("(") {
				list = argument{list.from + 2, t.closes[list.from+1]} //nolint:mnd // the word and the parenthesis
			}
			if list.to == list.from || t.at(list.from).Is("GROUPING") || t.at(list.from).Kind == ddl.Number {
				break
			}
			t.write(i, "GROUPING(")
			if err := t.span(list.from, list.to); err != nil {
				return 0, false, err
			}
			t.out.WriteString(")")
			return i + 1, true, nil
		}
		if t.closes[at] > 0 {
			at = t.closes[at]
		}
	}
	return 0, false, t.fail(codeSemantic, i, "grouping__id needs a GROUP BY that lists its expressions before GROUPING SETS, WITH ROLLUP or WITH CUBE")
}

// framed are the functions of a window that add up row by row where ORDER BY stands without
// a frame: rows that are equal in order do not count as one, as in the standard.
var framed = words("AVG COUNT COUNT_IF MAX MIN MEDIAN STDDEV STDDEV_POP STDDEV_SAMP VARIANCE VAR_POP VAR_SAMP SUM FIRST_VALUE LAST_VALUE NTH_VALUE" +
	" COLLECT_LIST COLLECT_SET WM_CONCAT STRING_AGG ARRAY_AGG")

const rowFrame = " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"

// window writes OVER (…) or OVER w with the frame that MaxCompute takes if none is named.
func (t *translator) window(i int) (end int, done bool, err error) {
	if !framed[strings.ToUpper(t.calledBefore(i))] {
		return i, false, nil
	}
	if next := t.at(i + 1); next.Is("(") {
		end = t.closes[i+1]
		if !t.orders(i+2, end) {
			return i, false, nil
		}
		t.write(i, "OVER (")
		if err := t.span(i+2, end); err != nil {
			return 0, false, err
		}
		t.out.WriteString(rowFrame + ")")
		return end + 1, true, nil
	}
	for at := i + 2; at+1 < len(t.tokens); at++ {
		name := t.tokens[at]
		if t.isName(at) && t.isName(i+1) && strings.EqualFold(name.Text, t.tokens[i+1].Text) && t.at(at+1).Is("AS") && t.at(at+2).Is("(") &&
			(t.at(at-1).Is("WINDOW") || t.at(at-1).Is(",")) && t.orders(at+3, t.closes[at+2]) { //nolint:mnd // behind name AS (
			t.write(i, "OVER ("+quoteName(t.tokens[i+1].Text)+rowFrame+")")
			return i + 2, true, nil
		}
	}
	return i, false, nil
}

// orders reports whether a window's definition has an order and no frame.
func (t *translator) orders(from, to int) bool {
	ordered := false
	for i := from; i < to; i++ {
		if t.closes[i] > 0 {
			i = t.closes[i]
			continue
		}
		switch tok := t.tokens[i]; {
		case (tok.Is("ORDER") || tok.Is("SORT")) && t.at(i+1).Is("BY"):
			ordered = true
		case (tok.Is("ROWS") || tok.Is("RANGE") || tok.Is("GROUPS")) && (t.at(i+1).Is("BETWEEN") || t.at(i+1).Is("UNBOUNDED") || t.at(i+1).Is("CURRENT") || t.at(i+1).Kind == ddl.Number):
			return false
		}
	}
	return ordered
}

// calledBefore is the function whose call ends before i, past FILTER (…) and IGNORE NULLS.
func (t *translator) calledBefore(i int) string {
	at := i - 1
	if t.at(at).Is("NULLS") {
		at -= 2
	}
	for t.at(at).Is(")") {
		open := t.opens(at)
		if name := t.at(open - 1); !name.Is("FILTER") {
			return name.Text
		}
		at = open - 2
	}
	return ""
}

// opens finds the partner of the parenthesis that closes at i.
func (t *translator) opens(i int) int {
	for at := i - 1; at > 0; at-- {
		if t.closes[at] == i {
			return at
		}
	}
	return 0
}
