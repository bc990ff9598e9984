package main

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// Help pages are as wide as the terminal, within what can be read.
const (
	narrowestHelp = 60
	widestHelp    = 100
)

func helpWidth(w io.Writer) int {
	width := terminalWidth(w)
	if width == 0 {
		return widestHelp
	}
	return min(max(width, narrowestHelp), widestHelp)
}

// appHelp is the page of backoffice itself, in urfave/cli's template language, in which what is not in
// {{}} stands for itself.
func appHelp(app *cli.App, width int) string {
	return `{{.Name}} - {{.Usage}}

USAGE:
   {{.Name}} COMMAND [flags]

` + literal(reflowed(app.Description, width)) + `

COMMANDS:
` + literal(commandTable(app.Commands, width)) + `
FLAGS, before or after the command:
` + literal(flagTable(app.Flags, width)) + `
More about a command: {{.Name}} COMMAND --help
`
}

// commandHelp is the page of a command. Examples stand before the flags: they answer most questions.
func commandHelp(command *cli.Command, name string, width int) string {
	page := literal(reflowed(name+" - "+command.Usage, width)) + `

USAGE:
   {{.HelpName}} [flags]{{if .ArgsUsage}} {{.ArgsUsage}}{{end}}

` + literal(reflowed(command.Description, width)) + "\n"
	if len(command.Subcommands) > 0 {
		page += "\nSUBCOMMANDS:\n" + literal(commandTable(command.Subcommands, width))
	}
	return page + "\nFLAGS:\n" + literal(flagTable(command.Flags, width)) + "\n" +
		literal(reflowed("Flags of backoffice itself, such as --output json and --database-url URL, go here too.", width)) + "\n"
}

// literal is a text that the template language leaves as it is.
func literal(text string) string { return "{{" + strconv.Quote(text) + "}}" }

func commandTable(commands []*cli.Command, width int) string {
	var rows [][2]string
	for _, command := range commands {
		if !command.Hidden {
			rows = append(rows, [2]string{command.Name, command.Usage})
		}
	}
	return twoColumns(rows, width)
}

func flagTable(flags []cli.Flag, width int) string {
	var rows [][2]string
	for _, flag := range flags {
		if documented, ok := flag.(cli.DocGenerationFlag); ok {
			name, meaning := describe(documented)
			rows = append(rows, [2]string{name, meaning})
		}
	}
	return twoColumns(rows, width)
}

// describe tells a flag: what to type, and what it means with its default and its environment.
func describe(flag cli.DocGenerationFlag) (name, meaning string) {
	before, quoted, found := strings.Cut(flag.GetUsage(), "`")
	value, after, _ := strings.Cut(quoted, "`")
	meaning = before + value + after
	if !found {
		value = valueName(flag)
	}
	var names []string
	for _, one := range flag.Names() {
		names = append(names, dashed(one))
	}
	name = strings.Join(names, ", ")
	if flag.TakesValue() {
		name += " " + value
		if text := flag.GetDefaultText(); text != "" {
			meaning += " (default: " + text + ")"
		}
	}
	if slice, ok := flag.(cli.DocGenerationSliceFlag); ok && slice.IsSliceFlag() {
		name += " ..."
	}
	for _, variable := range flag.GetEnvVars() {
		meaning += " [$" + variable + "]"
	}
	return name, meaning
}

// valueName names the value of a flag whose description does not.
func valueName(flag cli.Flag) string {
	switch flag.(type) {
	case *cli.DurationFlag:
		return "DURATION"
	case *cli.IntFlag, *cli.Int64Flag, *cli.Float64Flag:
		return "NUMBER"
	case *cli.TimestampFlag:
		return "TIME"
	case *cli.PathFlag:
		return "PATH"
	default:
		return "TEXT"
	}
}

// twoColumns writes names and their meanings side by side, each meaning within its column.
func twoColumns(rows [][2]string, width int) string {
	const margin, gap = "   ", "  "
	column := 0
	for _, row := range rows {
		column = max(column, utf8.RuneCountInString(row[0]))
	}
	var page strings.Builder
	for _, row := range rows {
		name := fmt.Sprintf("%s%-*s%s", margin, column, row[0], gap)
		page.WriteString(beside(name, row[1], width) + "\n")
	}
	return page.String()
}

// beside writes a text behind a name, and all of it in the column where it begins.
func beside(name, text string, width int) string {
	column := utf8.RuneCountInString(name)
	return name + strings.Join(wrapped(text, width-column), "\n"+strings.Repeat(" ", column))
}

// reflowed fits a text to a width: its paragraphs, and its examples and lists, whose lines begin with a blank.
func reflowed(text string, width int) string {
	var lines, paragraph []string
	flush := func() {
		if len(paragraph) > 0 {
			lines = append(lines, wrapped(strings.Join(paragraph, " "), width)...)
			paragraph = nil
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" && line[0] != ' ' {
			paragraph = append(paragraph, line)
			continue
		}
		flush()
		lines = append(lines, example(line, width)...)
	}
	flush()
	return strings.Join(lines, "\n")
}

// explained is an example, or a word, with a remark behind it; a flag begins where a command may be broken.
var (
	explained = regexp.MustCompile(`^( +\S+(?: \S+)*)( {2,})(\S.*)$`)
	aFlag     = regexp.MustCompile(` --?[a-zA-Z]`)
)

// example fits one to a width so that it can still be typed: the remark stays in its column, and a command is
// continued with a flag.
func example(line string, width int) []string {
	if utf8.RuneCountInString(line) <= width {
		return []string{line}
	}
	if m := explained.FindStringSubmatch(line); m != nil {
		return strings.Split(beside(m[1]+m[2], m[3], width), "\n")
	}
	const indent, more = "    ", ` \`
	at := 0
	for _, flag := range aFlag.FindAllStringIndex(line, -1) {
		if at == 0 || flag[0]+len(more) <= width {
			at = flag[0]
		}
	}
	if at <= len(indent) { // nothing left to break
		return []string{line}
	}
	return append([]string{line[:at] + more}, example(indent+line[at+1:], width)...)
}

// wrapped breaks a text between words into lines of at most width characters, unless a word is longer.
func wrapped(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
