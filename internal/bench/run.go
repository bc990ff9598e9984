package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrVoid means that a run did not do what it measured; the Report says which.
var ErrVoid = errors.New("void")

// Report is everything a bench found out.
type Report struct {
	Header    Header           `json:"header"`
	Scenarios []ScenarioReport `json:"scenarios"`
}

// ScenarioReport is what one scenario found out.
type ScenarioReport struct {
	Name        string             `json:"scenario"`
	Summary     string             `json:"summary"`
	Contestants []ContestantReport `json:"contestants"`
	Ratios      []RatioReport      `json:"ratios"`
}

// ContestantReport is what one contestant's runs measured.
type ContestantReport struct {
	Name    string   `json:"contestant"`
	Detail  string   `json:"detail"`
	Figures []Spread `json:"figures"`
	Voids   []string `json:"void,omitempty"` // why a run counts for nothing
}

// Spread is one figure over all runs that count.
type Spread struct {
	Figure string    `json:"figure"`
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Runs   []float64 `json:"runs"` // in the order of the rounds
}

// RatioReport is a comparison over all rounds in which both counted.
type RatioReport struct {
	What    string  `json:"ratio"`
	Of      string  `json:"of"`
	Against string  `json:"against"`
	AtLeast float64 `json:"at_least,omitempty"`
	Aim     float64 `json:"aim,omitempty"`
	Reached string  `json:"reached,omitempty"` // "aim", "at least", "no"; "" where nothing is asked
	Spread
}

// Run measures the scenarios of the given names, or all that need no file the settings do not give. The
// report holds what was found even with an error; ErrVoid is among it if a run did not count.
func Run(ctx context.Context, names []string, opts Options) (report Report, err error) {
	chosen, err := choose(names, opts.File != "")
	if err != nil {
		return report, err
	}
	lab, err := openLab(ctx, opts)
	if err != nil {
		return report, fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, lab.close(ctx)) }()
	return lab.run(ctx, chosen)
}

// UnknownError is a scenario that there is not.
type UnknownError struct{ text string }

func (e *UnknownError) Error() string { return e.text }

// choose finds scenarios by name; none means all.
func choose(names []string, haveFile bool) ([]Scenario, error) {
	var chosen []Scenario
	if len(names) == 0 {
		for _, s := range scenarios {
			if !s.NeedsFile || haveFile {
				chosen = append(chosen, s)
			}
		}
		return chosen, nil
	}
	for _, name := range names {
		at := slices.IndexFunc(scenarios, func(s Scenario) bool { return s.Name == name })
		switch {
		case at < 0:
			return nil, &UnknownError{fmt.Sprintf("there is no scenario %q; see backoffice bench --list", name)}
		case scenarios[at].NeedsFile && !haveFile:
			return nil, &UnknownError{fmt.Sprintf("scenario %s wants a csv of orders; name it with --file", name)}
		}
		chosen = append(chosen, scenarios[at])
	}
	return chosen, nil
}

func (l *Lab) run(ctx context.Context, chosen []Scenario) (Report, error) {
	var report Report
	var err error
	if report.Header, err = newHeader(ctx, l); err != nil {
		return report, fmt.Errorf("bench: %w", err)
	}
	void := 0
	for _, s := range chosen {
		found, err := l.runScenario(ctx, s)
		if err != nil {
			return report, fmt.Errorf("bench %s: %w", s.Name, err)
		}
		report.Scenarios = append(report.Scenarios, found)
		for _, c := range found.Contestants {
			void += len(c.Voids)
		}
	}
	report.Header.LoadAfter = loadAverage()
	if void > 0 {
		return report, fmt.Errorf("bench: runs that count for nothing: %d, see the results: %w", void, ErrVoid)
	}
	return report, nil
}

func (l *Lab) runScenario(ctx context.Context, s Scenario) (ScenarioReport, error) {
	l.progress("%s: %s", s.Name, s.Summary)
	plan, err := s.Prepare(ctx, l)
	if err != nil {
		return ScenarioReport{}, err
	}
	trials := make([]trial, len(plan.Contestants))
	for i, c := range plan.Contestants {
		trials[i].contestant = c
	}
	for round := range l.Settings.Runs {
		for i := range trials { // each round begins with another contestant, so that drift favours none
			t := &trials[(i+round)%len(trials)]
			if err := l.runOnce(ctx, s.Name, round, t); err != nil {
				return ScenarioReport{}, err
			}
		}
	}
	return reportOf(s, plan, trials, l.Settings.Quick), nil
}

// trial is one contestant's runs so far.
type trial struct {
	contestant Contestant
	rounds     []Figures // nil for a void run
	voids      []string
}

// runOnce gives a contestant a database and lets it run. Only what spoils the whole bench is an error.
func (l *Lab) runOnce(ctx context.Context, scenario string, round int, t *trial) (err error) {
	db, err := l.clone(ctx, scenario+" "+t.contestant.Name, t.contestant.Template)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.discard(ctx, db)) }()
	began := time.Now()
	figures, failed := t.contestant.Run(ctx, db)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	where := fmt.Sprintf("%s: run %d of %d: %s", scenario, round+1, l.Settings.Runs, t.contestant.Name)
	if failed != nil {
		t.rounds = append(t.rounds, nil)
		t.voids = append(t.voids, fmt.Sprintf("run %d: %v", round+1, failed))
		l.progress("%s: void: %v", where, failed)
		return nil
	}
	t.rounds = append(t.rounds, figures)
	l.progress("%s: %s (%.1fs)", where, figures, time.Since(began).Seconds())
	return nil
}

// String lists the figures, rates first.
func (f Figures) String() string {
	var parts []string
	for _, name := range f.names() {
		if !strings.HasPrefix(name, histogramPrefix) {
			parts = append(parts, number(f[name])+" "+name)
		}
	}
	return strings.Join(parts, ", ")
}

// names are the figures' names, rates first.
func (f Figures) names() []string {
	names := make([]string, 0, len(f))
	for name := range f {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if rateA, rateB := strings.HasSuffix(a, "/s"), strings.HasSuffix(b, "/s"); rateA != rateB {
			if rateA {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return names
}

// reportOf puts the rounds together.
func reportOf(s Scenario, plan *Plan, trials []trial, quick bool) ScenarioReport {
	report := ScenarioReport{Name: s.Name, Summary: s.Summary, Contestants: []ContestantReport{}, Ratios: []RatioReport{}}
	for _, t := range trials {
		c := ContestantReport{Name: t.contestant.Name, Detail: t.contestant.Detail, Voids: t.voids, Figures: []Spread{}}
		all := Figures{}
		for _, figures := range t.rounds {
			for name := range figures {
				all[name] = 0
			}
		}
		for _, name := range all.names() {
			var runs []float64
			for _, figures := range t.rounds {
				if value, ok := figures[name]; ok {
					runs = append(runs, value)
				}
			}
			c.Figures = append(c.Figures, spreadOf(name, runs))
		}
		report.Contestants = append(report.Contestants, c)
	}
	for _, r := range plan.Ratios {
		report.Ratios = append(report.Ratios, ratioOf(r, trials, quick))
	}
	return report
}

func ratioOf(r Ratio, trials []trial, quick bool) RatioReport {
	report := RatioReport{What: r.What, Of: r.Of, Against: r.Against}
	of, against := roundsOf(trials, r.Of), roundsOf(trials, r.Against)
	againstFigure := r.AgainstFigure
	if againstFigure == "" {
		againstFigure = r.Figure
	}
	var runs []float64
	for i := range min(len(of), len(against)) {
		a, okA := of[i][r.Figure]
		b, okB := against[i][againstFigure]
		if r.LowerIsBetter {
			a, b = b, a
		}
		if okA && okB && b != 0 {
			runs = append(runs, a/b)
		}
	}
	report.Spread = spreadOf(r.Figure, runs)
	if !quick {
		report.AtLeast, report.Aim = r.AtLeast, r.Aim
		report.Reached = reached(r, report.Median, len(runs))
	}
	return report
}

func reached(r Ratio, median float64, runs int) string {
	switch {
	case r.AtLeast == 0 && r.Aim == 0, runs == 0:
		return ""
	case r.Aim > 0 && median >= r.Aim:
		return "aim"
	case r.AtLeast > 0 && median >= r.AtLeast:
		return "at least"
	default:
		return "no"
	}
}

func roundsOf(trials []trial, name string) []Figures {
	for _, t := range trials {
		if t.contestant.Name == name {
			return t.rounds
		}
	}
	return nil
}

func spreadOf(figure string, runs []float64) Spread {
	s := Spread{Figure: figure, Runs: append([]float64{}, runs...)}
	if len(runs) == 0 {
		return s
	}
	sorted := slices.Sorted(slices.Values(runs))
	s.Min, s.Max = sorted[0], sorted[len(sorted)-1]
	middle := len(sorted) / 2
	s.Median = sorted[middle]
	if len(sorted)%2 == 0 {
		s.Median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return s
}
