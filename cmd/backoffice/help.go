package main

// The help pages, in urfave/cli's template language. Examples stand before the flags: they answer most
// questions.
const (
	appHelp = `{{.Name}} - {{.Usage}}

USAGE:
   {{.Name}} COMMAND [flags]

{{.Description}}

COMMANDS:{{template "visibleCommandCategoryTemplate" .}}

FLAGS, before or after the command:{{template "visibleFlagTemplate" .}}

More about a command: {{.Name}} COMMAND --help
`

	commandHelp = `{{.HelpName}} - {{.Usage}}

USAGE:
   {{.HelpName}} [flags]{{if .ArgsUsage}} {{.ArgsUsage}}{{end}}{{if .Description}}

{{.Description}}{{end}}{{if .VisibleCommands}}

SUBCOMMANDS:{{template "visibleCommandCategoryTemplate" .}}{{end}}{{if .VisibleFlags}}

FLAGS:{{template "visibleFlagTemplate" .}}{{end}}

The flags of backoffice itself, such as --output json and --database-url URL, go here too.
`
)
