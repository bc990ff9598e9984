package importer

import (
	"container/list"
	"fmt"
)

// grouper gathers rows into documents. A document is complete when window lines in a row belong to
// others, so that the rows of one number need not be adjacent and memory stays bounded.
type grouper struct {
	window       int
	maxOpen      int // lines that may be held
	creditPrefix string
	open         map[string]*list.Element
	byAge        *list.List // of *document, the one seen longest ago first
	position     int        // data lines seen
	held         int        // lines of open documents
}

func newGrouper(opts Options) *grouper {
	return &grouper{
		window:       opts.GroupWindow,
		maxOpen:      max(minOpenLines, 2*opts.GroupWindow),
		creditPrefix: opts.CreditPrefix,
		open:         map[string]*list.Element{},
		byAge:        list.New(),
	}
}

// add takes the next row and answers the rows that are rejected by it. A row without a number belongs
// to no document and is rejected alone.
func (g *grouper) add(r row) ([]rejectedRow, error) {
	g.position++
	if r.number == "" {
		return []rejectedRow{r.reject(r.reason)}, nil
	}
	entry, ok := g.open[r.number]
	if ok {
		g.byAge.MoveToBack(entry)
	} else {
		entry = g.byAge.PushBack(&document{number: r.number, firstLine: r.line})
		g.open[r.number] = entry
	}
	d := entry.Value.(*document)
	d.lastSeen = g.position
	before := len(d.rows)
	rejects := d.add(r)
	g.held += len(d.rows) - before
	if g.held > g.maxOpen {
		return nil, fmt.Errorf("line %d: more than %d lines belong to orders that are not complete yet, %d of them to order %q; sort the file by number, or lower --group-window %d", r.line, g.maxOpen, len(d.rows), d.number, g.window)
	}
	return rejects, nil
}

// complete takes out the documents whose number was not seen for window lines.
func (g *grouper) complete() []*document {
	var done []*document
	for entry := g.byAge.Front(); entry != nil; entry = g.byAge.Front() {
		if g.position-entry.Value.(*document).lastSeen < g.window {
			break
		}
		done = append(done, g.take(entry))
	}
	return done
}

// rest takes out all documents: the file has ended.
func (g *grouper) rest() []*document {
	var done []*document
	for entry := g.byAge.Front(); entry != nil; entry = g.byAge.Front() {
		done = append(done, g.take(entry))
	}
	return done
}

func (g *grouper) take(entry *list.Element) *document {
	d := g.byAge.Remove(entry).(*document)
	delete(g.open, d.number)
	g.held -= len(d.rows)
	d.classify(g.creditPrefix)
	return d
}
