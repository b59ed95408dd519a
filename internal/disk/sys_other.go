//go:build !linux

package disk

import (
	"errors"
	"os"
)

func syncData(f *os.File) error { return f.Sync() }

// dropCache does nothing: without it recovery still rewrites what it cannot
// be sure of, it only cannot see that a page never reached the disk.
func dropCache(*os.File) error { return nil }

func allocate(*os.File, int64) error { return errors.ErrUnsupported }
