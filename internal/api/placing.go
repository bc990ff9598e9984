package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/order"
	"backoffice/internal/postgres"
)

// placings lets orders that arrive at the same time share a transaction: its round trips and its commit
// cost the same for one as for fifty. Nobody waits for company: an order that finds a committer free goes
// at once, and those that come while all are busy go together when one becomes free.
type placings struct {
	mu         sync.Mutex
	waiting    []*placing
	committing int
}

const (
	mostCommitters = 2    // more of them make smaller groups, and cost the server more than they gain
	mostTogether   = 100  // orders of one transaction
	mostLines      = 2000 // of one transaction, but for a single order that has more
)

// placing is one request for one order.
type placing struct {
	*claim
	ctx   context.Context // of the request
	draft order.Draft

	err  error         // what spoilt the transaction
	done chan struct{} // closed once the claim is settled or err is there
}

// errAlone tells a request that its transaction was rolled back, by the fault of any of those that shared it:
// it is to be tried once more, without the others and with more time.
var errAlone = errors.New("to be placed alone")

// place stores one order with its job. An order that is refused costs those it shared a transaction with
// a second try, and nothing else.
func (a *API) place(ctx context.Context, key string, draft order.Draft) (*created, error) {
	if err := order.Check(draft); err != nil {
		return nil, inside("body.", err)
	}
	p := &placing{claim: claimOf(ctx, key), ctx: ctx, draft: draft, done: make(chan struct{})}
	a.placings.add(p, a.commitPlacings)
	select {
	case <-p.done:
	case <-ctx.Done(): // whether it is carried out is not known here; with a key, repeating the request tells
		return nil, ctx.Err()
	}
	if errors.Is(p.err, errAlone) {
		return a.once(ctx, placeRoute, key, func(tx pgx.Tx) (outcome, error) {
			placed, err := order.Place(ctx, tx, a.Jobs, draft)
			if err != nil {
				return outcome{}, inside("body.", err)
			}
			return placedOutcome(placed[0]), nil
		})
	}
	if err := cmp.Or(p.err, p.refused); err != nil {
		return nil, err
	}
	return p.answer, nil
}

func placedOutcome(o order.Order) outcome {
	return outcome{http.StatusAccepted, orderPath(o.ID), o}
}

// add has an order wait, and starts a committer unless enough are at work.
func (p *placings) add(one *placing, commit func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, one)
	if p.committing < mostCommitters {
		p.committing++
		go commit()
	}
}

// next takes those that share the next transaction. With none, the committer has ended.
func (p *placings) next() []*placing {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, lines := 0, 0
	for ; n < min(len(p.waiting), mostTogether); n++ {
		if lines += len(p.waiting[n].draft.Lines); n > 0 && lines > mostLines {
			break
		}
	}
	if n == 0 {
		p.committing--
		return nil
	}
	members := slices.Clone(p.waiting[:n])
	p.waiting = slices.Delete(p.waiting, 0, n)
	return members
}

// commitPlacings places what waits until nothing does.
func (a *API) commitPlacings() {
	for members := a.placings.next(); len(members) > 0; members = a.placings.next() {
		err := a.placeTogether(members)
		for _, p := range members {
			p.err = err
			close(p.done)
		}
	}
}

// placeTogether places the orders of the members in one transaction and settles their claims. Only an
// error that came before the commit lets them be tried again: after it, they may be stored.
func (a *API) placeTogether(members []*placing) (failed error) {
	ctx, stop := whileAnyWaits(members)
	defer stop()
	defer func() {
		if caught := recover(); caught != nil {
			a.Log.ErrorContext(ctx, "shared transaction panicked", "panic", fmt.Sprint(caught), "stack", string(debug.Stack()))
			failed = errAlone
		}
	}()
	// Whoever else places the same numbers at this moment waits for us or we for them, not both.
	slices.SortStableFunc(members, func(a, b *placing) int { return strings.Compare(a.draft.Number, b.draft.Number) })
	var refused error
	err := postgres.InTxBegunBy(ctx, a.Pool, beginShared, func(tx pgx.Tx) error {
		refused = a.placeInTx(ctx, tx, members)
		return refused
	})
	switch {
	case refused == nil || err == nil:
		return err
	case len(members) > 1, locked(err):
		return errAlone
	}
	return inside("body.", err)
}

func (a *API) placeInTx(ctx context.Context, tx pgx.Tx, members []*placing) error {
	claims := make([]*claim, len(members))
	drafts := make(map[*claim]order.Draft, len(members))
	for i, p := range members {
		claims[i], drafts[p.claim] = p.claim, p.draft
	}
	open, err := findAnswers(ctx, tx, placeRoute, claims)
	if err != nil || len(open) == 0 {
		return err
	}
	fresh := make([]order.Draft, len(open))
	for i, c := range open {
		fresh[i] = drafts[c]
	}
	placed, err := order.Place(ctx, tx, a.Jobs, fresh...)
	if err != nil {
		return err
	}
	for i, c := range open {
		if c.answer, err = placedOutcome(placed[i]).encoded(); err != nil {
			return err
		}
	}
	if err := keepAnswers(ctx, tx, placeRoute, open); err != nil {
		return err
	}
	// What would refuse one of them in the commit refuses it here, and costs the others a second try alone.
	_, err = tx.Exec(ctx, "set /* api.place */ constraints all immediate")
	return err
}

// whileAnyWaits answers a context that ends when every member has left or run out of time.
func whileAnyWaits(members []*placing) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(members[0].ctx))
	var waiting atomic.Int64
	waiting.Store(int64(len(members)))
	stops := make([]func() bool, len(members))
	for i, p := range members {
		stops[i] = context.AfterFunc(p.ctx, func() {
			if waiting.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}
