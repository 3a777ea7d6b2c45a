package ddl

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxNesting bounds how deep types and parentheses may nest, so that no text can exhaust
// the stack.
const maxNesting = 100

// maxStatements bounds a script.
const maxStatements = 1000

// Parse reads a script: SET statements, which hold for the whole of it, and other
// statements, of which several become one Block. Every error is an *Error.
func Parse(source string) (*Script, error) {
	p := &parser{lex: Lexer{Source: source}}
	script := &Script{Source: source}
	if !utf8.ValidString(source) {
		return nil, p.failAt(CodeParse, Token{Start: invalidByte(source)}, "the text is not UTF-8")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	var statements []Statement
	for {
		for p.tok.Is(";") {
			if err := p.advance(); err != nil {
				return nil, err
			}
		}
		if p.tok.Kind == EOF {
			break
		}
		if len(statements) == maxStatements {
			return nil, p.failAt(CodeUnsupported, p.tok, "a script has at most %d statements", maxStatements)
		}
		if err := p.next(script, &statements); err != nil {
			return nil, err
		}
		if p.tok.Kind != EOF && !p.tok.Is(";") {
			return nil, p.unexpected("end of statement")
		}
	}
	switch len(statements) {
	case 0:
	case 1:
		script.Statement = statements[0]
	default:
		script.Statement = &Block{Statements: statements}
	}
	return script, nil
}

// invalidByte is the offset of the first byte that is no UTF-8.
func invalidByte(s string) int {
	for i, r := range s {
		if _, size := utf8.DecodeRuneInString(s[i:]); r == utf8.RuneError && size == 1 {
			return i
		}
	}
	return len(s)
}

// next reads one statement or setting.
func (p *parser) next(script *Script, statements *[]Statement) error {
	switch {
	case p.tok.Is("SET"):
		setting, err := p.setting()
		script.Settings = append(script.Settings, setting)
		return err
	case p.tok.Is("@"):
		return p.variable(script)
	}
	statement, err := p.statement()
	*statements = append(*statements, statement)
	return err
}

// variable reads @name := query.
func (p *parser) variable(script *Script) error {
	if err := p.advance(); err != nil {
		return err
	}
	name, err := p.name("the name of a variable")
	if err != nil {
		return err
	}
	if p.tok.Kind == Ident {
		return p.unsupported("a variable with a type; one that holds a query")
	}
	if err := p.expect(":", "="); err != nil {
		return err
	}
	if !p.tok.Is("SELECT") && !p.tok.Is("WITH") && !p.tok.Is("(") {
		return p.unsupported("a variable that holds something other than a query")
	}
	text, err := p.rest("a query")
	script.Variables = append(script.Variables, Variable{Name: strings.ToLower(name), Query: text})
	return err
}

// parser reads one token ahead: tok is the token not yet used, last where the one before
// it ended.
type parser struct {
	lex  Lexer
	tok  Token
	last int
}

func (p *parser) advance() error {
	p.last = p.tok.End
	tok, err := p.lex.Next()
	p.tok = tok
	return err
}

func (p *parser) failAt(code string, tok Token, format string, args ...any) error {
	return &Error{Code: code, Pos: Position(p.lex.Source, tok.Start), Message: fmt.Sprintf(format, args...)}
}

func (p *parser) unexpected(want string) error {
	return p.failAt(CodeParse, p.tok, "%s found where %s was expected", p.found(), want)
}

func (p *parser) found() string {
	if p.tok.Kind == EOF {
		return "end of text"
	}
	return "'" + p.lex.Source[p.tok.Start:p.tok.End] + "'"
}

func (p *parser) unsupported(what string) error {
	return p.failAt(CodeUnsupported, p.tok, "%s is not supported by this endpoint", what)
}

// accept consumes the words if the next token is the first of them; the rest must follow.
func (p *parser) accept(words ...string) (bool, error) {
	if !p.tok.Is(words[0]) {
		return false, nil
	}
	return true, p.expect(words...)
}

func (p *parser) expect(words ...string) error {
	for _, word := range words {
		if !p.tok.Is(word) {
			return p.unexpected("'" + word + "'")
		}
		if err := p.advance(); err != nil {
			return err
		}
	}
	return nil
}

// name reads a plain or back-ticked identifier.
func (p *parser) name(what string) (string, error) {
	if p.tok.Kind != Ident && p.tok.Kind != Quoted || p.tok.Text == "" {
		return "", p.unexpected(what)
	}
	text := p.tok.Text
	return text, p.advance()
}

func (p *parser) str(what string) (string, error) {
	if p.tok.Kind != String {
		return "", p.unexpected(what)
	}
	text := p.tok.Text
	return text, p.advance()
}

func (p *parser) tableName() (Name, error) {
	n := Name{Pos: Position(p.lex.Source, p.tok.Start)}
	for {
		part, err := p.name("a table name")
		if err != nil {
			return n, err
		}
		n.Parts = append(n.Parts, part)
		dot, err := p.accept(".")
		if err != nil {
			return n, err
		}
		if !dot {
			return n, nil
		}
		if len(n.Parts) == 3 {
			return n, p.unexpected("the end of a table name of three parts")
		}
	}
}

// list reads "( item, item … )" with at least one item.
func (p *parser) list(item func() error) error {
	if err := p.expect("("); err != nil {
		return err
	}
	for {
		if err := item(); err != nil {
			return err
		}
		more, err := p.accept(",")
		if err != nil {
			return err
		}
		if !more {
			return p.expect(")")
		}
	}
}

func (p *parser) names() ([]string, error) {
	var out []string
	err := p.list(func() error {
		n, err := p.name("a column name")
		out = append(out, n)
		return err
	})
	return out, err
}

// setting reads SET key=value. The value is raw text up to the semicolon.
func (p *parser) setting() (Setting, error) {
	source := p.lex.Source
	rest := source[p.tok.End:]
	if end := strings.IndexByte(rest, ';'); end >= 0 {
		rest = rest[:end]
	}
	key, value, ok := strings.Cut(rest, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !ok || key == "" || strings.ContainsAny(key, " \t\r\n") {
		return Setting{}, p.failAt(CodeParse, p.tok, "SET wants key=value")
	}
	p.lex.Offset = p.tok.End + len(rest)
	return Setting{Key: key, Value: value}, p.advance()
}

func (p *parser) statement() (Statement, error) {
	switch {
	case p.tok.Is("CREATE"):
		return p.create()
	case p.tok.Is("DROP"):
		return p.drop()
	case p.tok.Is("ALTER"):
		return p.alter()
	case p.tok.Is("TRUNCATE"):
		return p.truncate()
	case p.tok.Is("SHOW"):
		return p.show()
	case p.tok.Is("DESC"), p.tok.Is("DESCRIBE"):
		return p.describe()
	case p.tok.Is("UPDATE"):
		return p.update()
	case p.tok.Is("DELETE"):
		return p.remove()
	case p.tok.Is("MERGE"):
		return p.merge()
	case p.tok.Is("FROM"):
		return p.multiInsert()
	case p.tok.Is("EXPLAIN"):
		return p.explain()
	case p.tok.Is("USE"):
		return p.use()
	case p.tok.Is("INSERT"):
		return p.insert(p.tok.Start, p.tok.Start)
	case p.tok.Is("WITH"):
		return p.with()
	case p.tok.Is("SELECT"), p.tok.Is("VALUES"), p.tok.Is("("):
		text, err := p.rest("a query")
		return &Query{Text: text}, err
	case p.tok.Kind == Ident && known[strings.ToUpper(p.tok.Text)]:
		return nil, p.unsupported(strings.ToUpper(p.tok.Text))
	default:
		return nil, p.unexpected("a statement")
	}
}

// known are the statements of MaxCompute that are recognised only to be refused by name.
var known = map[string]bool{
	"ADD": true, "ANALYZE": true, "CACHE": true, "CLONE": true, "CALL": true, "COMMENT": true, "COPY": true,
	"EXPORT": true, "FUNCTION": true, "GRANT": true, "IF": true, "KILL": true, "LIST": true,
	"LOAD": true, "LOOP": true, "MSCK": true, "OPTIMIZE": true, "PURGE": true, "READ": true, "REFRESH": true, "REPLACE": true, "RESTORE": true, "REVOKE": true,
	"SETPROJECT": true, "STATUS": true, "TUNNEL": true, "UNCACHE": true, "UNDO": true, "UNLOAD": true, "WAIT": true, "WHOAMI": true,
}

// rest takes everything up to the semicolon or the end as another parser's text. If that is
// nothing, the error says that what was expected.
func (p *parser) rest(what string) (Text, error) {
	start, end, depth := p.tok.Start, p.tok.Start, 0
	for p.tok.Kind != EOF && !p.tok.Is(";") {
		switch {
		case p.tok.Is("("):
			depth++
		case p.tok.Is(")"):
			depth--
		}
		if depth < 0 {
			return Text{}, p.unexpected("end of statement")
		}
		end = p.tok.End
		if err := p.advance(); err != nil {
			return Text{}, err
		}
	}
	if depth > 0 {
		return Text{}, p.unexpected("')'")
	}
	return p.piece(what, start, end)
}

func (p *parser) drop() (Statement, error) {
	if err := p.expect("DROP"); err != nil {
		return nil, err
	}
	switch {
	case p.tok.Is("VIEW"), p.tok.Is("MATERIALIZED"):
		return p.dropView()
	case p.tok.Is("SCHEMA"), p.tok.Is("DATABASE"):
		return p.dropSchema()
	case !p.tok.Is("TABLE"):
		return nil, p.unsupportedKind("DROP")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	s := &DropTable{}
	var err error
	if s.IfExists, err = p.accept("IF", "EXISTS"); err != nil {
		return nil, err
	}
	if s.Table, err = p.tableName(); err != nil {
		return nil, err
	}
	_, err = p.accept("PURGE")
	return s, err
}

// unsupportedKind refuses CREATE or DROP of something that is neither table nor view nor
// schema.
func (p *parser) unsupportedKind(verb string) error {
	if p.tok.Is("FUNCTION") {
		return p.unsupported(verb + " FUNCTION as SQL (clients use the REST API)")
	}
	if p.tok.Kind != Ident {
		return p.unexpected("'TABLE'")
	}
	return p.unsupported(verb + " " + strings.ToUpper(p.tok.Text))
}

func (p *parser) truncate() (Statement, error) {
	if err := p.expect("TRUNCATE", "TABLE"); err != nil {
		return nil, err
	}
	s := &Truncate{}
	var err error
	if s.Table, err = p.tableName(); err != nil {
		return nil, err
	}
	if p.tok.Is("PARTITION") {
		s.Specs, err = p.specs("PARTITION")
	}
	return s, err
}
