package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// testCase is one test or example.
type testCase struct {
	pkg, name string // `odps/tunnel`, `TestRetry`
	run       string // what the test program calls it: another name for an example that go test would only compile
}

func (c testCase) String() string { return c.pkg + "." + c.name }

// silentPrefix begins the names of the tests that call examples without an output comment.
const silentPrefix = "TestSilent"

// copyModule copies the packages odps and sqldriver and what they import from the module cache to dir.
func copyModule(ctx context.Context, module, dir string) error {
	text, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", module).Output() //nolint:gosec // the plan names it
	if err != nil {
		return fmt.Errorf("go mod download %s: %w", module, err)
	}
	var found struct{ Dir string }
	if err := json.Unmarshal(text, &found); err != nil {
		return fmt.Errorf("go mod download %s: %w", module, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the old copy: %w", err)
	}
	return os.CopyFS(dir, os.DirFS(found.Dir)) // makes files that may be written
}

func (e edit) apply(dir string) error {
	path := filepath.Join(dir, filepath.FromSlash(e.File))
	content, err := os.ReadFile(path) //nolint:gosec // the plan names it
	if err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	if n := bytes.Count(content, []byte(e.Old)); n != 1 {
		return fmt.Errorf("edit of %s: %q stands there %d times, want once", e.File, e.Old, n)
	}
	return os.WriteFile(path, bytes.Replace(content, []byte(e.Old), []byte(e.New), 1), 0o600) //nolint:gosec // as above
}

// discover lists the tests and then the examples of a package, as go test orders them, and writes beside them the tests
// that call the examples which it would not run.
func discover(dir, pkg string) ([]testCase, error) {
	folder := filepath.Join(dir, filepath.FromSlash(pkg))
	paths, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		return nil, fmt.Errorf("list tests of %s: %w", pkg, err)
	}
	var tests, examples []testCase
	silent := map[string][]string{} // package clause → functions
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("parse tests of %s: %w", pkg, err)
		}
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && isTest(f) {
				tests = append(tests, testCase{pkg, f.Name.Name, f.Name.Name})
			}
		}
		found := doc.Examples(file)
		slices.SortFunc(found, func(a, b *doc.Example) int { return a.Order - b.Order })
		for _, e := range found {
			c := testCase{pkg, "Example" + e.Name, "Example" + e.Name}
			if e.Output == "" && !e.EmptyOutput {
				c.run = silentPrefix + c.name
				silent[file.Name.Name] = append(silent[file.Name.Name], c.name)
			}
			examples = append(examples, c)
		}
	}
	for clause, names := range silent {
		if err := writeSilent(folder, clause, names); err != nil {
			return nil, err
		}
	}
	return append(tests, examples...), nil
}

// isTest reports whether go test takes f for a test.
func isTest(f *ast.FuncDecl) bool {
	name, ok := strings.CutPrefix(f.Name.Name, "Test")
	return ok && f.Recv == nil && f.Name.Name != "TestMain" && len(f.Type.Params.List) == 1 && (name == "" || name[0] < 'a' || name[0] > 'z')
}

func writeSilent(folder, clause string, names []string) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "package %s\n\nimport \"testing\"\n", clause)
	for _, name := range names {
		fmt.Fprintf(&text, "\nfunc %s%s(*testing.T) { %s() }\n", silentPrefix, name, name)
	}
	return os.WriteFile(filepath.Join(folder, "zz_silent_"+clause+"_test.go"), text.Bytes(), 0o600)
}

// build compiles the test program of a package. Vet is off: the SDK is not ours to mend.
func build(ctx context.Context, dir, pkg string) (program string, err error) {
	program = filepath.Join(dir, "bin", strings.ReplaceAll(pkg, "/", "_")+".test")
	cmd := exec.CommandContext(ctx, "go", "test", "-vet=off", "-c", "-o", program, "./"+pkg) //nolint:gosec // the plan names it
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build tests of %s: %w\n%s", pkg, err, out)
	}
	return program, nil
}
