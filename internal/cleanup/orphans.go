package cleanup

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/shopspring/decimal"

	"backoffice/internal/store"
)

// orphans is the target that is no table: objects in the stores that no row names. A row is written before
// its object and deleted after it, so an old object without one was left by a crash; the age of the policy
// is its time of grace.
const orphans = "orphans"

// listPage is how many objects are listed at once: a store of files reads a folder anew for every page, which
// with many pages is all it does. They take some megabytes.
const listPage = 50_000

// Parts of a report that failed or was cancelled are not needed by it; temp_files names them until their
// time has come.
const listedSQL = `
select /* cleanup.sweepOrphans */ location
  from temp_files
 where location = any($1)`

// sweepOrphans deletes objects without a row from every store of this process. done says that all were
// looked at.
func (r *run) sweepOrphans(ctx context.Context) (done bool, err error) {
	if !r.resumed {
		if err := r.checkOrphanShare(ctx); err != nil {
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
			page, err := r.list(ctx, name, after)
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
		_, err = r.Stores.RemoveUnfinished(ctx, r.cutoff)
	}
	return err == nil, err
}

// sweptTo tells where the run, which may have been interrupted, goes on in a store: the key of its cursor
// is the location it has come to.
func (r *run) sweptTo(name string) (swept bool, after string) {
	at, path, found := strings.Cut(r.at.key, ":")
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
func (r *run) list(ctx context.Context, name, after string) (page, error) {
	objects, err := r.Stores.List(ctx, name, after, listPage)
	if err != nil {
		return page{}, err
	}
	p := page{objects: int64(len(objects)), end: after, last: len(objects) < listPage}
	old := map[string]store.Object{}
	var locations []string
	for _, object := range objects {
		p.end = object.Path
		if object.ModifiedAt.Before(r.cutoff) {
			location := name + ":" + object.Path
			old[location] = object
			locations = append(locations, location)
		}
	}
	if len(locations) == 0 {
		return p, nil
	}
	named, err := r.named(ctx, locations)
	if err != nil {
		return page{}, err
	}
	for _, location := range locations {
		if !named[location] {
			object := old[location]
			p.orphans = append(p.orphans, row{key: location, locations: []string{location}, bytes: object.Bytes,
				age: pgtype.Timestamptz{Time: object.ModifiedAt, Valid: true}})
		}
	}
	return p, nil
}

// named answers which of the locations a row names.
func (r *run) named(ctx context.Context, locations []string) (map[string]bool, error) {
	named := map[string]bool{}
	queries := &pgx.Batch{}
	queries.Queue(listedSQL, locations).Query(collectInto(named))
	queries.Queue(partsSQL, locations).Query(func(found pgx.Rows) error {
		var location string
		var needed bool
		_, err := pgx.ForEachRow(found, []any{&location, &needed}, func() error {
			named[location] = named[location] || needed
			return nil
		})
		return err
	})
	if err := r.Pool.SendBatch(ctx, queries).Close(); err != nil {
		return nil, fmt.Errorf("look for objects without a row: %w", err)
	}
	return named, nil
}

// removeOrphans deletes objects in batches, and records that the run has come to a location.
func (r *run) removeOrphans(ctx context.Context, found []row, end string) error {
	for some := range slices.Chunk(found, r.policy.BatchSize) {
		if err := r.removeSome(ctx, some); err != nil {
			return err
		}
	}
	return r.Fence(ctx, func(tx pgx.Tx) error {
		return r.recordIn(ctx, tx, gone{at: &cursor{beginning, end}})
	})
}

// removeSome deletes the objects, one by one, and then what is left of the list of a failed report's parts.
func (r *run) removeSome(ctx context.Context, found []row) error {
	g := gone{at: &cursor{beginning, found[len(found)-1].key}}
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
			if _, err := tx.Exec(ctx, deletePartsAtSQL, keysOf(found)); err != nil {
				return fmt.Errorf("delete the parts of objects without a row: %w", err)
			}
		}
		return r.recordIn(ctx, tx, g)
	})
}

// checkOrphanShare refuses a sweep that would delete more than the policy's share of all objects: a
// database that lost its rows must not cost the objects, too.
func (r *run) checkOrphanShare(ctx context.Context) error {
	if r.dry || r.policy.MaxShare.Equal(decimal.NewFromInt(1)) {
		return nil
	}
	var total, without int64
	for _, name := range r.Stores.Names() {
		for after, last := "", false; !last; {
			p, err := r.list(ctx, name, after)
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
