package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// tokenKey carries an attempt's token through River's metadata updates, from the middleware that sees
// the attempt to the pilot that writes its outcome. The pilot takes it out: it never reaches the table.
const tokenKey = "backoffice:attempt"

// token says which attempt an outcome belongs to, and whether it is written already.
type token struct {
	At    time.Time          // attempted_at
	Ended rivertype.JobState // the final state that a fenced transaction has committed, if any
}

// MarshalText writes microseconds, as exact as Postgres is, and the state.
func (t *token) MarshalText() ([]byte, error) {
	return append(append(strconv.AppendInt(nil, t.At.UnixMicro(), 10), ' '), t.Ended...), nil
}

// UnmarshalText reads what MarshalText has written.
func (t *token) UnmarshalText(text []byte) error {
	at, ended, _ := strings.Cut(string(text), " ")
	micros, err := strconv.ParseInt(at, 10, 64)
	t.At, t.Ended = time.UnixMicro(micros), rivertype.JobState(ended)
	return err
}

type tokenCtxKey struct{}

// attemptToken marks each attempt's outcome with the attempt it belongs to. A map from job to attempt
// would not do: one process may hold two attempts of a job at once.
type attemptToken struct{ river.MiddlewareDefaults }

func (*attemptToken) Work(ctx context.Context, job *rivertype.JobRow, work func(context.Context) error) error {
	mark := &token{}
	if job.AttemptedAt != nil {
		mark.At = *job.AttemptedAt
	}
	if err := river.MetadataSet(ctx, tokenKey, mark); err != nil {
		return fmt.Errorf("mark attempt %d of job %d: %w", job.Attempt, job.ID, err)
	}
	return work(context.WithValue(ctx, tokenCtxKey{}, mark))
}

// tokenOnly begins metadata updates that hold nothing but the token.
const tokenOnly = `{"` + tokenKey + `":"`

// takeToken splits metadata updates into the attempt's token, zero if there is none, and the rest.
func takeToken(updates []byte) (token, []byte, error) {
	var mark token
	if len(updates) == 0 {
		return mark, nil, nil
	}
	if text, ok := strings.CutPrefix(string(updates), tokenOnly); ok {
		if text, ok = strings.CutSuffix(text, `"}`); ok && !strings.Contains(text, `"`) {
			return mark, nil, mark.UnmarshalText([]byte(text))
		}
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(updates, &fields); err != nil {
		return mark, nil, err
	}
	encoded, marked := fields[tokenKey]
	if !marked {
		return mark, updates, nil
	}
	if err := json.Unmarshal(encoded, &mark); err != nil {
		return mark, nil, err
	}
	delete(fields, tokenKey)
	if len(fields) == 0 {
		return mark, nil, nil
	}
	rest, err := json.Marshal(fields)
	return mark, rest, err
}
