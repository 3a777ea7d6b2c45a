//go:build cgo && duckdb_arrow

package sql

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-io/sluice/emulator/internal/sql/scan"
)

func TestFilters_are_read_from_the_where_clause(t *testing.T) {
	e := engine(t)
	s, err := e.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	columns := table(t, "a bigint;b int;s string").columns
	const low, high = math.MinInt64, math.MaxInt64
	for _, c := range []struct {
		query string
		want  []scan.Filter
		whole bool
	}{
		{"select a from t where a % 100 = 0", []scan.Filter{{Low: low, High: high, Divisor: 100}}, true},
		{"select a from t where mod(t.b, 7L) = -3", []scan.Filter{{Column: 1, Low: low, High: high, Divisor: 7, Rest: -3}}, true},
		{"select a from t where a = 5 and 3 < b and s = 'x'", []scan.Filter{{Low: 5, High: 5}, {Column: 1, Low: 4, High: high}}, false},
		{"select a from t x where x.a <= -5L", []scan.Filter{{Low: low, High: -5}}, true},
		{"select a from t where a < 5 and (b >= 9 and 9 > b)", []scan.Filter{{Low: low, High: 4}, {Column: 1, Low: 9, High: high}, {Column: 1, Low: low, High: 8}}, true},
		{"select a from t where b between -2 and 8", []scan.Filter{{Column: 1, Low: -2, High: 8}}, true},
		{"select a from t where b in (8, -2, 3)", []scan.Filter{{Column: 1, Low: -2, High: 8}}, false},
		{"select a from t where a > 9223372036854775807", nil, false},
		{"select a from t where a % 0 = 0", nil, false},
		{"select a from t where a % b = 0", nil, false},
		{"select a from t where a % 100 > 3", nil, false},
		{"select a from t where a = 5 or b = 3", nil, false},
		{"select a from t where not a = 5", nil, false},
		{"select a from t where a <> 5", nil, false},
		{"select a from t where a = 5.5", nil, false},
		{"select a from t where a + 1 = 5", nil, false},
		{"select b + 1 as c from t where c = 5", nil, false},
		{"select b + 1 as a from t where a = 5", []scan.Filter{{Low: 5, High: 5}}, true},
		{"select a from (select a from t) u where a = 5", nil, false},
		{"select t.a from t join t u on t.a = u.a where t.a = 5", nil, false},
	} {
		tr, err := translate(c.query, nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.parse(t.Context(), tr)
		if err != nil {
			t.Fatal(err)
		}
		got, whole := p.filters(columns)
		if !slices.Equal(got, c.want) || whole != c.whole {
			t.Errorf("%s:\n got %+v, whole: %v\nwant %+v, %v", c.query, got, whole, c.want, c.whole)
		}
	}
}

// A condition of which the engine makes a filter, and the same one in a form of which it makes
// none, let the same rows through.
func TestFilters_change_no_result(t *testing.T) {
	e := engine(t)
	many := manyPieces(t)
	few := many
	few.batches = many.batches[:5]
	conditions := []string{
		"i8 % 100 = 0", "i8 % 7 = -3", "i8 % 64 = 0 and i8 % 3 = 1", "mod(i4, 10) = 9", "i1 = 5", "i2 < -100", "i4 between -5 and 3", "i8 > 9223372036854775806",
		"i8 >= -3 and i4 < 7 and s like 'a%'", "i1 in (1, 100, -7)", "i8 = 0", "-1 >= i8", "i8 < -9223372036854775807", "i8 % 1 = 0",
	}
	for _, list := range []string{"count(*), sum(i4), max(s)", "*", "i8, s"} {
		for _, where := range conditions {
			for _, source := range []fakeTable{many, few} {
				got := printed(t, e, source, fmt.Sprintf("select %s from t where %s", list, where))
				want := printed(t, e, source, fmt.Sprintf("select %s from t where not coalesce(not (%s), true)", list, where))
				if got != want {
					t.Errorf("select %s where %s over %d pieces:\n got %.500s\nwant %.500s", list, where, len(source.batches), got, want)
				}
			}
		}
	}
}

// printed is a result as text.
func printed(t *testing.T, e *Engine, source fakeTable, query string) string {
	t.Helper()
	rows, err := e.Query(t.Context(), fakeTables{"t": source}, query, nil)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	var out strings.Builder
	for rows.Next() {
		for i := range int(rows.Batch().NumRows()) {
			for c := range int(rows.Batch().NumCols()) {
				out.WriteString(rows.Batch().Column(c).ValueStr(i))
				out.WriteByte('|')
			}
			out.WriteByte('\n')
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
