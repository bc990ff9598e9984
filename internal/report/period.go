package report

import (
	"time"
)

// Period is the days a report is about, for types to embed in their parameters. An empty end leaves the
// period open there; both ends belong to it.
type Period struct {
	From     string `json:"from,omitempty" doc:"first day of the period, such as 2010-12-01"`
	To       string `json:"to,omitempty" doc:"last day of the period, such as 2011-05-31"`
	Timezone string `json:"timezone" doc:"whose days they are, such as Europe/London; UTC if not given"`
}

// Days answers the period as Params wants it, once Complete has approved it.
func (p *Period) Days() (from, to string, zone *time.Location) {
	zone, err := time.LoadLocation(p.Timezone)
	if err != nil { // Complete has refused it
		zone = time.UTC
	}
	return p.From, p.To, zone
}

// Complete fills in the timezone and refuses days that do not exist or are the wrong way round.
func (p *Period) Complete() error {
	if p.Timezone == "" {
		p.Timezone = "UTC"
	}
	if _, err := time.LoadLocation(p.Timezone); err != nil || p.Timezone == "Local" {
		return Invalid("timezone", "timezone %q is unknown; name one such as Europe/London", p.Timezone)
	}
	for name, day := range map[string]string{"from": p.From, "to": p.To} {
		if day == "" {
			continue
		}
		if at, err := time.Parse(time.DateOnly, day); err != nil || at.Year() < 1 {
			return Invalid(name, "%s %q is no day; write it as 2010-12-01", name, day)
		}
	}
	if p.From != "" && p.To != "" && p.From > p.To {
		return Invalid("from", "from %s is after to %s; swap them", p.From, p.To)
	}
	return nil
}

// Bounds are the instants at which the period begins and before which it ends. An open end is nil, which is
// null in SQL.
func (p *Period) Bounds() (since, until *time.Time) {
	from, to, zone := p.Days()
	if from != "" {
		since = new(dayBegins(parseDay(from), zone))
	}
	if to != "" {
		until = new(dayBegins(parseDay(to).AddDate(0, 0, 1), zone))
	}
	return since, until
}
