package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// RunningURL answers the URL of the server that a living program holds on dir, and whether there is
// one that takes connections. A server of another user is not found.
func RunningURL(dir string) (url string, ok bool) {
	h, held := runningHolder(dir)
	if !held || h.URL == "" {
		return "", false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, h.URL)
	if err != nil {
		return "", false
	}
	conn.Close(ctx)
	return h.URL, true
}
