package table

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

// checkValue refuses, with BAD_PARTITION, a partition value that its column cannot hold. A value that got into a table
// in spite of its type would make the column unreadable for every partition. Integers must be written as SQL prints
// them: "05" and "5" would be one partition upstream and two here. Types that no partition column should have
// (MaxCompute takes integers, texts and DATE) are left to upstream.
func checkValue(c Column, value string) error {
	column := fold(c.Name)
	bad := func(why string) error {
		return apierr.New(apierr.BadPartition, "partition column %q: %q is no %s%s", column, clip(value), c.Type, why).
			With("column", column).With("value", clip(value)).With("type", c.Type.String())
	}
	if !utf8.ValidString(value) {
		return bad(": not UTF-8")
	}
	switch c.Type.Kind {
	case KindTinyint:
		return checkInteger(value, 8, bad)
	case KindSmallint:
		return checkInteger(value, 16, bad)
	case KindInt:
		return checkInteger(value, 32, bad)
	case KindBigint:
		return checkInteger(value, 64, bad)
	case KindChar, KindVarchar:
		if n := utf8.RuneCountInString(value); n > c.Type.Length {
			return bad(": it has " + strconv.Itoa(n) + " characters")
		}
	case KindDate:
		if _, err := time.Parse(time.DateOnly, value); err != nil {
			return bad(", which is written 2006-01-02")
		}
	}
	return nil
}

// checkInteger takes what SQL prints for an integer of so many bits, and nothing else. BIGINT begins at −2^63+1.
func checkInteger(value string, bits int, bad func(string) error) error {
	n, err := strconv.ParseInt(value, 10, bits)
	switch {
	case err != nil:
		return bad("")
	case n == math.MinInt64:
		return bad(": out of range")
	case strconv.FormatInt(n, 10) != value:
		return bad(" as it is stored: write " + strconv.FormatInt(n, 10))
	}
	return nil
}
