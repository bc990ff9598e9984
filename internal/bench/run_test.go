package bench

import (
	"slices"
	"strings"
	"testing"
)

func TestSpread(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name             string
		runs             []float64
		median, min, max float64
	}{
		{"of nothing", nil, 0, 0, 0},
		{"of one run", []float64{3}, 3, 3, 3},
		{"of an odd number is the middle one", []float64{9, 1, 4}, 4, 1, 9},
		{"of an even number lies between the middle two", []float64{9, 1, 4, 6}, 5, 1, 9},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := spreadOf("jobs/s", tc.runs)
			if s.Median != tc.median || s.Min != tc.min || s.Max != tc.max || !slices.Equal(s.Runs, tc.runs) {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestRatio(t *testing.T) {
	t.Parallel()
	trials := []trial{
		{contestant: Contestant{Name: "ours"}, rounds: []Figures{{"jobs/s": 20, "p99 ms": 2}, nil, {"jobs/s": 60, "p99 ms": 2}, {"jobs/s": 90, "p99 ms": 2}}},
		{contestant: Contestant{Name: "floor"}, rounds: []Figures{{"jobs/s": 10, "p99 ms": 8}, {"jobs/s": 10, "p99 ms": 8}, {"jobs/s": 20, "p99 ms": 8}, nil}},
	}
	for _, tc := range []struct {
		name    string
		ratio   Ratio
		quick   bool
		runs    []float64
		reached string
	}{
		{"pairs the rounds in which both count", Ratio{Figure: "jobs/s"}, false, []float64{2, 3}, ""},
		{"turns round where lower is better", Ratio{Figure: "p99 ms", LowerIsBetter: true}, false, []float64{4, 4}, ""},
		{"compares figures of two names", Ratio{Figure: "jobs/s", AgainstFigure: "p99 ms"}, false, []float64{2.5, 7.5}, ""},
		{"at the aim", Ratio{Figure: "jobs/s", AtLeast: 1, Aim: 2.5}, false, []float64{2, 3}, "aim"},
		{"between what is wanted and the aim", Ratio{Figure: "jobs/s", AtLeast: 2.5, Aim: 2.6}, false, []float64{2, 3}, "at least"},
		{"below what is wanted", Ratio{Figure: "jobs/s", AtLeast: 2.6, Aim: 3}, false, []float64{2, 3}, "no"},
		{"is not judged in a quick run", Ratio{Figure: "jobs/s", AtLeast: 2.6, Aim: 3}, true, []float64{2, 3}, ""},
		{"is not judged without rounds", Ratio{Figure: "lines/s", AtLeast: 1}, false, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.ratio.Of, tc.ratio.Against = "ours", "floor"
			got := ratioOf(tc.ratio, trials, tc.quick)
			if !slices.Equal(got.Runs, tc.runs) || got.Reached != tc.reached {
				t.Errorf("runs %v, want %v; reached %q, want %q", got.Runs, tc.runs, got.Reached, tc.reached)
			}
		})
	}
}

func TestEveryScenarioIsWholeAndHasANameOfItsOwn(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, s := range scenarios {
		if names[s.Name] || s.Name != strings.ToLower(s.Name) || s.Summary == "" || s.Prepare == nil {
			t.Errorf("scenario %+v is not whole, or there are two of that name", s.Name)
		}
		names[s.Name] = true
	}
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	t.Parallel()
	for value, want := range map[float64]string{0: "0", 0.25: "0.25", 3.14159: "3.14", 12: "12", 999.4: "999", 1234.6: "1,235", 1234567: "1,234,567", -4000: "-4,000"} {
		if got := number(value); got != want {
			t.Errorf("number(%v) = %s, want %s", value, got, want)
		}
	}
}

func TestSharesCoverEveryNumberOnce(t *testing.T) {
	t.Parallel()
	if got := shares(10, 3); !slices.Equal(got, []share{{1, 3}, {4, 6}, {7, 10}}) {
		t.Errorf("shares(10, 3) = %v", got)
	}
}
