package ddl

// with reads WITH … SELECT or WITH … INSERT … SELECT.
func (p *parser) with() (Statement, error) {
	start, depth := p.tok.Start, 0
	saved := *p
	for p.tok.Kind != EOF && !p.tok.Is(";") {
		switch {
		case p.tok.Is("("):
			depth++
		case p.tok.Is(")"):
			depth--
		case depth == 0 && p.tok.Is("INSERT"):
			return p.insert(start, p.tok.Start)
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	*p = saved
	text, err := p.rest("a query")
	return &Query{Text: text}, err
}

// insert reads INSERT; the bytes from prefixStart to prefixEnd are a WITH clause that
// belongs before the query.
func (p *parser) insert(prefixStart, prefixEnd int) (Statement, error) {
	s, err := p.insertInto()
	if err != nil {
		return nil, err
	}
	if s.Query, err = p.rest("a query"); err != nil {
		return nil, err
	}
	if prefixEnd > prefixStart {
		s.Query = Text{SQL: p.lex.Source[prefixStart:prefixEnd] + s.Query.SQL, Offset: -1}
	}
	return s, nil
}

// directoryFollows sees [LOCAL] DIRECTORY '…'; a table or a project may have either word as its name.
func (p *parser) directoryFollows() bool {
	ahead, word := p.lex, p.tok
	following, err := ahead.Next()
	if word.Is("LOCAL") && following.Is("DIRECTORY") {
		word = following
		following, err = ahead.Next()
	}
	return err == nil && word.Is("DIRECTORY") && following.Kind == String
}

// insertInto reads an INSERT up to its query.
func (p *parser) insertInto() (*Insert, error) {
	s := &Insert{}
	err := p.expect("INSERT")
	switch {
	case err != nil:
		return nil, err
	case p.tok.Is("OVERWRITE"):
		s.Overwrite = true
	case !p.tok.Is("INTO"):
		return nil, p.unexpected("'INTO' or 'OVERWRITE'")
	}
	if err = p.advance(); err != nil {
		return nil, err
	}
	if p.directoryFollows() {
		return nil, p.unsupported("INSERT into a directory")
	}
	if _, err = p.accept("TABLE"); err != nil {
		return nil, err
	}
	if s.Table, err = p.tableName(); err != nil {
		return nil, err
	}
	if p.tok.Is("PARTITION") {
		if s.Partition, err = p.spec(true); err != nil {
			return nil, err
		}
	}
	if p.tok.Is("(") {
		s.Columns, err = p.columnList()
	}
	return s, err
}

// columnList reads a list of columns unless the parenthesis opens a query.
func (p *parser) columnList() ([]string, error) {
	saved := *p
	if err := p.advance(); err != nil {
		return nil, err
	}
	query := p.tok.Is("SELECT") || p.tok.Is("WITH") || p.tok.Is("VALUES") || p.tok.Is("(")
	*p = saved
	if query {
		return nil, nil
	}
	return p.names()
}
