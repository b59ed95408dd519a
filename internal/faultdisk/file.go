package faultdisk

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"syscall"

	"github.com/reedbed/reedbed/internal/disk"
)

type file struct {
	fs       *FS
	name     string
	node     *inode
	readOnly bool
	closed   bool
}

var _ disk.File = (*file)(nil)

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	var n int
	err := f.do(Read, func() error {
		if off < int64(len(f.node.live)) {
			n = copy(p, f.node.live[off:])
		}
		if n < len(p) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.fs.pass(Write, f.name)
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return 0, pathError("write", f.name, fs.ErrClosed)
	}
	if f.readOnly {
		return 0, pathError("write", f.name, syscall.EBADF)
	}
	n := len(p)
	out, fault := f.fs.inject(Write, f.name)
	switch {
	case fault == nil || out == Done:
	case out == Half:
		n /= 2
	default:
		return 0, fault
	}
	if grow := off + int64(n) - int64(len(f.node.live)); grow > f.fs.free() {
		n = max(0, n-int(grow-f.fs.free()))
		fault = errors.Join(fault, pathError("write", f.name, syscall.ENOSPC))
	}
	if n > 0 {
		f.node.apply(change{off, slices.Clone(p[:n])})
	}
	return n, fault
}

func (f *file) Truncate(size int64) error {
	return f.do(Truncate, func() error {
		f.node.apply(change{off: size})
		return nil
	})
}

// Sync makes the contents durable. When it fails without having done so, the
// changes are no longer dirty, only cached, as on Linux file systems.
func (f *file) Sync() error {
	f.fs.pass(Sync, f.name)
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return pathError("sync", f.name, fs.ErrClosed)
	}
	out, fault := f.fs.inject(Sync, f.name)
	if fault != nil && out == Dead {
		return fault
	}
	keep := len(f.node.pending)
	if fault != nil && out != Done {
		keep = 0
		if out == Half {
			keep = len(f.node.pending) / 2
		}
	}
	for _, c := range f.node.pending[:keep] {
		f.node.synced = c.apply(f.node.synced)
	}
	f.node.pending = nil
	return fault
}

func (f *file) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return 0, pathError("stat", f.name, fs.ErrClosed)
	}
	return int64(len(f.node.live)), nil
}

func (f *file) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	return nil
}

func (f *file) do(kind Kind, op func() error) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return pathError(string(kind), f.name, fs.ErrClosed)
	}
	out, fault := f.fs.inject(kind, f.name)
	if fault != nil && out != Done {
		return fault
	}
	if err := op(); err != nil {
		return err
	}
	return fault
}

func (n *inode) apply(c change) {
	n.live = c.apply(n.live)
	n.pending = append(n.pending, c)
}

func (c change) apply(b []byte) []byte {
	end := int(c.off) + len(c.data)
	if c.data == nil {
		end = int(c.off)
		b = b[:min(len(b), end)]
	}
	if grow := end - len(b); grow > 0 {
		b = append(b, make([]byte, grow)...)
	}
	copy(b[c.off:], c.data)
	return b
}
