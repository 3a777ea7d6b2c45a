package table

import (
	"strings"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

// Bounds on what a client may ask with patterns.
const (
	maxPatterns     = 1000
	maxPatternBytes = 64 << 10
)

// Patterns selects partitions by the texts of semantics.md 3.3: plain specs, specs with "*" and "?", and conditions
// behind "/*query*/". It is immutable.
type Patterns struct {
	entries []pattern
}

type pattern struct {
	text   string // as given
	levels []string
	plain  bool
	query  condition // nil for a spec
}

// CompilePatterns reads the entries for a table with these partition columns. A blank entry, one that does not name
// every partition column in table order, a syntax error, an unknown column, or a plain value that is not of its column's
// type is BAD_PARTITION.
func CompilePatterns(s *Schema, entries []string) (*Patterns, error) {
	if len(entries) > maxPatterns {
		return nil, apierr.New(apierr.BadPartition, "%d partition texts, at most %d are allowed", len(entries), maxPatterns)
	}
	p := &Patterns{}
	for _, text := range entries {
		e, err := compilePattern(s, text)
		if err != nil {
			return nil, err
		}
		p.entries = append(p.entries, e)
	}
	return p, nil
}

// Select gives the indices of the partitions that some entry matches, each once: by entry, then in the order of all,
// which is the table's. missing holds the plain entries, as given, for which there is no partition.
func (p *Patterns) Select(all []Spec) (selected []int, missing []string) {
	taken := make([]bool, len(all))
	for i := range p.entries {
		found := false
		for k, spec := range all {
			if !p.entries[i].matches(spec) {
				continue
			}
			found = true
			if !taken[k] {
				taken[k] = true
				selected = append(selected, k)
			}
		}
		if !found && p.entries[i].plain {
			missing = append(missing, p.entries[i].text)
		}
	}
	return selected, missing
}

// ParseSpec reads one plain partition text, "dt=1/hr=05" or "dt='1', hr='05'", of a table with these partition
// columns. Wildcards and queries are BAD_PARTITION here.
func ParseSpec(s *Schema, text string) (Spec, error) {
	e, err := compilePattern(s, text)
	if err != nil {
		return nil, err
	}
	if !e.plain {
		return nil, badPattern(text, "does not name one partition")
	}
	spec := make(Spec, len(e.levels))
	for i, v := range e.levels {
		spec[i] = Part{Column: fold(s.PartitionColumns[i].Name), Value: v}
	}
	return spec, nil
}

func badPattern(text, why string) error {
	return apierr.New(apierr.BadPartition, "partition %q: %s", clip(text), why)
}

func compilePattern(s *Schema, text string) (pattern, error) {
	if len(text) > maxPatternBytes {
		return pattern{}, badPattern(text, "is too long")
	}
	if body, ok := cutQuery(text); ok {
		q, why := parseCondition(s, body)
		if why != "" {
			return pattern{}, badPattern(text, why)
		}
		return pattern{text: text, query: q}, nil
	}
	parts := strings.Split(strings.ReplaceAll(strings.ReplaceAll(text, "'", ""), "/", ","), ",")
	if strings.TrimSpace(text) == "" {
		return pattern{}, badPattern(text, "is blank")
	}
	if len(parts) != len(s.PartitionColumns) {
		return pattern{}, badPattern(text, "does not name every partition column")
	}
	e := pattern{text: text, plain: true}
	for i, part := range parts {
		column, value, ok := strings.Cut(part, "=")
		column, value = strings.TrimSpace(column), strings.TrimSpace(value)
		switch {
		case !ok || value == "" || strings.Contains(value, "="):
			return pattern{}, badPattern(text, "want column=value")
		case !strings.EqualFold(column, s.PartitionColumns[i].Name):
			return pattern{}, badPattern(text, "level "+s.PartitionColumns[i].Name+" is named "+clip(column))
		}
		e.plain = e.plain && !strings.ContainsAny(value, "*?")
		e.levels = append(e.levels, value)
	}
	if !e.plain {
		return e, nil
	}
	for i, value := range e.levels {
		if err := checkValue(s.PartitionColumns[i], value); err != nil {
			return pattern{}, err
		}
	}
	return e, nil
}

const queryMark = "/*query*/"

// cutQuery takes the marker off, in any case and with blanks before it.
func cutQuery(text string) (string, bool) {
	t := strings.TrimSpace(text)
	if len(t) >= len(queryMark) && strings.EqualFold(t[:len(queryMark)], queryMark) {
		return t[len(queryMark):], true
	}
	return "", false
}

func (e *pattern) matches(spec Spec) bool {
	if e.query != nil {
		return e.query(spec) == yes
	}
	if len(spec) != len(e.levels) {
		return false
	}
	for i := range spec {
		if !wildcard(e.levels[i], spec[i].Value, '*', '?') {
			return false
		}
	}
	return true
}

// wildcard matches text against a pattern in which many stands for any characters and one for exactly one. It takes
// no more than len(pattern)·len(text) steps.
func wildcard(pattern, text string, many, one rune) bool {
	p, t := []rune(pattern), []rune(text)
	pi, ti, star, mark := 0, 0, -1, 0
	for ti < len(t) {
		switch {
		case pi < len(p) && p[pi] == many:
			star, mark = pi, ti
			pi++
		case pi < len(p) && (p[pi] == one || p[pi] == t[ti]):
			pi, ti = pi+1, ti+1
		case star >= 0:
			mark++
			pi, ti = star+1, mark
		default:
			return false
		}
	}
	for pi < len(p) && p[pi] == many {
		pi++
	}
	return pi == len(p)
}
