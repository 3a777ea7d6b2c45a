package sql

import (
	"strconv"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// assign is the expression that brings a query's column of DuckDB's type from to a column
// of a table. A value that does not fit is an error that names the table's column. Numbers
// lose their fraction where the column is an integer, texts what is beyond its length.
func assign(name, column, from string, t types.Type) string {
	to := duckType(t)
	var try string
	switch {
	case t.Kind == types.String && from == to:
		return column
	case t.Kind == types.Char || t.Kind == types.Varchar:
		return cutText(column, from, t.Length)
	case t.Kind == types.String:
		return macroPrefix + "_cast_string(" + column + ")"
	case castMacros[t.Kind] != "" && !t.Has(types.Boolean, types.Datetime, types.Timestamp, types.TimestampNTZ) && from != to && from != "BOOLEAN":
		try = macroPrefix + "_try" + castMacros[t.Kind] + "(" + column + ")"
	case t.Kind == types.Decimal && (from == "DOUBLE" || from == "FLOAT"): // a DOUBLE has the digits that it shows
		try = "TRY_CAST(CAST(" + column + " AS VARCHAR) AS " + to + ")"
	case from == to || t.Nested() || t.Has(types.Binary, types.JSON, types.IntervalDayTime, types.IntervalYearMonth), strings.HasPrefix(from, "TIMESTAMP"), strings.HasPrefix(to, "TIMESTAMP"):
		return castTo(column, from, t)
	default:
		try = "TRY_CAST(" + column + " AS " + to + ")"
	}
	return "CASE WHEN " + column + " IS NULL THEN NULL ELSE coalesce(" + try + ", error(" +
		quoteString("column "+name+": the value ") + " || CAST(" + column + " AS VARCHAR) || " + quoteString(" does not fit "+t.String()) + ")) END"
}

func cutText(column, from string, length int) string {
	if from != "VARCHAR" {
		column = macroPrefix + "_cast_string(" + column + ")"
	}
	return "left(" + column + ", " + strconv.Itoa(length) + ")"
}
