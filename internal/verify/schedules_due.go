package verify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"backoffice/periodic"
)

// What cleanup may have deleted from the ledger or of its gaps is left out: rows written before the cutoff of one
// of its runs, and so ticks before it.
const dueSchedulesSQL = `
select name, spec, timezone, next_run_at,
       greatest(changed_at, next_run_at - interval '7 days',
                (select max(cleaned.cutoff)
                   from cleanup_runs cleaned
                  where cleaned.target in ('schedule_runs', 'schedule_gaps')
                    and not cleaned.dry_run
                    and not cleaned.refused)) as since
  from schedules
 order by name`

// The most recent ticks only, which are enough to tell: a schedule may be due every second.
const (
	mostTicks = 10_000

	settledTicksSQL = `
select tick_at
  from schedule_runs
 where schedule = $1
   and tick_at > $2
   and tick_at < $3
 order by tick_at desc
 limit $4`

	gapsSQL = `
select from_at, until_at
  from schedule_gaps
 where schedule = $1
   and until_at > $2
 order by from_at`
)

// dueSchedule is a schedule and from when to when its ticks are looked at.
type dueSchedule struct {
	name, spec, timezone string
	next, since          time.Time
}

func findDueTicks(ctx context.Context, tx pgx.Tx) (lookedAt int64, offenders []Offender, err error) {
	rows, err := tx.Query(ctx, dueSchedulesSQL)
	if err != nil {
		return 0, nil, err
	}
	schedules, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s dueSchedule, err error) {
		return s, row.Scan(&s.name, &s.spec, &s.timezone, &s.next, &s.since)
	})
	if err != nil {
		return 0, nil, err
	}
	for _, s := range schedules {
		looked, wrong, err := s.check(ctx, tx)
		if err != nil {
			return lookedAt, offenders, fmt.Errorf("schedule %q: %w", s.name, err)
		}
		lookedAt += looked
		offenders = append(offenders, wrong...)
	}
	return lookedAt, offenders, nil
}

// check walks the ticks that were due and those in the ledger side by side.
func (s *dueSchedule) check(ctx context.Context, tx pgx.Tx) (lookedAt int64, offenders []Offender, err error) {
	schedule, err := periodic.ParseSpec(s.spec, s.timezone)
	if err != nil {
		return 1, []Offender{{s.name, "is never due: " + err.Error()}}, nil
	}
	settled, err := s.settled(ctx, tx)
	if err != nil {
		return 0, nil, err
	}
	gaps, err := s.gaps(ctx, tx)
	if err != nil {
		return 0, nil, err
	}
	complain := func(tick time.Time, wrong string) {
		offenders = append(offenders, Offender{s.name + " at " + tick.UTC().Format(time.RFC3339), wrong})
	}
	due := schedule.Next(s.since)
	for len(settled) > 0 || due.Before(s.next) {
		lookedAt++
		switch {
		case len(settled) == 0 || due.Before(settled[0]):
			if until, left := gaps.at(due); left {
				due = schedule.Next(until.Add(-time.Microsecond))
				lookedAt--
				continue
			}
			complain(due, "was due, but is not in the ledger")
			due = schedule.Next(due)
		case settled[0].Before(due):
			complain(settled[0], "is in the ledger, but was not due")
			settled = settled[1:]
		default:
			due, settled = schedule.Next(due), settled[1:]
		}
	}
	return lookedAt, offenders, nil
}

// settled are the ticks in the ledger, the earliest first. Of very many it answers the latest, and has the
// look begin with them.
func (s *dueSchedule) settled(ctx context.Context, tx pgx.Tx) ([]time.Time, error) {
	rows, err := tx.Query(ctx, settledTicksSQL, s.name, s.since, s.next, mostTicks)
	if err != nil {
		return nil, err
	}
	ticks, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	slices.Reverse(ticks)
	if len(ticks) == mostTicks {
		s.since = ticks[0].Add(-time.Microsecond)
	}
	return ticks, err
}

// gap is a stretch of time whose ticks are left out of the ledger, from the first to before until.
type gap struct{ From, Until time.Time }

type gaps []gap

func (s *dueSchedule) gaps(ctx context.Context, tx pgx.Tx) (gaps, error) {
	rows, err := tx.Query(ctx, gapsSQL, s.name, s.since)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[gap])
}

// at says whether a tick lies in a gap, and where that ends.
func (g gaps) at(tick time.Time) (until time.Time, left bool) {
	for _, gap := range g {
		if !tick.Before(gap.From) && tick.Before(gap.Until) {
			return gap.Until, true
		}
	}
	return time.Time{}, false
}
