package bench

import (
	"context"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"backoffice/internal/pgtest"
)

func TestTallyCountsStatementsAndPassesThemOn(t *testing.T) {
	t.Parallel()
	tally, err := startTally(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), tally.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	before := tally.statements.Load()
	var sum int
	if err := conn.QueryRow(t.Context(), "select $1::integer + 1", 41).Scan(&sum); err != nil || sum != 42 {
		t.Fatalf("through the tally: %d, %v", sum, err)
	}
	batch := &pgx.Batch{}
	batch.Queue("select 1")
	batch.Queue("select 2")
	if err := conn.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "select 3", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	if counted := tally.statements.Load() - before; counted != 4 {
		t.Errorf("counted %d statements, want 4", counted)
	}
	if err := tally.close(); err != nil {
		t.Error(err)
	}
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("the connection outlives the tally")
	}
}

func TestAProcessIsMeasured(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("needs /proc")
	}
	if used, err := cpuTime(os.Getpid()); err != nil || used < 0 {
		t.Errorf("CPU time %s, %v", used, err)
	}
	if resident, err := residentBytes(os.Getpid()); err != nil || resident < 1<<20 {
		t.Errorf("%d bytes resident, %v", resident, err)
	}
}
