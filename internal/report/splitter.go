package report

import (
	"bytes"
	"context"
)

// documentPart is the most bytes of one part of a document, which is held in memory until it is full: a store
// that takes a part in a transaction is not to wait for what is still being made.
const documentPart = 8 << 20

// splitter writes a document's bytes as parts, which are recorded when it is published: another attempt
// starts again.
type splitter struct {
	ctx     context.Context //nolint:containedctx // of the one document it writes: io.Writer has no place for it
	run     *run
	content bytes.Buffer // of the next part
}

// Write stores parts as they fill.
func (s *splitter) Write(b []byte) (written int, err error) {
	for len(b) > 0 {
		n := min(len(b), documentPart-s.content.Len())
		s.content.Write(b[:n])
		written += n
		if b = b[n:]; s.content.Len() == documentPart {
			if err := s.store(); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

// finish stores what is left.
func (s *splitter) finish() error {
	if s.content.Len() == 0 {
		return nil
	}
	return s.store()
}

func (s *splitter) store() error {
	p, err := s.run.newPart(s.ctx)
	if err != nil {
		return err
	}
	if _, err = p.Write(s.content.Bytes()); err == nil {
		err = p.end()
	}
	if err != nil {
		return p.abandon(err)
	}
	if err := p.wait(); err != nil {
		return err
	}
	s.content.Reset()
	s.run.output.open = append(s.run.output.open, p.part)
	return nil
}
