package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/postgres"
)

// Scope is something an API key allows.
type Scope string

// The scopes. None contains another.
const (
	ScopeEnqueue Scope = "enqueue" // place orders, enqueue jobs
	ScopeRead    Scope = "read"    // look at everything
	ScopeOperate Scope = "operate" // change what is there: cancel, retry, pause, resume
)

// Scopes are all there are.
func Scopes() []Scope { return []Scope{ScopeEnqueue, ScopeRead, ScopeOperate} }

// What callers that manage keys branch on. Each arrives wrapped in one sentence.
var (
	ErrKeyInvalid  = errors.New("invalid")
	ErrKeyExists   = errors.New("a key of that name exists")
	ErrKeyNotFound = errors.New("no such key")
)

// Key is a stored API key, of which only the digest is known.
type Key struct {
	ID        int64      `json:"id"`
	Name      string     `json:"name"`
	LastFour  string     `json:"last_four"` // characters of the key, to recognise it by
	Scopes    []string   `json:"scopes"`
	CreatedAt time.Time  `json:"created_at"`
	RevokedAt *time.Time `json:"revoked_at"` // null: in use
}

// keyPrefix makes a key recognisable to whoever finds it in a log or a repository.
const keyPrefix = "bo_"

const keyColumns = `id, name, last_four, scopes, created_at, revoked_at`

const insertKeySQL = `
insert /* api.CreateKey */ into api_keys (name, sha256, last_four, scopes)
values ($1, $2, $3, $4)
returning ` + keyColumns

// CreateKey makes a key of 256 random bits. The key is answered this once and stored nowhere.
// ErrKeyInvalid: the name or a scope is unusable; ErrKeyExists: a key of that name is in use.
func CreateKey(ctx context.Context, db postgres.DB, name string, scopes []Scope) (secret string, key Key, err error) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails; see crypto/rand
	secret = keyPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	key, err = insertKey(ctx, db, name, secret, scopes)
	if err != nil {
		return "", Key{}, err
	}
	return secret, key, nil
}

// keyName keeps names fit for a log, a table and a command line.
var keyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$`)

func insertKey(ctx context.Context, db postgres.DB, name, secret string, scopes []Scope) (Key, error) {
	if !keyName.MatchString(name) {
		return Key{}, refuse(ErrKeyInvalid, "name", "key name %.100q is unusable; take up to 100 letters, digits, dots, dashes and underscores", name)
	}
	if len(scopes) == 0 {
		return Key{}, refuse(ErrKeyInvalid, "scopes", "key %q has no scope; give at least one of %s", name, scopeList())
	}
	for _, scope := range scopes {
		if !slices.Contains(Scopes(), scope) {
			return Key{}, refuse(ErrKeyInvalid, "scopes", "scope %q is unknown; use %s", scope, scopeList())
		}
	}
	digest := sha256.Sum256([]byte(secret))
	rows, err := db.Query(ctx, insertKeySQL, name, digest[:], secret[len(secret)-4:], scopes)
	if err != nil {
		return Key{}, fmt.Errorf("create key %s: %w", name, err)
	}
	key, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Key])
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "23505" { // unique_violation
		return Key{}, refuse(ErrKeyExists, "name", "a key named %q is in use; revoke it first or choose another name", name)
	}
	if err != nil {
		return Key{}, fmt.Errorf("create key %s: %w", name, err)
	}
	return key, nil
}

func scopeList() string {
	var names []string
	for _, scope := range Scopes() {
		names = append(names, string(scope))
	}
	return strings.Join(names, ", ")
}

const listKeysSQL = `
select /* api.ListKeys */ ` + keyColumns + `
  from api_keys
 order by id`

// ListKeys answers every key, revoked ones too, the oldest first.
func ListKeys(ctx context.Context, db postgres.DB) ([]Key, error) {
	rows, err := db.Query(ctx, listKeysSQL)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Key])
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return keys, nil
}

const revokeKeySQL = `
update /* api.RevokeKey */ api_keys
   set revoked_at = now()
 where name = $1
   and revoked_at is null
returning ` + keyColumns

// RevokeKey ends the use of a key; a running API refuses it within keyFresh. ErrKeyNotFound: no key of
// that name is in use.
func RevokeKey(ctx context.Context, db postgres.DB, name string) (Key, error) {
	rows, err := db.Query(ctx, revokeKeySQL, name)
	if err != nil {
		return Key{}, fmt.Errorf("revoke key %s: %w", name, err)
	}
	key, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Key])
	if errors.Is(err, pgx.ErrNoRows) {
		return Key{}, refuse(ErrKeyNotFound, "name", "no key named %q is in use; see api-keys list", name)
	}
	if err != nil {
		return Key{}, fmt.Errorf("revoke key %s: %w", name, err)
	}
	return key, nil
}

const (
	bootstrapName = "bootstrap"
	minBootstrap  = 32
)

// One process after another: several replicas start with the same key at once.
const lockBootstrapSQL = `select /* api.Bootstrap */ pg_advisory_xact_lock(hashtextextended('backoffice api bootstrap', 0))`

const isBootstrapSQL = `
select /* api.Bootstrap */ exists (
         select
           from api_keys
          where sha256 = $1
            and revoked_at is null)`

const retireBootstrapSQL = `
update /* api.Bootstrap */ api_keys
   set revoked_at = now()
 where name = $1
   and revoked_at is null`

// Bootstrap puts the given key, from the environment of a container, in use with every scope, under the name
// bootstrap; another key of that name is revoked. One that is in use already, under whatever name, keeps the
// scopes it has. ErrKeyInvalid: it is too short to
// be safe, was revoked, or is no plain text.
func Bootstrap(ctx context.Context, pool *pgxpool.Pool, secret string) error {
	if err := CheckBootstrap(secret); err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(secret))
	return postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockBootstrapSQL); err != nil {
			return fmt.Errorf("bootstrap key: %w", err)
		}
		var stored bool
		if err := tx.QueryRow(ctx, isBootstrapSQL, digest[:]).Scan(&stored); err != nil || stored {
			return err
		}
		if _, err := tx.Exec(ctx, retireBootstrapSQL, bootstrapName); err != nil {
			return fmt.Errorf("bootstrap key: %w", err)
		}
		_, err := insertKey(ctx, tx, bootstrapName, secret, Scopes())
		if errors.Is(err, ErrKeyExists) {
			return refuse(ErrKeyInvalid, "", "the API key that the api was given was revoked; give it another")
		}
		return err
	})
}

// CheckBootstrap answers the ErrKeyInvalid of a key that Bootstrap would refuse whatever the database holds.
func CheckBootstrap(secret string) error {
	plain := !strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' })
	if len(secret) < minBootstrap || len(secret) > 1000 || !plain {
		return refuse(ErrKeyInvalid, "", "the API key that the api was given is not from %d to 1000 characters of ASCII without spaces; make one with: openssl rand -hex 32", minBootstrap)
	}
	return nil
}
