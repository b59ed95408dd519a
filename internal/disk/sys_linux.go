package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncData waits until the contents, and the size if it changed, are on the
// disk; unlike fsync it leaves the modification time for later.
func syncData(f *os.File) error {
	return onFd(f, "fdatasync", func(fd int) error {
		for {
			if err := unix.Fdatasync(fd); !errors.Is(err, unix.EINTR) {
				return err
			}
		}
	})
}

func allocate(f *os.File, size int64) error {
	return onFd(f, "fallocate", func(fd int) error { return unix.Fallocate(fd, 0, 0, size) })
}

func dropCache(f *os.File) error {
	return onFd(f, "fadvise", func(fd int) error {
		return unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED)
	})
}
