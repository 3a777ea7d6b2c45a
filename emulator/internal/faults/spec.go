package faults

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind names a fault.
type Kind string

// The kinds. Documented in docs/endpoint.md and by Help.
const (
	K429          Kind = "429"
	K500          Kind = "500"
	K502          Kind = "502"
	K503          Kind = "503"
	K504          Kind = "504"
	K504After     Kind = "504-after"
	K308          Kind = "308"
	ResetBefore   Kind = "reset-before"
	ResetAfter    Kind = "reset-after"
	CutRequest    Kind = "cut-request"
	CutReply      Kind = "cut-reply"
	LostReply     Kind = "lost-reply"
	Slow          Kind = "slow"
	Stall         Kind = "stall"
	ExpireSession Kind = "expire"
)

// kinds in the order in which they are tried: of two that meet in a request the first
// one happens.
var kinds = []struct {
	kind Kind
	help string
}{
	{ExpireSession, "the session that the request names expires for good: 404"},
	{K429, "throttled: FlowExceeded, for blocks, packs and reads SlotExceeded; no effect"},
	{K500, "InternalServerError; no effect"},
	{K502, "bad gateway; no effect"},
	{K503, "ServiceUnavailable; no effect"},
	{K504, "gateway timeout; no effect"},
	{K504After, "gateway timeout; the effect stands"},
	{K308, "a stream's slot moved: try again with the server that the answer names"},
	{ResetBefore, "the connection is reset; no effect"},
	{ResetAfter, "the effect stands, then the connection is reset"},
	{LostReply, "the effect stands, then the connection ends without an answer"},
	{CutRequest, "the request's body ends too early, the connection with it"},
	{CutReply, "the answer's body ends too early"},
	{Slow, "both bodies move at ARGUMENT bytes per second, default 65536"},
	{Stall, "nothing happens for ARGUMENT, default 200ms, then all goes well"},
}

// The arguments of Slow and Stall where none is given.
const (
	defaultRate  = 64 << 10
	defaultStall = 200 * time.Millisecond
)

// DefaultSpec is a bad day: every kind, one request in nine.
const DefaultSpec = "429=0.02,500=0.01,502=0.005,503=0.01,504=0.005,504-after=0.005,308=0.02,reset-before=0.01,reset-after=0.005," +
	"lost-reply=0.005,cut-request=0.01,cut-reply=0.01,slow=0.01:1048576,stall=0.005:200ms,expire=0.001"

// Spec says how often each fault happens to which requests. Make it with ParseSpec.
type Spec struct {
	text  string
	rules []rule
}

// String is the text that the spec was read from.
func (s Spec) String() string { return s.text }

type rule struct {
	kind     Kind
	selector string
	share    float64
	rate     int64         // of Slow
	wait     time.Duration // of Stall
}

// ParseSpec reads KIND[@CLASS]=SHARE[:ARGUMENT],…; the empty text is DefaultSpec. An
// error names the word that is not known and all that are.
func ParseSpec(text string) (Spec, error) {
	if text == "" {
		text = DefaultSpec
	}
	s := Spec{text: text}
	for entry := range strings.SplitSeq(text, ",") {
		r, err := parseRule(strings.TrimSpace(entry))
		if err != nil {
			return Spec{}, err
		}
		if slices.ContainsFunc(s.rules, func(o rule) bool { return o.kind == r.kind && o.selector == r.selector }) {
			return Spec{}, fmt.Errorf("fault %q: the same kind and class twice", entry)
		}
		s.rules = append(s.rules, r)
	}
	return s, nil
}

// ParseSeeded reads SEED[:spec], the argument of --faults.
func ParseSeeded(text string) (seed uint64, spec Spec, err error) {
	number, rest, given := strings.Cut(text, ":")
	seed, err = strconv.ParseUint(number, 10, 64)
	if err != nil {
		return 0, Spec{}, fmt.Errorf("faults %q begin with a seed, a whole number from 0 to 2^64-1", text)
	}
	if given && rest == "" {
		return 0, Spec{}, fmt.Errorf("faults %q end behind the colon; leave it out for the default", text)
	}
	spec, err = ParseSpec(rest)
	return seed, spec, err
}

func parseRule(entry string) (rule, error) {
	fail := func(format string, args ...any) (rule, error) {
		return rule{}, fmt.Errorf("fault %q: %s", entry, fmt.Sprintf(format, args...))
	}
	name, value, ok := strings.Cut(entry, "=")
	if !ok {
		return fail("not KIND[@CLASS]=SHARE[:ARGUMENT]")
	}
	word, selector, aimed := strings.Cut(name, "@")
	r := rule{kind: Kind(word), selector: selector, rate: defaultRate, wait: defaultStall}
	if !slices.Contains(kindNames(), word) {
		return fail("no kind %q; the kinds are %s", word, strings.Join(kindNames(), " "))
	}
	if aimed && !slices.Contains(selectors(), selector) {
		return fail("no class %q; the classes are %s", selector, strings.Join(selectors(), " "))
	}
	if !slices.ContainsFunc(classes, func(c string) bool { _, ok := selects(selector, c); return ok && applies(r.kind, c) }) {
		return fail("%s cannot happen to %s", word, selector)
	}
	share, argument, hasArgument := strings.Cut(value, ":")
	var err error
	if r.share, err = strconv.ParseFloat(share, 64); err != nil || !(r.share >= 0 && r.share <= 1) {
		return fail("the share %q is not a number from 0 to 1", share)
	}
	if !hasArgument {
		return r, nil
	}
	switch r.kind {
	case Slow:
		if r.rate, err = strconv.ParseInt(argument, 10, 64); err != nil || r.rate <= 0 {
			return fail("%q is no number of bytes per second", argument)
		}
	case Stall:
		if r.wait, err = time.ParseDuration(argument); err != nil || r.wait <= 0 {
			return fail("%q is no duration such as 200ms", argument)
		}
	default:
		return fail("%s has no argument", word)
	}
	return r, nil
}

func kindNames() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k.kind)
	}
	return names
}

// applies says whether a kind can happen to a class at all.
func applies(k Kind, class string) bool {
	switch k {
	case K308:
		return class == "stream.put"
	case ExpireSession:
		return hasSession(class)
	}
	return true
}

// find is the closest rule of a kind for a class; one with the share 0 if there is none.
func (s Spec) find(k Kind, class string) (best rule) {
	found := -1
	for _, r := range s.rules {
		if r.kind != k {
			continue
		}
		if near, ok := selects(r.selector, class); ok && near > found {
			best, found = r, near
		}
	}
	return best
}

// Help is the spec language for a help text.
func Help() string {
	var b strings.Builder
	b.WriteString("SEED[:spec] with spec = KIND[@CLASS]=SHARE[:ARGUMENT],…; the closest class counts. Without a spec:\n  " +
		strings.ReplaceAll(DefaultSpec, "reset-before", "\n  reset-before") + "\n\nKinds:\n")
	for _, k := range kinds {
		fmt.Fprintf(&b, "  %-13s %s\n", k.kind, k.help)
	}
	b.WriteString("\nClasses: tunnel, rest, a family such as upload, or one of\n  ")
	line := 2
	for _, c := range classes {
		if line+len(c) > 100 {
			b.WriteString("\n  ")
			line = 2
		}
		b.WriteString(c + " ")
		line += len(c) + 1
	}
	return strings.TrimRight(b.String(), " ") + "\n"
}
