package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/urfave/cli/v2"
)

// The forms of --output.
const (
	outputTable = "table"
	outputJSON  = "json"
)

func wantsJSON(c *cli.Context) bool { return c.String("output") == outputJSON }

// printJSON writes a result as indented JSON.
func printJSON(c *cli.Context, result any) error {
	enc := json.NewEncoder(c.App.Writer)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(result); err != nil {
		return fmt.Errorf("print result: %w", err)
	}
	return nil
}

// printf writes a line of a human result.
func printf(c *cli.Context, format string, args ...any) error {
	_, err := fmt.Fprintf(c.App.Writer, format, args...)
	return err
}

// printRows prints a list: the table, or the JSON of items, [] where there are none.
func printRows[T any](c *cli.Context, items []T, t *table, none string) error {
	if wantsJSON(c) {
		if items == nil {
			items = []T{}
		}
		return printJSON(c, items)
	}
	return t.show(c.App.Writer, none)
}

// cell shows one value: times in UTC to the second, nothing for nil and zero times.
func cell(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case *time.Time:
		if v == nil {
			return ""
		}
		return instant(*v)
	case time.Time:
		return instant(v)
	case *int64:
		if v == nil {
			return ""
		}
		return fmt.Sprint(*v)
	case *int:
		if v == nil {
			return ""
		}
		return fmt.Sprint(*v)
	default:
		return oneLine(fmt.Sprint(v))
	}
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// oneLine keeps line breaks and control characters, which data may hold, away from the terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// brief is the first line of a text, cut to a number of characters.
func brief(text string, characters int) string {
	text, _, _ = strings.Cut(text, "\n")
	if runes := []rune(text); len(runes) > characters {
		return string(runes[:characters-1]) + "…"
	}
	return text
}

// orElse is text, or fallback where text is empty.
func orElse(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

// count writes a number with its noun: 1 order, 2 orders.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%s %ss", thousands(int64(n)), noun)
}

// thousands groups the digits of a number: 209,029.
func thousands(n int64) string {
	digits := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}
