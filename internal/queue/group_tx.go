package queue

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/postgres"
)

var (
	// errRowHeld means that another transaction has locked the job's row: the job has to wait, and the
	// others need not wait with it.
	errRowHeld = errors.New("the job's row is locked by another transaction")
	// errNoServer marks an error that fewer jobs would meet just as well.
	errNoServer = errors.New("no connection")
)

// workPanic is a panic of the group's work, on its way to the job that caused it.
type workPanic struct {
	value any
	stack []byte
}

func (p *workPanic) Error() string  { return fmt.Sprintf("panic: %v", p.value) }
func (p *workPanic) String() string { return fmt.Sprintf("%v\n\n%s", p.value, p.stack) }

// try runs one transaction for the members. On nil it was committed and every member is answered; on an
// error nobody is, and nothing is committed unless the error struck in the commit itself.
func (g *Group[T]) try(members []*member[T], failed error) error {
	ctx, cancel := g.interruptible(members)
	defer cancel()
	others, err := g.transact(ctx, members, failed)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range members { // both at once: whoever leaves is answered, or is part of nothing
		m.interrupt = nil
		if err == nil {
			m.answer <- others[m]
		}
	}
	return err
}

// transact runs the transaction to its end and answers why some of the members are not part of it.
func (g *Group[T]) transact(ctx context.Context, members []*member[T], failed error) (others map[*member[T]]error, err error) {
	tx, err := g.pool.BeginTx(ctx, pgx.TxOptions{CommitQuery: postgres.CommitInTurn})
	if err != nil {
		return nil, fmt.Errorf("begin for %s: %w: %w", namedJobs(members), errNoServer, err)
	}
	defer rollback(ctx, tx)
	current, others, err := g.fence(ctx, tx, members)
	if err == nil && len(current) > 0 {
		err = g.finish(ctx, tx, current, others, failed)
	}
	return others, err
}

// Jobs are found by id; see planSQL of package order for what a plan does that was made for a small table.
const byKeySQL = `
select /* queue.Group */ set_config('enable_seqscan', 'off', true)`

// Rows that others have locked are skipped: one held row must not hold up the rest. See fenceSQL for why
// the rows are found by id alone.
const fenceGroupSQL = `
select /* queue.Group */ id, state, attempted_at
  from river_job
 where id = any($1)
 order by id
   for update skip locked`

const stillThereSQL = `
select /* queue.Group */ id
  from river_job
 where id = any($1)`

// fence locks the rows of the members' jobs in id order and answers those whose attempts are current,
// and for each of the others why it is not.
func (g *Group[T]) fence(ctx context.Context, tx pgx.Tx, members []*member[T]) (current []*member[T], others map[*member[T]]error, err error) {
	type lockedRow struct {
		ID          int64
		State       rivertype.JobState
		AttemptedAt *time.Time
	}
	rows, err := collectByID(ctx, tx, fenceGroupSQL, idsOf(members), pgx.RowToStructByPos[lockedRow], func(r lockedRow) int64 { return r.ID })
	if err != nil {
		return nil, nil, fmt.Errorf("fence %s: %w", namedJobs(members), err)
	}
	others = map[*member[T]]error{}
	var missing []*member[T]
	for _, m := range members {
		row, locked := rows[m.job.ID]
		same := locked && row.AttemptedAt != nil && row.AttemptedAt.Equal(*m.job.AttemptedAt)
		switch {
		case !locked:
			missing = append(missing, m)
		case same && row.State == rivertype.JobStateRunning:
			current = append(current, m)
		case same && m.sent && row.State == m.outcome.state:
			others[m] = nil // the commit whose answer got lost did happen
		default:
			others[m] = fmt.Errorf("job %d, attempt %d: %w", m.job.ID, m.job.Attempt, ErrAttemptLost)
		}
	}
	if len(missing) == 0 {
		return current, others, nil
	}
	held, err := collectByID(ctx, tx, stillThereSQL, idsOf(missing), pgx.RowTo[int64], func(id int64) int64 { return id })
	if err != nil {
		return nil, nil, fmt.Errorf("look for %s: %w", namedJobs(missing), err)
	}
	for _, m := range missing {
		others[m] = fmt.Errorf("job %d, attempt %d: %w", m.job.ID, m.job.Attempt, ErrAttemptLost)
		if _, there := held[m.job.ID]; there {
			others[m] = fmt.Errorf("job %d: %w", m.job.ID, errRowHeld)
		}
	}
	return current, others, nil
}

// GroupTx is the transaction of a group's work.
type GroupTx struct {
	pgx.Tx
	finish   func(ctx context.Context, verdicts []Verdict) error
	finished bool
}

// Finish writes the jobs' final states, which otherwise follows when the work has returned. Work that ends
// with locks for which others wait calls it before it takes them. It then returns the same verdicts.
func (tx *GroupTx) Finish(ctx context.Context, verdicts []Verdict) error {
	tx.finished = true
	return tx.finish(ctx, verdicts)
}

// finish runs the work for the current members, writes their jobs' final states and commits. Members
// that fail by themselves are added to others.
func (g *Group[T]) finish(ctx context.Context, tx pgx.Tx, current []*member[T], others map[*member[T]]error, failed error) error {
	shared := &GroupTx{Tx: tx, finish: func(ctx context.Context, verdicts []Verdict) error { return writeStates(ctx, tx, current, verdicts) }}
	verdicts, err := g.safely(ctx, shared, current, failed)
	if err == nil && !shared.finished {
		err = shared.Finish(ctx, verdicts)
	}
	if err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		for _, m := range current {
			m.sent = true
		}
		return fmt.Errorf("commit %s: %w", namedJobs(current), err)
	}
	for i, m := range current {
		if verdicts[i].Err != nil {
			others[m] = verdicts[i].Err
		}
	}
	return nil
}

// writeStates writes the final states of the jobs, but for those whose verdict is an error.
func writeStates[T any](ctx context.Context, tx pgx.Tx, members []*member[T], verdicts []Verdict) error {
	var completed []int64
	states := &pgx.Batch{}
	for i, m := range members {
		m.outcome = verdicts[i].Outcome
		if verdicts[i].Err != nil {
			m.outcome = Outcome{}
			continue
		}
		if m.outcome.state == rivertype.JobStateCompleted {
			completed = append(completed, m.job.ID)
			continue
		}
		attemptError, err := m.outcome.attemptError(m.job)
		if err != nil {
			return err
		}
		states.Queue(finishSQL, m.job.ID, string(m.outcome.state), attemptError)
	}
	if len(completed) > 0 {
		states.Queue(completeSQL, completed)
	}
	if states.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, states).Close(); err != nil {
		return fmt.Errorf("finish %s: %w", namedJobs(members), err)
	}
	return nil
}

const completeSQL = `
update /* queue.Group */ river_job
   set state = 'completed',
       finalized_at = clock_timestamp()
 where id = any($1)`

// safely runs the work and makes its panic an error, which the jobs are then split to find the cause of.
func (g *Group[T]) safely(ctx context.Context, tx *GroupTx, members []*member[T], failed error) (verdicts []Verdict, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &workPanic{value: value, stack: debug.Stack()}
		}
	}()
	items := make([]T, len(members))
	for i, m := range members {
		items[i] = m.item
	}
	verdicts, err = g.work(ctx, tx, items, failed)
	if err == nil && len(verdicts) != len(items) {
		err = fmt.Errorf("work of %s answered %d verdicts for %d items", namedJobs(members), len(verdicts), len(items))
	}
	return verdicts, err
}

// collectByID reads rows that have an id each.
func collectByID[R any](ctx context.Context, tx pgx.Tx, sql string, ids []int64, scan pgx.RowToFunc[R], id func(R) int64) (map[int64]R, error) {
	found := make(map[int64]R, len(ids))
	batch := &pgx.Batch{}
	batch.Queue(byKeySQL)
	batch.Queue(sql, ids).Query(func(rows pgx.Rows) error {
		all, err := pgx.CollectRows(rows, scan)
		for _, r := range all {
			found[id(r)] = r
		}
		return err
	})
	return found, tx.SendBatch(ctx, batch).Close()
}

func idsOf[T any](members []*member[T]) []int64 {
	ids := make([]int64, len(members))
	for i, m := range members {
		ids[i] = m.job.ID
	}
	return ids
}

// namedJobs names the jobs of a transaction in an error.
func namedJobs[T any](members []*member[T]) string {
	if len(members) == 1 {
		return fmt.Sprintf("job %d", members[0].job.ID)
	}
	return fmt.Sprintf("%d jobs (%d first)", len(members), members[0].job.ID)
}
