package journal_test

import (
	"context"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/journal"
)

// BenchmarkAppend compares the journal with the least that could give the same
// promise: one goroutine that writes what has queued up to a zeroed file and
// syncs it. cpu-ns/op is the figure to compare; it includes the kernel's part.
func BenchmarkAppend(b *testing.B) {
	for _, appenders := range []int{1, 8, 64} {
		for _, size := range []int{1 << 10, 50 << 10} {
			name := fmt.Sprintf("appenders=%d/size=%d", appenders, size)
			b.Run(name+"/bare", func(b *testing.B) {
				l := newBareLog(b)
				measure(b, appenders, size, l.append)
				b.ReportMetric(float64(b.N)/float64(l.syncs), "records/sync")
			})
			b.Run(name+"/journal", func(b *testing.B) {
				root, err := disk.Open(b.TempDir())
				if err != nil {
					b.Fatal(err)
				}
				j, err := journal.Open(root, journal.Options{Grace: -1})
				if err != nil {
					b.Fatal(err)
				}
				defer j.Close()
				measure(b, appenders, size, func(ctx context.Context, p []byte) error {
					at, err := j.Append(ctx, journal.Record{Events: 1, Payload: p})
					if at.Record%1000 == 0 {
						j.Release(at)
					}
					return err
				})
				b.ReportMetric(float64(b.N)/float64(j.Load().Fsyncs), "records/sync")
			})
		}
	}
}

func measure(b *testing.B, appenders, size int, append func(context.Context, []byte) error) {
	ctx, cancel := context.WithCancel(b.Context()) // as a request's context: it can end
	defer cancel()
	payload := make([]byte, size)
	b.SetBytes(int64(size))
	b.ResetTimer()
	before := cpu()
	var wg sync.WaitGroup
	for g := range appenders {
		wg.Go(func() {
			for i := g; i < b.N; i += appenders {
				if err := append(ctx, payload); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// bareLog writes in a ring over one zeroed file and never reads.
type bareLog struct {
	f     *os.File
	mu    sync.Mutex
	cond  sync.Cond
	next  *bareBatch
	spare []byte
	done  bool
	syncs int
}

type bareBatch struct {
	buf  []byte
	done chan struct{}
}

const bareSize = 64 << 20

func newBareLog(b *testing.B) *bareLog {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := f.Write(make([]byte, bareSize)); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	l := &bareLog{f: f}
	l.cond.L = &l.mu
	var wg sync.WaitGroup
	wg.Go(l.run)
	b.Cleanup(func() {
		l.mu.Lock()
		l.done = true
		l.cond.Signal()
		l.mu.Unlock()
		wg.Wait()
		f.Close()
	})
	return l
}

func (l *bareLog) append(ctx context.Context, p []byte) error {
	l.mu.Lock()
	if l.next == nil {
		l.next = &bareBatch{buf: l.spare[:0], done: make(chan struct{})}
		l.spare = nil
		l.cond.Signal()
	}
	b := l.next
	var head [8]byte
	crc := crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli))
	head[0], head[4] = byte(len(p)), byte(crc)
	b.buf = append(append(b.buf, head[:]...), p...)
	l.mu.Unlock()
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *bareLog) run() {
	var off int64
	fd := int(l.f.Fd())
	for {
		l.mu.Lock()
		for l.next == nil && !l.done {
			l.cond.Wait()
		}
		b := l.next
		l.next = nil
		l.mu.Unlock()
		if b == nil {
			return
		}
		if off+int64(len(b.buf)) > bareSize {
			off = 0
		}
		if _, err := l.f.WriteAt(b.buf, off); err != nil {
			panic(err)
		}
		if err := unix.Fdatasync(fd); err != nil {
			panic(err)
		}
		l.syncs++
		off += int64(len(b.buf))
		l.mu.Lock()
		l.spare = b.buf
		l.mu.Unlock()
		close(b.done)
	}
}
