package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/urfave/cli/v2"

	"backoffice/internal/report"
	"backoffice/internal/store"
)

func overwriteFlag() cli.Flag {
	return &cli.BoolFlag{Name: "overwrite", EnvVars: []string{"BACKOFFICE_OVERWRITE"}, Usage: "put it in the place of a file that exists"}
}

func reportsDownloadCommand() *cli.Command {
	return &cli.Command{
		Name:      "download",
		Usage:     "write a completed report to a file",
		ArgsUsage: "ID",
		Description: `The file is complete or absent: it appears once its length and sha256 were found right.

  backoffice reports download 41                  into the current folder, under the report's own name
  backoffice reports download 41 --out may.pdf
  backoffice reports download 41 --out - | head`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", EnvVars: []string{"BACKOFFICE_REPORT_OUT"}, DefaultText: "the report's own name",
				Usage: "`FILE` to write, or - for standard output"},
			overwriteFlag(),
			storeFlag(),
		},
		Action: func(c *cli.Context) error {
			return withReport(c, func(pool *pgxpool.Pool, id int64) error {
				stores, err := readStores(c, pool)
				if err != nil {
					return err
				}
				defer stores.Close() //nolint:errcheck // it was only read
				return saveReport(c, pool, stores, id, c.String("out"))
			})
		},
	}
}

// downloaded is what the command prints of a file it wrote.
type downloaded struct {
	ReportID int64  `json:"report_id"`
	File     string `json:"file"`
	Rows     int64  `json:"rows"`
	Bytes    int64  `json:"bytes"`
	SHA256   string `json:"sha256"`
}

// saveReport writes the report's artifact to a file, by its own name if out is empty, or to standard output
// for -.
func saveReport(c *cli.Context, pool *pgxpool.Pool, stores *store.Stores, id int64, out string) (err error) {
	content, manifest, err := report.Open(c.Context, pool, stores, id, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	if out == "-" {
		return checkedCopy(c, id, c.App.Writer, content, manifest)
	}
	if out == "" {
		out = manifest.FileName
	}
	if err := checkFree(out, c.Bool("overwrite")); err != nil {
		return err
	}
	if err := saveFile(out, func(file io.Writer) error { return checkedCopy(c, id, file, content, manifest) }); err != nil {
		return err
	}
	if wantsJSON(c) {
		return printJSON(c, downloaded{id, out, manifest.Rows, manifest.Bytes, manifest.SHA256})
	}
	return printf(c, "%s: %s, %s, sha256 %s\n", out, rowsOf(manifest.Rows), bytesOf(manifest.Bytes), manifest.SHA256)
}

// checkedCopy copies an artifact and compares what it copied with the manifest.
func checkedCopy(c *cli.Context, id int64, to io.Writer, content io.Reader, m report.Manifest) error {
	shown := newProgress(c.App.ErrWriter)
	defer shown.done()
	digest := sha256.New()
	counted := &countedReader{ctx: c.Context, from: io.TeeReader(content, digest), report: func(read int64) {
		shown.show(func() string {
			return fmt.Sprintf("%3.0f%% of %s", 100*float64(read)/float64(max(m.Bytes, 1)), bytesOf(m.Bytes))
		})
	}}
	if _, err := io.Copy(to, counted); err != nil {
		return fmt.Errorf("download report %d: %w", id, err)
	}
	if sum := hex.EncodeToString(digest.Sum(nil)); counted.read != m.Bytes || sum != m.SHA256 {
		return fmt.Errorf("report %d is damaged in its store: %d bytes with sha256 %s were read, its manifest says %d bytes with %s; ask for it again with --force",
			id, counted.read, sum, m.Bytes, m.SHA256)
	}
	return nil
}

// countedReader tells how much was read, and ends with its context.
type countedReader struct {
	ctx    context.Context
	from   io.Reader
	read   int64
	report func(read int64)
}

func (r *countedReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.from.Read(p)
	r.read += int64(n)
	r.report(r.read)
	return n, err
}

// saveFile makes a file appear with all that write writes, or not at all. A symbolic link stays one: what it leads to
// is replaced.
func saveFile(path string, write func(io.Writer) error) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	part := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text()[:8]+".part")
	file, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part))
		}
	}()
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err = os.Rename(part, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
