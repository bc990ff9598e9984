package main

import (
	"io"

	"github.com/urfave/cli/v2"
)

// newApp builds the command line. Results go to stdout, logs and progress to stderr.
func newApp(stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:    "backoffice",
		Usage:   "durable background work in your Postgres",
		Version: version(),
		Description: `An order and its job commit together; the effects of a job and its completion
commit together. So nothing is lost, nothing is done twice, and SQL shows it all.

Begin with "backoffice dev". The other commands use the database of DATABASE_URL,
or else that of a running dev. Exit codes: 0 ok, 1 failed, 2 wrong usage.`,
		Writer:               stdout,
		ErrWriter:            stderr,
		EnableBashCompletion: true,
		HideHelp:             true, // helpFlag is our own: urfave/cli's is one variable for all apps
		HideVersion:          true,
		Flags:                globalFlags(),
		Before:               checkGlobalFlags,
		ExitErrHandler:       func(*cli.Context, error) {}, // run prints and chooses the code
		Commands: []*cli.Command{
			devCommand(),
			workerCommand(),
			workersCommand(),
			apiCommand(),
			apiKeysCommand(),
			probeCommand(),
			migrateCommand(),
			ordersCommand(),
			productsCommand(),
			enqueueCommand(),
			reportsCommand(),
			jobsCommand(),
			queuesCommand(),
			schedulesCommand(),
			kindsCommand(),
			inspectCommand(),
			auditCommand(),
			holdsCommand(),
			retentionCommand(),
			verifyCommand(),
			benchCommand(),
			versionCommand(),
			completionCommand(),
		},
	}
	app.OnUsageError = onUsageError
	app.Action = func(c *cli.Context) error {
		switch {
		case c.NArg() > 0:
			return unknownCommand(c)
		case c.Bool("version"):
			return printVersion(c)
		}
		return cli.ShowAppHelp(c)
	}
	width := helpWidth(stdout)
	for _, command := range app.Commands {
		finish(command, app.Name, width)
	}
	app.CustomAppHelpTemplate = appHelp(app, width)
	return app
}

func helpFlag() cli.Flag {
	return &cli.BoolFlag{Name: "help", Aliases: []string{"h"}, DisableDefaultText: true, Usage: "print this page"}
}

// globalFlags are accepted before and after the subcommand.
func globalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "database-url", EnvVars: []string{"DATABASE_URL"},
			Usage: "`URL` of the Postgres to use, postgres://user:password@host:5432/database (default: that of a running dev)"},
		&cli.PathFlag{Name: "data-dir", EnvVars: []string{"BACKOFFICE_DATA_DIR"},
			Usage: "`DIR` where dev keeps its Postgres (default: a directory of this user)"},
		&cli.StringFlag{Name: "output", EnvVars: []string{"BACKOFFICE_OUTPUT"}, Value: outputTable,
			Usage: "`FORM` of results: table or json"},
		&cli.StringFlag{Name: "log-format", EnvVars: []string{"BACKOFFICE_LOG_FORMAT"}, Value: logAuto,
			Usage: "`FORM` of logs on stderr: text, json, or auto (text on a terminal)"},
		&cli.StringFlag{Name: "log-level", EnvVars: []string{"BACKOFFICE_LOG_LEVEL"}, Value: "info",
			Usage: "lowest `LEVEL` that is logged: debug, info, warn or error"},
		&cli.BoolFlag{Name: "version", DisableDefaultText: true, Usage: "print the version"},
		helpFlag(),
	}
}

func checkGlobalFlags(c *cli.Context) error {
	if form := c.String("output"); form != outputTable && form != outputJSON {
		return usagef("--output %q is unknown; use table or json", form)
	}
	switch form := c.String("log-format"); form {
	case logAuto, logText, logJSON:
	default:
		return usagef("--log-format %q is unknown; use auto, text or json", form)
	}
	if _, err := logLevel(c); err != nil {
		return usagef("--log-level %q is unknown; use debug, info, warn or error", c.String("log-level"))
	}
	return nil
}
