package cleanup

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"backoffice/internal/store"
)

// orphans is the target that is no table: objects in the stores that no row names. A row is written before
// its object and deleted after it, so an old object without one was left by a crash; the age of the policy
// is its time of grace.
const orphans = "orphans"

// listPage is how many objects are listed at once: a store of files reads a folder anew for every page.
const listPage = 10_000

// Parts of a report that failed or was cancelled are not needed by it; temp_files names them until their
// time has come.
var findOrphansSQL = `
select /* cleanup.sweepOrphans */ o.location
  from unnest($1::text[]) as o(location)
 where (select count(*) from temp_files f where f.location = o.location) = 0
   and ` + strings.Replace(neededSQL, "{location}", "o.location", 1) + ` = 0`

// sweepOrphans deletes objects without a row from every store of this process. done says that all were
// looked at.
func (r *run) sweepOrphans(ctx context.Context) (done bool, err error) {
	var cutoff time.Time
	if err := r.Pool.QueryRow(ctx, `select /* cleanup.sweepOrphans */ $1::text::timestamptz`, r.cutoff).Scan(&cutoff); err != nil {
		return false, fmt.Errorf("read the cutoff: %w", err)
	}
	if !r.resumed {
		if err := r.checkOrphanShare(ctx, cutoff); err != nil {
			return false, err
		}
	}
	for _, name := range r.Stores.Names() {
		swept, after := r.sweptTo(name)
		for !swept {
			if r.outOfTime() {
				return false, nil
			}
			begun := time.Now()
			page, err := r.list(ctx, name, after, cutoff)
			if err != nil {
				return false, err
			}
			if err := r.removeOrphans(ctx, page.orphans, name+":"+page.end); err != nil {
				return false, err
			}
			swept, after = page.last, page.end
			if err := r.rest(ctx, begun); err != nil {
				return false, err
			}
		}
	}
	if !r.dry {
		_, err = r.Stores.RemoveUnfinished(ctx, cutoff)
	}
	return err == nil, err
}

// sweptTo tells where the run, which may have been interrupted, goes on in a store: the tie of its cursor
// is the location it has come to.
func (r *run) sweptTo(name string) (swept bool, after string) {
	at, path, found := strings.Cut(r.at.tie, ":")
	if !found {
		return false, ""
	}
	names := r.Stores.Names()
	switch done, here := slices.Index(names, at), slices.Index(names, name); {
	case done == here:
		return false, path
	default:
		return here < done, ""
	}
}

// page is what one listing of a store found.
type page struct {
	objects int64
	orphans []row
	end     string // path of the last object
	last    bool   // no object comes after it
}

// list looks through the next objects of a store for old ones that no row names.
func (r *run) list(ctx context.Context, name, after string, cutoff time.Time) (page, error) {
	objects, err := r.Stores.List(ctx, name, after, listPage)
	if err != nil {
		return page{}, err
	}
	p := page{objects: int64(len(objects)), end: after, last: len(objects) < listPage}
	old := map[string]store.Object{}
	var locations []string
	for _, object := range objects {
		p.end = object.Path
		if object.ModifiedAt.Before(cutoff) {
			location := name + ":" + object.Path
			old[location] = object
			locations = append(locations, location)
		}
	}
	if len(locations) == 0 {
		return p, nil
	}
	without, err := r.withoutRow(ctx, r.Pool, locations)
	if err != nil {
		return page{}, err
	}
	for _, location := range without {
		object := old[location]
		p.orphans = append(p.orphans, row{key: location, locations: []string{location}, bytes: object.Bytes,
			age: object.ModifiedAt.UTC().Format(time.RFC3339Nano)})
	}
	return p, nil
}

// querier is what a statement needs that answers rows.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// withoutRow answers which of the locations no row names.
func (r *run) withoutRow(ctx context.Context, db querier, locations []string) ([]string, error) {
	found, err := db.Query(ctx, findOrphansSQL, locations)
	if err != nil {
		return nil, fmt.Errorf("look for objects without a row: %w", err)
	}
	without, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for objects without a row: %w", err)
	}
	return without, nil
}

// removeOrphans deletes objects in batches, and records that the run has come to a location.
func (r *run) removeOrphans(ctx context.Context, found []row, end string) error {
	for some := range slices.Chunk(found, r.policy.BatchSize) {
		if err := r.removeSome(ctx, some); err != nil {
			return err
		}
	}
	return r.Fence(ctx, func(tx pgx.Tx) error {
		return r.record(ctx, tx, gone{at: &cursor{age: "-infinity", tie: end}})
	})
}

// removeSome deletes the objects, one by one, and then what is left of the list of a failed report's parts.
func (r *run) removeSome(ctx context.Context, found []row) error {
	var g gone
	for _, object := range found {
		err := r.deleteLocations(ctx, object)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			g.fail(object, err)
		default:
			g.add(orphans, object)
		}
	}
	return r.Fence(ctx, func(tx pgx.Tx) error {
		if !r.dry {
			if _, err := tx.Exec(ctx, deletePartsAtSQL, []string{}, keysOf(found)); err != nil {
				return fmt.Errorf("delete the parts of objects without a row: %w", err)
			}
		}
		return r.record(ctx, tx, g)
	})
}

// checkOrphanShare refuses a sweep that would delete more than the policy's share of all objects: a
// database that lost its rows must not cost the objects, too.
func (r *run) checkOrphanShare(ctx context.Context, cutoff time.Time) error {
	if r.dry || r.policy.MaxShare.Equal(decimal.NewFromInt(1)) {
		return nil
	}
	var total, without int64
	for _, name := range r.Stores.Names() {
		for after, last := "", false; !last; {
			p, err := r.list(ctx, name, after, cutoff)
			if err != nil {
				return err
			}
			total, without = total+p.objects, without+int64(len(p.orphans))
			after, last = p.end, p.last
		}
	}
	if without > r.allowed(total) {
		return r.refuse(total, "objects")
	}
	return nil
}
