// Package disk is the seam between the parts that must survive a crash and
// the file system: exactly the operations they may use, over one folder that
// no name can leave.
//
// It knows files, folders and what makes either durable. It never knows what
// is in them.
package disk

import (
	"errors"
	"io"
	"io/fs"
	"syscall"
)

// FS is a folder on a file system. Names are slash-separated paths inside it.
// All methods may be called from any goroutine. What a crash leaves: contents
// up to the last successful File.Sync, names up to the last successful SyncDir
// of their folder, and any part of the rest.
type FS interface {
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	Rename(old, new string) error
	Remove(name string) error
	MkdirAll(name string, perm fs.FileMode) error
	ReadDir(name string) ([]fs.DirEntry, error)
	// SyncDir makes the names in folder name durable.
	SyncDir(name string) error
}

// File is an open file. Reads and writes at different offsets may run at once.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Sync makes the contents durable. After it failed, what is on the disk is
	// unknown, and a second call that succeeds proves nothing.
	Sync() error
	Truncate(size int64) error
	Size() (int64, error)
	io.Closer
}

// CacheDropper is an FS that can forget clean cached pages of a file, so that
// the next read shows what the disk holds.
type CacheDropper interface{ DropCache(f File) error }

// Locker is an FS that can keep other processes out. The lock ends with Close
// of what Lock returned, or with the process.
type Locker interface {
	Lock(name string) (io.Closer, error)
}

// Spacer is an FS that knows how many bytes can still be written to it.
type Spacer interface{ Free() (int64, error) }

// Allocator is an FS that can take up space for a file faster than by writing
// it. Space taken so is not as cheap to write to as space written before.
type Allocator interface {
	Allocate(f File, size int64) error
}

// ErrLocked says that another process holds the lock of a folder.
var ErrLocked = errors.New("another process is using this folder")

// IsFull reports whether err says that the disk or the quota is used up.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
