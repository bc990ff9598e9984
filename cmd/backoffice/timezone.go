package main

import (
	"github.com/urfave/cli/v2"

	"backoffice/periodic"
)

// timezoneFlag says whose clocks the built-in timetable goes by.
func timezoneFlag() cli.Flag {
	return &cli.StringFlag{Name: "timezone", EnvVars: []string{"BACKOFFICE_TIMEZONE"}, Value: "UTC",
		Usage: "`ZONE` of the built-in timetable's times of day and days, such as Europe/London; the same for all processes"}
}

func checkTimezone(name string) error {
	if _, err := periodic.ParseZone(name); err != nil {
		return usagef("--timezone: %w", err)
	}
	return nil
}
