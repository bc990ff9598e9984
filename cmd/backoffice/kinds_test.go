package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"backoffice/jobs"
)

func TestKindsPrintsEveryContract(t *testing.T) {
	t.Parallel()
	printed := backoffice(t, "kinds")
	contains(t, printed.stdout, "process_order", "reconcile_orders", "1s 2s 4s", "30 days", "order_effects holds each effect")
	var kinds []kind
	if err := json.Unmarshal([]byte(backoffice(t, "kinds", "--output", "json").stdout), &kinds); err != nil {
		t.Fatal(err)
	}
	contract := jobs.ProcessOrderArgs{}.Contract()
	shown := kinds[slices.IndexFunc(kinds, func(k kind) bool { return k.Kind == contract.Kind })]
	if shown.Kind != contract.Kind || shown.MaxAttempts != contract.MaxAttempts || len(shown.Waits) != contract.MaxAttempts-1 ||
		shown.TimeoutSeconds != contract.Timeout.Seconds() || shown.HarmlessTwiceBecause != contract.Harmless {
		t.Fatalf("kind = %+v, want the contract %+v", shown, contract)
	}
	shortest, longest := contract.Retry.Bounds(1)
	if w := shown.Waits[0]; w.AfterAttempt != 1 || w.ShortestSeconds != shortest.Seconds() || w.LongestSeconds != longest.Seconds() {
		t.Errorf("first wait = %+v, want %s to %s after attempt 1", w, shortest, longest)
	}
}

func TestVersionNamesTheBuild(t *testing.T) {
	t.Parallel()
	for _, typed := range []string{"version", "--version"} {
		if r := backoffice(t, typed); r.code != exitOK || !strings.HasPrefix(r.stdout, "backoffice ") {
			t.Errorf("%s: %+v", typed, r)
		}
	}
	contains(t, backoffice(t, "version", "--output", "json").stdout, `"version":`, `"go":`)
}

func TestCompletionAsksTheProgramItself(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh"} {
		contains(t, backoffice(t, "completion", shell).stdout, "--generate-bash-completion", "backoffice")
	}
	offered, err := process(t, "orders", "--generate-bash-completion").Output()
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(offered), "place\n", "show\n")
}
