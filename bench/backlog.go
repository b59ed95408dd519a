package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/journal"
)

// filling says what a journal is filled with.
type filling struct {
	Journal string // its folder
	Lines   string // a file that gets the same events as NDJSON, or ""
	Events  int
	Bytes   int64 // of journal payload, instead of Events when that is 0
	Seed    uint64
	Source  string
	// Plain leaves out what the front door notes of each event for the loader.
	Plain bool
}

const (
	fillBatch = 50    // events per request
	fillRate  = 5_000 // events per second, by their clocks
	fillTwice = 100   // one in so many requests was sent twice
)

// filled is what a journal then holds.
type filled struct {
	Events, Repeats int
	Bytes           int64
}

// run writes the journal that a front door leaves behind when nothing loads.
func (f filling) run() (done filled, err error) {
	root, err := disk.Open(f.Journal)
	if err != nil {
		return done, err
	}
	j, err := journal.Open(root, journal.Options{})
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	lines, err := f.lines()
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, lines.Close()) }()
	out := bufio.NewWriterSize(lines, 1<<20)
	done, err = f.fill(j, out)
	return done, errors.Join(err, out.Flush())
}

func (f filling) lines() (io.WriteCloser, error) {
	if f.Lines == "" {
		return discard{}, nil
	}
	return os.Create(f.Lines)
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }

// fill appends many records at once, so that the disk is not waited for 50
// events at a time.
func (f filling) fill(j *journal.Journal, lines io.Writer) (filled, error) {
	var done filled
	var wg sync.WaitGroup
	var mu sync.Mutex // guards failures
	var failures error
	slots := make(chan struct{}, 64)
	door := newDoor(f)
	start := time.Now().Add(-time.Hour).Truncate(time.Hour)
	for n := 0; f.Events > 0 && done.Events < f.Events || f.Events == 0 && done.Bytes < f.Bytes; n++ {
		at := start.Add(time.Duration(n*fillBatch) * time.Second / fillRate).Truncate(time.Microsecond)
		record := door.record(at)
		copies := 1
		if n%fillTwice == fillTwice-1 {
			copies, done.Repeats = 2, done.Repeats+fillBatch
		}
		for range copies {
			if err := writeLines(lines, record); err != nil {
				return done, err
			}
			done.Events += fillBatch
			done.Bytes += int64(len(record.payload))
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				err := insist(j, journal.Record{Events: fillBatch, Payload: record.payload})
				mu.Lock()
				failures = errors.Join(failures, err)
				mu.Unlock()
			})
		}
	}
	wg.Wait()
	return done, failures
}

// insist appends as a client does that is told to come back.
func insist(j *journal.Journal, r journal.Record) error {
	for {
		_, err := j.Append(context.Background(), r)
		if !errors.Is(err, journal.ErrOverloaded) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// door is what makes records of requests, as the front door does.
type door struct {
	events  *events
	decoder *protocol.Decoder
	filling filling
}

func newDoor(f filling) *door {
	native, _ := protocol.ByName(protocol.Native)
	return &door{newEvents(f.Seed), protocol.NewDecoder(native, protocol.Limits{}), f}
}

// record is a request as the journal keeps it, and its events.
type record struct {
	payload []byte
	items   []event.Item
}

// record is valid until the next call, but for its payload.
func (d *door) record(at time.Time) record {
	request := d.decoder.Split(d.events.body(fillBatch, at.Add(-time.Second)), "")
	b := event.Batch{
		Source: d.filling.Source, Protocol: protocol.Native, ReceivedAt: at.UTC(),
		ClientIP: "192.0.2.0", UserAgent: browsers[d.events.rng.IntN(len(browsers))],
		Shared: request.Shared, Items: request.Items,
	}
	for i := range b.Items {
		if d.filling.Plain {
			b.Items[i].Outline = nil
		}
	}
	return record{event.EncodeBatch(nil, &b), b.Items}
}

func writeLines(w io.Writer, r record) error {
	for i := range r.items {
		if _, err := w.Write(append(bytes.Clone(r.items[i].Raw), '\n')); err != nil {
			return err
		}
	}
	return nil
}

// backlog fills a journal in a process of its own, so that the memory it takes
// is nobody's whom we measure.
func (b *bench) backlog(name string, f filling) (dir string, done filled, err error) {
	if dir, err = b.folder(name); err != nil {
		return "", done, err
	}
	f.Journal = filepath.Join(dir, "journal")
	b.seed++
	f.Seed, f.Source = b.seed, "player"
	if err := call("fill", f, &done); err != nil {
		return "", done, fmt.Errorf("fill a journal: %w", err)
	}
	return dir, done, nil
}
