package main

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sys/unix"
)

// The limit program: the least that keeps the promise of a 2xx. It reads the
// body, validates all of it, and answers once it is on stable storage, written
// and synced together with whatever else waited, into zeroed segments that are
// used over and over. It knows no sources, keys, limits, protocols, verdicts or
// metrics, and nobody could read back what it wrote.

const (
	bareSegment  = 64 << 20
	bareSegments = 3
)

// bareLog is the limit program's log.
type bareLog struct {
	files [bareSegments]*os.File

	mu    sync.Mutex // guards the rest
	cond  sync.Cond
	next  *bareBatch
	spare []byte
}

type bareBatch struct {
	buf  []byte
	err  error
	done chan struct{}
}

func newBareLog(dir string) (*bareLog, error) {
	l := &bareLog{}
	l.cond.L = &l.mu
	zeros := make([]byte, 1<<20)
	for i := range l.files {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("bare-%d", i)))
		if err != nil {
			return nil, err
		}
		for off := int64(0); off < bareSegment; off += int64(len(zeros)) {
			if _, err := f.WriteAt(zeros, off); err != nil {
				return nil, err
			}
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		l.files[i] = f
	}
	return l, nil
}

// append returns when p is on stable storage.
func (l *bareLog) append(ctx context.Context, p []byte) error {
	var head [8]byte
	n, sum := uint32(len(p)), crc32.Checksum(p, castagnoli())
	for i := range 4 {
		head[i], head[4+i] = byte(n>>(8*i)), byte(sum>>(8*i))
	}
	l.mu.Lock()
	if l.next == nil {
		l.next = &bareBatch{buf: l.spare[:0], done: make(chan struct{})}
		l.spare = nil
		l.cond.Signal()
	}
	b := l.next
	b.buf = append(append(b.buf, head[:]...), p...)
	l.mu.Unlock()
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// run writes for ever. Yielding lets those just answered queue again, so that
// one sync serves more of them.
func (l *bareLog) run() {
	segment, off := 0, int64(0)
	for {
		runtime.Gosched()
		l.mu.Lock()
		for l.next == nil {
			l.cond.Wait()
		}
		b := l.next
		l.next = nil
		l.mu.Unlock()
		if off+int64(len(b.buf)) > bareSegment {
			segment, off = (segment+1)%bareSegments, 0
		}
		f := l.files[segment]
		_, err := f.WriteAt(b.buf, off)
		b.err = errors.Join(err, unix.Fdatasync(int(f.Fd())))
		off += int64(len(b.buf))
		l.mu.Lock()
		l.spare = b.buf
		l.mu.Unlock()
		close(b.done)
	}
}

// bareServer is the limit program as a server.
func bareServer(dir string) (*http.Server, func() error, error) {
	l, err := newBareLog(dir)
	if err != nil {
		return nil, nil, err
	}
	go l.run()
	buffers := sync.Pool{New: func() any { return new([]byte) }}
	take := func(w http.ResponseWriter, r *http.Request) {
		buf := buffers.Get().(*[]byte)
		defer buffers.Put(buf)
		w.WriteHeader(l.take(r, buf))
	}
	nothing := func() error { return nil }
	return &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(take)}, nothing, nil
}

// take returns the status to answer a request with.
func (l *bareLog) take(r *http.Request, buf *[]byte) int {
	n := int(r.ContentLength)
	if n < 0 || n > 20<<20 {
		return http.StatusRequestEntityTooLarge
	}
	if cap(*buf) < n {
		*buf = make([]byte, n)
	}
	body := (*buf)[:n]
	if _, err := io.ReadFull(r.Body, body); err != nil {
		return http.StatusBadRequest
	}
	if !jsontext.Value(body).IsValid() {
		return http.StatusBadRequest
	}
	if err := l.append(r.Context(), body); err != nil {
		return http.StatusServiceUnavailable
	}
	return http.StatusNoContent
}
