package queue

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/rivertype"

	"backoffice/internal/pgtest"
)

// slowRollback stops the first rollback until the test lets it go on.
type slowRollback struct {
	once   sync.Once
	begun  chan struct{}
	resume chan struct{}
}

func (s *slowRollback) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if data.SQL == "rollback" {
		s.once.Do(func() {
			close(s.begun)
			<-s.resume
		})
	}
	return ctx
}

func (*slowRollback) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// A job whose row is held joins again. Should its context end then, it must not wait for the transaction
// it was part of before.
func TestJobThatJoinsAgainLeavesWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	config, err := pgxpool.ParseConfig(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	tracer := &slowRollback{begun: make(chan struct{}), resume: make(chan struct{})}
	config.ConnConfig.Tracer = tracer
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	job := &rivertype.JobRow{}
	err = pool.QueryRow(t.Context(), `
		insert into river_job (kind, args, max_attempts, state, attempt, attempted_at) values ('held', '{}', 2, 'running', 1, now())
		returning id, attempted_at`).Scan(&job.ID, &job.AttemptedAt)
	if err != nil {
		t.Fatal(err)
	}
	other, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Release()
	if _, err := other.Exec(t.Context(), `begin; select from river_job for update`); err != nil {
		t.Fatal(err)
	}
	defer other.Exec(t.Context(), `commit`) //nolint:errcheck // the connection is closed otherwise

	group := NewGroup(pool, GroupConfig{Size: 10, Committers: 1}, func(context.Context, *GroupTx, []int, error) ([]Verdict, error) {
		t.Error("the work of a job whose row is held was called")
		return nil, nil
	})
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { left <- group.Work(ctx, job, 1) }()
	<-tracer.begun
	<-time.After(3 * rowHeldPause) // whoever would join again meanwhile has done so
	leave()
	close(tracer.resume)
	select {
	case err := <-left:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Work: %v, want the end of its context", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("Work has not returned though its context has ended")
	}
}

func TestJobsThatDidNotGetOnAreTriedApart(t *testing.T) {
	t.Parallel()
	of := func(id int64, metadata string, failures int) *member[int] {
		return &member[int]{job: &rivertype.JobRow{ID: id, Metadata: []byte(metadata), Errors: make([]rivertype.AttemptError, failures)}}
	}
	members := []*member[int]{of(1, `{}`, 0), of(2, `{"snoozes": 3}`, 0), of(3, `{}`, 1), of(4, ``, 0), of(5, `{"snoozes": 1}`, 2)}
	fresh, snoozed, failed := apart(members)
	for name, set := range map[string]struct {
		got  []*member[int]
		want []int64
	}{
		"fresh": {fresh, []int64{1, 4}}, "snoozed": {snoozed, []int64{2, 5}}, "failed": {failed, []int64{3}},
	} {
		if len(set.got) != len(set.want) {
			t.Errorf("%s: %d jobs, want %v", name, len(set.got), set.want)
			continue
		}
		for i, m := range set.got {
			if m.job.ID != set.want[i] {
				t.Errorf("%s: job %d, want %d", name, m.job.ID, set.want[i])
			}
		}
	}
}
