package cleanup_test

import (
	"testing"
	"time"

	"backoffice/internal/cleanup"
)

// Postgres knows longer ages than Go, and the table longer ones than instants allow.
func TestAnAgeOfTwoThousandYearsKeepsAll(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, location := s.tempFile("postgres", 365*200)
	s.dryRun("artifacts")
	s.exec(`update retention_policies set age = '2000 years' where name = 'temp-files'`)
	if _, err := s.pool.Exec(t.Context(), `update retention_policies set age = '10000 years' where name = 'artifacts'`); err == nil {
		t.Error("an age was taken that leads before the first instant of Postgres")
	}
	p, err := cleanup.GetPolicy(t.Context(), s.pool, "temp-files")
	if err != nil || p.Age < 280*365*24*time.Hour {
		t.Errorf("the age is %s, %v", p.Age, err)
	}
	if run := s.clean("temp-files"); run.Rows != 0 || !s.has(location) {
		t.Errorf("the run says %+v", run)
	}
}
