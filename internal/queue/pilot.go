package queue

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivershared/baseservice"
	"github.com/riverqueue/river/rivershared/riverpilot"
	"github.com/riverqueue/river/rivershared/util/dbutil"
	"github.com/riverqueue/river/rivertype"
)

// This file is the fence for outcomes that River writes itself: nil, error, panic, snooze, interrupt.
// River writes them by job id to whatever attempt is running, so an attempt thought dead could finish
// or fail the attempt that replaced it. The pilot drops every outcome whose attempt is not current.
//
// The seam (a driver with PluginInit and PluginPilot) is marked unstable by River. The version is
// pinned, all of its use is here, and TestPilot compares it with River's own pilot.

// fencedDriver is River's pgx driver with the fenced pilot.
type fencedDriver struct {
	*riverpgxv5.Driver
	pilot *fencedPilot
}

func newFencedDriver(pool *pgxpool.Pool, log *slog.Logger, gate *gate) *fencedDriver {
	return &fencedDriver{Driver: riverpgxv5.New(pool), pilot: &fencedPilot{log: log, gate: gate, held: newHeld()}}
}

// PluginInit is part of River's seam; there is nothing to prepare.
func (*fencedDriver) PluginInit(*baseservice.Archetype) {}

// PluginPilot hands River the fenced pilot.
func (d *fencedDriver) PluginPilot() riverpilot.Pilot { return d.pilot }

// fencedPilot is River's standard pilot, except that it writes only outcomes of current attempts.
type fencedPilot struct {
	riverpilot.StandardPilot
	log  *slog.Logger
	gate *gate
	held *held

	detour detour // of queues whose fetches are slow
}

// JobGetAvailable fetches as River does, while the gate is open, and notes which attempts are in our hands.
// A fetch that failed may have happened all the same, when only its answer was lost: then the jobs run in
// the table and nowhere else, and the next fetches give them back.
func (p *fencedPilot) JobGetAvailable(ctx context.Context, exec riverdriver.Executor, state riverpilot.ProducerState,
	params *riverdriver.JobGetAvailableParams,
) (*riverdriver.JobGetAvailableResult, error) {
	if !p.gate.isOpen() {
		return &riverdriver.JobGetAvailableResult{}, nil
	}
	if p.held.doubts(params.Queue) {
		if err := p.giveBack(ctx, exec, params); err != nil {
			return nil, err
		}
	}
	result, err := p.fetch(ctx, exec, state, params)
	if err != nil {
		p.held.doubt(params.Queue)
		return nil, err
	}
	p.held.add(result.Jobs)
	return result, nil
}

// fetch fetches as River does, unless that was slow of late.
func (p *fencedPilot) fetch(ctx context.Context, exec riverdriver.Executor, state riverpilot.ProducerState,
	params *riverdriver.JobGetAvailableParams,
) (*riverdriver.JobGetAvailableResult, error) {
	if p.detour.taken(params.Queue) {
		result, err := fetchPast(ctx, exec, params)
		if err != nil {
			p.detour.leave(params.Queue) // River's can fail a single row that it cannot decode
			return nil, err
		}
		return result, nil
	}
	began := time.Now()
	result, err := p.StandardPilot.JobGetAvailable(ctx, exec, state, params)
	if err != nil || !p.detour.judge(params.Queue, time.Since(began), len(result.Jobs)) {
		return result, err
	}
	switch ahead, err := unknownAhead(ctx, exec, params); {
	case err != nil: // the fetch itself went well
		p.log.WarnContext(ctx, "slow fetches not looked into", "queue", params.Queue, "error", err)
	case ahead:
		p.detour.take(params.Queue)
		p.log.InfoContext(ctx, "jobs of unknown kinds at the head of a queue fetched past", "queue", params.Queue, "for", detourFor)
	}
	return result, nil
}

const giveBackSQL = `
with /* queue.giveBack */ unknown as (
  select id
    from river_job
   where state = 'running'
     and queue = $1
     and attempted_by[array_upper(attempted_by, 1)] = $2
     and id <> all($3)
     for update skip locked
), given as (
  update river_job
     set state = 'available',
         attempt = greatest(attempt - 1, 0)
   where id in (select id from unknown)
  returning id
)
select count(*) from given`

// giveBack makes available what runs in our name without our knowledge.
func (p *fencedPilot) giveBack(ctx context.Context, exec riverdriver.Executor, params *riverdriver.JobGetAvailableParams) error {
	var given int
	if err := exec.QueryRow(ctx, giveBackSQL, params.Queue, params.ClientID, p.held.ids()).Scan(&given); err != nil {
		return fmt.Errorf("give back jobs of a lost fetch: %w", err)
	}
	if given > 0 {
		p.log.WarnContext(ctx, "jobs of a lost fetch given back", "queue", params.Queue, "count", given)
	}
	return nil
}

// JobSetStateIfRunningMany writes the outcomes whose attempts are current and drops the others with a
// log line each, in one transaction that holds the rows meanwhile. What a fenced transaction has
// committed with the job's effects is not written again, only told to River's subscribers.
func (p *fencedPilot) JobSetStateIfRunningMany(ctx context.Context, exec riverdriver.Executor,
	params *riverdriver.JobSetStateIfRunningManyParams,
) ([]*rivertype.JobRow, error) {
	completed, open := newOutcomes(params), newOutcomes(params)
	ended := map[int64]token{}
	for i, id := range params.ID {
		token, rest, err := takeToken(params.MetadataUpdates[i])
		switch {
		case err != nil:
			return nil, fmt.Errorf("read the attempt of job %d: %w", id, err)
		case token.Ended != "" && len(rest) == 0:
			ended[id] = token
			continue
		case token.At.IsZero(): // a row River could not decode: no middleware ran for it
			token.At = p.held.attempt(id)
		}
		if params.State[i] == rivertype.JobStateCompleted && len(rest) == 0 {
			completed.add(params, i, token.At, nil)
		} else {
			open.add(params, i, token.At, rest)
		}
	}
	if err := complete(ctx, exec, completed, open, ended); err != nil {
		return nil, err
	}
	rows, err := p.write(ctx, exec, open)
	if err != nil {
		return nil, err
	}
	p.held.remove(open.ID, open.attempts)
	return append(rows, p.held.end(ended)...), nil
}

// write writes the outcomes whose attempts are current.
func (p *fencedPilot) write(ctx context.Context, exec riverdriver.Executor, open *outcomeBatch) ([]*rivertype.JobRow, error) {
	if len(open.ID) == 0 {
		return nil, nil
	}
	return dbutil.WithTxV(ctx, exec, func(ctx context.Context, tx riverdriver.ExecutorTx) ([]*rivertype.JobRow, error) {
		current, err := lockCurrent(ctx, tx, open.ID, open.attempts)
		if err != nil {
			return nil, fmt.Errorf("fence %d outcomes: %w", len(open.ID), err)
		}
		kept := p.keep(ctx, open, current)
		if len(kept.ID) == 0 {
			return nil, nil
		}
		return p.StandardPilot.JobSetStateIfRunningMany(ctx, tx, &kept.JobSetStateIfRunningManyParams)
	})
}

// outcomeBatch is what River wants written, and the attempt of each.
type outcomeBatch struct {
	riverdriver.JobSetStateIfRunningManyParams
	attempts []time.Time
}

// newOutcomes is an empty batch for outcomes of params.
func newOutcomes(params *riverdriver.JobSetStateIfRunningManyParams) *outcomeBatch {
	return &outcomeBatch{JobSetStateIfRunningManyParams: riverdriver.JobSetStateIfRunningManyParams{Now: params.Now, Schema: params.Schema}}
}

// add appends outcome i of params, with the rest of its metadata updates.
func (o *outcomeBatch) add(params *riverdriver.JobSetStateIfRunningManyParams, i int, attempt time.Time, rest []byte) {
	o.attempts = append(o.attempts, attempt)
	o.ID = append(o.ID, params.ID[i])
	o.Attempt = append(o.Attempt, params.Attempt[i])
	o.ErrData = append(o.ErrData, params.ErrData[i])
	o.FinalizedAt = append(o.FinalizedAt, params.FinalizedAt[i])
	o.MetadataDoMerge = append(o.MetadataDoMerge, len(rest) > 0)
	o.MetadataUpdates = append(o.MetadataUpdates, rest)
	o.ScheduledAt = append(o.ScheduledAt, params.ScheduledAt[i])
	o.State = append(o.State, params.State[i])
}

// A final row of the same attempt is one that InJobTx finished: River's outcome then changes no state,
// but its metadata belongs to the attempt and its event tells subscribers of the end.
const lockCurrentSQL = `
select /* queue.pilot */ coalesce(array_agg(ours.id), '{}')
  from (select * from unnest($1::bigint[], $2::timestamptz[]) as given (id, attempted_at) order by id) as ours
 cross join lateral (select job.state, job.attempted_at
                       from river_job job
                      where job.id = ours.id
                     offset 0
                        for update) as locked
 where locked.attempted_at = ours.attempted_at
   and locked.state in ('running', 'completed', 'cancelled', 'discarded')`

// lockCurrent locks the jobs' rows in id order and answers which of the attempts are current.
func lockCurrent(ctx context.Context, tx riverdriver.ExecutorTx, ids []int64, tokens []time.Time) (map[int64]bool, error) {
	var held []int64
	if err := tx.QueryRow(ctx, lockCurrentSQL, ids, tokens).Scan(&held); err != nil {
		return nil, err
	}
	current := make(map[int64]bool, len(held))
	for _, id := range held {
		current[id] = true
	}
	return current, nil
}

// keep answers the outcomes of current attempts only.
func (p *fencedPilot) keep(ctx context.Context, open *outcomeBatch, current map[int64]bool) *outcomeBatch {
	kept := newOutcomes(&open.JobSetStateIfRunningManyParams)
	for i, id := range open.ID {
		if !current[id] {
			p.log.WarnContext(ctx, "stale outcome dropped", "job_id", id, "state", open.State[i])
			continue
		}
		kept.add(&open.JobSetStateIfRunningManyParams, i, open.attempts[i], open.MetadataUpdates[i])
	}
	return kept
}
