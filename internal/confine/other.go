//go:build !linux

package confine

import (
	"os"
	"syscall"
	"time"
)

// ABI is 0: this system has no Landlock.
func ABI() int { return 0 }

// Exec replaces this process with the program at path, unconfined.
func Exec(_ Rules, path string, argv, env []string) error { return syscall.Exec(path, argv, env) }

// Self is the path that starts the running program once more.
func Self() (string, error) { return os.Executable() }

// SetName does nothing here.
func SetName(string) {}

// Attr starts a process in a group of its own.
func Attr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// LimitCPU does nothing here; the supervisor's deadline still holds.
func LimitCPU(int, time.Duration) error { return nil }

// LimitMemory does nothing here.
func LimitMemory(int, int64) error { return nil }

// Memory is not known here.
func Memory(int) (virtual, resident int64, err error) { return 0, 0, nil }
