package scalar

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// dateFunctions are overloaded by the type of their first argument, which is also the
// result's; of a text it is DATETIME.
func dateFunctions() (out []Function) {
	for in, result := range map[byte]byte{'d': 'd', 'm': 'm', 'u': 'u', 'n': 'n', 's': 'm'} {
		out = append(out,
			Function{"dateadd", string(in) + "is", result, func(a []any) (any, error) {
				t, err := moment(a[0], in)
				if err == nil {
					t, err = added(t, whole(a[1]), text(a[2]))
				}
				return raw(t, result), err
			}},
			Function{"datetrunc", string(in) + "s", result, func(a []any) (any, error) {
				t, err := moment(a[0], in)
				if err == nil {
					t, err = truncated(t, text(a[1]))
				}
				return raw(t, result), err
			}})
	}
	return out
}

// sequenceFunctions count the steps from one number or day to another, and make them; alike
// gives a time the type of another. They are for SEQUENCE.
func sequenceFunctions() []Function {
	out := []Function{
		{"steps", "ii", 'i', func(a []any) (any, error) {
			n := whole(a[1]) - whole(a[0])
			if (n < 0) != (whole(a[1]) < whole(a[0])) {
				return int64(math.MaxInt64), nil // more than anybody may have
			}
			return n, nil
		}},
		{"step", "ii", 'i', func(a []any) (any, error) { return whole(a[0]) + whole(a[1]), nil }},
	}
	for _, in := range "dmun" {
		kind := byte(in) //nolint:gosec // a letter
		day := map[byte]int64{'d': 1, 'm': secondsPerDay * 1e3, 'u': secondsPerDay * 1e6, 'n': secondsPerDay * 1e9}[kind]
		out = append(out,
			Function{"steps", string(in) + string(in), 'i', func(a []any) (any, error) { return (whole(a[1]) - whole(a[0])) / day, nil }},
			Function{"step", string(in) + "i", kind, func(a []any) (any, error) { return whole(a[0]) + whole(a[1])*day, nil }},
			Function{"alike", string(in) + "u", kind, func(a []any) (any, error) { return raw(time.UnixMicro(whole(a[1])).UTC(), kind), nil }})
	}
	return out
}

const secondsPerDay = 86400

// moment is the time that a value of the type in stands for.
func moment(a any, in byte) (time.Time, error) {
	switch in {
	case 'd':
		return time.Unix(whole(a)*secondsPerDay, 0).UTC(), nil
	case 'm':
		return time.UnixMilli(whole(a)).UTC(), nil
	case 'u':
		return time.UnixMicro(whole(a)).UTC(), nil
	case 'n':
		return time.Unix(0, whole(a)).UTC(), nil
	}
	for _, form := range []string{time.DateTime, time.DateOnly} {
		if t, err := time.Parse(form, strings.TrimSpace(text(a))); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("could not convert string '%s' to DATETIME", text(a))
}

// raw is the inverse of moment.
func raw(t time.Time, out byte) int64 {
	switch out {
	case 'd':
		days := t.Unix() / secondsPerDay
		if t.Unix()%secondsPerDay < 0 {
			days--
		}
		return days
	case 'u':
		return t.UnixMicro()
	case 'n':
		return t.UnixNano()
	default:
		return t.UnixMilli()
	}
}

// unit is a part of a date under any of its names.
func unit(part string) (string, error) {
	switch strings.ToLower(part) {
	case "yyyy", "year":
		return "year", nil
	case "q", "quarter":
		return "quarter", nil
	case "mm", "month", "mon":
		return "month", nil
	case "w", "ww", "week":
		return "week", nil
	case "dd", "day":
		return "day", nil
	case "hh", "hour":
		return "hour", nil
	case "mi", "minute":
		return "minute", nil
	case "ss", "second":
		return "second", nil
	case "ff3", "millisecond":
		return "millisecond", nil
	case "ff6", "microsecond":
		return "microsecond", nil
	}
	return "", fmt.Errorf("invalid date part '%s'", part)
}

// fixed are the units that always have the same length.
var fixed = map[string]time.Duration{
	"hour": time.Hour, "minute": time.Minute, "second": time.Second, "millisecond": time.Millisecond, "microsecond": time.Microsecond,
}

const (
	monthsPerYear    = 12
	monthsPerQuarter = 3
	daysPerWeek      = 7
	maxYears         = 20000 // beyond, no date has a year that the service knows
)

// added moves a time by n units. The day of a month that is too short is its last.
func added(t time.Time, n int64, part string) (time.Time, error) {
	u, err := unit(part)
	if err != nil {
		return t, err
	}
	months := map[string]int64{"year": monthsPerYear, "quarter": monthsPerQuarter, "month": 1}[u]
	days := map[string]int64{"week": daysPerWeek, "day": 1}[u]
	switch {
	case months > 0 && n < maxYears*monthsPerYear && n > -maxYears*monthsPerYear:
		first := time.Date(t.Year(), t.Month()+time.Month(n*months), 1, 0, 0, 0, 0, time.UTC)
		last := first.AddDate(0, 1, -1).Day()
		t = time.Date(first.Year(), first.Month(), min(t.Day(), last), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	case days > 0 && n < maxYears*366 && n > -maxYears*366:
		t = t.AddDate(0, 0, int(n*days))
	case fixed[u] >= time.Second && n < maxYears*366*secondsPerDay && n > -maxYears*366*secondsPerDay:
		t = time.Unix(t.Unix()+n*int64(fixed[u]/time.Second), int64(t.Nanosecond())).UTC()
	case fixed[u] > 0 && fixed[u] < time.Second:
		parts := int64(time.Second / fixed[u])
		t = time.Unix(t.Unix()+n/parts, int64(t.Nanosecond())+n%parts*int64(fixed[u])).UTC()
	default:
		return t, errOutOfRange
	}
	if t.Year() < 1 || t.Year() > 9999 {
		return t, errOutOfRange
	}
	return t, nil
}

var errOutOfRange = errors.New("the date leaves the years 1 to 9999")

// truncated sets everything below a unit to its beginning; weeks begin on Monday.
func truncated(t time.Time, part string) (time.Time, error) {
	u, err := unit(part)
	if err != nil {
		return t, err
	}
	y, m, d := t.Date()
	switch u {
	case "year":
		m, d = 1, 1
	case "quarter":
		m, d = m-(m-1)%monthsPerQuarter, 1
	case "month":
		d = 1
	case "week":
		d -= (int(t.Weekday()) + daysPerWeek - 1) % daysPerWeek
	case "day":
	default:
		day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
		return day.Add(t.Sub(day).Truncate(fixed[u])), nil
	}
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC), nil
}
