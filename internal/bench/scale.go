package bench

import (
	"context"
	"fmt"
)

var scaleScenario = Scenario{
	Name:    "scale",
	Summary: "process one backlog with several worker processes at once",
	Prepare: prepareScale,
}

// scaleProcesses are the numbers of worker processes; the first is what the others are compared with.
var scaleProcesses = []int{1, 2, 4}

func prepareScale(ctx context.Context, lab *Lab) (*Plan, error) {
	plain, err := lab.generated(ctx)
	if err != nil {
		return nil, err
	}
	stocked, err := lab.generatedTracked(ctx)
	if err != nil {
		return nil, err
	}
	plan := &Plan{}
	for _, variant := range []struct {
		name     string
		template Template
	}{{untracked, plain}, {tracked, stocked}} {
		books := &audit{}
		name := func(processes int) string { return fmt.Sprintf("worker processes: %d%s", processes, variant.name) }
		for _, processes := range scaleProcesses {
			plan.Contestants = append(plan.Contestants, Contestant{
				Name: name(processes), Template: variant.template, Run: lab.runProcesses(processes, books),
				Detail: "backoffice worker with the settings of the scenario orders, each",
			})
		}
		for _, processes := range scaleProcesses[1:] {
			plan.Ratios = append(plan.Ratios, Ratio{What: fmt.Sprintf("%d processes instead of %d", processes, scaleProcesses[0]),
				Of: name(processes), Against: name(scaleProcesses[0]), Figure: ordersPerSecond})
		}
	}
	return plan, nil
}
