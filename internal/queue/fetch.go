package queue

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/riverqueue/river/riverdriver"
)

// River's fetch looks at every waiting job before the first of a known kind. When several fetches in a row
// took too long for what they brought, and jobs of unknown kinds do stand at the head of the queue, it is
// fetched past them (migration 006) for as long as detourFor; then River's is tried again. Without such
// jobs River's is the faster one.
const (
	fetchSlow    = 5 * time.Millisecond
	fetchSlowJob = 50 * time.Microsecond // per job that it brought
	slowInARow   = 5
	detourFor    = 30 * time.Second
)

// detour is which queues are fetched past unknown kinds, and until when.
type detour struct {
	mu    sync.Mutex
	slow  map[string]int // fetches in a row
	until map[string]time.Time
}

func (d *detour) taken(queue string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Before(d.until[queue])
}

// leave goes back to River's fetch.
func (d *detour) leave(queue string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.until, queue)
}

// judge reports whether a fetch, and those right before it, were slow for what they brought, so that it
// is time to look for unknown kinds.
func (d *detour) judge(queue string, took time.Duration, fetched int) (suspicious bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.slow == nil {
		d.slow, d.until = map[string]int{}, map[string]time.Time{}
	}
	d.slow[queue]++
	if took < fetchSlow+time.Duration(fetched)*fetchSlowJob {
		d.slow[queue] = 0
	}
	if d.slow[queue] < slowInARow {
		return false
	}
	d.slow[queue] = 0
	return true
}

// take takes the detour from now on.
func (d *detour) take(queue string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.until[queue] = time.Now().Add(detourFor)
}

// The head is what a fetch looks at first.
const unknownAheadSQL = `
select /* queue.fetch */ exists (
         select from (select kind
                        from river_job
                       where state = 'available'
                         and queue = $1
                         and scheduled_at <= now()
                       order by priority, scheduled_at, id
                       limit 1000) as head
          where kind <> all($2))`

func unknownAhead(ctx context.Context, exec riverdriver.Executor, params *riverdriver.JobGetAvailableParams) (bool, error) {
	var ahead bool
	if err := exec.QueryRow(ctx, unknownAheadSQL, params.Queue, params.Kind).Scan(&ahead); err != nil {
		return false, fmt.Errorf("look for jobs of unknown kinds: %w", err)
	}
	return ahead, nil
}

const takeSQL = `
select /* queue.fetch */ coalesce(array_agg(id), '{}')
  from backoffice.take_jobs($1, $2, $3, $4, $5) taken (id)`

// fetchPast takes jobs of known kinds only, without looking at the others.
func fetchPast(ctx context.Context, exec riverdriver.Executor, params *riverdriver.JobGetAvailableParams) (*riverdriver.JobGetAvailableResult, error) {
	var ids []int64
	err := exec.QueryRow(ctx, takeSQL, params.Queue, params.Kind, min(params.MaxToLock, math.MaxInt32), params.ClientID, min(params.MaxAttemptedBy, math.MaxInt32)).Scan(&ids)
	if err != nil {
		return nil, fmt.Errorf("take jobs of known kinds: %w", err)
	}
	result := &riverdriver.JobGetAvailableResult{}
	if len(ids) > 0 {
		result.Jobs, err = exec.JobGetByIDMany(ctx, &riverdriver.JobGetByIDManyParams{ID: ids, Schema: params.Schema})
	}
	return result, err
}
