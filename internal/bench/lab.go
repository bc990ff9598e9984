package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"backoffice/internal/postgres"
	"backoffice/migrations"
)

// Options say what is run and where.
type Options struct {
	Settings

	DatabaseURL string       // any database of the server to measure on; "": an embedded server, thrown away after
	BinDir      string       // of the embedded server's programs and of psql; "": the usual places
	Program     string       // path of the program itself, for child processes
	Environment []string     // of the child processes; DATABASE_URL is added
	Version     string       // of the program, for the header
	Keep        bool         // leave the databases of the runs, and the embedded server's directory, where they are
	Progress    func(string) // is told what happens; nil: nobody is
}

// Lab is where scenarios make templates and start the program. Each run gets a database of its own.
type Lab struct {
	Settings Settings

	options   Options
	server    *postgres.Server // nil: somebody else's
	admin     *pgxpool.Pool    // on a database that no run uses
	adminURL  string
	prefix    string // of the names of all databases of this lab
	dir       string // for files; removed with the lab
	serial    int
	templates map[string]Template
	databases []string // those that exist now
}

// openLab starts a server, or connects to the given one, and refuses one that would not survive a crash.
func openLab(ctx context.Context, opts Options) (*Lab, error) {
	l := &Lab{
		Settings: opts.Settings, options: opts, adminURL: opts.DatabaseURL,
		prefix:    "backoffice_bench_" + strings.ToLower(rand.Text()[:8]) + "_",
		templates: map[string]Template{},
	}
	if err := l.open(ctx); err != nil {
		return nil, errors.Join(err, l.close(ctx))
	}
	return l, nil
}

func (l *Lab) open(ctx context.Context) (err error) {
	if l.dir, err = os.MkdirTemp("", "backoffice-bench-"); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	if l.adminURL == "" {
		if err := l.startServer(ctx); err != nil {
			return err
		}
	}
	if l.admin, err = postgres.Connect(ctx, l.adminURL, postgres.Options{ApplicationName: "backoffice bench", MaxConns: 2}); err != nil {
		return err
	}
	return checkDurable(ctx, l.admin)
}

// startServer runs a server in the lab's directory, with the settings that `dev` gives its own.
func (l *Lab) startServer(ctx context.Context) (err error) {
	if err := os.Chmod(l.dir, 0o711); err != nil { // started by root, the server's account is another
		return fmt.Errorf("open the directory to the server: %w", err)
	}
	l.progress("starting a Postgres in %s", l.dir)
	l.server, err = postgres.StartServer(ctx, postgres.ServerOptions{Dir: l.dir + "/postgres", BinDir: l.options.BinDir, Durable: true})
	if err != nil {
		return err
	}
	l.adminURL = l.server.URL(postgres.Database)
	return nil
}

// closeLimit bounds each thing that an interrupted bench still does.
const closeLimit = 30 * time.Second

// outliving answers a context that goes on for closeLimit after ctx has ended.
func outliving(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(closeLimit, cancel) })
	return longer, func() { stop(); cancel() }
}

// close drops the databases, stops the embedded server and removes the files, also after an interrupt.
func (l *Lab) close(ctx context.Context) error {
	var failed error
	if l.admin != nil {
		if l.server == nil && !l.options.Keep { // an embedded server goes as a whole
			for _, name := range l.databases {
				failed = errors.Join(failed, l.dropDatabase(ctx, name))
			}
		}
		l.admin.Close()
	}
	if l.server != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
		defer cancel()
		failed = errors.Join(failed, l.server.Stop(ctx))
	}
	switch {
	case l.dir == "":
	case l.options.Keep:
		l.progress("kept: %s, databases %s", l.dir, strings.Join(l.databases, ", "))
	default:
		failed = errors.Join(failed, os.RemoveAll(l.dir))
	}
	return failed
}

func (l *Lab) progress(format string, args ...any) {
	if l.options.Progress != nil {
		l.options.Progress(fmt.Sprintf(format, args...))
	}
}

// Dir is a directory for files that a scenario prepares; it ends with the lab.
func (l *Lab) Dir() string { return l.dir }

// emptyTemplate is migrated and holds nothing else.
const emptyTemplate = "empty"

// Template makes a template of this name: migrated, then filled by fill, then vacuumed and analysed.
// Asked again for the same name, also by another scenario, it answers the one it has.
func (l *Lab) Template(ctx context.Context, name string, fill func(ctx context.Context, db *Database) error) (Template, error) {
	if made, ok := l.templates[name]; ok {
		return made, nil
	}
	var from Template // of which the new one is a copy
	if name != emptyTemplate {
		var err error
		if from, err = l.empty(ctx); err != nil {
			return Template{}, err
		}
	}
	l.progress("preparing %s", name)
	db, err := l.create(ctx, "template_"+identifier(name), from)
	if err != nil {
		return Template{}, fmt.Errorf("prepare %s: %w", name, err)
	}
	err = fill(ctx, db)
	if err == nil {
		_, err = db.Pool.Exec(ctx, "vacuum /* bench.Template */ analyze")
	}
	db.Pool.Close() // nobody may be connected to what is cloned
	if err != nil {
		return Template{}, fmt.Errorf("prepare %s: %w", name, err)
	}
	l.templates[name] = Template{name: db.Name}
	return l.templates[name], nil
}

func (l *Lab) empty(ctx context.Context) (Template, error) {
	return l.Template(ctx, emptyTemplate, func(ctx context.Context, db *Database) error { return migrations.Up(ctx, db.Pool, nil) })
}

// clone makes the database of one run, with everything before it on disk.
func (l *Lab) clone(ctx context.Context, name string, from Template) (*Database, error) {
	if from == (Template{}) {
		var err error
		if from, err = l.empty(ctx); err != nil {
			return nil, err
		}
	}
	db, err := l.create(ctx, identifier(name), from)
	if err != nil {
		return nil, fmt.Errorf("make the database of %s: %w", name, err)
	}
	return db, l.checkpoint(ctx)
}

// sparePool is how many connections a run's pool has beside those of a floor.
const sparePool = 4

// create copies the files of a template, which costs no WAL, and connects. The zero Template is template0.
func (l *Lab) create(ctx context.Context, name string, from Template) (*Database, error) {
	l.serial++
	name = fmt.Sprintf("%s%d_%s", l.prefix, l.serial, name)
	name = name[:min(len(name), 63)]
	template := from.name
	if template == "" {
		template = "template0"
	}
	l.databases = append(l.databases, name) // before it is made: an interrupt may come in between
	_, err := l.admin.Exec(ctx, fmt.Sprintf("create /* bench.create */ database %s template %s strategy file_copy",
		pgx.Identifier{name}.Sanitize(), pgx.Identifier{template}.Sanitize()))
	if err != nil {
		return nil, explainRefusal(err)
	}
	url, err := withDatabase(l.adminURL, name)
	if err != nil {
		return nil, err
	}
	pool, err := postgres.Connect(ctx, url, postgres.Options{ApplicationName: "backoffice bench", MaxConns: int32(l.Settings.MostConnections() + sparePool)})
	if err != nil {
		return nil, err
	}
	return &Database{Name: name, URL: url, Pool: pool}, nil
}

// explainRefusal says what the role of a given server lacks.
func explainRefusal(err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "42501" {
		return fmt.Errorf("the role of --database-url must be allowed to create databases (alter role ... createdb): %w", err)
	}
	return err
}

// discard ends a run's database.
func (l *Lab) discard(ctx context.Context, db *Database) error {
	db.Pool.Close()
	if l.options.Keep {
		return nil
	}
	return l.dropDatabase(ctx, db.Name)
}

// dropDatabase drops also after an interrupt. Where the disk is slow to forget gigabytes it takes a while.
func (l *Lab) dropDatabase(ctx context.Context, name string) error {
	ctx, cancel := outliving(ctx)
	defer cancel()
	if _, err := l.admin.Exec(ctx, fmt.Sprintf("drop /* bench.drop */ database if exists %s with (force)", pgx.Identifier{name}.Sanitize())); err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	kept := l.databases[:0:0]
	for _, other := range l.databases {
		if other != name {
			kept = append(kept, other)
		}
	}
	l.databases = kept
	return nil
}

// checkpoint has the next run begin without the writes of what came before. A role that may not ask for
// it goes without: the copy of the template was preceded and followed by a checkpoint of its own.
func (l *Lab) checkpoint(ctx context.Context) error {
	_, err := l.admin.Exec(ctx, "checkpoint /* bench */")
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "42501" {
		return nil
	}
	return err
}

// Backoffice prepares the program itself as a child process on the run's database. When ctx ends it is
// asked to stop, and killed if it does not. The caller sets Stdout and Stderr.
func (l *Lab) Backoffice(ctx context.Context, db *Database, args ...string) *exec.Cmd {
	program := exec.CommandContext(ctx, l.options.Program, args...)
	program.Env = append(append([]string{}, l.options.Environment...), "DATABASE_URL="+db.URL)
	program.Cancel = func() error { return program.Process.Signal(syscall.SIGTERM) }
	program.WaitDelay = closeLimit / 2
	return program
}

// withDatabase names another database of the same server.
func withDatabase(given, name string) (string, error) {
	u, err := url.Parse(given)
	if err != nil || u.Scheme == "" {
		return "", errors.New("--database-url must look like postgres://user:password@host:5432/database")
	}
	u.Path = "/" + name
	return u.String(), nil
}

// identifier makes a name of Postgres out of one for people.
func identifier(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(name))
}
