//go:build cgo && duckdb_arrow

package sql

import (
	"fmt"
	"strings"
	"testing"
)

// call is an expression with its value and type: "text TYPE", NULL as NULL.
type call struct{ expression, want string }

// testCalls proves the documented meaning of functions over a row of every type and a row
// of NULLs.
func testCalls(t *testing.T, calls []call) {
	t.Helper()
	e := engine(t)
	tables := fakeTables{"t": table(t, "s string;i bigint;j int;d double;x decimal(10,2);b boolean;l array<string>;n bigint;ns string;ints array<bigint>;im map<bigint,string>",
		`[{"s":"abc","i":7,"j":3,"d":2.5,"x":"1.25","b":true,"l":["p",null,"q"],"n":null,"ns":null,"ints":[3,1,2,1],"im":[{"key":1,"value":"one"}]}]`)}
	for _, c := range calls {
		columns, rows, err := run(t, e, tables, "select "+c.expression+" as r from t")
		got := fmt.Sprint(err)
		if err == nil {
			got = strings.ReplaceAll(rows[0], "(null)", "NULL") + " " + strings.TrimPrefix(columns[0], "r ")
		}
		if got != c.want {
			t.Errorf("%s = %s, want %s", c.expression, got, c.want)
		}
	}
}
