package scalar

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// formatFunctions write a time by a format, each overloaded by the type of the time.
func formatFunctions() (out []Function) {
	for _, in := range "dmuns" {
		kind := byte(in) //nolint:gosec // a letter
		out = append(out,
			Function{"to_char", string(in) + "s", 's', func(a []any) (any, error) {
				t, err := moment(a[0], kind)
				return written(t, text(a[1]), charParts, false), err
			}},
			Function{"date_format", string(in) + "s", 's', func(a []any) (any, error) {
				t, err := moment(a[0], kind)
				if err != nil {
					return nil, nil //nolint:nilnil,nilerr // a text that is no date gives NULL
				}
				return dateFormat(t, text(a[1]), kind == 'd' || kind == 's')
			}})
	}
	return out
}

// part is a word of a format and what it stands for.
type part struct {
	word  string
	write func(t time.Time) string
}

func padded(width int, value func(t time.Time) int) func(time.Time) string {
	return func(t time.Time) string { return fmt.Sprintf("%0*d", width, value(t)) }
}

func month(t time.Time) int { return int(t.Month()) }

const (
	hoursOfClock = 12
	nanosOfMilli = 1_000_000
)

func clockHour(t time.Time) int { return (t.Hour()+hoursOfClock-1)%hoursOfClock + 1 }

func milli(t time.Time) int { return t.Nanosecond() / nanosOfMilli }

// The parts of formats, a word before those that begin it. charParts are TO_CHAR's, in any
// case. DATE_FORMAT has its own for DATETIME and TIMESTAMP; those of Hive's mode are for DATE
// and texts, which it takes in that mode only.
var (
	charParts = []part{
		{"yyyy", padded(4, time.Time.Year)}, {"mm", padded(2, month)}, {"dd", padded(2, time.Time.Day)}, {"hh24", padded(2, time.Time.Hour)}, //nolint:mnd // digits
		{"hh", padded(2, time.Time.Hour)}, {"mi", padded(2, time.Time.Minute)}, {"ss", padded(2, time.Time.Second)}, {"ff3", padded(3, milli)}, //nolint:mnd // digits
	}
	ownParts = []part{
		{"yyyy", padded(4, time.Time.Year)}, {"MM", padded(2, month)}, {"mm", padded(2, month)}, {"dd", padded(2, time.Time.Day)}, {"HH", padded(2, time.Time.Hour)}, //nolint:mnd // digits
		{"hh", padded(2, time.Time.Hour)}, {"mi", padded(2, time.Time.Minute)}, {"ss", padded(2, time.Time.Second)}, {"SSS", padded(3, milli)}, //nolint:mnd // digits
	}
	hiveParts = []part{
		{"yyyy", padded(4, time.Time.Year)}, {"yy", func(t time.Time) string { return t.Format("06") }}, {"MMMM", func(t time.Time) string { return t.Format("January") }}, //nolint:mnd // digits
		{"MMM", func(t time.Time) string { return t.Format("Jan") }}, {"MM", padded(2, month)}, {"M", padded(1, month)}, {"dd", padded(2, time.Time.Day)}, {"d", padded(1, time.Time.Day)}, //nolint:mnd // digits
		{"HH", padded(2, time.Time.Hour)}, {"H", padded(1, time.Time.Hour)}, {"hh", padded(2, clockHour)}, {"h", padded(1, clockHour)}, {"mm", padded(2, time.Time.Minute)}, {"m", padded(1, time.Time.Minute)}, //nolint:mnd // digits
		{"ss", padded(2, time.Time.Second)}, {"s", padded(1, time.Time.Second)}, {"SSS", padded(3, milli)}, {"EEEE", func(t time.Time) string { return t.Format("Monday") }}, //nolint:mnd // digits
		{"EEE", func(t time.Time) string { return t.Format("Mon") }}, {"E", func(t time.Time) string { return t.Format("Mon") }}, {"D", func(t time.Time) string { return strconv.Itoa(t.YearDay()) }},
		{"a", func(t time.Time) string { return t.Format("PM") }},
	}
)

// dateFormat refuses words that it does not know: to copy them would be a wrong answer.
func dateFormat(t time.Time, format string, hive bool) (any, error) {
	parts := ownParts
	if hive {
		parts = hiveParts
		if strings.Contains(format, "mi") {
			return nil, nil //nolint:nilnil // no minutes there
		}
	}
	for rest := format; rest != ""; {
		run := letters(rest)
		known := len(run) == 0
		for _, p := range parts {
			known = known || strings.HasPrefix(run, p.word) && (len(run) == len(p.word) || !hive)
		}
		switch {
		case rest[0] == '\'':
			_, after, closed := strings.Cut(rest[1:], "'")
			if !closed {
				return nil, fmt.Errorf("date_format: a quote is not closed in '%s'", format)
			}
			rest = after
			continue
		case !known:
			return nil, fmt.Errorf("date_format: this endpoint does not know '%s' in a format", run)
		}
		rest = rest[max(1, matched(rest, parts, true)):]
	}
	return written(t, format, parts, true), nil
}

// letters is the run of one letter at the beginning of a text.
func letters(s string) string {
	c := s[0]
	if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
		return ""
	}
	if strings.HasPrefix(s, "mi") {
		return "mi"
	}
	return s[:len(s)-len(strings.TrimLeft(s, s[:1]))]
}

// matched is the length of the part that a text begins with, 0 if it begins with none.
func matched(s string, parts []part, exact bool) int {
	for _, p := range parts {
		if strings.HasPrefix(s, p.word) || !exact && len(s) >= len(p.word) && strings.EqualFold(s[:len(p.word)], p.word) {
			return len(p.word)
		}
	}
	return 0
}

// written is a time in a format. exact says that case counts, and that quotes hold text.
func written(t time.Time, format string, parts []part, exact bool) string {
	var out strings.Builder
	for rest := format; rest != ""; {
		if exact && rest[0] == '\'' {
			quoted, after, _ := strings.Cut(rest[1:], "'")
			if quoted == "" {
				quoted = "'"
			}
			out.WriteString(quoted)
			rest = after
			continue
		}
		n := matched(rest, parts, exact)
		if n == 0 {
			out.WriteByte(rest[0])
			rest = rest[1:]
			continue
		}
		for _, p := range parts {
			if strings.EqualFold(p.word, rest[:n]) && (!exact || p.word == rest[:n]) {
				out.WriteString(p.write(t))
				break
			}
		}
		rest = rest[n:]
	}
	return out.String()
}
