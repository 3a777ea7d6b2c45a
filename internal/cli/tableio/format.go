package tableio

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
)

// Format is a file format.
type Format string

// The formats, by the names that --format takes.
const (
	CSV         Format = "csv"
	JSON        Format = "json" // one object per line, or an array of objects
	Parquet     Format = "parquet"
	ArrowFile   Format = "arrow"
	ArrowStream Format = "arrows"
)

var extensions = map[string]Format{
	".csv": CSV, ".json": JSON, ".jsonl": JSON, ".ndjson": JSON, ".parquet": Parquet,
	".arrow": ArrowFile, ".feather": ArrowFile, ".ipc": ArrowFile, ".arrows": ArrowStream,
}

// FormatOf returns the format by its name or, if that is empty, by the file's extension.
func FormatOf(path, name string) (Format, error) {
	if name != "" {
		switch f := Format(strings.ToLower(name)); f {
		case CSV, JSON, Parquet, ArrowFile, ArrowStream:
			return f, nil
		}
		return "", fmt.Errorf("unknown format %q: csv, json, parquet, arrow or arrows", name)
	}
	if f, ok := extensions[strings.ToLower(filepath.Ext(path))]; ok {
		return f, nil
	}
	return "", fmt.Errorf("the name %q does not tell its format: say csv, json, parquet, arrow or arrows", path)
}

// ColumnName makes a MaxCompute column name of a file's: lower case, letters, digits and single underscores. "Cost Total $"
// becomes cost_total.
func ColumnName(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			b.WriteRune(r)
		case !strings.HasSuffix(b.String(), "_"):
			b.WriteByte('_')
		}
	}
	clean := strings.Trim(b.String(), "_")
	if clean == "" || unicode.IsDigit(rune(clean[0])) {
		clean = "c_" + clean
	}
	return clean
}
