package tableio

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Column is a column that would hold a file's field.
type Column struct{ Name, Type string }

// Infer looks at all rows of a text file and says which columns hold them: bigint, double, boolean, date, datetime, or else
// string. Text with leading zeros, as postal codes have, is a string. Parquet and Arrow files say it themselves: see
// Open with nil Columns.
func Infer(path, format, null string) (_ []Column, err error) {
	kind, err := FormatOf(path, format)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path) //nolint:gosec // the user's own choice
	if err != nil {
		return nil, fmt.Errorf("open source: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := notEmpty(f, kind); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var guesses *guesses
	switch kind {
	case CSV:
		guesses, err = inferCSV(f, null)
	case JSON:
		guesses, err = inferJSON(f)
	default:
		return nil, fmt.Errorf("%s: a %s file has its own types", path, kind)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(guesses.names) == 0 {
		return nil, fmt.Errorf("%s: the file has no rows: nothing tells the columns", path)
	}
	return guesses.columns()
}

// guesses keeps, per field in order of appearance, the types that hold all its values so far.
type guesses struct {
	names []string
	types map[string][]string
}

var textTypes = []string{"bigint", "double", "date", "datetime", "boolean"}

func (g *guesses) see(name string, holds func(typ string) bool) {
	types, ok := g.types[name]
	if !ok {
		g.names = append(g.names, name)
		types = slices.Clone(textTypes)
	}
	g.types[name] = slices.DeleteFunc(types, func(typ string) bool { return !holds(typ) })
}

func (g *guesses) columns() ([]Column, error) {
	columns := make([]Column, len(g.names))
	seen := map[string]string{}
	for i, name := range g.names {
		columns[i] = Column{Name: ColumnName(name), Type: "string"}
		if types := g.types[name]; len(types) > 0 && len(types) < len(textTypes) {
			columns[i].Type = types[0]
		}
		if other, twice := seen[columns[i].Name]; twice {
			return nil, fmt.Errorf("fields %q and %q would both be column %s", other, name, columns[i].Name)
		}
		seen[columns[i].Name] = name
	}
	return columns, nil
}

func inferCSV(r io.Reader, null string) (*guesses, error) {
	rows, header, err := newCSV(r)
	if err != nil {
		return nil, err
	}
	g := &guesses{types: map[string][]string{}}
	for _, name := range header {
		g.see(name, func(string) bool { return true })
	}
	for {
		record, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return g, nil
		}
		if err != nil {
			return nil, err
		}
		for i, text := range record {
			if text != null && len(g.types[header[i]]) > 0 {
				g.see(header[i], func(typ string) bool { return textFits(text, typ) })
			}
		}
	}
}

var plainInteger = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// textFits tells whether a CSV field is a value of the type and, for numbers, would come back as the same number.
func textFits(text, typ string) bool {
	var err error
	switch typ {
	case "bigint":
		if !plainInteger.MatchString(text) {
			return false
		}
		_, err = strconv.ParseInt(text, 10, 64)
	case "double":
		if len(text) > 1 && text[0] == '0' && text[1] != '.' {
			return false
		}
		_, err = strconv.ParseFloat(text, 64)
	case "date":
		_, err = time.Parse(time.DateOnly, text)
	case "datetime":
		_, err = time.Parse(time.DateTime, strings.TrimSuffix(text, "Z"))
	case "boolean":
		return text == "true" || text == "false"
	}
	return err == nil
}

func inferJSON(r io.Reader) (*guesses, error) {
	objects, err := newJSON(r)
	if err != nil {
		return nil, err
	}
	g := &guesses{types: map[string][]string{}}
	for {
		object, err := objects.next()
		if errors.Is(err, io.EOF) {
			return g, nil
		}
		if err != nil {
			return nil, err
		}
		for _, name := range sortedKeys(object) {
			raw := object[name]
			if string(raw) == "null" {
				g.see(name, func(string) bool { return true })
				continue
			}
			g.see(name, func(typ string) bool { return jsonFits(raw, typ) })
		}
	}
}

func sortedKeys(object map[string]json.RawMessage) []string {
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// jsonFits tells whether a JSON value is one of the type: text is never a number here.
func jsonFits(raw json.RawMessage, typ string) bool {
	isText := raw[0] == '"'
	switch typ {
	case "bigint", "double", "boolean":
		return !isText && textFits(string(raw), typ)
	}
	text, err := strconv.Unquote(string(raw))
	return isText && err == nil && textFits(text, typ)
}
