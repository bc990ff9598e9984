package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/verify"
)

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name:  "verify",
		Usage: "recompute every rule from the tables and name what breaks one",
		Description: `Orders, effects, stock, ledger, timetable, jobs, reports, holds and stored objects, on one
snapshot of the database, while workers go on; then every artifact, byte by byte.
Exit code 1 if anything breaks a rule.

It reads whole tables, seconds per million orders, and vacuum waits for it: made for
after an incident, a restore or a test, not for a dashboard. Whether a product was
tracked when an order was processed cannot be told: an order that took none of it passes.

  backoffice verify
  backoffice verify --output json`,
		Flags: []cli.Flag{storeFlag()},
		Action: func(c *cli.Context) error {
			return withPool(c, func(pool *pgxpool.Pool) error { return runVerify(c, pool) })
		},
	}
}

func runVerify(c *cli.Context, pool *pgxpool.Pool) error {
	progress := newVerifyProgress(c.App.ErrWriter)
	results, err := verifyAll(c, pool, progress)
	progress.clear()
	if err != nil {
		return err
	}
	if wantsJSON(c) {
		err = printVerifiedJSON(c, results)
	} else {
		err = printVerified(c, results)
	}
	if err != nil {
		return err
	}
	return verdict(results)
}

// verifyAll makes the checks of the tables and then that of the artifacts' bytes.
func verifyAll(c *cli.Context, pool *pgxpool.Pool, progress *verifyProgress) (results []verify.Result, err error) {
	stores, err := readStores(c, pool)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stores.Close()) }()
	if results, err = verify.Run(c.Context, pool, progress.done); err != nil {
		return nil, err
	}
	read, err := verify.Artifacts(c.Context, pool, stores, progress.read)
	return append(results, read), err
}

// verdict is nil when no check has found an offender, else the sentence that says which have.
func verdict(results []verify.Result) error {
	var offenders int64
	var broken []string
	for _, r := range results {
		if r.Offenders > 0 {
			offenders += r.Offenders
			broken = append(broken, r.Check.Name)
		}
	}
	if len(broken) == 0 {
		return nil
	}
	return fmt.Errorf("verify found %s in %d of %d checks: %s",
		count(int(offenders), "offender"), len(broken), len(results), strings.Join(broken, ", "))
}

// printVerified prints a line per check and then what broke its rule.
func printVerified(c *cli.Context, results []verify.Result) error {
	t := newTable("CHECK", ">LOOKED_AT", "", ">OFFENDERS", ">TOOK")
	var took time.Duration
	for _, r := range results {
		t.add(r.Check.Name, thousands(r.LookedAt), plural(r.LookedAt, r.Check.Of), thousands(r.Offenders), seconds(r.Took))
		took += r.Took
	}
	if err := t.print(c.App.Writer, "", "no checks"); err != nil {
		return err
	}
	for _, r := range results {
		if err := printOffenders(c, r); err != nil {
			return err
		}
	}
	if verdict(results) != nil {
		return nil // the sentence on stderr says it
	}
	return printf(c, "\nall %d checks hold; took %s\n", len(results), seconds(took))
}

// printOffenders prints the rule that is broken and who breaks it.
func printOffenders(c *cli.Context, r verify.Result) error {
	if r.Offenders == 0 {
		return nil
	}
	if err := printf(c, "\n%s: %s\n", r.Check.Name, r.Check.What); err != nil {
		return err
	}
	for _, o := range r.Shown {
		if err := printf(c, "  %s %s %s\n", r.Check.Of, oneLine(o.Key), oneLine(o.Wrong)); err != nil {
			return err
		}
	}
	if more := r.Offenders - int64(len(r.Shown)); more > 0 {
		return printf(c, "  and %s more\n", thousands(more))
	}
	return nil
}

// verifiedCheck is a result as JSON has it.
type verifiedCheck struct {
	Check     string            `json:"check"`
	What      string            `json:"what"`
	Of        string            `json:"of"`
	LookedAt  int64             `json:"looked_at"`
	Offenders int64             `json:"offenders"`
	TookMs    int64             `json:"took_ms"`
	Shown     []verify.Offender `json:"shown"` // the first offenders by key
}

func printVerifiedJSON(c *cli.Context, results []verify.Result) error {
	checks := make([]verifiedCheck, len(results))
	for i, r := range results {
		checks[i] = verifiedCheck{
			Check: r.Check.Name, What: r.Check.What, Of: r.Check.Of,
			LookedAt: r.LookedAt, Offenders: r.Offenders, TookMs: r.Took.Milliseconds(),
			Shown: append([]verify.Offender{}, r.Shown...),
		}
	}
	return printJSON(c, checks)
}

// verifyProgress shows on a terminal which check runs.
type verifyProgress struct {
	w      io.Writer // nil: not a terminal, shows nothing
	checks []verify.Check
	made   int

	bytes, shown int64 // of artifacts
}

func newVerifyProgress(w io.Writer) *verifyProgress {
	p := &verifyProgress{checks: append(verify.Checks(), verify.ArtifactCheck)}
	if isTerminal(w) {
		p.w = w
	}
	p.show()
	return p
}

func (p *verifyProgress) done(verify.Result) {
	p.made++
	p.show()
}

// read counts the bytes of artifacts and shows them now and then.
func (p *verifyProgress) read(bytes int64) {
	const every = 64 << 20
	if p.bytes += bytes; p.w != nil && p.bytes-p.shown >= every {
		p.shown = p.bytes
		p.show()
		fmt.Fprintf(p.w, ", %d MB read", p.bytes>>20)
	}
}

func (p *verifyProgress) show() {
	if p.w != nil && p.made < len(p.checks) {
		fmt.Fprintf(p.w, "\r\x1b[Kcheck %d of %d: %s", p.made+1, len(p.checks), p.checks[p.made].Name)
	}
}

// clear leaves the terminal as it was found.
func (p *verifyProgress) clear() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// plural is the noun for n things.
func plural(n int64, noun string) string {
	if stem, ok := strings.CutSuffix(noun, "y"); ok && n != 1 {
		return stem + "ies"
	}
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// seconds writes a time that somebody waited.
func seconds(d time.Duration) string {
	return fmt.Sprintf("%.2fs", d.Seconds())
}
