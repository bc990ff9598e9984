package verify_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"backoffice/internal/verify"
)

// One shop serves all cases: each breaks it in a transaction of its own that is rolled back.
func TestBrokenRuleIsFoundAndNothingElse(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.furnish()
	names := s.names()
	complained := map[string]bool{}
	for _, tc := range breakages {
		t.Run(tc.name, func(t *testing.T) {
			got := s.found(names.Replace(tc.sql))
			want := make([]string, len(tc.want))
			for i, line := range tc.want {
				want[i] = names.Replace(line)
				name, _, _ := strings.Cut(line, ":")
				complained[name] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("offenders (-want +got):\n%s", diff)
			}
		})
	}
	for _, check := range verify.Checks() {
		if !complained[check.Name] {
			t.Errorf("no case makes check %s complain", check.Name)
		}
	}
}

// found breaks the shop, without triggers and foreign keys, and answers what all checks find.
func (s *shop) found(sql string) []string {
	s.t.Helper()
	ctx := s.t.Context()
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(ctx, `set local session_replication_role = replica;`+sql); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
	results, err := verify.RunIn(ctx, tx, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return offenders(results)
}
