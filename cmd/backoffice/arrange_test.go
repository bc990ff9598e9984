package main

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestArrangePutsFlagsWhereTheyAreRead(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, typed, want string }{
		{"a flag after an argument", "orders show 41 --number x", "orders show --number x 41"},
		{"a flag of backoffice after the subcommand", "orders show 41 --output json", "--output json orders show 41"},
		{"a flag of backoffice in front stays", "--output json orders list", "--output json orders list"},
		{"a flag with = brings its value", "orders list --limit=5 --output=json", "--output=json orders list --limit=5"},
		{"a switch takes no value", "products receive A --track 5", "products receive --track A 5"},
		{"a flag of two commands belongs to the inner one", "enqueue --wait process-order --order 4", "enqueue process-order --wait --order 4"},
		{"a flag of the group stays with it", "enqueue --kind x --wait", "enqueue --kind x --wait"},
		{"a negative number is an argument", "products correct A -3", "products correct -- A -3"},
		{"what follows -- is an argument", "products show -- --output", "products show -- --output"},
		{"an unknown flag stays with the innermost command", "orders list --foo", "orders list --foo"},
		{"a value that looks like a flag", "orders cancel 4 --reason --none", "orders cancel --reason --none 4"},
		{"a flag without its value", "orders list --limit", "orders list --limit"},
		{"a subcommand's name as an argument", "products show list", "products show list"},
		{"help of a command", "help orders show", "orders show --help"},
		{"help of a command of a group", "orders help show", "orders show --help"},
		{"help of no command", "orders help shwo", "orders shwo"},
		{"help drops arguments", "orders show 41 --help", "orders show --help"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			typed := append([]string{"backoffice"}, strings.Fields(tc.typed)...)
			got := strings.Join(arrange(newApp(io.Discard, io.Discard), typed)[1:], " ")
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("arranged differently (-want +got):\n%s", diff)
			}
		})
	}
}
