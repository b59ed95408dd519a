package confine

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exec confines this process by r and replaces it with the program at path.
// It returns only when that failed; the process must then exit, because some of
// the walls may already stand.
//
// The walls are put up on one locked thread and the program is started from the
// same thread: Landlock and seccomp hold for a thread and what becomes of it,
// and a Go process has other threads that would stay free.
func Exec(r Rules, path string, argv, env []string) error {
	runtime.LockOSThread()
	programs, err := loaded()
	if err != nil {
		return err
	}
	if err := stayWithParent(r.Parent); err != nil {
		return err
	}
	if err := limits(r); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	if err := landlock(r, append(programs, path)); err != nil {
		return err
	}
	if err := seccomp(); err != nil {
		return err
	}
	return fmt.Errorf("start %s confined: %w", path, syscall.Exec(path, argv, env))
}

// stayWithParent asks the kernel to kill this thread's process when its parent
// dies. The request of whoever forked us does not survive an exec from a thread
// that is not the first one, so it is made again here.
func stayWithParent(parent int) error {
	if parent == 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("die with the parent: %w", err)
	}
	if got := os.Getppid(); got != parent {
		return fmt.Errorf("parent process %d is gone (now %d)", parent, got)
	}
	return nil
}

func limits(r Rules) error {
	set := []struct {
		what  string
		which int
		value uint64
		given bool
	}{
		{"core size", unix.RLIMIT_CORE, 0, true},
		{"file size", unix.RLIMIT_FSIZE, uint64(r.MaxFile), r.MaxFile > 0},
		{"open files", unix.RLIMIT_NOFILE, r.MaxOpen, r.MaxOpen > 0},
	}
	for _, l := range set {
		if !l.given {
			continue
		}
		if err := lower(l.which, l.value); err != nil {
			return fmt.Errorf("limit %s to %d: %w", l.what, l.value, err)
		}
	}
	if r.Nice != 0 {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, r.Nice); err != nil {
			return fmt.Errorf("lower own priority: %w", err)
		}
	}
	// Not every container lets a process volunteer; the wish is dropped then.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte(strconv.Itoa(r.OOMScore)), 0)
	return nil
}

// lower sets both bounds of a limit, never above what we were given. It uses
// package syscall, not unix: syscall puts the open-file limit found at start back
// before an exec unless it was set through syscall itself.
func lower(which int, value uint64) error {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(which, &now); err != nil {
		return err
	}
	value = min(value, now.Max)
	return syscall.Setrlimit(which, &syscall.Rlimit{Cur: value, Max: value})
}
