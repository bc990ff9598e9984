package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// table is a result for people. A column whose title begins with > is a number and stands to the right.
type table struct {
	titles []string
	rows   [][]string
}

func newTable(titles ...string) *table { return &table{titles: titles} }

// add appends a row. Values are shown by cell.
func (t *table) add(values ...any) {
	row := make([]string, len(t.titles))
	for i, value := range values {
		row[i] = cell(value)
	}
	t.rows = append(t.rows, row)
}

// show writes the table, or none where there are no rows. What is wider than the terminal becomes a
// block of lines per row, as psql's \x does, instead of lines that wrap.
func (t *table) show(w io.Writer, none string) error {
	var printed strings.Builder
	if err := t.print(&printed, "", none); err != nil {
		return err
	}
	if width := terminalWidth(w); width > 0 && len(t.rows) > 0 && widest(printed.String()) > width {
		return t.printBlocks(w)
	}
	_, err := io.WriteString(w, printed.String())
	return err
}

func widest(text string) int {
	width := 0
	for line := range strings.Lines(text) {
		width = max(width, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")))
	}
	return width
}

// printBlocks writes a block of lines per row, without its empty cells.
func (t *table) printBlocks(w io.Writer) error {
	for n, row := range t.rows {
		if n > 0 {
			fmt.Fprintln(w)
		}
		facts := newTable("", "")
		for at, text := range row {
			if text = strings.TrimSpace(text); text != "" {
				facts.add(strings.TrimPrefix(t.titles[at], ">"), text)
			}
		}
		if err := facts.printPlain(w); err != nil {
			return err
		}
	}
	return nil
}

// print writes the table, or none where there are no rows, each line after indent.
func (t *table) print(w io.Writer, indent, none string) error {
	if len(t.rows) == 0 {
		_, err := fmt.Fprintf(w, "%s%s\n", indent, none)
		return err
	}
	titles := make([]string, len(t.titles))
	rows := append([][]string{titles}, t.rows...)
	for at, title := range t.titles {
		name, number := strings.CutPrefix(title, ">")
		titles[at] = name
		if number {
			alignRight(rows, at)
		}
	}
	return writeTabbed(w, indent, rows)
}

// printPlain writes the rows without titles: a list of facts.
func (t *table) printPlain(w io.Writer) error { return writeTabbed(w, "", t.rows) }

// writeTabbed aligns the rows. What pads the last column is cut off.
func writeTabbed(w io.Writer, indent string, rows [][]string) error {
	var aligned strings.Builder
	tabs := tabwriter.NewWriter(&aligned, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintf(tabs, "%s%s\t\n", indent, strings.Join(row, "\t"))
	}
	if err := tabs.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(aligned.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// alignRight pads the cells of one column from the left to one width.
func alignRight(rows [][]string, at int) {
	width := 0
	for _, row := range rows {
		width = max(width, utf8.RuneCountInString(row[at]))
	}
	for _, row := range rows {
		row[at] = fmt.Sprintf("%*s", width, row[at])
	}
}
