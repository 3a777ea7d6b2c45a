package startup_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluice-io/sluice/internal/cli/startup"
)

func settings() *pflag.FlagSet {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.String("listen", "", "")
	flags.String("log-format", "", "")
	flags.Int("put-slots", 1, "")
	return flags
}

func TestFlagsGoBeforeVariablesAndAllFaultsAreTold(t *testing.T) {
	flags := settings()
	if err := flags.Set("listen", "given"); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"SLUICE_X_LISTEN": "env", "SLUICE_X_LOG_FORMAT": "json", "SLUICE_X_PUT_SLOTS": "many"}
	err := startup.FromEnvironment(flags, "SLUICE_X_", func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	if err == nil || !strings.Contains(err.Error(), "environment variable SLUICE_X_PUT_SLOTS") {
		t.Errorf("FromEnvironment = %v, want the variable named", err)
	}
	if got := flags.Lookup("listen").Value.String() + " " + flags.Lookup("log-format").Value.String(); got != "given json" {
		t.Errorf("listen and log-format are %q, want the flag's and the variable's", got)
	}
}

func TestMisspeltNamesVariablesThatNobodyReads(t *testing.T) {
	environ := []string{
		"HOME=/", "SLUICE_X_LISTEN=ok", "SLUICE_X_LOGFORMAT=json", "SLUICE_X_COLOUR=red", "SLUICE_ADDR=here", "SLUICE_X_PUTSLOTS", "SLUICE_Y_LISTEN=near",
		"SLUICE_X_SERVICE_HOST=10.0.0.1", "SLUICE_X_PORT=tcp://10.0.0.1:1", "SLUICE_X_PORT_8580_TCP_ADDR=10.0.0.1", "SLUICE_X_SERVICE_PORT_GRPC=1",
	}
	known := startup.Variables(settings(), "SLUICE_X_")
	log := startup.Misspelling{Name: "SLUICE_X_LOGFORMAT", Nearest: "SLUICE_X_LOG_FORMAT"}
	slots := startup.Misspelling{Name: "SLUICE_X_PUTSLOTS", Nearest: "SLUICE_X_PUT_SLOTS"}
	near := startup.Misspelling{Name: "SLUICE_Y_LISTEN", Nearest: "SLUICE_X_LISTEN"}
	if diff := cmp.Diff([]startup.Misspelling{{Name: "SLUICE_X_COLOUR"}, log, slots, near}, startup.Misspelt(environ, known, "SLUICE_X_")); diff != "" {
		t.Errorf("with names of its own: -want +got\n%s", diff)
	}
	if diff := cmp.Diff([]startup.Misspelling{log, slots, near}, startup.Misspelt(environ, known, "")); diff != "" {
		t.Errorf("without: -want +got\n%s", diff)
	}
}

func TestNearestIsTheWordThatDiffersLeast(t *testing.T) {
	known := []string{"LISTEN", "LISTED", "DATA"}
	for typed, want := range map[string]string{"LISTER": "LISTEN", "LISTE": "LISTEN", "DTAA": "DATA", "data": "DATA", "COLOUR": "", "": "LISTEN"} {
		if got := startup.Nearest(typed, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", typed, got, want)
		}
	}
}

// program has commands of every kind.
func program() *cobra.Command {
	nothing := func(*cobra.Command, []string) error { return nil }
	root := &cobra.Command{Use: "tool", SilenceErrors: true, SilenceUsage: true}
	table := &cobra.Command{Use: "table"}
	table.AddCommand(&cobra.Command{Use: "import FILE", Args: cobra.ExactArgs(1), RunE: nothing}, &cobra.Command{Use: "list", RunE: nothing})
	serve := &cobra.Command{Use: "serve", RunE: nothing}
	serve.Flags().Float64("strict", 0, "")
	serve.Flags().Lookup("strict").NoOptDefVal = "1"
	serve.Flags().BoolP("quiet", "q", false, "")
	serve.AddCommand(&cobra.Command{Use: "check DIR", Args: cobra.ExactArgs(1), RunE: nothing})
	root.AddCommand(table, serve)
	startup.CheckUsage(root)
	return root
}

func TestWrongUsageIsToldInWords(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"tabel", `unknown command "tabel" for "tool": did you mean "table"?`},
		{"bogus", `unknown command "bogus" for "tool": 'tool --help' lists them`},
		{"tabel list --json", `unknown command "tabel" for "tool": did you mean "table"?`},
		{"table imprt f", `unknown command "imprt" for "tool table": did you mean "import"?`},
		{"serve chekc", `unknown command "chekc" for "tool serve": did you mean "check"?`},
		{"help table imprt", `unknown command "imprt" for "tool table": did you mean "import"?`},
		{"help tabel", `unknown command "tabel" for "tool": did you mean "table"?`},
		{"completion bogus", `unknown command "bogus" for "tool completion": 'tool completion --help' lists them`},
		{"table import", "accepts 1 arg(s), received 0\nusage: tool table import FILE [flags]"},
		{"table list x", "accepts 0 arg(s), received 1\nusage: tool table list [flags]"},
		{"table list --jsn", "unknown flag: --jsn\n'tool table list --help' lists the flags"},
		{"serve --strict 60", "--strict takes its value behind an equals sign: --strict=60"},
		{"serve -q 60", `unknown command "60" for "tool serve": 'tool serve --help' lists them`},
		{"serve --strict x", `unknown command "x" for "tool serve": 'tool serve --help' lists them`},
	} {
		root := program()
		root.SetArgs(strings.Fields(c.args))
		root.SetOut(io.Discard)
		if err := root.Execute(); err == nil || err.Error() != c.want || !startup.IsUsage(err) {
			t.Errorf("tool %s: %v, want wrong usage: %s", c.args, err, c.want)
		}
	}
}

func TestRightUsagePasses(t *testing.T) {
	for args, want := range map[string]string{
		"": "tool [command]", "table": "tool table [command]", "help table": "tool table [command]", "help": "tool [command]", "help table import": "tool table import FILE",
		"table import f": "", "serve --strict": "", "serve --strict=60": "", "serve check d": "",
	} {
		root := program()
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetArgs(strings.Fields(args))
		if err := root.Execute(); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("tool %s: %v, said %q, want %q in it", args, err, &out, want)
		}
	}
}

func TestExplainSaysWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	listen := func(addr string) error {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			err = errors.Join(errors.New("it listens"), l.Close())
		}
		return fmt.Errorf("listen: %w", err)
	}
	for name, c := range map[string]struct {
		err   error
		usage bool
		want  string
	}{
		"taken":       {listen(taken.Addr().String()), false, "something listens there already: --door names another address"},
		"no port":     {listen("127.0.0.1"), true, "--door is HOST:PORT, as 127.0.0.1:8580"},
		"large port":  {listen("127.0.0.1:99999"), true, "--door is HOST:PORT"},
		"not ours":    {listen("192.0.2.1:0"), false, "--door must name an address of this machine"},
		"low port":    {&net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EACCES)}, false, "--door: ports below 1024 need privileges"},
		"no host":     {&net.OpError{Op: "listen", Err: &net.DNSError{Err: "no such host", Name: "h", IsNotFound: true}}, false, "the host is not known"},
		"no right":    {&os.PathError{Op: "mkdir", Path: "/x", Err: syscall.EACCES}, false, "the folder of --room must be one that this user may create files in"},
		"under file":  {&os.PathError{Op: "mkdir", Path: "/x", Err: syscall.ENOTDIR}, false, "the folder of --room"},
		"read-only":   {&os.PathError{Op: "mkdir", Path: "/x", Err: syscall.EROFS}, false, "the folder of --room"},
		"other fault": {errors.New("disk full"), false, "disk full"},
	} {
		got := startup.Explain(c.err, "--door", "--room")
		if !errors.Is(got, c.err) || startup.IsUsage(got) != c.usage || !strings.Contains(got.Error(), c.want) {
			t.Errorf("%s: %v (wrong usage: %v), want %q, %v", name, got, startup.IsUsage(got), c.want, c.usage)
		}
	}
	if got := startup.Explain(errors.New("disk full"), "--door", "--room").Error(); got != "disk full" {
		t.Errorf("Explain of what it does not know added words: %q", got)
	}
}
