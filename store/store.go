// Package store keeps immutable objects by the hash of their content on local
// disk. It knows bytes and names; it never knows what an object holds or who
// needs it.
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
	"path/filepath"
	"time"

	"github.com/reedbed/reedbed/internal/disk"
)

// Object is one stored object. ID is its file's name: the SHA-256 of the
// content in hex, a dot, and what kind of file it is.
type Object struct {
	ID    string
	Bytes int64
	Made  time.Time
}

// Store is an open folder of objects.
type Store struct{ root *disk.Root }

// Open opens or makes a store.
func Open(root *disk.Root) (*Store, error) {
	for _, dir := range []string{"objects", "tmp"} {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	return &Store{root: root}, nil
}

// Temp makes an empty file in the store's file system, to be adopted.
func (s *Store) Temp() (*os.File, error) { return os.CreateTemp(s.root.Path("tmp"), "new-*") }

func name(id string) string { return filepath.Join("objects", id[:2], id) }

// Path is where an object lies.
func (s *Store) Path(id string) string { return s.root.Path(name(id)) }

// Adopt makes a file durable under the name of its content and moves it there.
func (s *Store) Adopt(path, ext string) (Object, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return Object{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return Object{}, err
	}
	if err := errors.Join(f.Chmod(0o444), f.Sync()); err != nil {
		return Object{}, fmt.Errorf("make %s durable: %w", path, err)
	}
	o := Object{ID: hex.EncodeToString(h.Sum(nil)) + "." + ext, Bytes: n}
	dir := filepath.Dir(name(o.ID))
	if err := s.root.MkdirAll(dir, 0o755); err != nil {
		return Object{}, err
	}
	if err := os.Rename(path, s.Path(o.ID)); err != nil {
		return Object{}, err
	}
	return o, errors.Join(s.root.SyncDir(dir), s.root.SyncDir("objects"))
}

// Remove removes an object.
func (s *Store) Remove(id string) error { return s.root.Remove(name(id)) }

// List yields all objects.
func (s *Store) List() iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		err := fs.WalkDir(os.DirFS(s.root.Path("objects")), ".", func(_ string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if !yield(Object{ID: d.Name(), Bytes: info.Size(), Made: info.ModTime()}, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(Object{}, err)
		}
	}
}
