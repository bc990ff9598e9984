package main

import (
	"fmt"
	"io"
	"time"

	"backoffice/internal/order/importer"
)

const (
	progressOnTerminal = 100 * time.Millisecond
	progressElsewhere  = 5 * time.Second
)

// progress tells how far an import or a report is: one line that changes on a terminal, a line every few seconds
// elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	now      func() time.Time
	last     time.Time
	shown    bool
}

func newProgress(w io.Writer) *progress {
	return &progress{w: w, terminal: isTerminal(w), now: time.Now, last: time.Now()}
}

// update shows the state of the import, unless the last one was shown a moment ago.
func (p *progress) update(state importer.Progress) {
	p.show(func() string { return progressLine(state) })
}

// show shows a line, unless the last one was shown a moment ago.
func (p *progress) show(line func() string) {
	every := progressElsewhere
	if p.terminal {
		every = progressOnTerminal
	}
	now := p.now()
	if now.Sub(p.last) < every {
		return
	}
	p.last, p.shown = now, true
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K%s", line())
		return
	}
	fmt.Fprintln(p.w, line())
}

// note shows a line that stays.
func (p *progress) note(line string) {
	p.done()
	fmt.Fprintln(p.w, line)
}

// done leaves the terminal as it was found.
func (p *progress) done() {
	if p.terminal && p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

func progressLine(state importer.Progress) string {
	line := fmt.Sprintf("%s lines, %s lines/s", thousands(int64(state.Lines)), thousands(int64(state.Rate())))
	if state.TotalBytes > 0 {
		line += fmt.Sprintf(", %d%%", 100*state.Bytes/state.TotalBytes)
	}
	if left := state.ETA(); left > 0 {
		line += fmt.Sprintf(", about %s left", left.Round(time.Second))
	}
	return line
}
