package api

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"backoffice/internal/order"
)

// pageFuncs are what templates show values with.
var pageFuncs = template.FuncMap{
	"number": number,
	"count":  func(n int64) string { return number(int(n)) },
	"size":   size,
	"money":  money,
	"stamp":  stamp,
	"since":  func(t, now time.Time) string { return span(now.Sub(t)) },
	"until":  func(t, now time.Time) string { return span(t.Sub(now)) },
	"span":   span,
	"label":  label,
	"tone":   tone,
	"brief":  brief,
	"prose":  prose,
}

// number shows a whole number with thousands apart.
func number(n int) string {
	digits := strconv.Itoa(n)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "−", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}

// money shows an amount with two decimals, or as many as it has.
func money(amount decimal.Decimal) string {
	text := amount.String()
	if amount.Equal(amount.Truncate(2)) {
		text = amount.StringFixed(2)
	}
	return strings.Replace(text, "-", "−", 1)
}

// size is a number of bytes as people read it.
func size(bytes int64) string {
	const step = 1000
	if bytes < step {
		return strconv.FormatInt(bytes, 10) + " B"
	}
	value, unit := float64(bytes)/step, 0
	for value >= step-0.5 && unit < 3 {
		value, unit = value/step, unit+1
	}
	digits := 0
	if value < 9.95 {
		digits = 1
	}
	return strconv.FormatFloat(value, 'f', digits, 64) + " " + []string{"kB", "MB", "GB", "TB"}[unit]
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// span is a length of time as exactly as it matters to a person.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < 2*time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h"
	}
	return number(int(d.Hours()/24)) + " d"
}

// label is a name of the tables as people read it.
func label(name any) string { return strings.ReplaceAll(fmt.Sprint(name), "_", " ") }

// tone is the colour of a status, state or condition; its name stands there as well.
func tone(name any) string {
	switch fmt.Sprint(name) {
	case "processed", "completed", "alive":
		return "good"
	case "rejected", "discarded", "failed", "dead":
		return "bad"
	case "awaiting_stock", "retryable", "frozen", "silent":
		return "warn"
	case "placed", "available", "queued", "running", "stopping":
		return "busy"
	}
	return "off"
}

// brief is the beginning of a long text.
func brief(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	return strings.ToValidUTF8(text[:bytes], "") + " …"
}

// piece is a run of text, some of it code.
type piece struct {
	Text string
	Code bool
}

// prose splits a description into paragraphs, and each into text and `code`.
func prose(text string) (paragraphs [][]piece) {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		var pieces []piece
		for i, run := range strings.Split(paragraph, "`") {
			if run != "" {
				pieces = append(pieces, piece{run, i%2 == 1})
			}
		}
		if len(pieces) > 0 {
			paragraphs = append(paragraphs, pieces)
		}
	}
	return paragraphs
}

// capped shows a count that stopped at order.CountNewest; more says that there may be others anyway.
func capped(n int, more bool) string {
	switch {
	case n > order.CountNewest:
		return number(order.CountNewest) + "+"
	case more:
		return number(n) + "+"
	}
	return number(n)
}

// few is "1 process" or "3 processes".
func few(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}
