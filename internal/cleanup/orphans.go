package cleanup

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"backoffice/internal/store"
)

// orphans is the target that is no table: objects in the stores that no row names. A row is written before
// its object and deleted after it, so an old object without one was left by a crash; the age of the policy
// is its time of grace.
const orphans = "orphans"

// How many objects are listed at once. A store of files reads a folder anew for every page, which with many
// pages is all it does; fifty thousand take some megabytes. But one that takes a while to answer, on a network
// disk, must come to the end of a page well before the attempt ends: so pages begin small, and grow as long
// as they are quick.
const (
	firstPage = 1_000
	listPage  = 50_000
	quickPage = time.Second
)

// Parts of a report that failed or was cancelled are not needed by it; temp_files names them until their
// time has come.
const listedSQL = `
select /* cleanup.sweepOrphans */ location
  from temp_files
 where location = any($1)`

// sweepOrphans deletes objects without a row from the stores that the process had which began the run: what is
// counted by one process and deleted by another must be the same. done says that all were looked at.
func (r *run) sweepOrphans(ctx context.Context) (done bool, err error) {
	for _, name := range r.stores {
		if !slices.Contains(r.Stores.Names(), name) {
			return false, fmt.Errorf("look for objects without a row: this process has no store %s:, which run %d goes through; give all worker processes the same --store", name, r.id)
		}
	}
	if r.capped() {
		if done, err := r.checkOrphanShare(ctx); err != nil || !done {
			return false, err
		}
	}
	return r.eachPage(ctx, r.removeOrphans)
}

// eachPage goes through the objects of the run's stores, from where the run has come to. look records how far it
// came, and says whether that is the end of the page. done says that all were looked at.
func (r *run) eachPage(ctx context.Context, look func(context.Context, page) (through bool, err error)) (done bool, err error) {
	looked, limit := false, firstPage
	for _, name := range r.stores {
		swept, after := r.sweptTo(name)
		for !swept {
			if looked && r.late() {
				return false, nil
			}
			looked = true
			begun := time.Now()
			p, err := r.list(ctx, name, after, limit)
			if err != nil {
				return false, err
			}
			if through, err := look(ctx, p); err != nil || !through {
				return false, err
			}
			if time.Since(begun) < quickPage {
				limit = min(2*limit, listPage)
			}
			swept, after = p.last, p.end
			if err := r.rest(ctx, begun); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// sweptTo tells where the run, which may have been interrupted, goes on in a store: the key of its cursor
// is the location it has come to.
func (r *run) sweptTo(name string) (swept bool, after string) {
	at, path, found := strings.Cut(r.at.key, ":")
	if !found {
		return false, ""
	}
	if at == name {
		return false, path
	}
	return slices.Index(r.stores, name) < slices.Index(r.stores, at), ""
}

// page is what one listing of a store found.
type page struct {
	store   string
	after   string // path of the object before the first
	objects int64
	orphans []row
	end     string // path of the last object
	last    bool   // no object comes after it
}

// next is the location from which the run goes on once it is through the page.
func (r *run) next(p page) *cursor {
	if after := slices.Index(r.stores, p.store) + 1; p.last && after < len(r.stores) {
		return &cursor{beginning, r.stores[after] + ":"}
	}
	return &cursor{beginning, p.store + ":" + p.end}
}

// list looks through the next objects of a store for old ones that no row names.
func (r *run) list(ctx context.Context, name, after string, limit int) (page, error) {
	objects, err := r.Stores.List(ctx, name, after, limit)
	if err != nil {
		return page{}, err
	}
	p := page{store: name, after: after, objects: int64(len(objects)), end: after, last: len(objects) < limit}
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

// removeOrphans deletes the orphans of a page in batches, until the time is up, and what processes left
// half-written between its objects. It records the location it has come to.
func (r *run) removeOrphans(ctx context.Context, p page) (through bool, err error) {
	if !r.dry {
		end := p.end
		if p.last {
			end = ""
		}
		if _, err := r.Stores.RemoveUnfinished(ctx, p.store, p.after, end, r.cutoff); err != nil {
			return false, err
		}
	}
	for some := range slices.Chunk(p.orphans, r.policy.BatchSize) {
		if all, err := r.removeSome(ctx, some); err != nil || !all {
			return false, err
		}
	}
	return true, r.Fence(ctx, func(tx pgx.Tx) error { return r.recordIn(ctx, tx, gone{at: r.next(p)}) })
}

// removeSome deletes the objects, one by one, and then what is left of the list of a failed report's parts.
// all says that the time was not up before the last.
func (r *run) removeSome(ctx context.Context, found []row) (all bool, err error) {
	var g gone
	looked := 0
	for _, object := range found {
		err := r.deleteLocations(ctx, object)
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case err != nil:
			g.fail(object, err)
		default:
			g.add(orphans, object)
		}
		if looked++; r.late() {
			break
		}
	}
	all, found = looked == len(found), found[:looked]
	g.at = &cursor{beginning, found[looked-1].key}
	return all, r.Fence(ctx, func(tx pgx.Tx) error {
		if !r.dry {
			if _, err := tx.Exec(ctx, deletePartsAtSQL, keysOf(found)); err != nil {
				return fmt.Errorf("delete the parts of objects without a row: %w", err)
			}
		}
		return r.recordIn(ctx, tx, g)
	})
}

const countOrphansSQL = `
update /* cleanup.checkOrphanShare */ cleanup_runs
   set counted = $2,
       counted_orphans = $3,
       cursor_key = $4
 where id = $1`

// checkOrphanShare refuses a sweep that would delete more than the policy's share of all objects: a
// database that lost its rows must not cost the objects, too. It counts page by page, as it deletes: millions
// of files take longer than one attempt may. done says that all are counted, and that so many may go.
func (r *run) checkOrphanShare(ctx context.Context) (done bool, err error) {
	done, err = r.eachPage(ctx, func(ctx context.Context, p page) (bool, error) {
		r.counted.objects += p.objects
		r.counted.orphans += int64(len(p.orphans))
		return true, r.Fence(ctx, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, countOrphansSQL, r.id, r.counted.objects, r.counted.orphans, r.next(p).key); err != nil {
				return fmt.Errorf("record what run %d has counted: %w", r.id, err)
			}
			return nil
		})
	})
	switch {
	case err != nil || !done:
		return false, err
	case r.counted.orphans > r.allowed(r.counted.objects):
		return false, r.refuse(r.counted.objects, "objects")
	}
	return true, r.pass(ctx)
}
