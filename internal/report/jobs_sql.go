package report

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// jobSlice is for how long a time one query adds up the jobs that ended.
const jobSlice = 10 * time.Minute

// Skips hours in which nothing ended; one look per state at the index of finished jobs.
const nextEndedSQL = `
select /* report.jobs */ min(first.finalized_at)
  from unnest('{completed,cancelled,discarded}'::river_job_state[]) as final (state)
 cross join lateral (select finalized_at
                       from river_job
                      where state = final.state
                        and finalized_at >= $1
                        and finalized_at < $2
                      order by finalized_at
                      limit 1) as first`

// Times are rounded to three significant digits, so that few different ones come back. What was cancelled
// from outside may have been waiting still, and has no run. The grouping says which of a row's columns counts.
const sumJobsSQL = `
select /* report.jobs */ kind, state, wait, run, count(*), sum(failed)::bigint
  from (select kind, state::text, failed,
               (round(waited / power(10, greatest(floor(log(greatest(waited, 1))) - 2, 0))) * power(10, greatest(floor(log(greatest(waited, 1))) - 2, 0)))::bigint as wait,
               (round(ran / power(10, greatest(floor(log(greatest(ran, 1))) - 2, 0))) * power(10, greatest(floor(log(greatest(ran, 1))) - 2, 0)))::bigint as run
          from (select kind, state, coalesce(cardinality(errors), 0) as failed,
                       case when attempted_at >= scheduled_at
                            then extract(epoch from attempted_at - scheduled_at)::double precision * 1000000
                       end as waited,
                       case when attempted_at is not null and (state <> 'cancelled' or not metadata ? 'cancel_attempted_at')
                            then greatest(extract(epoch from finalized_at - attempted_at)::double precision * 1000000, 0)
                       end as ran
                  from river_job
                 where state in ('completed', 'cancelled', 'discarded')
                   and finalized_at >= $1
                   and finalized_at < $2
                   and id <= $3
                   and ($4 = '' or kind = $4)) as job) as rounded
 group by grouping sets ((kind, state), (kind, wait), (kind, run))
having grouping(state) = 0 or wait is not null or run is not null`

// ended is a row of sumJobsSQL: how many jobs of a kind ended in a state, waited so long, or ran so long.
type ended struct {
	Kind      string
	State     string // empty: not counted by it
	Wait, Run *int64 // microseconds; nil: not counted by it
	Jobs      int64
	Failed    int64 // attempts
}

func rowToEnded(row pgx.CollectableRow) (e ended, err error) {
	var state *string
	err = row.Scan(&e.Kind, &state, &e.Wait, &e.Run, &e.Jobs, &e.Failed)
	if state != nil {
		e.State = *state
	}
	return e, err
}

// readJobRuns adds up the jobs of the period, hour by hour, up to the instant of the report.
func readJobRuns(ctx context.Context, src *Source, p *JobsParams) (*jobRunsFound, error) {
	_, _, zone := p.Days()
	since, until := p.instants()
	if until.After(src.Made) {
		until = src.Made
	}
	found := &jobRunsFound{totals: map[string]*jobSums{}}
	for from := since; from.Before(until); {
		next, err := readRow(ctx, src.DB, pgx.RowTo[*time.Time], nextEndedSQL, from, until)
		if err != nil || next == nil {
			return found, err
		}
		hour := hourBegins(*next, zone)
		ends := hour.Add(time.Hour)
		if ends.After(until) {
			ends = until
		}
		sums, err := readHour(ctx, src, p, *next, ends)
		if err != nil {
			return nil, err
		}
		found.endHour(hour, sums)
		from = ends
		src.Progress(min(1, float64(from.Sub(since))/float64(until.Sub(since))), 0)
	}
	return found, nil
}

// readHour adds up the jobs of one hour, or of what is left of it, by kind.
func readHour(ctx context.Context, src *Source, p *JobsParams, since, until time.Time) (map[string]*jobSums, error) {
	sums := map[string]*jobSums{}
	for at := since; at.Before(until); at = at.Add(jobSlice) {
		end := at.Add(jobSlice)
		if end.After(until) {
			end = until
		}
		rows, err := readRows(ctx, src.DB, rowToEnded, sumJobsSQL, at, end, src.Watermark, p.Kind)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if sums[row.Kind] == nil {
				sums[row.Kind] = &jobSums{}
			}
			sums[row.Kind].add(row)
		}
	}
	return sums, nil
}

// hourBegins is the full hour on the clocks of a zone, which need not be one of UTC.
func hourBegins(at time.Time, zone *time.Location) time.Time {
	_, offset := at.In(zone).Zone()
	shift := time.Duration(offset) * time.Second
	return at.Add(shift).Truncate(time.Hour).Add(-shift)
}
