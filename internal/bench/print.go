package bench

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Print writes the report for people.
func (r Report) Print(w io.Writer) error {
	var text strings.Builder
	r.Header.print(&text)
	for _, s := range r.Scenarios {
		s.print(&text)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func (h Header) print(w *strings.Builder) {
	where := "given server"
	if h.Embedded {
		where = "embedded server"
	}
	fmt.Fprintf(w, "%s, %d cores, %.1f GB, %s; load average %s before, %s after\n",
		orUnknown(h.CPU), h.Cores, float64(h.MemoryBytes)/(1<<30), h.OS, orUnknown(h.LoadBefore), orUnknown(h.LoadAfter))
	fmt.Fprintf(w, "backoffice %s, %s, River %s, pgx %s, Postgres %s (%s)\n", h.Version, h.Go, h.River, h.Pgx, h.Postgres, where)
	var settings []string
	for _, name := range slices.Sorted(maps.Keys(h.Settings)) {
		settings = append(settings, name+"="+h.Settings[name])
	}
	fmt.Fprintln(w, strings.Join(settings, " "))
	fmt.Fprintf(w, "%s, %d runs, %s orders, %s lines of an export", h.StartedAt.Format("2006-01-02 15:04Z"), h.Runs, number(float64(h.Orders)), number(float64(h.Lines)))
	if h.File != "" {
		fmt.Fprintf(w, ", file %s", h.File)
	}
	if h.Quick {
		fmt.Fprint(w, "; quick: the figures say nothing")
	}
	fmt.Fprintln(w)
}

func orUnknown(text string) string {
	if text == "" {
		return "unknown"
	}
	return text
}

func (s ScenarioReport) print(w *strings.Builder) {
	fmt.Fprintf(w, "\n%s: %s\n\n", s.Name, s.Summary)
	rows := [][]string{{"CONTESTANT", "FIGURE", "MEDIAN", "MIN", "MAX", "HOW"}}
	for _, c := range s.Contestants {
		shown := slices.DeleteFunc(slices.Clone(c.Figures), func(f Spread) bool { return strings.HasPrefix(f.Figure, histogramPrefix) })
		for i, f := range shown {
			row := []string{"", f.Figure, number(f.Median), number(f.Min), number(f.Max), ""}
			if i == 0 {
				row[0], row[5] = c.Name, c.Detail
			}
			rows = append(rows, row)
		}
		if len(c.Figures) == 0 {
			rows = append(rows, []string{c.Name, "void", "", "", "", c.Detail})
		}
	}
	writeTable(w, rows, 2, 3, 4)
	s.printRatios(w)
	for _, c := range s.Contestants {
		for _, void := range c.Voids {
			fmt.Fprintf(w, "void: %s: %s\n", c.Name, strings.ReplaceAll(void, "\n", " "))
		}
	}
}

func (s ScenarioReport) printRatios(w *strings.Builder) {
	if len(s.Ratios) == 0 {
		return
	}
	fmt.Fprintln(w)
	rows := [][]string{{"RATIO", "MEDIAN", "MIN", "MAX", "AT_LEAST", "AIM", "REACHED"}}
	for _, r := range s.Ratios {
		rows = append(rows, []string{r.What, ratio(r.Median), ratio(r.Min), ratio(r.Max), ratio(r.AtLeast), ratio(r.Aim), r.Reached})
	}
	writeTable(w, rows, 1, 2, 3, 4, 5)
}

func ratio(value float64) string {
	if value == 0 {
		return ""
	}
	return strconv.FormatFloat(value, 'f', 2, 64) + "x"
}

// number writes a figure with three significant digits at least, and groups of three from a thousand on.
func number(value float64) string {
	if magnitude := math.Abs(value); magnitude != 0 && magnitude < 100 && value != math.Trunc(value) {
		return strconv.FormatFloat(value, 'g', 3, 64)
	}
	digits := strconv.FormatFloat(math.Round(value), 'f', 0, 64)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}

// writeTable aligns the rows; the numbered columns stand to the right.
func writeTable(w *strings.Builder, rows [][]string, right ...int) {
	for _, column := range right {
		width := 0
		for _, row := range rows {
			width = max(width, len(row[column]))
		}
		for _, row := range rows {
			row[column] = fmt.Sprintf("%*s", width, row[column])
		}
	}
	var aligned strings.Builder
	tabs := tabwriter.NewWriter(&aligned, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(tabs, strings.Join(row, "\t")+"\t")
	}
	tabs.Flush() // into memory: it cannot fail
	for line := range strings.Lines(aligned.String()) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
}
