package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/journal"
)

// run forwards what is kept here until ctx ends.
func (s *Spool) run(ctx context.Context) {
	defer close(s.ended)
	for ctx.Err() == nil {
		err := s.local.Wait(ctx, s.cursor)
		if err == nil {
			err = s.forward(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.opt.Log.Error("what waits for the remote journal stays here for now", "err", err, "waiting", s.Waiting())
			pause(ctx, s.opt.Retry)
		}
	}
}

// saveEvery is after how many records the cursor is saved: so many come twice
// after a crash.
const saveEvery = 256

// forward sends all that is kept here now, in order, and says what stopped it.
func (s *Spool) forward(ctx context.Context) error {
	unsaved := 0
	for e, err := range s.local.Read(ctx, s.cursor) {
		if lost, ok := errors.AsType[*journal.CorruptionError](err); ok {
			s.opt.Log.Error("records that waited for the remote journal are damaged", "err", lost)
			s.passed(lost.To, 0)
			continue
		}
		if err != nil {
			return errors.Join(err, s.saveCursor())
		}
		if err := s.send(ctx, e.Record); err != nil {
			return errors.Join(err, s.saveCursor())
		}
		s.passed(e.Next, len(e.Payload))
		if unsaved++; unsaved == saveEvery {
			if err := s.saveCursor(); err != nil {
				return err
			}
			unsaved = 0
		}
	}
	return s.saveCursor()
}

func (s *Spool) passed(upTo journal.Position, bytes int) {
	s.gone(int64(upTo.Record-s.cursor.Record), int64(bytes))
	s.cursor = upTo
}

func (s *Spool) send(ctx context.Context, r journal.Record) error {
	ctx, cancel := context.WithTimeout(ctx, forwardTime)
	defer cancel()
	_, err := s.remote.Append(ctx, r)
	return err
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// cursorName is the file that says how far records were forwarded: two numbers,
// of the next record and of the events before it.
const cursorName = "forwarded"

// loadCursor returns the zero position if there is none yet.
func loadCursor(fsys disk.FS) (at journal.Position, err error) {
	f, err := fsys.OpenFile(cursorName, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return at, nil
	}
	if err != nil {
		return at, fmt.Errorf("spool: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 64))
	if err == nil {
		_, err = fmt.Sscanf(string(text), "%d %d\n", &at.Record, &at.Event)
	}
	if err != nil {
		return journal.Position{}, fmt.Errorf("spool: %s does not say how far records were forwarded: %w; remove it, and all that is kept comes again", cursorName, err)
	}
	return at, nil
}

// saveCursor makes the cursor durable, then lets the journal forget what is
// before it. A crash before leaves the old cursor: records come twice.
func (s *Spool) saveCursor() error {
	const next = cursorName + ".new"
	f, err := s.fs.OpenFile(next, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	_, err = f.WriteAt(fmt.Appendf(nil, "%d %d\n", s.cursor.Record, s.cursor.Event), 0)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = errors.Join(s.fs.Rename(next, cursorName), s.fs.SyncDir("."))
	}
	if err != nil {
		return fmt.Errorf("spool: saving how far records were forwarded: %w", err)
	}
	s.local.Release(s.cursor)
	return nil
}
