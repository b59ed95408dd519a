// Package spool stands in front of a journal that is elsewhere, and keeps what
// that one does not take in a journal on this machine's disk until it does.
//
// It knows records as bytes and two places for them. It must never know what a
// record means, nor how the other journal is reached.
package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/journal"
)

// Remote is the journal elsewhere. Append returns without an error only once the
// record is durable there, and returns when ctx ends. After an error the record
// may be there or not. It keeps nothing of the payload when it has returned.
type Remote interface {
	Append(ctx context.Context, r journal.Record) (journal.Position, error)
}

// Options tune a spool. Zero fields take the value in brackets.
type Options struct {
	Slow     time.Duration // an append the remote takes longer for is kept here [1 s]
	Retry    time.Duration // pause before the remote is tried again [1 s]
	MaxBytes int64         // most bytes of records kept here, beside a few segments' slack [1 GiB]
	Log      *slog.Logger  // [discarded]
}

func (o Options) withDefaults() Options {
	if o.Slow == 0 {
		o.Slow = time.Second
	}
	if o.Retry == 0 {
		o.Retry = time.Second
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 30
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// forwardTime bounds one try to forward a record. It is far more than
// Options.Slow: nobody waits, and a try given up too early may come twice.
const forwardTime = 30 * time.Second

// Spool is open until Close. Append may be called from any goroutine.
type Spool struct {
	local  *journal.Journal
	fs     disk.FS
	remote Remote
	opt    Options
	end    context.CancelFunc
	ended  chan struct{}

	cursor journal.Position // what is before it is at the remote; of the forwarder alone

	mu      sync.Mutex
	waiting Waiting
}

// Waiting is what is kept here that the remote does not have.
type Waiting struct{ Records, Bytes int64 }

// Open goes on with what the local journal still has for the remote. The spool's
// cursor is a file in fs, the folder of the local journal. That journal is the
// spool's alone until Close, and stays the caller's to close; it should have a
// negative Grace, and a MaxRecord that the remote takes: a record the remote
// never takes keeps all that follow it waiting.
func Open(local *journal.Journal, fs disk.FS, remote Remote, o Options) (*Spool, error) {
	s := &Spool{local: local, fs: fs, remote: remote, opt: o.withDefaults(), ended: make(chan struct{})}
	var err error
	if s.cursor, err = loadCursor(fs); err != nil {
		return nil, err
	}
	if first := local.First(); s.cursor.Record < first.Record {
		s.cursor = first
	}
	for e, err := range local.Read(context.Background(), s.cursor) {
		if lost, ok := errors.AsType[*journal.CorruptionError](err); ok && lost != nil {
			continue // said when it is forwarded
		}
		if err != nil {
			return nil, fmt.Errorf("spool: reading what waits for the remote: %w", err)
		}
		s.waiting.Bytes += int64(len(e.Payload))
	}
	s.waiting.Records = int64(local.Durable().Record - s.cursor.Record)
	ctx, cancel := context.WithCancel(context.Background())
	s.end = cancel
	go s.run(ctx)
	return s, nil
}

// Append returns once the record is durable: at the remote, or here if the
// remote fails, is slow, or does not have all yet that was kept before. The
// position is one in the journal that has it. The record may come to the remote
// twice, if it had it and said it had not.
//
// Errors are those of the local journal; journal.ErrFull also means that
// MaxBytes are waiting.
func (s *Spool) Append(ctx context.Context, r journal.Record) (journal.Position, error) {
	if s.Waiting().Records > 0 {
		return s.keep(r)
	}
	try, cancel := context.WithTimeout(ctx, s.opt.Slow)
	defer cancel()
	at, err := s.remote.Append(try, r)
	switch {
	case err == nil:
		return at, nil
	case ctx.Err() != nil:
		return journal.Position{}, context.Cause(ctx) // nobody waits for it any more
	}
	s.opt.Log.Warn("the remote journal did not take a record; it is kept here", "err", err)
	return s.keep(r)
}

// Waiting says how much waits for the remote. While anything does, all that is
// appended is kept here, so that it stays in order.
func (s *Spool) Waiting() Waiting {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting
}

// keep appends here. It counts the record before it is there, so that nothing
// appended later goes past it; and it waits for the disk whatever becomes of the
// caller, so that the count is right.
func (s *Spool) keep(r journal.Record) (journal.Position, error) {
	s.mu.Lock()
	bytes := int64(len(r.Payload))
	if s.waiting.Records > 0 && s.waiting.Bytes+bytes > s.opt.MaxBytes {
		defer s.mu.Unlock()
		return journal.Position{}, fmt.Errorf("spool: %d bytes wait for the remote journal, which does not take them: %w", s.waiting.Bytes, journal.ErrFull)
	}
	s.waiting.Records++
	s.waiting.Bytes += bytes
	s.mu.Unlock()
	at, err := s.local.Append(context.Background(), r)
	if err != nil {
		s.gone(1, bytes)
	}
	return at, err
}

func (s *Spool) gone(records, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting.Records -= records
	s.waiting.Bytes -= bytes
	if s.waiting.Records == 0 {
		s.waiting.Bytes = 0 // how long damaged ones were is not known
	}
}

// Close ends forwarding. What still waits is forwarded after the next Open.
// Appends must have ended.
func (s *Spool) Close() error {
	s.end()
	<-s.ended
	return s.saveCursor()
}
