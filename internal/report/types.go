package report

import (
	"encoding/json"
	"time"
)

// Status says how far a report has come.
type Status string

// The statuses. A report begins as queued; completed and cancelled are final, and a failed one stays so unless
// an operator retries its job.
const (
	StatusQueued    Status = "queued"
	StatusRunning   Status = "running"
	StatusCompleted Status = "completed"
	StatusFailed    Status = "failed"
	StatusCancelled Status = "cancelled"
)

// Final reports whether a report of this status is finished.
func (s Status) Final() bool {
	return s == StatusCompleted || s == StatusFailed || s == StatusCancelled
}

// known reports whether there is such a status.
func (s Status) known() bool { return s == StatusQueued || s == StatusRunning || s.Final() }

// Report is a request for a report and what became of it. Times are UTC.
type Report struct {
	ID          int64           `json:"id"`
	JobID       int64           `json:"job_id"`
	Type        string          `json:"type"`
	Version     int             `json:"version"` // of the type's parameters and columns
	Format      string          `json:"format"`
	Params      json.RawMessage `json:"params"` // all of them, defaults included
	Status      Status          `json:"status"`
	RequestedAt time.Time       `json:"requested_at"`
	StartedAt   *time.Time      `json:"started_at,omitempty"`
	FinishedAt  *time.Time      `json:"finished_at,omitempty"`
	Rows        int64           `json:"rows"`  // written so far, and in all once completed
	Bytes       int64           `json:"bytes"` // stored so far, and in all once completed
	Done        float64         `json:"done"`  // share of the work, 0 to 1
	ETA         *time.Duration  `json:"-"`     // what is left, by the pace so far; nil: unknown, or finished
	Error       string          `json:"error,omitempty"`
	ExpiredAt   *time.Time      `json:"expired_at,omitempty"` // since when its artifact cannot be read any more
	Artifact    *Manifest       `json:"artifact,omitempty"`   // once completed, until it is deleted
}

// Manifest is what is known of an artifact without reading it.
type Manifest struct {
	ContentType string          `json:"content_type"`
	FileName    string          `json:"file_name"` // ASCII, without a folder
	Rows        int64           `json:"rows"`
	Bytes       int64           `json:"bytes"`
	SHA256      string          `json:"sha256"` // hex, of all bytes
	Parts       int             `json:"parts"`
	Params      json.RawMessage `json:"params"`
	Watermark   int64           `json:"watermark"` // highest id of the type's driver that it covers
	Took        time.Duration   `json:"-"`         // from its start to its publication
	CreatedAt   time.Time       `json:"created_at"`
	ExpiresAt   time.Time       `json:"expires_at"`
}

// Filter says which reports to list. Zero values leave a field out.
type Filter struct {
	Type   string
	Status Status
	After  int64 // the id that the last page ended with; 0: from the newest
	Limit  int   // at most MaxLimit; 0: DefaultLimit
}

// How many reports a page of a list holds.
const (
	DefaultLimit = 50
	MaxLimit     = 1000
)
