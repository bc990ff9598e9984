package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// usageError is a command line that cannot be obeyed; the exit code is 2.
type usageError struct{ cause error }

func (e *usageError) Error() string { return e.cause.Error() }
func (e *usageError) Unwrap() error { return e.cause }

// usagef says in one sentence what is wrong with the command line and what to write instead.
func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// finish gives a command and its subcommands what all have in common: a check of the number of
// arguments against ArgsUsage, errors of one sentence instead of a page of help, and that page.
func finish(command *cli.Command, parent string, width int) {
	name := parent + " " + command.Name
	command.OnUsageError = onUsageError
	command.HideHelp = true
	command.Flags = append(command.Flags, helpFlag())
	for _, sub := range command.Subcommands {
		finish(sub, name, width)
	}
	command.CustomHelpTemplate = commandHelp(command, name, width)
	action := command.Action
	switch {
	case len(command.Subcommands) > 0 && action == nil:
		command.ArgsUsage = "SUBCOMMAND"
	case len(command.Subcommands) > 0:
		command.ArgsUsage = "[SUBCOMMAND]"
	}
	command.Action = func(c *cli.Context) error {
		switch {
		case len(command.Subcommands) > 0 && c.NArg() > 0:
			return unknownCommand(c)
		case action == nil:
			return usagef("%s wants a subcommand: %s; see %s --help",
				nameOf(c.Command), strings.Join(subcommands(c), ", "), c.Command.HelpName)
		}
		if err := checkArgs(c); err != nil {
			return err
		}
		return action(c)
	}
}

// unknownCommand refuses the first argument of a command that has subcommands.
func unknownCommand(c *cli.Context) error {
	return usagef("%s has no subcommand %q, only %s; see %s --help",
		nameOf(c.Command), c.Args().First(), strings.Join(subcommands(c), ", "), c.Command.HelpName)
}

// nameOf is the command as a sentence names it: "orders show", and "backoffice" for the whole.
func nameOf(command *cli.Command) string {
	return strings.TrimPrefix(command.HelpName, "backoffice ")
}

func subcommands(c *cli.Context) []string {
	var names []string
	for _, sub := range c.Command.Subcommands {
		names = append(names, sub.Name)
	}
	return names
}

// checkArgs compares the arguments with ArgsUsage, which names them in order: NAME is wanted, [NAME]
// may be left out, and a last NAME... takes one or more.
func checkArgs(c *cli.Context) error {
	names := strings.Fields(c.Command.ArgsUsage)
	wanted, most := 0, len(names)
	for _, name := range names {
		if !strings.HasPrefix(name, "[") {
			wanted++
		}
		if strings.HasSuffix(name, "...") {
			most = c.NArg()
		}
	}
	usage := strings.NewReplacer("[", "", "]", "").Replace(c.Command.ArgsUsage)
	switch {
	case c.NArg() < wanted:
		return usagef("%s wants %s; see %s --help", nameOf(c.Command), usage, c.Command.HelpName)
	case most == 0 && c.NArg() > 0:
		return usagef("%s takes no argument, but got %q", nameOf(c.Command), c.Args().First())
	case c.NArg() > most:
		return usagef("%s takes only %s, but got %q too", nameOf(c.Command), usage, c.Args().Get(most))
	}
	return nil
}

// The flag package's ways to complain, and urfave/cli's about environment variables.
var (
	undefinedFlag = regexp.MustCompile(`^flag provided but not defined: -+(.*)$`)
	missingValue  = regexp.MustCompile(`^flag needs an argument: -+(.*)$`)
	badValue      = regexp.MustCompile(`(?s)^invalid (?:boolean )?value "(.*)" for (?:flag )?-+([^:]+): (.*)$`)
	badVariable   = regexp.MustCompile(`(?s)^could not parse "(.*)" as .* value from environment variable "([^"]+)" for flag ([^:]+): (.*)$`)
)

// onUsageError turns a parser's complaint into a sentence.
func onUsageError(c *cli.Context, err error, _ bool) error {
	command, text := c.Command, err.Error()
	if m := undefinedFlag.FindStringSubmatch(text); m != nil {
		return usagef("%s has no flag %s; see %s --help", nameOf(command), dashed(m[1]), command.HelpName)
	}
	if m := missingValue.FindStringSubmatch(text); m != nil {
		return usagef("%s wants a value; see %s --help", dashed(m[1]), command.HelpName)
	}
	if m := badValue.FindStringSubmatch(text); m != nil {
		return usagef("%s %q %s", dashed(m[2]), m[1], complaint(command, m[2], m[3]))
	}
	if m := badVariable.FindStringSubmatch(text); m != nil {
		return usagef("%s=%q (%s) %s", m[2], m[1], dashed(m[3]), complaint(command, m[3], m[4]))
	}
	return &usageError{errors.New(text)}
}

// complaint says what a flag's value should have been, by the flag's type.
func complaint(command *cli.Command, name, cause string) string {
	at := slices.IndexFunc(command.Flags, func(flag cli.Flag) bool { return slices.Contains(flag.Names(), name) })
	if at < 0 {
		return "cannot be used: " + cause
	}
	switch command.Flags[at].(type) {
	case *cli.IntFlag, *cli.Int64Flag:
		return "is no whole number, or too large a one"
	case *cli.DurationFlag:
		return "is no duration; write it like 30s or 5m"
	case *cli.TimestampFlag:
		return "is no time; write it like 2026-01-31T08:00:00Z"
	case *cli.BoolFlag:
		return "is neither true nor false"
	default:
		return cause
	}
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}
