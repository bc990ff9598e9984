package queue

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/riverqueue/river/rivertype"
)

// held is what a process has in its hands: the attempts it fetched and whose outcome is not written yet.
type held struct {
	mu       sync.Mutex
	attempts map[int64]*rivertype.JobRow // by job id, as fetched
	doubtful map[string]doubt            // by queue
}

// doubt is for how long after a failed fetch jobs may turn up that we do not know of: the server may
// carry out a statement that we have given up.
type doubt struct {
	until, next time.Time
}

const (
	doubtFor   = 30 * time.Second
	doubtEvery = 200 * time.Millisecond
)

func newHeld() *held {
	return &held{attempts: map[int64]*rivertype.JobRow{}, doubtful: map[string]doubt{}}
}

func (h *held) add(fetched []*rivertype.JobRow) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, job := range fetched {
		if job.AttemptedAt != nil {
			h.attempts[job.ID] = job
		}
	}
}

// remove forgets attempts whose outcome is written. A zombie's leaves the attempt that followed it.
func (h *held) remove(ids []int64, attempts []time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, id := range ids {
		if job := h.attempts[id]; job != nil && job.AttemptedAt.Equal(attempts[i]) {
			delete(h.attempts, id)
		}
	}
}

// end forgets attempts whose final state is committed, and answers their jobs as they were fetched, in
// that state.
func (h *held) end(ended map[int64]token) []*rivertype.JobRow {
	h.mu.Lock()
	defer h.mu.Unlock()
	jobs := make([]*rivertype.JobRow, 0, len(ended))
	for id, token := range ended {
		job := h.attempts[id]
		if job == nil || !job.AttemptedAt.Equal(token.At) { // the attempt that followed was fetched meanwhile
			continue
		}
		delete(h.attempts, id)
		now := time.Now()
		final := *job
		final.State, final.FinalizedAt = token.Ended, &now
		jobs = append(jobs, &final)
	}
	return jobs
}

// attempt is when the job's newest attempt here began, zero for none.
func (h *held) attempt(id int64) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if job := h.attempts[id]; job != nil {
		return *job.AttemptedAt
	}
	return time.Time{}
}

func (h *held) ids() []int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.AppendSeq(make([]int64, 0, len(h.attempts)), maps.Keys(h.attempts))
}

// doubt notes that a fetch of the queue failed.
func (h *held) doubt(queue string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.doubtful[queue] = doubt{until: time.Now().Add(doubtFor)}
}

// doubts says whether it is time to look for jobs of a failed fetch.
func (h *held) doubts(queue string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	d, doubtful := h.doubtful[queue]
	now := time.Now()
	switch {
	case !doubtful || now.Before(d.next):
		return false
	case now.After(d.until):
		delete(h.doubtful, queue)
		return false
	}
	d.next = now.Add(doubtEvery)
	h.doubtful[queue] = d
	return true
}
