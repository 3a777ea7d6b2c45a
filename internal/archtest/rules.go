package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// module is the module's path; what is below it is ours.
const module = "github.com/sluice-io/sluice"

// maxLines is where a hand-written file has become several.
const maxLines = 800

// source is one hand-written Go file.
type source struct {
	path    string // in the repository, with slashes
	pkg     string // its folder: its import path within the module
	test    bool
	lines   int
	imports []string
	goLines []int // lines with a `go` statement
}

// skipped are folders that hold no sources of ours.
func skipped(name string) bool {
	return name == "out" || name == "bin" || name == "testdata" || name == "node_modules" || (len(name) > 1 && strings.ContainsAny(name[:1], "._"))
}

// load reads the hand-written Go files of a tree.
func load(tree fs.FS) ([]source, error) {
	var sources []source
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && skipped(entry.Name()):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		s, generated, err := parse(name, text)
		if err == nil && !generated {
			sources = append(sources, s)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load the sources: %w", err)
	}
	return sources, nil
}

// parse reads one file.
func parse(name string, text []byte) (s source, generated bool, err error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return source{}, false, err
	}
	s = source{path: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), lines: bytes.Count(text, []byte("\n"))}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return source{}, false, fmt.Errorf("%s: import %s: %w", name, spec.Path.Value, err)
		}
		s.imports = append(s.imports, imported)
	}
	ast.Inspect(file, func(node ast.Node) bool {
		if statement, ok := node.(*ast.GoStmt); ok {
			s.goLines = append(s.goLines, files.Position(statement.Pos()).Line)
		}
		return true
	})
	return s, ast.IsGenerated(file), nil
}

// checkWalls holds direct imports of non-test files against the table.
func checkWalls(sources []source, table []wall) []string {
	var faults []string
	for _, s := range sources {
		if s.test {
			continue
		}
		i := slices.IndexFunc(table, func(w wall) bool { return matches(w.pkg, s.pkg) })
		if i < 0 {
			faults = append(faults, fmt.Sprintf("%s: package %s has no line in walls.go", s.path, s.pkg))
			continue
		}
		for _, imported := range s.imports {
			if !table[i].allows(imported) {
				faults = append(faults, fmt.Sprintf("%s imports %s; %s: %s", s.path, imported, table[i].pkg, table[i].why))
			}
		}
	}
	return faults
}

// allows tells whether the wall lets an import through.
func (w wall) allows(imported string) bool {
	if own, ours := strings.CutPrefix(imported, module+"/"); ours {
		return slices.ContainsFunc(w.ours, func(pattern string) bool { return matches(pattern, own) })
	}
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") {
		return true // the standard library
	}
	return slices.ContainsFunc(w.outside, func(prefix string) bool {
		return prefix == anything || imported == prefix || strings.HasPrefix(imported, strings.TrimSuffix(prefix, "/")+"/")
	})
}

// matches tells whether a package is the pattern's, or below it when the pattern ends with `/...`.
func matches(pattern, pkg string) bool {
	if pattern == anything {
		return true
	}
	if root, deep := strings.CutSuffix(pattern, "/..."); deep {
		return pkg == root || strings.HasPrefix(pkg, root+"/")
	}
	return pkg == pattern
}

// checkSDK keeps the ODPS SDK where it belongs; test files may hold us against it.
func checkSDK(sources []source) []string {
	allowed := []string{"service/internal/maxcompute/...", "conformance/...", "internal/bench/..."}
	var faults []string
	for _, s := range sources {
		if s.test || slices.ContainsFunc(allowed, func(pattern string) bool { return matches(pattern, s.pkg) }) {
			continue
		}
		for _, imported := range s.imports {
			if strings.HasPrefix(imported, aliyun) {
				faults = append(faults, fmt.Sprintf("%s imports %s: only maxcompute, conformance, bench and tests know the SDK", s.path, imported))
			}
		}
	}
	return faults
}

// checkTestkit keeps the test kit out of programs.
func checkTestkit(sources []source) []string {
	var faults []string
	for _, s := range sources {
		if !s.test && slices.Contains(s.imports, module+"/internal/testkit") && !matches("conformance/...", s.pkg) {
			faults = append(faults, s.path+" imports internal/testkit, which is for test files")
		}
	}
	return faults
}

// checkGoroutines finds `go` statements outside the allowed files, and entries that allow nothing any more.
func checkGoroutines(sources []source, allowed map[string]string) []string {
	var faults []string
	used := map[string]bool{}
	for _, s := range sources {
		if s.test || len(s.goLines) == 0 {
			continue
		}
		used[s.path] = true
		if allowed[s.path] == "" {
			faults = append(faults, fmt.Sprintf("%s:%d: a `go` statement; use errgroup or WaitGroup.Go, or say in goroutines.go who waits for it", s.path, s.goLines[0]))
		}
	}
	for name := range allowed {
		if !used[name] {
			faults = append(faults, name+" is in goroutines.go but has no `go` statement")
		}
	}
	slices.Sort(faults)
	return faults
}

// checkLength finds files that have become several.
func checkLength(sources []source) []string {
	var faults []string
	for _, s := range sources {
		if s.lines >= maxLines {
			faults = append(faults, fmt.Sprintf("%s has %d lines: not below %d", s.path, s.lines, maxLines))
		}
	}
	return faults
}

// foreign finds what means something on one machine only. It is put together here so that this file does not hold it.
var foreign = regexp.MustCompile(`\.\./` + `shared\b|(?:^|[\s"'` + "`" + `(=:,])/` + `work(?:/|\b)`)

// checkTexts looks for foreign paths in every text of the tree.
func checkTexts(tree fs.FS) ([]string, error) {
	var faults []string
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == ".git" || name == "out" || name == "bin" || name == "internal/archtest/testdata"):
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		if bytes.IndexByte(text[:min(len(text), 8192)], 0) >= 0 {
			return nil // not a text
		}
		for number, line := range bytes.Split(text, []byte("\n")) {
			if found := foreign.Find(line); found != nil {
				faults = append(faults, fmt.Sprintf("%s:%d mentions %q, which exists on one machine only", name, number+1, bytes.TrimSpace(found)))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the texts: %w", err)
	}
	return faults, nil
}
