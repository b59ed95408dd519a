// Package store keeps immutable objects by the hash of their content on local
// disk.
//
// It knows bytes and names. It must never know what an object holds or who
// needs it: what may be removed is decided by those who keep records.
// docs/format/object.md has the layout and the crash argument.
package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/reedbed/reedbed/internal/disk"
)

const (
	objectsDir = "objects"
	tempDir    = "tmp"
)

// ErrReadOnly is what a store opened for reading answers to changes.
var ErrReadOnly = errors.New("store: opened for reading only")

// Object is one stored object. ID is its file's name: the SHA-256 of the
// content in lower hex, a dot, and what kind of file it is.
type Object struct {
	ID    string
	Bytes int64
	Made  time.Time // when it was last adopted
}

// Store is an open folder of objects. Its methods may be called from any
// goroutine; one process at a time may change a store, any number may read it.
type Store struct {
	root     *disk.Root
	readOnly bool
	steps    steps

	// mu makes "is it there, then use it" and "is it unused, then remove it"
	// exclude each other.
	mu     sync.Mutex
	synced map[string]bool // folders of objects known to be durable
}

// steps are what Adopt does that can fail, so that tests can fail each.
type steps struct {
	sync    func(*os.File) error
	mkdir   func(name string) error
	move    func(from, to string) error
	syncDir func(name string) error
}

// Open opens a store for writing, or makes one.
func Open(root *disk.Root) (*Store, error) {
	for _, dir := range []string{objectsDir, tempDir} {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	if err := root.SyncDir("."); err != nil {
		return nil, err
	}
	return &Store{root: root, synced: map[string]bool{}, steps: steps{
		sync:    (*os.File).Sync,
		mkdir:   func(name string) error { return root.MkdirAll(name, 0o755) },
		move:    os.Rename,
		syncDir: root.SyncDir,
	}}, nil
}

// OpenReadOnly opens a store that another process may be writing to.
func OpenReadOnly(root *disk.Root) *Store { return &Store{root: root, readOnly: true} }

var idPattern = regexp.MustCompile(`^[0-9a-f]{64}\.[a-z0-9]{1,16}$`)

// name is where an object lies in the store.
func name(id string) (string, error) {
	if !idPattern.MatchString(id) {
		return "", fmt.Errorf("store: %q is not the id of an object", id)
	}
	return path.Join(objectsDir, id[:2], id), nil
}

// Path is the absolute path of an object's file, to be read only; "" if id
// cannot be one.
func (s *Store) Path(id string) string {
	n, err := name(id)
	if err != nil {
		return ""
	}
	return s.root.Path(n)
}

// Temp makes an empty file in the store's file system, to be filled, closed
// and adopted. The caller removes it if it is not adopted.
func (s *Store) Temp() (*os.File, error) {
	if s.readOnly {
		return nil, ErrReadOnly
	}
	return os.CreateTemp(s.root.Path(tempDir), "new-*")
}

// Adopt moves a finished file of the same file system into the store and
// returns the object it is now. When Adopt returns, object and name are
// durable. If an equal object is there already, that one is kept and the file
// removed. Whoever made the file must have closed it. After an error the file
// may or may not still be there.
func (s *Store) Adopt(file, ext string) (Object, error) {
	if s.readOnly {
		return Object{}, ErrReadOnly
	}
	o, err := s.seal(file, ext)
	if err != nil {
		return Object{}, fmt.Errorf("store: cannot adopt %s: %w", file, err)
	}
	to, err := name(o.ID)
	if err != nil {
		return Object{}, err
	}
	if err := s.makeDir(path.Dir(to)); err != nil {
		return Object{}, fmt.Errorf("store: cannot make the folder of %s: %w", o.ID, err)
	}
	if err := s.place(file, to, o); err != nil {
		return Object{}, fmt.Errorf("store: cannot adopt %s: %w", file, err)
	}
	// A crash before this returns may take the name away again. So it is done
	// also for an object that was there: whoever put it there may have died
	// just before.
	if err := s.steps.syncDir(path.Dir(to)); err != nil {
		return Object{}, fmt.Errorf("store: cannot make the name of %s durable: %w", o.ID, err)
	}
	return o, nil
}

// seal hashes a file, takes write permission off and makes it durable. Links
// are not followed: whoever made the file could point one anywhere.
func (s *Store) seal(file, ext string) (Object, error) {
	f, err := os.OpenFile(file, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) { // sealed by an attempt that failed later
		f, err = os.OpenFile(file, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	}
	if err != nil {
		return Object{}, err
	}
	defer f.Close() // synced
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return Object{}, errors.Join(err, errors.New("not a regular file"))
	}
	if err := f.Chmod(0o444); err != nil {
		return Object{}, err
	}
	sum, n, err := hash(f)
	if err != nil {
		return Object{}, err
	}
	now := time.Now()
	if err := os.Chtimes(file, now, now); err != nil {
		return Object{}, err
	}
	return Object{ID: sum + "." + ext, Bytes: n, Made: now}, s.steps.sync(f)
}

func hash(r io.Reader) (sum string, bytes int64, err error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), n, err
}

// makeDir makes the folder of an object durable, once per process.
func (s *Store) makeDir(dir string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.synced[dir] {
		return nil
	}
	if err := s.steps.mkdir(dir); err != nil {
		return err
	}
	if err := s.steps.syncDir(objectsDir); err != nil {
		return err
	}
	s.synced[dir] = true
	return nil
}

// place gives the file its name unless an equal object has it. A damaged one
// is reported, not replaced.
func (s *Store) place(file, to string, o Object) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	there := s.root.Path(to)
	info, err := os.Lstat(there)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err := s.steps.move(file, there)
		if errors.Is(err, syscall.EXDEV) {
			return fmt.Errorf("%w; write it on the file system of %s", err, s.root.Path("."))
		}
		return err
	case err != nil:
		return err
	case info.Size() != o.Bytes:
		return fmt.Errorf("%s has %d bytes instead of %d: it is damaged; move it away and try again", there, info.Size(), o.Bytes)
	}
	// Used again: Discard must see that it is no longer old.
	return errors.Join(os.Chtimes(there, o.Made, o.Made), os.Remove(file))
}

// Link gives an object a second name at an absolute path of the same file
// system, for a process that may see nothing else.
func (s *Store) Link(id, dst string) error {
	n, err := name(id)
	if err != nil {
		return err
	}
	return os.Link(s.root.Path(n), dst)
}

// Verify reads an object and reports whether it still is what its id says.
func (s *Store) Verify(id string) error {
	n, err := name(id)
	if err != nil {
		return err
	}
	f, err := os.Open(s.root.Path(n))
	if err != nil {
		return err
	}
	defer f.Close() // nothing was written
	sum, bytes, err := hash(f)
	if err != nil {
		return fmt.Errorf("store: object %s cannot be read: %w", id, err)
	}
	if sum != id[:len(sum)] {
		return &DamagedError{ID: id, Hash: sum, Bytes: bytes}
	}
	return nil
}

// DamagedError says that an object's content is not what its id says.
type DamagedError struct {
	ID    string
	Hash  string // of what is there now
	Bytes int64
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("store: object %s is damaged: its %d bytes hash to %s; restore it from a backup, or have it computed again", e.ID, e.Bytes, e.Hash)
}

// Remove removes an object. One that is gone already is no error.
func (s *Store) Remove(id string) error {
	if s.readOnly {
		return ErrReadOnly
	}
	n, err := name(id)
	if err != nil {
		return err
	}
	if err := s.root.Remove(n); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Discard removes an object unless it was adopted after a moment; it reports
// whether it is gone. With a moment before the record keeper was asked whether
// the object is needed, an equal one adopted meanwhile is safe.
func (s *Store) Discard(id string, after time.Time) (bool, error) {
	n, err := name(id)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Lstat(s.root.Path(n))
	if err == nil && info.ModTime().After(after) {
		return false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	err = s.Remove(id)
	return err == nil, err
}

// RemoveTemp removes files of Temp that were made before a moment: what
// crashed processes left.
func (s *Store) RemoveTemp(before time.Time) error {
	if s.readOnly {
		return ErrReadOnly
	}
	var errs []error
	for o, err := range s.files(tempDir) {
		if err == nil && o.Made.Before(before) {
			err = s.root.Remove(path.Join(tempDir, o.ID))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// List yields all objects, in order of their ids.
func (s *Store) List() iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		dirs, err := s.root.ReadDir(objectsDir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield(Object{}, err)
			return
		}
		for _, dir := range dirs {
			if !dir.IsDir() {
				continue
			}
			for o, err := range s.files(path.Join(objectsDir, dir.Name())) {
				if err == nil && !idPattern.MatchString(o.ID) {
					continue
				}
				if !yield(o, err) {
					return
				}
			}
		}
	}
}

// files yields the files of a folder; what goes away meanwhile is left out.
func (s *Store) files(dir string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		entries, err := s.root.ReadDir(dir)
		if err != nil {
			yield(Object{}, err)
			return
		}
		for _, e := range entries {
			info, err := os.Lstat(s.root.Path(filepath.Join(dir, e.Name())))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			o := Object{ID: e.Name()}
			if err == nil {
				o.Bytes, o.Made = info.Size(), info.ModTime()
			}
			if !yield(o, err) {
				return
			}
		}
	}
}
