package migrations

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Check's verdicts, to branch on; the text around them is for people.
var (
	ErrOldSchema   = errors.New("schema is behind")
	ErrNewerSchema = errors.New("schema is newer than this program")
)

// Step is one migration, River's or ours, as the database knows it.
type Step struct {
	Name      string     `json:"name"`
	AppliedAt *time.Time `json:"applied_at"` // nil: not yet
}

// Check compares the schema with what this program needs, by one query: nil when both are the same,
// ErrOldSchema when a step is missing, ErrNewerSchema when the database knows a step this program does
// not. Each is wrapped in the sentence that says what to do.
func Check(ctx context.Context, pool *pgxpool.Pool) error {
	steps, err := known(pool)
	if err != nil {
		return err
	}
	done, err := applied(ctx, pool)
	if err != nil {
		return err
	}
	return verdict(steps, done)
}

// Status lists every step this program knows, in the order they apply, and then those that only the
// database knows.
func Status(ctx context.Context, pool *pgxpool.Pool) ([]Step, error) {
	known, err := known(pool)
	if err != nil {
		return nil, err
	}
	done, err := applied(ctx, pool)
	if err != nil {
		return nil, err
	}
	steps := make([]Step, 0, len(known))
	for _, m := range known {
		step := Step{Name: m.name}
		if d, ok := done.find(m); ok {
			step.AppliedAt = &d.at
		}
		steps = append(steps, step)
	}
	for _, d := range done.unknownTo(known) {
		steps = append(steps, Step{Name: d.name, AppliedAt: &d.at})
	}
	return steps, nil
}

// verdict is Check without the database.
func verdict(steps []migration, done records) error {
	if unknown := done.unknownTo(steps); len(unknown) > 0 {
		return sentence{ErrNewerSchema, fmt.Sprintf("schema is newer than this program, which does not know %s; run the newer program",
			joined(unknown, func(d record) string { return d.name }))}
	}
	if missing := done.missing(steps); len(missing) > 0 {
		return sentence{ErrOldSchema, fmt.Sprintf("schema is %s behind (%s); run: backoffice migrate up",
			plural(len(missing), "step"), joined(missing, func(m migration) string { return m.name }))}
	}
	return nil
}

// known are all steps in the order they apply: River's first, because ours refer to its tables.
func known(pool *pgxpool.Pool) ([]migration, error) {
	steps, err := rivers(pool)
	return append(steps, oursIn(files)...), err
}

// record is a step the database remembers. Of River's it knows the number only.
type record struct {
	name     string
	version  int // River's; 0 for ours
	checksum string
	at       time.Time
}

type records []record

func (rs records) find(m migration) (record, bool) {
	for _, r := range rs {
		if r.version == m.version && (m.version > 0 || r.name == m.name) {
			return r, true
		}
	}
	return record{}, false
}

func (rs records) missing(steps []migration) (missing []migration) {
	for _, m := range steps {
		if _, ok := rs.find(m); !ok {
			missing = append(missing, m)
		}
	}
	return missing
}

func (rs records) unknownTo(steps []migration) (unknown []record) {
	for _, r := range rs {
		if !slices.ContainsFunc(steps, func(m migration) bool { _, ok := records{r}.find(m); return ok }) {
			unknown = append(unknown, r)
		}
	}
	return unknown
}

// River's oldest versions had no column line; read through jsonb, its absence is no error.
const appliedRiversSQL = `
select /* migrations.Check */ 'river_' || lpad(version::text, 3, '0'), version::int, '', created_at
  from river_migration m
 where coalesce(to_jsonb(m) ->> 'line', 'main') = 'main'`

const appliedOursSQL = `
select /* migrations.Check */ name, 0, checksum, applied_at
  from backoffice_migrations`

// applied reads what the database remembers; an empty database remembers nothing.
func applied(ctx context.Context, db querier) (records, error) {
	all, err := readRecords(ctx, db, appliedRiversSQL+"\nunion all"+appliedOursSQL+"\norder by 2, 1")
	if !noSuchTable(err) {
		return all, err
	}
	all = nil
	for _, sql := range []string{appliedRiversSQL, appliedOursSQL} { // half-migrated, or not at all
		some, err := readRecords(ctx, db, sql+"\norder by 2, 1")
		if err != nil && !noSuchTable(err) {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// querier is a pool or a connection.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func readRecords(ctx context.Context, db querier, sql string) (records, error) {
	rows, err := db.Query(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	done, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r record, err error) {
		return r, row.Scan(&r.name, &r.version, &r.checksum, &r.at)
	})
	if err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	return done, nil
}

func noSuchTable(err error) bool {
	var refusal *pgconn.PgError
	return errors.As(err, &refusal) && refusal.Code == "42P01" // undefined_table
}

// sentence is a verdict in words.
type sentence struct {
	verdict error
	text    string
}

func (s sentence) Error() string { return s.text }
func (s sentence) Unwrap() error { return s.verdict }

func joined[T any](items []T, name func(T) string) string {
	names := make([]string, len(items))
	for i, item := range items {
		names[i] = name(item)
	}
	return strings.Join(names, ", ")
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
