package engine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// A pool works in a folder of its own inside Options.Dir, because several
// processes may work on one project. The folder holds `lock`, which the pool
// keeps locked for as long as it lives; results/, with outputs that callers have
// not moved yet; and one folder per worker. After a crash the lock is free, and
// the next pool to open removes the folder.

// claim makes and locks a new folder, and removes those of pools that died.
func claim(dir string) (path string, lock *os.File, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("make the engine's work folder: %w", err)
	}
	// Held while folders are made and swept: a folder whose lock is not taken yet must not look abandoned.
	gate, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", nil, err
	}
	defer gate.Close() // closing drops the lock, and nothing was written
	if err := flock(gate, syscall.LOCK_EX); err != nil {
		return "", nil, fmt.Errorf("lock %s: %w", gate.Name(), err)
	}
	if err := sweep(dir); err != nil {
		return "", nil, err
	}
	if path, err = os.MkdirTemp(dir, "pool-"); err != nil {
		return "", nil, err
	}
	if err := os.Mkdir(filepath.Join(path, "results"), 0o700); err != nil {
		return "", nil, err
	}
	if lock, err = os.Create(filepath.Join(path, "lock")); err != nil {
		return "", nil, err
	}
	return path, lock, flock(lock, syscall.LOCK_EX)
}

func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "pool-") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if abandoned(path) {
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("remove what a dead process left: %w", err)
			}
		}
	}
	return nil
}

func abandoned(pool string) bool {
	lock, err := os.Open(filepath.Join(pool, "lock"))
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		return false
	}
	defer lock.Close() // opened for reading
	return flock(lock, syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// bring links a job's files into a worker's in folder and returns the tables
// with the names the worker sees. The link is what Landlock lets the worker
// read; the original stays out of its reach.
func bring(tables []Table, in string) ([]Table, error) {
	out := make([]Table, len(tables))
	for i, t := range tables {
		out[i] = t
		out[i].Files = make([]string, len(t.Files))
		for j, file := range t.Files {
			name := fmt.Sprintf("%d-%d%s", i, j, filepath.Ext(file))
			if err := link(file, filepath.Join(in, name)); err != nil {
				return nil, fmt.Errorf("hand the file of table %s to a worker: %w", t.Name, err)
			}
			out[i].Files[j] = name
		}
	}
	return out, nil
}

// link makes a hard link, or a copy where the file system refuses one.
func link(from, to string) error {
	err := os.Link(from, to)
	for _, refused := range []error{syscall.EXDEV, syscall.EPERM, syscall.EMLINK, syscall.ENOTSUP} {
		if errors.Is(err, refused) {
			return copyFile(from, to)
		}
	}
	return err
}

func copyFile(from, to string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close() // opened for reading
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o400)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	_, err = io.Copy(dst, src)
	return err
}

// take away what bring brought.
func takeAway(tables []Table, in string) error {
	for _, t := range tables {
		for _, name := range t.Files {
			if err := os.Remove(filepath.Join(in, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// openResult opens a file a worker left, if it is a plain file.
func openResult(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a plain file", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
