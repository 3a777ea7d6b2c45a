package ddl

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind says what a token is.
type Kind int

// The kinds of token.
const (
	EOF    Kind = iota
	Ident       // bare word: name or keyword
	Quoted      // name in back-ticks
	String      // text in single or double quotes
	Number      // digits, with fraction, exponent and type suffix (1, 2.5, 1e9, 3L, 0.5BD)
	Punct       // one character
)

// Token is one word of the source.
type Token struct {
	Kind Kind
	// Text is the meaning: a name without back-ticks, a string with its escapes resolved,
	// otherwise the source text.
	Text string
	// Start and End bound the source text, in bytes.
	Start, End int
}

// Is reports whether t is the bare word (any case) or the punctuation given.
func (t Token) Is(word string) bool {
	switch t.Kind {
	case Ident:
		return strings.EqualFold(t.Text, word)
	case Punct:
		return t.Text == word
	default:
		return false
	}
}

// Lexer cuts a source into tokens. The zero value with Source set stands at the beginning.
// Not safe for concurrent use.
type Lexer struct {
	Source string
	Offset int // of the next byte to read
}

// Next returns the next token, at the end one of kind EOF. An unterminated string, name or
// comment is an *Error.
func (l *Lexer) Next() (Token, error) {
	if err := l.skipBlank(); err != nil {
		return Token{}, err
	}
	start := l.Offset
	if start >= len(l.Source) {
		return Token{Kind: EOF, Start: start, End: start}, nil
	}
	c := l.Source[start]
	switch {
	case c == '\'' || c == '"':
		return l.str(c)
	case c == '`':
		return l.quoted()
	case isDigit(c) || c == '.' && start+1 < len(l.Source) && isDigit(l.Source[start+1]):
		l.number()
		return l.token(Number, start), nil
	}
	r, size := utf8.DecodeRuneInString(l.Source[start:])
	if isWordStart(r) {
		l.word()
		return l.token(Ident, start), nil
	}
	l.Offset += size
	return l.token(Punct, start), nil
}

// Tokens returns all tokens of source, without the final EOF.
func Tokens(source string) ([]Token, error) {
	l := Lexer{Source: source}
	var out []Token
	for {
		t, err := l.Next()
		if err != nil {
			return nil, err
		}
		if t.Kind == EOF {
			return out, nil
		}
		out = append(out, t)
	}
}

// Position translates a byte offset into line and column.
func Position(source string, offset int) Pos {
	offset = min(max(offset, 0), len(source))
	before := source[:offset]
	lineStart := strings.LastIndexByte(before, '\n') + 1
	return Pos{Line: strings.Count(before, "\n") + 1, Column: utf8.RuneCountInString(before[lineStart:]) + 1}
}

func (l *Lexer) token(kind Kind, start int) Token {
	return Token{Kind: kind, Text: l.Source[start:l.Offset], Start: start, End: l.Offset}
}

func (l *Lexer) fail(offset int, message string) error {
	return &Error{Code: CodeParse, Pos: Position(l.Source, offset), Message: message}
}

func (l *Lexer) skipBlank() error {
	for l.Offset < len(l.Source) {
		rest := l.Source[l.Offset:]
		switch {
		case strings.HasPrefix(rest, "--"):
			if end := strings.IndexByte(rest, '\n'); end >= 0 {
				l.Offset += end + 1
			} else {
				l.Offset = len(l.Source)
			}
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return l.fail(l.Offset, "comment is not closed")
			}
			l.Offset += end + 4
		default:
			r, size := utf8.DecodeRuneInString(rest)
			if !unicode.IsSpace(r) && r != '\ufeff' {
				return nil
			}
			l.Offset += size
		}
	}
	return nil
}

// str reads a literal. A quote inside is written \' or doubled.
func (l *Lexer) str(quote byte) (Token, error) {
	start := l.Offset
	var text strings.Builder
	i := start + 1
	for i < len(l.Source) {
		c := l.Source[i]
		switch {
		case c == '\\' && i+1 < len(l.Source):
			r, size := unescape(l.Source[i+1:])
			text.WriteString(r)
			i += 1 + size
		case c == quote && i+1 < len(l.Source) && l.Source[i+1] == quote:
			text.WriteByte(quote)
			i += 2
		case c == quote:
			l.Offset = i + 1
			return Token{Kind: String, Text: text.String(), Start: start, End: l.Offset}, nil
		default:
			text.WriteByte(c)
			i++
		}
	}
	return Token{}, l.fail(start, "string is not closed")
}

// unescape resolves what follows a backslash and says how many bytes it used.
func unescape(s string) (string, int) {
	switch s[0] {
	case 'n':
		return "\n", 1
	case 't':
		return "\t", 1
	case 'r':
		return "\r", 1
	case 'b':
		return "\b", 1
	case '0':
		return "\x00", 1
	case 'Z':
		return "\x1a", 1
	case 'u':
		if len(s) >= 5 {
			if code, err := strconv.ParseUint(s[1:5], 16, 16); err == nil {
				return string(rune(code)), 5
			}
		}
	}
	_, size := utf8.DecodeRuneInString(s)
	return s[:size], size
}

func (l *Lexer) quoted() (Token, error) {
	start := l.Offset
	var text strings.Builder
	for i := start + 1; i < len(l.Source); i++ {
		if l.Source[i] != '`' {
			text.WriteByte(l.Source[i])
			continue
		}
		if i+1 < len(l.Source) && l.Source[i+1] == '`' {
			text.WriteByte('`')
			i++
			continue
		}
		l.Offset = i + 1
		return Token{Kind: Quoted, Text: text.String(), Start: start, End: l.Offset}, nil
	}
	return Token{}, l.fail(start, "name in back-ticks is not closed")
}

func (l *Lexer) number() {
	digits := func() {
		for l.Offset < len(l.Source) && isDigit(l.Source[l.Offset]) {
			l.Offset++
		}
	}
	digits()
	if l.Offset < len(l.Source) && l.Source[l.Offset] == '.' {
		l.Offset++
		digits()
	}
	if rest := l.Source[l.Offset:]; len(rest) > 1 && (rest[0] == 'e' || rest[0] == 'E') {
		sign := 0
		if rest[1] == '+' || rest[1] == '-' {
			sign = 1
		}
		if len(rest) > 1+sign && isDigit(rest[1+sign]) {
			l.Offset += 1 + sign
			digits()
		}
	}
	l.word() // a type suffix
}

func (l *Lexer) word() {
	for l.Offset < len(l.Source) {
		r, size := utf8.DecodeRuneInString(l.Source[l.Offset:])
		if !isWordStart(r) && !unicode.IsDigit(r) && r != '$' {
			return
		}
		l.Offset += size
	}
}

func isWordStart(r rune) bool { return r == '_' || unicode.IsLetter(r) }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
