// Package faultdisk is an in-memory disk.FS for tests that fails and crashes
// on demand, and is never kinder than a kernel: what was not synced may be
// gone, in any part and in any order.
//
// It knows files, folders, and which of their changes were synced. It never
// knows what is in them.
package faultdisk

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/reedbed/reedbed/internal/disk"
)

// FS is a disk in memory. It is also a CacheDropper, a Locker and a Spacer.
type FS struct {
	mu      sync.Mutex // guards everything, inodes included
	names   map[string]*inode
	durable map[string]*inode // names after the last syncs of their folders
	pending []rename          // changes of names since, in order
	locks   map[string]bool
	limit   int64 // bytes; 0: none
	fault   Fault
	gate    func(Op)
	ops     int
}

// rename is a change of names: old goes away, new appears; either may be "".
type rename struct {
	old, new string
	node     *inode
}

// inode is a file or folder.
type inode struct {
	dir     bool
	live    []byte   // what readers see: the page cache
	synced  []byte   // what the disk holds
	pending []change // written since the last sync
}

// change is a write, or a truncation if data is nil.
type change struct {
	off  int64
	data []byte
}

// New is an empty disk.
func New() *FS {
	return &FS{names: map[string]*inode{}, durable: map[string]*inode{}, locks: map[string]bool{}}
}

// Limit sets the size of the disk in bytes; 0 is no limit.
func (f *FS) Limit(bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limit = bytes
}

// Free is how many bytes fit.
func (f *FS) Free() (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.free(), nil
}

func (f *FS) free() int64 {
	if f.limit == 0 {
		return 1 << 50
	}
	left := f.limit
	for _, n := range f.names {
		left -= int64(len(n.live))
	}
	return max(0, left)
}

// OpenFile opens or makes a file.
func (f *FS) OpenFile(name string, flag int, _ fs.FileMode) (disk.File, error) {
	name, err := local("open", name)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	out, fault := f.inject(Open, name)
	if fault != nil && out != Done {
		return nil, fault
	}
	n, ok := f.names[name]
	switch {
	case ok && n.dir:
		return nil, pathError("open", name, syscall.EISDIR)
	case ok && flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return nil, pathError("open", name, fs.ErrExist)
	case !ok && flag&os.O_CREATE == 0, !f.isDir(path.Dir(name)):
		return nil, pathError("open", name, fs.ErrNotExist)
	case !ok:
		n = &inode{}
		f.change(rename{new: name, node: n})
	case flag&os.O_TRUNC != 0:
		n.apply(change{})
	}
	if fault != nil {
		return nil, fault
	}
	return &file{fs: f, name: name, node: n, readOnly: flag&(os.O_WRONLY|os.O_RDWR) == 0}, nil
}

func (f *FS) isDir(name string) bool {
	n, ok := f.names[name]
	return name == "." || ok && n.dir
}

func (f *FS) change(r rename) {
	r.apply(f.names)
	f.pending = append(f.pending, r)
}

func (r rename) apply(names map[string]*inode) {
	if r.old != "" {
		delete(names, r.old)
	}
	if r.new != "" {
		names[r.new] = r.node
	}
}

// Rename moves a file, replacing what is there.
func (f *FS) Rename(old, new string) error {
	return f.mutate(Rename, old, func(old string) error {
		new, err := local("rename", new)
		if err != nil {
			return err
		}
		n, ok := f.names[old]
		if !ok || !f.isDir(path.Dir(new)) {
			return pathError("rename", old, fs.ErrNotExist)
		}
		f.change(rename{old: old, new: new, node: n})
		return nil
	})
}

// Remove deletes a file or an empty folder.
func (f *FS) Remove(name string) error {
	return f.mutate(Remove, name, func(name string) error {
		n, ok := f.names[name]
		if !ok {
			return pathError("remove", name, fs.ErrNotExist)
		}
		if n.dir && len(f.children(name)) > 0 {
			return pathError("remove", name, syscall.ENOTEMPTY)
		}
		f.change(rename{old: name})
		return nil
	})
}

// MkdirAll makes a folder and its parents.
func (f *FS) MkdirAll(name string, _ fs.FileMode) error {
	return f.mutate(Mkdir, name, func(name string) error {
		if name == "." {
			return nil
		}
		parts := strings.Split(name, "/")
		for i := range parts {
			p := path.Join(parts[:i+1]...)
			switch n, ok := f.names[p]; {
			case !ok:
				f.change(rename{new: p, node: &inode{dir: true}})
			case !n.dir:
				return pathError("mkdir", p, syscall.ENOTDIR)
			}
		}
		return nil
	})
}

// ReadDir lists a folder, sorted by name.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	var entries []fs.DirEntry
	err := f.mutate(Read, name, func(name string) error {
		if !f.isDir(name) {
			return pathError("readdir", name, fs.ErrNotExist)
		}
		for _, child := range f.children(name) {
			entries = append(entries, entry{name: path.Base(child), node: f.names[child]})
		}
		return nil
	})
	return entries, err
}

func (f *FS) children(dir string) []string {
	var names []string
	for name := range f.names {
		if path.Dir(name) == dir {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// SyncDir makes the names in a folder durable.
func (f *FS) SyncDir(name string) error {
	return f.mutate(SyncDir, name, func(name string) error {
		if !f.isDir(name) {
			return pathError("sync", name, fs.ErrNotExist)
		}
		in := func(p string) bool { return p != "" && path.Dir(p) == name }
		f.pending = slices.DeleteFunc(f.pending, func(r rename) bool {
			touches := in(r.old) || in(r.new)
			if touches {
				r.apply(f.durable)
			}
			return touches
		})
		return nil
	})
}

// mutate runs an operation on names under the lock, or fails it.
func (f *FS) mutate(kind Kind, name string, do func(name string) error) error {
	name, err := local(string(kind), name)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	out, fault := f.inject(kind, name)
	if fault != nil && out != Done {
		return fault
	}
	if err := do(name); err != nil {
		return err
	}
	return fault
}

// Lock keeps others from locking the same name, as two processes would.
func (f *FS) Lock(name string) (io.Closer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.locks[name] {
		return nil, fmt.Errorf("cannot lock %s: %w", name, disk.ErrLocked)
	}
	f.locks[name] = true
	return unlocker{f, name}, nil
}

type unlocker struct {
	fs   *FS
	name string
}

func (u unlocker) Close() error {
	u.fs.mu.Lock()
	defer u.fs.mu.Unlock()
	delete(u.fs.locks, u.name)
	return nil
}

// DropCache makes readers see what the disk holds, and what is still dirty.
func (f *FS) DropCache(df disk.File) error {
	n := df.(*file).node
	f.mu.Lock()
	defer f.mu.Unlock()
	n.live = slices.Clone(n.synced)
	for _, c := range n.pending {
		n.live = c.apply(n.live)
	}
	return nil
}

func local(op, name string) (string, error) {
	if !fs.ValidPath(path.Clean(name)) {
		return "", pathError(op, name, fs.ErrInvalid)
	}
	return path.Clean(name), nil
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

type entry struct {
	name string
	node *inode
}

func (e entry) Name() string               { return e.name }
func (e entry) IsDir() bool                { return e.node.dir }
func (e entry) Info() (fs.FileInfo, error) { return nil, fs.ErrInvalid }
func (e entry) Type() fs.FileMode {
	if e.node.dir {
		return fs.ModeDir
	}
	return 0
}
