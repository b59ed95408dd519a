package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Root is a real folder. It is an FS, CacheDropper, Locker and Spacer.
type Root struct {
	dir  string // absolute
	root *os.Root
}

// Open makes the folder dir, and its parents, if they are missing and opens
// it. The caller closes the Root.
func Open(dir string) (*Root, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(abs, 0o777); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, err
	}
	return &Root{dir: abs, root: root}, nil
}

// Close gives the folder's handle back. Open files stay open.
func (r *Root) Close() error { return r.root.Close() }

// Path is the absolute path of name, for handing to other processes and for
// messages. A name that would leave the folder gives the folder itself.
func (r *Root) Path(name string) string {
	if !filepath.IsLocal(name) {
		return r.dir
	}
	return filepath.Join(r.dir, name)
}

// OpenFile opens or makes a file inside the folder.
func (r *Root) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := r.root.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &osFile{File: f}, nil
}

// Rename moves old to new, replacing it.
func (r *Root) Rename(old, new string) error { return r.root.Rename(old, new) }

// Remove deletes a file or an empty folder.
func (r *Root) Remove(name string) error { return r.root.Remove(name) }

// MkdirAll makes a folder and its parents.
func (r *Root) MkdirAll(name string, perm fs.FileMode) error { return r.root.MkdirAll(name, perm) }

// ReadDir lists a folder, sorted by name.
func (r *Root) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := r.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// SyncDir makes the names in a folder durable.
func (r *Root) SyncDir(name string) error {
	f, err := r.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Lock takes the exclusive lock on a lock file, which it makes if missing.
// It does not wait: an error that wraps ErrLocked names the folder.
func (r *Root) Lock(name string) (io.Closer, error) {
	f, err := r.root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot lock %s: %w; stop that process, or choose another folder", r.dir, err), f.Close())
	}
	return f, nil
}

// DropCache forgets the clean cached pages of a file that OpenFile returned.
func (r *Root) DropCache(f File) error {
	of, ok := f.(*osFile)
	if !ok {
		return fmt.Errorf("DropCache: not a file of %s", r.dir)
	}
	return dropCache(of.File)
}

// Allocate takes up size bytes for a file that OpenFile returned, writing zeros
// where the file system knows no faster way.
func (r *Root) Allocate(f File, size int64) error {
	of, ok := f.(*osFile)
	if !ok {
		return fmt.Errorf("Allocate: not a file of %s", r.dir)
	}
	err := allocate(of.File, size)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	zeros := make([]byte, 1<<20)
	for off := int64(0); off < size; off += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-off)], off); err != nil {
			return err
		}
	}
	return f.Sync()
}

// Free is how many bytes an ordinary user may still write to the file system.
func (r *Root) Free() (int64, error) { return freeSpace(r.dir) }

type osFile struct{ *os.File }

func (f *osFile) Sync() error { return syncData(f.File) }

func (f *osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
