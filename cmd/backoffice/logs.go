package main

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// The forms of --log-format.
const (
	logAuto = "auto"
	logText = "text"
	logJSON = "json"
)

// logger writes to stderr what --log-format and --log-level ask for. Colours only ever reach a terminal.
func logger(c *cli.Context) *slog.Logger {
	level, _ := logLevel(c) // checked before any command ran
	w := c.App.ErrWriter
	form := c.String("log-format")
	if form == logJSON || form == logAuto && !isTerminal(w) {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: readableDuration}))
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: "15:04:05.000", NoColor: !isTerminal(w)}))
}

// readableDuration writes a duration with its unit, "113.6ms", where JSON would hold bare nanoseconds.
func readableDuration(_ []string, attr slog.Attr) slog.Attr {
	if attr.Value.Kind() != slog.KindDuration {
		return attr
	}
	d := attr.Value.Duration()
	digits := time.Microsecond
	for d.Abs()/digits >= 10_000 { // four digits say enough
		digits *= 10
	}
	return slog.String(attr.Key, d.Round(digits).String())
}

func logLevel(c *cli.Context) (slog.Level, error) {
	var level slog.Level
	err := level.UnmarshalText([]byte(c.String("log-level")))
	return level, err
}

// isTerminal says whether a person is likely to watch what is written.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// terminalWidth is the width of the terminal in characters, 0 when w is none.
func terminalWidth(w io.Writer) int {
	file, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}
