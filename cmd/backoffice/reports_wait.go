package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/report"
	"backoffice/jobs"
)

// waitReport answers the report once it is completed, and tells on stderr how far it is. That it failed or
// was cancelled is an error with its own sentence.
func waitReport(c *cli.Context, pool *pgxpool.Pool, id int64) (report.Report, error) {
	ctx, shown := c.Context, newProgress(c.App.ErrWriter)
	defer shown.done()
	hint := time.After(waitQuietly)
	attempt := ""
	var found report.Report
	for {
		now, err := report.Get(ctx, pool, id)
		if err != nil && ctx.Err() == nil {
			return found, err
		}
		if err == nil {
			found = now
		}
		switch found.Status {
		case report.StatusCompleted:
			return found, nil
		case report.StatusFailed:
			return found, fmt.Errorf("report %d failed: %s", id, found.Error)
		case report.StatusCancelled:
			return found, fmt.Errorf("report %d was cancelled", id)
		}
		if found.Error != attempt {
			attempt = found.Error
			shown.note(fmt.Sprintf("report %d will be tried again: %s", id, oneLine(attempt)))
		}
		shown.show(func() string { return reportLine(found, shown.terminal) })
		select {
		case <-ctx.Done():
			return found, fmt.Errorf("report %d is not complete yet and goes on without this command; follow it with backoffice reports show %d, get it with backoffice reports download %d, stop it with backoffice reports cancel %d", id, id, id, id)
		case <-hint:
			if found.Status == report.StatusQueued {
				shown.note(fmt.Sprintf("report %d is still queued; does a backoffice worker run for queue %s?", id, jobs.QueueReports))
			}
		case <-time.After(waitPoll):
		}
	}
}

const barWidth = 24

// reportLine is how far a report is, with a bar on a terminal.
func reportLine(r report.Report, bar bool) string {
	if r.Status == report.StatusQueued {
		return fmt.Sprintf("report %d is queued", r.ID)
	}
	line := fmt.Sprintf("%3.0f%%, %s, %s", 100*r.Done, rowsOf(r.Rows), bytesOf(r.Bytes))
	if bar {
		full := min(max(int(r.Done*barWidth), 0), barWidth)
		line = "[" + strings.Repeat("#", full) + strings.Repeat("-", barWidth-full) + "] " + line
	}
	if r.ETA != nil && *r.ETA >= time.Second {
		line += fmt.Sprintf(", about %s left", r.ETA.Round(time.Second))
	}
	return line
}

func rowsOf(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return thousands(n) + " rows"
}

// bytesOf is a number of bytes as people read it.
func bytesOf(n int64) string {
	const step = 1000
	value, unit := float64(n), 0
	for units := []string{"bytes", "kB", "MB", "GB", "TB"}; ; unit++ {
		switch {
		case unit == 0 && value < step:
			return fmt.Sprintf("%d %s", n, units[0])
		case value < step-0.5 || unit == len(units)-1:
			return fmt.Sprintf("%.1f %s", value, units[unit])
		}
		value /= step
	}
}
