package types

import (
	"errors"
	"fmt"
	"strings"
)

// PartitionValue is one column=value pair of a partition spec.
type PartitionValue struct {
	Column string
	Value  string
}

// PartitionSpec names a partition, or with fewer pairs than the table has
// partition columns a set of them. Empty means no partition (an unpartitioned
// table).
type PartitionSpec []PartitionValue

// String returns the value form "pt=a/hh=1".
func (s PartitionSpec) String() string {
	var b strings.Builder
	for i, v := range s {
		if i > 0 {
			b.WriteByte('/')
		}
		b.WriteString(v.Column + "=" + v.Value)
	}
	return b.String()
}

// Value returns the value of a column (any case) and whether it is there.
func (s PartitionSpec) Value(column string) (string, bool) {
	for _, v := range s {
		if strings.EqualFold(v.Column, column) {
			return v.Value, true
		}
	}
	return "", false
}

// ErrPartitionSpec marks a malformed partition spec.
var ErrPartitionSpec = errors.New("invalid partition spec")

// ParsePartitionSpec reads "pt=a,hh=1", "pt=a/hh=1" or "pt='a',hh=\"1\"" into
// pairs in the order given; blanks around names, values and separators do not
// count. In quotes a backslash escapes the next byte. Outside quotes a ',' or '/'
// separates only where "name=" follows, so that a bare value may hold them
// ("dt=2024/01/01"); it may not end in one. Column names are folded to lower case; a repeated column, an
// empty name or an empty value is an error wrapping ErrPartitionSpec. The empty
// text is the empty spec.
func ParsePartitionSpec(text string) (PartitionSpec, error) {
	var spec PartitionSpec
	for rest := strings.TrimSpace(text); rest != ""; {
		var v PartitionValue
		var err error
		if v, rest, err = cutPair(rest); err != nil {
			return nil, fmt.Errorf("parse %q: %w", text, err)
		}
		if _, dup := spec.Value(v.Column); dup {
			return nil, fmt.Errorf("parse %q: column %s twice: %w", text, v.Column, ErrPartitionSpec)
		}
		spec = append(spec, v)
	}
	return spec, nil
}

// cutPair reads one pair and the separator after it. rest is empty only at the
// end of the text: a trailing separator is an error.
func cutPair(s string) (v PartitionValue, rest string, err error) {
	name, rest, ok := strings.Cut(s, "=")
	v.Column = strings.ToLower(strings.Trim(strings.TrimSpace(name), "`"))
	if !ok || v.Column == "" || strings.ContainsAny(v.Column, ",/'\"`\x00") {
		return v, "", fmt.Errorf("want name=value at %q: %w", s, ErrPartitionSpec)
	}
	rest = strings.TrimLeft(rest, " \t")
	if rest != "" && (rest[0] == '\'' || rest[0] == '"') {
		v.Value, rest, err = cutQuoted(rest)
	} else {
		v.Value, rest = cutBare(rest)
	}
	if err != nil {
		return v, "", err
	}
	if v.Value == "" || strings.ContainsRune(v.Value, 0) || strings.ContainsAny(v.Value[len(v.Value)-1:], ",/") {
		return v, "", fmt.Errorf("bad value of %s: %w", v.Column, ErrPartitionSpec)
	}
	if rest == "" {
		return v, "", nil
	}
	rest = strings.TrimLeft(rest[1:], " \t")
	if rest == "" {
		return v, "", fmt.Errorf("trailing separator: %w", ErrPartitionSpec)
	}
	return v, rest, nil
}

func cutQuoted(s string) (value, rest string, err error) {
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == quote:
			rest = strings.TrimLeft(s[i+1:], " \t")
			if rest != "" && rest[0] != ',' && rest[0] != '/' {
				return "", "", fmt.Errorf("unexpected %q: %w", rest, ErrPartitionSpec)
			}
			return b.String(), rest, nil
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", fmt.Errorf("unterminated quote: %w", ErrPartitionSpec)
}

// cutBare ends the value at the first separator that starts another pair.
func cutBare(s string) (value, rest string) {
	for i := range len(s) {
		if (s[i] == ',' || s[i] == '/') && startsPair(s[i+1:]) {
			return strings.TrimSpace(s[:i]), s[i:]
		}
	}
	return strings.TrimSpace(s), ""
}

func startsPair(s string) bool {
	s = strings.TrimLeft(s, " \t`")
	i := 0
	for i < len(s) && isNameByte(s[i]) {
		i++
	}
	return i > 0 && strings.HasPrefix(strings.TrimLeft(s[i:], " \t`"), "=")
}
