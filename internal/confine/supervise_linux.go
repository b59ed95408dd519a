package confine

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ticks is how many clock ticks /proc reports per second of CPU time; the
// kernel fixes it for user space on every architecture.
const ticks = 100

// Self is the path that starts the running program once more: the very file this
// process was started from, even when another has taken its name since.
func Self() (string, error) { return "/proc/self/exe", nil }

// SetName names the calling thread, and so the process if it is the first one, as
// lists of processes show it: a program started through Self is else called exe.
func SetName(name string) {
	text, err := unix.BytePtrFromString(name)
	if err != nil {
		return
	}
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(text)), 0, 0, 0) // a name is no promise
}

// Attr is how a process to be confined is started: in a process group of its
// own, so that the terminal's signals do not reach it, and dying with the thread
// that started it. That is a thread, not a process: start it from a goroutine
// that stays locked to its thread for as long as the process may live.
func Attr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// LimitCPU lets process pid use budget more CPU time than it has used so far,
// rounded up to a whole second. Only the soft limit moves, so that a later call
// can raise it without privileges; past it the process gets SIGXCPU every second.
func LimitCPU(pid int, budget time.Duration) error {
	used, err := cpuTime(pid)
	if err != nil {
		return err
	}
	return soft(pid, unix.RLIMIT_CPU, uint64(math.Ceil((used + budget).Seconds())))
}

// LimitMemory lets process pid map extra bytes more address space than it has
// mapped now. Reserved but unused space counts, which is why the limit is
// relative: the runtime reserves far more at start than it will ever use.
func LimitMemory(pid int, extra int64) error {
	virtual, _, err := Memory(pid)
	if err != nil {
		return err
	}
	return soft(pid, unix.RLIMIT_AS, uint64(virtual+extra))
}

func soft(pid, which int, value uint64) error {
	var now unix.Rlimit
	if err := unix.Prlimit(pid, which, nil, &now); err != nil {
		return fmt.Errorf("read limit %d of process %d: %w", which, pid, err)
	}
	now.Cur = min(value, now.Max)
	if err := unix.Prlimit(pid, which, &now, nil); err != nil {
		return fmt.Errorf("set limit %d of process %d: %w", which, pid, err)
	}
	return nil
}

// cpuTime returns the CPU time process pid has used, to a hundredth of a second.
func cpuTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	// The second field is the name in parentheses and may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	var sum int64
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
		}
		sum += n
	}
	return time.Duration(sum) * (time.Second / ticks), nil
}

// Memory returns the bytes process pid has mapped and has resident.
func Memory(pid int) (virtual, resident int64, err error) {
	statm, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0, 0, err
	}
	if _, err := fmt.Sscan(string(statm), &virtual, &resident); err != nil {
		return 0, 0, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	page := int64(os.Getpagesize())
	return virtual * page, resident * page, nil
}
