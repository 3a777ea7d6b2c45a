package startup

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// family begins the variables of all our programs.
const family = "SLUICE_"

// variable is the name of a flag's environment variable.
func variable(prefix string, f *pflag.Flag) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
}

// FromEnvironment sets the flags that the command line left open from their variables, and joins the errors of those
// that it could not set. lookup is os.LookupEnv.
func FromEnvironment(flags *pflag.FlagSet, prefix string, lookup func(string) (string, bool)) error {
	var failed []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := variable(prefix, f)
		value, ok := lookup(name)
		if !ok || f.Changed {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			failed = append(failed, fmt.Errorf("environment variable %s: %w", name, err))
		}
	})
	return errors.Join(failed...)
}

// Variables are the names of the flags' variables.
func Variables(flags *pflag.FlagSet, prefix string) (names []string) {
	flags.VisitAll(func(f *pflag.Flag) { names = append(names, variable(prefix, f)) })
	return names
}

// Misspelling is a variable that is set and that no program of ours reads.
type Misspelling struct {
	// Name is the variable's; Nearest is the one that was probably meant, empty if none is like it.
	Name, Nearest string
}

// Attrs are its fields in a log.
func (m Misspelling) Attrs() []any {
	attrs := []any{slog.String("variable", m.Name)}
	if m.Nearest != "" {
		attrs = append(attrs, slog.String("did_you_mean", m.Nearest))
	}
	return attrs
}

// discovery matches what Kubernetes and Docker set in every container for a service called sluice or sluice-….
var discovery = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)$`)

// Misspelt returns the variables of environ (NAME=value, as os.Environ gives them) that are not known, but like one that
// is, and all others that begin with own, in the order of their names. own is the part of the names that belongs to
// one program alone; empty where there is none, as the names of several programs begin with SLUICE_. Values are not
// looked at.
func Misspelt(environ, known []string, own string) (found []Misspelling) {
	for _, setting := range environ {
		name, _, _ := strings.Cut(setting, "=")
		if !strings.HasPrefix(name, family) || slices.Contains(known, name) || discovery.MatchString(name) {
			continue
		}
		m := Misspelling{Name: name, Nearest: Nearest(name, known)}
		if m.Nearest != "" || own != "" && strings.HasPrefix(name, own) {
			found = append(found, m)
		}
	}
	slices.SortFunc(found, func(a, b Misspelling) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// far is how many letters a misspelling may differ in.
const far = 2

// Nearest is the known word that is most like a mistyped one, or empty: at most two letters differ, or the word begins
// so. It is cobra that compares, as it does for commands.
func Nearest(typed string, known []string) string {
	words := &cobra.Command{}
	for _, word := range known {
		words.AddCommand(&cobra.Command{Use: word, Run: func(*cobra.Command, []string) {}})
	}
	for words.SuggestionsMinimumDistance = 1; words.SuggestionsMinimumDistance <= far; words.SuggestionsMinimumDistance++ {
		if near := words.SuggestionsFor(typed); len(near) > 0 {
			return near[0]
		}
	}
	return ""
}
