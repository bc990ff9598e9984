package api

import (
	"context"
	"errors"
)

// Why Config.Ready may say that the service is not ready. Each is the whole of what strangers are told:
// the driver's own words name the database, its user and where it is.
var (
	ErrStopping = errors.New("the service is stopping")
	ErrSchema   = errors.New("the database's schema is not that of this program; run backoffice migrate up, or the newer program")
	ErrReadOnly = errors.New("the database takes no writes")

	errUnreachable = errors.New("the database does not answer")
)

// ready asks Config.Ready, logs why not, and answers one constant sentence.
func (a *API) ready(ctx context.Context) error {
	err := a.Ready(ctx)
	if err == nil {
		return nil
	}
	a.Log.WarnContext(ctx, "not ready", "error", err)
	for _, cause := range []error{ErrStopping, ErrSchema, ErrReadOnly} {
		if errors.Is(err, cause) {
			return cause
		}
	}
	return errUnreachable
}
