package table

import (
	"math/big"
	"strings"
)

// The condition of a "/*query*/" entry, in the order of binding:
//
//	or      := and { OR and }
//	and     := not { AND not }
//	not     := NOT not | "(" or ")" | column test
//	test    := (= | <> | != | < | <= | > | >=) literal | [NOT] IN "(" literal {, literal} ")"
//	         | [NOT] BETWEEN literal AND literal | [NOT] LIKE 'text' | IS [NOT] NULL
//	literal := number | 'text' | "text"        (a quote within is doubled)
//
// A literal may also stand left of a comparison.

// truth is SQL's: comparisons that cannot be made are not true, and neither is their opposite.
type truth uint8

const (
	no truth = iota
	yes
	unknown
)

func (t truth) not() truth {
	switch t {
	case no:
		return yes
	case yes:
		return no
	}
	return unknown
}

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// condition judges one partition.
type condition func(Spec) truth

const maxConditionDepth = 64

type literal struct {
	text   string
	number *big.Rat // nil for a quoted literal
}

type conditionParser struct {
	schema *Schema
	toks   []token
	pos    int
	depth  int
	why    string
}

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokWord
	tokQuoted
	tokNumber
	tokSign
)

type token struct {
	kind tokenKind
	text string
}

// parseCondition compiles a condition over the partition columns; why is "" if it could.
func parseCondition(s *Schema, text string) (c condition, why string) {
	toks, why := tokenize(text)
	if why != "" {
		return nil, why
	}
	p := &conditionParser{schema: s, toks: toks}
	c = p.or()
	if p.why == "" && p.peek().kind != tokEnd {
		p.fail("unexpected " + p.peek().text)
	}
	if p.why != "" {
		return nil, p.why
	}
	return c, ""
}

func tokenize(text string) (toks []token, why string) {
	for i := 0; i < len(text); {
		c := text[i]
		start := i
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case c == '\'' || c == '"':
			value, end := quoted(text, i)
			if end < 0 {
				return nil, "a quote is not closed"
			}
			toks, i = append(toks, token{tokQuoted, value}), end
			continue
		case c == '`':
			end := strings.IndexByte(text[i+1:], '`')
			if end < 0 {
				return nil, "a quote is not closed"
			}
			toks, i = append(toks, token{tokWord, text[i+1 : i+1+end]}), i+end+2
			continue
		case c >= '0' && c <= '9' || (c == '-' || c == '+' || c == '.') && i+1 < len(text) && (text[i+1] >= '0' && text[i+1] <= '9' || text[i+1] == '.'):
			for i++; i < len(text) && (text[i] >= '0' && text[i] <= '9' || text[i] == '.'); i++ {
			}
			toks = append(toks, token{tokNumber, text[start:i]})
			continue
		case wordByte(c) || c >= 0x80:
			for i < len(text) && (wordByte(text[i]) || text[i] >= 0x80) {
				i++
			}
			toks = append(toks, token{tokWord, text[start:i]})
			continue
		}
		n := signLength(text[i:])
		if n == 0 {
			return nil, "unexpected character " + clip(text[i:i+1])
		}
		toks, i = append(toks, token{tokSign, text[i : i+n]}), i+n
	}
	return toks, ""
}

func signLength(s string) int {
	for _, sign := range []string{"<>", "!=", "<=", ">=", "==", "=", "<", ">", "(", ")", ","} {
		if strings.HasPrefix(s, sign) {
			return len(sign)
		}
	}
	return 0
}

// quoted reads a literal in quotes, in which a doubled quote stands for one; end is −1 if it is not closed.
func quoted(text string, at int) (value string, end int) {
	q := text[at]
	var b strings.Builder
	for i := at + 1; i < len(text); i++ {
		if text[i] != q {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == q {
			b.WriteByte(q)
			i++
			continue
		}
		return b.String(), i + 1
	}
	return "", -1
}

func (p *conditionParser) fail(why string) condition {
	if p.why == "" {
		p.why = why
	}
	return func(Spec) truth { return unknown }
}

func (p *conditionParser) peek() token {
	if p.pos < len(p.toks) {
		return p.toks[p.pos]
	}
	return token{tokEnd, "end"}
}

func (p *conditionParser) next() token {
	t := p.peek()
	p.pos++
	return t
}

func (p *conditionParser) word(w string) bool {
	if t := p.peek(); t.kind == tokWord && strings.EqualFold(t.text, w) {
		p.pos++
		return true
	}
	return false
}

func (p *conditionParser) sign(s string) bool {
	if t := p.peek(); t.kind == tokSign && t.text == s {
		p.pos++
		return true
	}
	return false
}

func (p *conditionParser) or() condition {
	if p.depth++; p.depth > maxConditionDepth {
		return p.fail("nested too deeply")
	}
	defer func() { p.depth-- }()
	terms := []condition{p.and()}
	for p.why == "" && p.word("OR") {
		terms = append(terms, p.and())
	}
	return func(s Spec) truth { return fold3(terms, s, yes) }
}

func (p *conditionParser) and() condition {
	terms := []condition{p.not()}
	for p.why == "" && p.word("AND") {
		terms = append(terms, p.not())
	}
	return func(s Spec) truth { return fold3(terms, s, no) }
}

// fold3 is OR when decisive is yes, AND when it is no.
func fold3(terms []condition, s Spec, decisive truth) truth {
	result := decisive.not()
	for _, t := range terms {
		switch v := t(s); v {
		case decisive:
			return decisive
		case unknown:
			result = unknown
		}
	}
	return result
}

func (p *conditionParser) not() condition {
	negate := false
	for p.word("NOT") {
		negate = !negate
	}
	c := p.operand()
	if !negate {
		return c
	}
	return func(s Spec) truth { return c(s).not() }
}

func (p *conditionParser) operand() condition {
	if p.sign("(") {
		c := p.or()
		if !p.sign(")") {
			return p.fail("want )")
		}
		return c
	}
	if k := p.peek().kind; k == tokQuoted || k == tokNumber {
		return p.reversed()
	}
	level := p.column()
	if p.why != "" {
		return p.fail("")
	}
	if p.word("IS") {
		negate := p.word("NOT")
		if !p.word("NULL") {
			return p.fail("want NULL")
		}
		return func(Spec) truth { return truthOf(negate) } // partition values are never NULL
	}
	negate := p.word("NOT")
	var c condition
	switch {
	case p.word("IN"):
		c = p.in(level)
	case p.word("BETWEEN"):
		c = p.between(level)
	case p.word("LIKE"):
		c = p.like(level)
	case negate:
		return p.fail("want IN, BETWEEN or LIKE")
	default:
		op := p.operator()
		return compareWith(level, op, p.literal())
	}
	if negate {
		return func(s Spec) truth { return c(s).not() }
	}
	return c
}

var mirrored = map[string]string{"<": ">", ">": "<", "<=": ">=", ">=": "<="}

func (p *conditionParser) reversed() condition {
	lit := p.literal()
	op := p.operator()
	if m, ok := mirrored[op]; ok {
		op = m
	}
	return compareWith(p.column(), op, lit)
}

func (p *conditionParser) column() int {
	t := p.next()
	if t.kind != tokWord {
		p.fail("want a column instead of " + clip(t.text))
		return 0
	}
	level := p.schema.PartitionIndex(t.text)
	if level < 0 {
		p.fail("the table has no partition column " + clip(t.text))
		return 0
	}
	return level
}

func (p *conditionParser) operator() string {
	t := p.next()
	switch t.text {
	case "=", "==", "<>", "!=", "<", "<=", ">", ">=":
		if t.kind == tokSign {
			return t.text
		}
	}
	p.fail("want a comparison instead of " + clip(t.text))
	return "="
}

func (p *conditionParser) literal() literal {
	t := p.next()
	switch t.kind {
	case tokQuoted:
		return literal{text: t.text}
	case tokNumber:
		if n, ok := decimalNumber(t.text); ok {
			return literal{text: t.text, number: n}
		}
	}
	p.fail("want a literal instead of " + clip(t.text))
	return literal{}
}

func (p *conditionParser) in(level int) condition {
	if !p.sign("(") {
		return p.fail("want (")
	}
	var alternatives []condition
	for {
		alternatives = append(alternatives, compareWith(level, "=", p.literal()))
		if p.why != "" || !p.sign(",") {
			break
		}
	}
	if !p.sign(")") {
		return p.fail("want )")
	}
	return func(s Spec) truth { return fold3(alternatives, s, yes) }
}

func (p *conditionParser) between(level int) condition {
	low := compareWith(level, ">=", p.literal())
	if !p.word("AND") {
		return p.fail("want AND")
	}
	both := []condition{low, compareWith(level, "<=", p.literal())}
	return func(s Spec) truth { return fold3(both, s, no) }
}

func (p *conditionParser) like(level int) condition {
	t := p.next()
	if t.kind != tokQuoted {
		return p.fail("want a quoted text after LIKE")
	}
	return func(s Spec) truth { return truthOf(wildcard(t.text, s[level].Value, '%', '_')) }
}

// compareWith compares a level's value: with a number numerically, false both ways if the value is no decimal number
// (D-57: "the comparison is false"); with a quoted literal as text.
func compareWith(level int, op string, lit literal) condition {
	return func(s Spec) truth {
		if level >= len(s) {
			return unknown
		}
		if lit.number == nil {
			return truthOf(holds(op, strings.Compare(s[level].Value, lit.text)))
		}
		n, ok := decimalNumber(s[level].Value)
		if !ok {
			return no
		}
		return truthOf(holds(op, n.Cmp(lit.number)))
	}
}

func holds(op string, order int) bool {
	switch op {
	case "=", "==":
		return order == 0
	case "<>", "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

// decimalNumber reads [+-]digits[.digits]; nothing else, no exponent, is a number here.
func decimalNumber(s string) (*big.Rat, bool) {
	t := strings.TrimLeft(s, "+-")
	if len(s)-len(t) > 1 || len(t) > 100 || strings.Trim(t, "0123456789.") != "" || strings.Count(t, ".") > 1 ||
		strings.Trim(t, ".") == "" {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}
