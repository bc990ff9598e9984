package queue

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/riverqueue/river/riverdriver"
)

// River's fetch looks at every waiting job before the first of a known kind, and its plan depends on
// statistics. A fetch that took too long for what it brought is followed by fetches past unknown kinds,
// whose plan is fixed (migration 006), for as long as detourFor; then River's is tried again.
const (
	fetchSlow    = 5 * time.Millisecond
	fetchSlowJob = 100 * time.Microsecond // per job that it brought
	detourFor    = 30 * time.Second
)

// detour is which queues are fetched past unknown kinds, and until when.
type detour struct {
	mu    sync.Mutex
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

// judge takes the detour from now on if a fetch was slow for what it brought.
func (d *detour) judge(queue string, took time.Duration, fetched int) {
	if took < fetchSlow+time.Duration(fetched)*fetchSlowJob {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.until == nil {
		d.until = map[string]time.Time{}
	}
	d.until[queue] = time.Now().Add(detourFor)
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
