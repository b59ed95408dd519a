package collect

import (
	"context"
	"errors"
	"time"

	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/journal"
)

// received is the time stamp of a request: UTC, in the microseconds that
// datasets keep.
func received(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// encode makes the journal record of a batch. The payload grows dst.
func encode(dst []byte, b *event.Batch, refused int) journal.Record {
	return journal.Record{
		Events: uint32(len(b.Items)), Refused: uint32(refused), Payload: event.EncodeBatch(dst, b),
	}
}

func refusals(items []event.Item) (n int) {
	for i := range items {
		if items[i].Refusal.Code != "" {
			n++
		}
	}
	return n
}

// trouble is why the journal did not take the last record. Immutable.
type trouble struct {
	cause   error
	until   time.Time // requests are turned away unread until then
	lasting bool      // readiness is lost
	forever bool      // no later success takes it back
}

// How long requests are turned away unread after the journal refused one: an
// overloaded queue shortens in tens of milliseconds, a full disk does not
// empty in less than a second.
const (
	overloadPause = 50 * time.Millisecond
	fullPause     = time.Second
	unreadyFor    = 10 * time.Second // after fullPause
)

// append makes one record durable, and remembers how that went.
//
// A crash before the record is on disk: no answer, the client sends again. A
// crash after: the client sends again, and loading drops the repeat.
func (d *Door) append(ctx context.Context, r journal.Record) error {
	_, err := d.journal.Append(ctx, r)
	if err == nil {
		d.recovered()
		return nil
	}
	if t := d.diagnose(err); t != nil {
		d.troubled(t)
	}
	return err
}

// diagnose returns nil for errors that say nothing about the next record. An
// error it does not know may be of this record alone: the next is tried at once,
// but until one succeeds load balancers had better ask elsewhere.
func (d *Door) diagnose(err error) *trouble {
	switch {
	case errors.Is(err, journal.ErrOverloaded):
		return &trouble{cause: err, until: d.now().Add(overloadPause)}
	case errors.Is(err, journal.ErrFull):
		return &trouble{cause: err, until: d.now().Add(fullPause), lasting: true}
	case errors.Is(err, journal.ErrFailed), errors.Is(err, journal.ErrClosed):
		return &trouble{cause: err, lasting: true, forever: true}
	case errors.Is(err, journal.ErrTooLarge), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil
	}
	return &trouble{cause: err, until: d.now(), lasting: true}
}

func (d *Door) troubled(t *trouble) {
	for {
		old := d.trouble.Load()
		if old != nil && (old.forever || old.lasting && !t.lasting) {
			return
		}
		if !d.trouble.CompareAndSwap(old, t) {
			continue
		}
		if t.lasting && (old == nil || !old.lasting) {
			d.log.Error("the journal takes no events; clients are told to come back", "error", t.cause)
		}
		return
	}
}

func (d *Door) recovered() {
	t := d.trouble.Load()
	if t == nil || t.forever {
		return
	}
	if d.trouble.CompareAndSwap(t, nil) && t.lasting {
		d.log.Info("the journal takes events again")
	}
}

// blocked returns the trouble for which a request is turned away unread.
func (d *Door) blocked(now time.Time) *trouble {
	t := d.trouble.Load()
	if t == nil || !t.forever && !now.Before(t.until) {
		return nil
	}
	return t
}

// journalProblem is the answer for an error of Append. Whether the record is
// in the journal is not known for all of them, which is why clients send again
// and loading removes repeats.
func (p *protocolEntry) journalProblem(err error) *problem {
	switch {
	case errors.Is(err, journal.ErrOverloaded):
		return p.comeBack(shedJournal)
	case errors.Is(err, journal.ErrTooLarge):
		return &tooBigRecord
	case errors.Is(err, journal.ErrFull):
		return unavailable("the journal's disk is full; nothing was stored", "free disk space on the server, then send it again")
	}
	return unavailable("the journal could not make the events durable", "send it again after Retry-After seconds; the server's log says what failed")
}
