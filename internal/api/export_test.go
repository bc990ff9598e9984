package api

import (
	"context"
	"log/slog"
)

// StatusOf is the status that the table gives an error.
func StatusOf(ctx context.Context, err error) int {
	a := &API{Config: Config{Log: slog.New(slog.DiscardHandler)}}
	return asModel(a.problemOf(ctx, err)).Status
}

// HoldBodies takes n bytes of what all bodies together may have.
func (a *API) HoldBodies(n int64) bool { return a.bodies.TryAcquire(n) }

// MaxBodies is what all bodies together may have.
const MaxBodies = maxBodies

// Placing is how many committers are at work, and how many orders wait for one.
func (a *API) Placing() (committing, waiting int) {
	a.placings.mu.Lock()
	defer a.placings.mu.Unlock()
	return a.placings.committing, len(a.placings.waiting)
}

// HoldDownloads takes all places of downloads.
func (a *API) HoldDownloads() bool { return a.downloads.TryAcquire(maxDownloads) }

// ReleaseDownloads gives them back.
func (a *API) ReleaseDownloads() { a.downloads.Release(maxDownloads) }
