//go:build unix && !aix && (!solaris || illumos)

package tracker

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock takes the file at path for this process, until it is closed or the process ends.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another client has the queue; give each its own Dir: %w", err), f.Close())
	}
	return f, nil
}
