package workers

import (
	"slices"
	"strings"

	"github.com/riverqueue/river"

	"backoffice/jobs"
)

// Kind is a kind of this build, for whoever checks its args without working them.
type Kind struct {
	Contract jobs.Contract
	Args     jobs.Args                                // a zero value
	Decode   func(args []byte) (river.JobArgs, error) // strictly; see jobs.Decode
}

// Kinds lists every kind of this build by name.
func Kinds() []Kind {
	listed := make([]Kind, len(kinds))
	for i, k := range kinds {
		listed[i] = Kind{Contract: k.contract, Args: k.args, Decode: k.decode}
	}
	slices.SortFunc(listed, func(a, b Kind) int { return strings.Compare(a.Contract.Kind, b.Contract.Kind) })
	return listed
}
