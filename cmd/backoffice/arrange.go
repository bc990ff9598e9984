package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// arrange puts every flag where urfave/cli reads it: directly behind the innermost command that has it,
// before the arguments. So flags may follow arguments (orders show 41 --output json), and the flags of
// backoffice and of a group may follow a subcommand. What no command has stays with the innermost one,
// which complains about it. "backoffice help orders" and "backoffice orders help" become "backoffice orders --help".
func arrange(app *cli.App, args []string) []string {
	if len(args) == 0 || slices.Contains(args, "--generate-bash-completion") {
		return args
	}
	line := &commandLine{path: []level{{name: args[0], flags: app.Flags}}}
	commands, rest := app.Commands, args[1:]
	for len(rest) > 0 {
		word := rest[0]
		rest = rest[1:]
		switch {
		case word == "--":
			line.args = append(line.args, rest...)
			rest = nil
		case isFlag(word):
			given := []string{word}
			if len(rest) > 0 && line.takesValue(word) {
				given = append(given, rest[0])
				rest = rest[1:]
			}
			line.given = append(line.given, given)
		default:
			sub := find(commands, word)
			if sub == nil && len(line.args) == 0 && len(commands) > 0 && word == "help" {
				line.given = append(line.given, []string{"--help"})
				continue
			}
			if sub == nil || len(line.args) > 0 {
				line.args = append(line.args, word)
				continue
			}
			line.path = append(line.path, level{name: word, flags: sub.Flags})
			commands = sub.Subcommands
		}
	}
	line.stray = len(commands) > 0 && len(line.args) > 0
	return line.words()
}

// commandLine is a command line taken apart.
type commandLine struct {
	path  []level
	given [][]string // each flag with its value, if it has one
	args  []string
	stray bool // the first argument stands where a subcommand should, and names none
}

// level is one command of the path and its own flags.
type level struct {
	name  string
	flags []cli.Flag
}

// words puts the command line together again.
func (l *commandLine) words() []string {
	var words []string
	for at, command := range l.path {
		words = append(words, command.name)
		for _, given := range l.given {
			if l.stray && asksHelp(given) { // there is no page for it; the complaint says what there is
				continue
			}
			if home, _ := l.home(given[0]); home == at || home < 0 && at == len(l.path)-1 {
				words = append(words, given...)
			}
		}
	}
	if !l.stray && slices.ContainsFunc(l.given, asksHelp) {
		return words // the page is the same whatever the arguments
	}
	if slices.ContainsFunc(l.args, func(arg string) bool { return strings.HasPrefix(arg, "-") }) {
		words = append(words, "--")
	}
	return append(words, l.args...)
}

func asksHelp(given []string) bool { return given[0] == "--help" || given[0] == "-h" }

// home is the innermost command so far that has the flag, -1 for none, and the flag.
func (l *commandLine) home(word string) (int, cli.Flag) {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	for at, command := range slices.Backward(l.path) {
		for _, flag := range command.flags {
			if slices.Contains(flag.Names(), name) {
				return at, flag
			}
		}
	}
	return -1, nil
}

// takesValue says whether the word after this flag belongs to it.
func (l *commandLine) takesValue(word string) bool {
	_, flag := l.home(word)
	documented, ok := flag.(cli.DocGenerationFlag)
	return ok && documented.TakesValue() && !strings.Contains(word, "=")
}

var negativeNumber = regexp.MustCompile(`^-[0-9]`)

func isFlag(word string) bool {
	return len(word) > 1 && strings.HasPrefix(word, "-") && !negativeNumber.MatchString(word)
}

func find(commands []*cli.Command, name string) *cli.Command {
	at := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(name) })
	if at < 0 {
		return nil
	}
	return commands[at]
}
