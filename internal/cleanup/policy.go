package cleanup

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"backoffice/internal/postgres"
)

// Policy is a row of retention_policies.
type Policy struct {
	Name      string          `json:"name"`
	Target    string          `json:"target"`
	Age       time.Duration   `json:"age"`
	BatchSize int             `json:"batch_size"` // rows per transaction
	MaxShare  decimal.Decimal `json:"max_share"`  // of the target's rows that one run may delete; 1: all
	Enabled   bool            `json:"enabled"`
}

const day = 24 * time.Hour

// builtIn are the policies that every installation has. The objects that no row names are those of a crash:
// if they are half of all, something else is wrong.
var builtIn = []Policy{
	{Name: "temp-files", Target: "temp_files", Age: 30 * day, MaxShare: decimal.NewFromInt(1)},
	{Name: "artifacts", Target: "artifacts", Age: 0, MaxShare: decimal.NewFromInt(1)},     // since they expired
	{Name: "reports", Target: "reports", Age: 365 * day, MaxShare: decimal.NewFromInt(1)}, // since they finished
	{Name: "orphans", Target: orphans, Age: day, MaxShare: decimal.RequireFromString("0.5")},
	{Name: "idempotency-keys", Target: "idempotency_keys", Age: 2 * day, MaxShare: decimal.NewFromInt(1)}, // the API promises a day
	{Name: "schedule-runs", Target: "schedule_runs", Age: 90 * day, MaxShare: decimal.NewFromInt(1)},
	{Name: "schedule-gaps", Target: "schedule_gaps", Age: 90 * day, MaxShare: decimal.NewFromInt(1)},
	{Name: "cleanup-runs", Target: "cleanup_runs", Age: 90 * day, MaxShare: decimal.NewFromInt(1)},
	{Name: "worker-processes", Target: "worker_processes", Age: 7 * day, MaxShare: decimal.NewFromInt(1)}, // since they were declared dead
}

const addPolicySQL = `
insert /* cleanup.AddMissingPolicies */ into retention_policies (name, target, age, max_share)
values ($1, $2, $3, $4)
    on conflict do nothing`

// AddMissingPolicies inserts the built-in policies that the table has no row for. Rows that somebody has
// changed stay as they are.
func AddMissingPolicies(ctx context.Context, db postgres.DB) error {
	there, err := ListPolicies(ctx, db)
	if err != nil {
		return err
	}
	batch := &pgx.Batch{}
	for _, p := range builtIn {
		if !slices.ContainsFunc(there, func(other Policy) bool { return other.Target == p.Target || other.Name == p.Name }) {
			batch.Queue(addPolicySQL, p.Name, p.Target, p.Age, p.MaxShare)
		}
	}
	if batch.Len() == 0 {
		return nil
	}
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("add the built-in retention policies: %w", err)
	}
	return nil
}

// Months count as 30 days, and an age beyond what Go can hold, of the 2000 years that the table takes, as 285
// years, as far as people are shown it; what is deleted is decided by Postgres.
const listPoliciesSQL = `
select /* cleanup.ListPolicies */ name, target, make_interval(secs => least(extract(epoch from age), 9e9)), batch_size, max_share, enabled
  from retention_policies
 order by name`

// ListPolicies answers all policies by name.
func ListPolicies(ctx context.Context, db postgres.DB) ([]Policy, error) {
	rows, err := db.Query(ctx, listPoliciesSQL)
	if err != nil {
		return nil, fmt.Errorf("list retention policies: %w", err)
	}
	policies, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Policy])
	if err != nil {
		return nil, fmt.Errorf("list retention policies: %w", err)
	}
	return policies, nil
}

// GetPolicy answers the policy of a name. ErrNotFound: there is none.
func GetPolicy(ctx context.Context, db postgres.DB, name string) (Policy, error) {
	all, err := ListPolicies(ctx, db)
	if err != nil {
		return Policy{}, err
	}
	names := make([]string, len(all))
	for i, p := range all {
		if p.Name == name {
			return p, nil
		}
		names[i] = p.Name
	}
	return Policy{}, say(ErrNotFound, "policy %q does not exist; there are %s", name, strings.Join(names, ", "))
}

// Change is what SetPolicy changes; nil leaves a value as it is.
type Change struct {
	Age       *time.Duration
	BatchSize *int
	MaxShare  *decimal.Decimal
	Enabled   *bool
}

const setPolicySQL = `
update /* cleanup.SetPolicy */ retention_policies
   set age = coalesce($2, age),
       batch_size = coalesce($3, batch_size),
       max_share = coalesce($4, max_share),
       enabled = coalesce($5, enabled)
 where name = $1`

// SetPolicy changes a policy. ErrInvalid: a value is out of range; ErrNotFound: there is no such policy.
func SetPolicy(ctx context.Context, tx pgx.Tx, name string, change Change) error {
	if err := change.check(); err != nil {
		return err
	}
	if _, err := GetPolicy(ctx, tx, name); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, setPolicySQL, name, change.Age, change.BatchSize, change.MaxShare, change.Enabled); err != nil {
		return fmt.Errorf("set policy %s: %w", name, err)
	}
	return nil
}

// shareDecimals is what the table keeps of a share.
const shareDecimals = 4

func (c Change) check() error {
	one := decimal.NewFromInt(1)
	switch {
	case c == Change{}:
		return say(ErrInvalid, "nothing to change; give an age, a batch size, a share, or say whether it is enabled")
	case c.Age != nil && *c.Age < 0:
		return say(ErrInvalid, "age %s is below zero", *c.Age)
	case c.BatchSize != nil && (*c.BatchSize < 1 || *c.BatchSize > 100_000):
		return say(ErrInvalid, "batch size %d is not from 1 to 100000", *c.BatchSize)
	case c.MaxShare != nil && (!c.MaxShare.IsPositive() || c.MaxShare.GreaterThan(one)):
		return say(ErrInvalid, "share %s is not above 0 and at most 1", *c.MaxShare)
	case c.MaxShare != nil && !c.MaxShare.Equal(c.MaxShare.Truncate(shareDecimals)):
		return say(ErrInvalid, "share %s has more than %d decimals", *c.MaxShare, shareDecimals)
	}
	return nil
}

// String tells the change, as an audit log keeps it.
func (c Change) String() string {
	var said []string
	if c.Age != nil {
		said = append(said, "age "+c.Age.String())
	}
	if c.BatchSize != nil {
		said = append(said, fmt.Sprintf("batch size %d", *c.BatchSize))
	}
	if c.MaxShare != nil {
		said = append(said, "share "+c.MaxShare.String())
	}
	if c.Enabled != nil {
		said = append(said, map[bool]string{true: "enabled", false: "disabled"}[*c.Enabled])
	}
	return strings.Join(said, ", ")
}

// sentence is an error whose text is for people and whose cause is one of the sentinels.
type sentence struct {
	text  string
	cause error
}

func (s sentence) Error() string { return s.text }
func (s sentence) Unwrap() error { return s.cause }

func say(cause error, format string, args ...any) error {
	return sentence{text: fmt.Sprintf(format, args...), cause: cause}
}
