package startup

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError marks what the caller typed or set wrong.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usage marks an error as wrong usage: programs end with the exit code 2 then. Nil stays nil.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// IsUsage tells whether err, or what it wraps, was marked by Usage or comes from what CheckUsage checks.
func IsUsage(err error) bool {
	_, ok := errors.AsType[usageError](err)
	return ok
}

// CheckUsage makes wrong flags and arguments of a program's commands wrong usage, in the same words everywhere. A command
// without Args takes none; one that only holds others prints its help when it is called alone. It is called once, when
// root has all its commands.
func CheckUsage(root *cobra.Command) {
	root.SetFlagErrorFunc(flagError)
	if root.HasSubCommands() {
		root.InitDefaultHelpCmd()
		root.InitDefaultCompletionCmd()
	}
	for _, cmd := range root.Commands() {
		if cmd.Name() == "help" {
			cmd.Args = knownTopic
		}
	}
	checkArguments(root)
}

func checkArguments(cmd *cobra.Command) {
	check := cmd.Args
	if check == nil {
		check = cobra.ExactArgs(0)
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := wrongName(cmd, args); err != nil {
			return usageError{err}
		}
		err := check(cmd, args)
		if err == nil || IsUsage(err) {
			return err
		}
		return usageError{fmt.Errorf("%w\nusage: %s", err, cmd.UseLine())}
	}
	if !cmd.Runnable() {
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	for _, child := range cmd.Commands() {
		checkArguments(child)
	}
}

// flagError words a flag that cmd does not have. What stands before it may be the real mistake: a command of that name
// is not there, and so its flags are not.
func flagError(cmd *cobra.Command, err error) error {
	if wrong := wrongName(cmd, cmd.Flags().Args()); wrong != nil {
		return usageError{wrong}
	}
	return usageError{fmt.Errorf("%w\n'%s --help' lists the flags", err, cmd.CommandPath())}
}

// wrongName is an error if args begin with something that is meant for another place.
func wrongName(cmd *cobra.Command, args []string) error {
	if err := spacedValue(cmd, args); err != nil {
		return err
	}
	return unknownCommand(cmd, args)
}

// unknownCommand is an error if args begin with a name that no command below cmd has, and cmd has commands.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if !cmd.HasSubCommands() || len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2 // cobra's own, which it sets only where it words the error itself
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("unknown command %q for %q: did you mean %q?", args[0], cmd.CommandPath(), near[0])
	}
	return fmt.Errorf("unknown command %q for %q: '%s --help' lists them", args[0], cmd.CommandPath(), cmd.CommandPath())
}

// spacedValue is an error if args begin with the number of a flag whose value stands behind = only.
func spacedValue(cmd *cobra.Command, args []string) (err error) {
	if len(args) == 0 || !isNumber(args[0]) {
		return nil
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.NoOptDefVal != "" && f.Value.Type() != "bool" {
			err = fmt.Errorf("--%s takes its value behind an equals sign: --%s=%s", f.Name, f.Name, args[0])
		}
	})
	return err
}

func isNumber(text string) bool {
	_, err := strconv.ParseFloat(text, 64)
	return err == nil
}

// knownTopic lets help be asked about commands that there are.
func knownTopic(cmd *cobra.Command, args []string) error {
	found, rest, err := cmd.Root().Find(args)
	if err == nil && len(rest) > 0 {
		err = unknownCommand(found, rest)
	}
	return Usage(err)
}
