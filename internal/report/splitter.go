package report

import (
	"context"
)

// documentPart is the most bytes of one part of a document, so that no object of a store grows without limit.
const documentPart = 16 << 20

// splitter writes a document's bytes as parts, which are recorded when it is published: another attempt
// starts again.
type splitter struct {
	ctx  context.Context //nolint:containedctx // of the one document it writes: io.Writer has no place for it
	run  *run
	part *partWriter // nil: none is open
	left int         // bytes until the open part is full
}

// Write begins and ends parts as they fill.
func (s *splitter) Write(b []byte) (written int, err error) {
	for len(b) > 0 {
		if s.part == nil {
			if s.part, err = s.run.newPart(s.ctx); err != nil {
				return written, err
			}
			s.left = documentPart
		}
		n, err := s.part.Write(b[:min(len(b), s.left)])
		written += n
		s.left -= n
		b = b[n:]
		if err != nil {
			return written, err
		}
		if s.left == 0 {
			if err := s.finish(); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

// finish ends the open part, if there is one.
func (s *splitter) finish() error {
	if s.part == nil {
		return nil
	}
	p := s.part
	s.part = nil
	if err := p.end(); err != nil {
		return p.abandon(err)
	}
	if err := p.wait(); err != nil {
		return err
	}
	s.run.output.open = append(s.run.output.open, p.part)
	return nil
}

// abandon gives up the open part and answers the cause.
func (s *splitter) abandon(cause error) error {
	if s.part == nil {
		return cause
	}
	p := s.part
	s.part = nil
	return p.abandon(cause)
}
