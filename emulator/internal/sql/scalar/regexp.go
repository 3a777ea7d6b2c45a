package scalar

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// patterns keeps compiled patterns: a query asks for the same few for every row.
var patterns struct {
	mu   sync.Mutex
	made map[string]*regexp.Regexp
}

const maxPatterns = 256

// pattern compiles a pattern. The syntax is RE2's: no look-around, no back references.
func pattern(s string) (*regexp.Regexp, error) {
	patterns.mu.Lock()
	defer patterns.mu.Unlock()
	if re := patterns.made[s]; re != nil {
		return re, nil
	}
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, fmt.Errorf("invalid pattern: %w", err)
	}
	if len(patterns.made) >= maxPatterns || patterns.made == nil {
		patterns.made = map[string]*regexp.Regexp{}
	}
	patterns.made[s] = re
	return re, nil
}

func regexpExtract(a []any) (any, error) {
	re, err := pattern(text(a[1]))
	if err != nil {
		return nil, err
	}
	group := whole(a[2])
	if group < 0 || group > int64(re.NumSubexp()) {
		return nil, fmt.Errorf("REGEXP_EXTRACT: the pattern has no group %d", group)
	}
	found := re.FindStringSubmatch(text(a[0]))
	if found == nil {
		return "", nil
	}
	return found[group], nil
}

// regexpReplace replaces all matches, or the nth; \1 stands for a group.
func regexpReplace(a []any) (any, error) {
	re, err := pattern(text(a[1]))
	if err != nil {
		return nil, err
	}
	s, nth := text(a[0]), whole(a[3])
	if nth < 0 {
		return nil, errors.New("REGEXP_REPLACE: the occurrence must not be negative")
	}
	with := goTemplate(text(a[2]))
	var out strings.Builder
	end := 0
	for i, m := range re.FindAllStringSubmatchIndex(s, -1) {
		if nth > 0 && int64(i+1) != nth {
			continue
		}
		out.WriteString(s[end:m[0]])
		out.Write(re.ExpandString(nil, with, s, m))
		if end = m[1]; out.Len() > maxTextResult {
			return nil, errors.New("the result is longer than 8 MiB")
		}
	}
	out.WriteString(s[end:])
	return out.String(), nil
}

// goTemplate turns \1 into ${1}, and escapes what means something in Go.
func goTemplate(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9':
			i++
			out.WriteString("${" + strconv.Itoa(int(s[i]-'0')) + "}")
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '\\':
			i++
			out.WriteByte('\\')
		case s[i] == '$':
			out.WriteString("$$")
		default:
			out.WriteByte(s[i])
		}
	}
	return out.String()
}

// matches are the places of a pattern from a character on, in bytes of s.
func matches(a []any, start int64) ([][]int, error) {
	re, err := pattern(text(a[1]))
	if err != nil {
		return nil, err
	}
	if start < 1 {
		return nil, errors.New("the start position must be positive")
	}
	s := text(a[0])
	at := byteOf(s, start-1)
	found := re.FindAllStringIndex(s[at:], -1)
	for _, m := range found {
		m[0], m[1] = m[0]+at, m[1]+at
	}
	return found, nil
}

// byteOf is the offset of the nth character, counted from 0, at most the end.
func byteOf(s string, n int64) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

func regexpSubstr(a []any) (any, error) {
	found, err := matches(a, whole(a[2]))
	if err != nil {
		return nil, err
	}
	nth := whole(a[3])
	if nth < 1 || nth > int64(len(found)) {
		return nil, nil //nolint:nilnil // no match is NULL
	}
	m := found[nth-1]
	return text(a[0])[m[0]:m[1]], nil
}

func regexpCount(a []any) (any, error) {
	found, err := matches(a, whole(a[2]))
	return int64(len(found)), err
}

// regexpInstr is where the nth match begins, or with 1 as the last argument where it ended.
func regexpInstr(a []any) (any, error) {
	found, err := matches(a, whole(a[2]))
	if err != nil {
		return nil, err
	}
	nth, end := whole(a[3]), whole(a[4])
	if nth < 1 || end < 0 || end > 1 {
		return nil, errors.New("REGEXP_INSTR: the occurrence must be positive and the return option 0 or 1")
	}
	if nth > int64(len(found)) {
		return int64(0), nil
	}
	return int64(utf8.RuneCountInString(text(a[0])[:found[nth-1][end]])) + 1, nil
}
