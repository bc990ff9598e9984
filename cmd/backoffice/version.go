package main

import (
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// version is what the build recorded: a release's number, or one made of commit and time.
func version() string {
	built, ok := debug.ReadBuildInfo()
	if !ok || built.Main.Version == "" {
		return "(devel)"
	}
	return built.Main.Version
}

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:        "version",
		Usage:       "print the version of this program",
		Description: "  backoffice version --output json",
		Action:      printVersion,
	}
}

func printVersion(c *cli.Context) error {
	if wantsJSON(c) {
		return printJSON(c, map[string]string{
			"version": version(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
		})
	}
	return printf(c, "backoffice %s (%s, %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
