package journal

import (
	"errors"
	"math"
)

// gap is a stretch of a segment where nothing valid is found.
type gap struct {
	off, until int64
	from, to   Position // the records that should be there
	last       bool     // nothing valid follows in the segment
}

// errEnough is what a visitor returns to end a walk.
var errEnough = errors.New("enough")

// unknown is the end of a walk that goes as far as there is something valid.
var unknown = Position{math.MaxUint64, math.MaxUint64}

// walk visits every item from off, where at is expected, up to position end,
// and the gaps between them, in order. It ends with the visitor's first error.
func (s *scanner) walk(off int64, at, end Position, visit func(item, *gap) error) error {
	for at.Record < end.Record {
		it, ok, err := s.next(off, at)
		if err != nil {
			return err
		}
		g := gap{off: off, until: it.off, from: at, to: it.At}
		if !ok {
			if end == unknown {
				return nil
			}
			g.until, g.to, g.last = s.end, end, true
		}
		if g.until > g.off || g.to.Record > g.from.Record {
			if err := visit(item{}, &g); err != nil || !ok {
				return err
			}
		}
		if it.At.Record >= end.Record {
			return nil
		}
		off, at = it.end, it.Next
		if err := visit(it, nil); err != nil {
			return err
		}
	}
	return nil
}

// next is the first valid item at or after off that does not go back in order.
func (s *scanner) next(off int64, at Position) (item, bool, error) {
	for {
		it, ok, err := s.at(off)
		if err == nil && !ok {
			it, ok, err = s.find(off + align)
		}
		if err != nil || !ok || it.At.Record >= at.Record {
			return it, ok, err
		}
		off = it.off + align
	}
}
