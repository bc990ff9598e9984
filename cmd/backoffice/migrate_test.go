package main

import (
	"strings"
	"testing"

	"backoffice/internal/pgtest"
	"backoffice/migrations"
)

func TestMigrateUpAppliesWhatIsMissingOnce(t *testing.T) {
	t.Parallel()
	s := shop{t: t, url: pgtest.EmptyURL(t)}
	var before, after []migrations.Step
	s.json(&before, "migrate", "status")
	contains(t, s.text("migrate", "status"), "STEP", "001_orders", "not yet")

	first := s.text("migrate", "up")
	contains(t, first, "applied 001_orders\n", "steps applied; views rebuilt\n")
	if applied := strings.Count(first, "applied "); applied < len(before) {
		t.Errorf("%d steps applied, want %d", applied, len(before))
	}
	if second := s.text("migrate", "up"); second != "schema is up to date; views rebuilt\n" {
		t.Errorf("second migrate up printed %q", second)
	}
	var again struct{ Applied []string }
	s.json(&again, "migrate", "up")
	if again.Applied == nil || len(again.Applied) != 0 {
		t.Errorf("applied = %v, want []", again.Applied)
	}
	s.json(&after, "migrate", "status")
	for _, step := range after {
		if step.AppliedAt == nil {
			t.Errorf("step %s is not applied", step.Name)
		}
	}
	s.text("orders", "list")
}
