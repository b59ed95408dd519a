package confine

import (
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets into the kernel's struct seccomp_data.
const (
	offNumber = 0
	offArch   = 4
	offArg0   = 16
)

// seccomp refuses, for this thread and whatever it becomes, the system calls
// that open a socket, start another process or look into one: Landlock does not
// cover UDP, and a process without children is killed whole by one signal.
func seccomp() error {
	arch, denied := calls()
	if arch == 0 {
		return nil
	}
	prog := filter(arch, denied)
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&fprog)), 0, 0)
	runtime.KeepAlive(prog)
	if err != nil {
		return fmt.Errorf("install system call filter: %w", err)
	}
	return nil
}

// filter is the program the kernel runs before each system call.
func filter(arch uint32, denied []uint32) []unix.SockFilter {
	refuse := ret(unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM))
	prog := []unix.SockFilter{
		load(offArch), jump(unix.BPF_JEQ, arch, 1, 0), ret(unix.SECCOMP_RET_KILL_PROCESS),
		load(offNumber),
		// The second table of numbers on amd64 (x32) reaches the same calls.
		jump(unix.BPF_JGE, 1<<30, 0, 1), refuse,
		// glibc falls back to clone, whose flags a filter is able to read.
		jump(unix.BPF_JEQ, unix.SYS_CLONE3, 0, 1), ret(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)),
	}
	for _, nr := range denied {
		prog = append(prog, jump(unix.BPF_JEQ, nr, 0, 1), refuse)
	}
	return slices.Concat(prog, []unix.SockFilter{
		jump(unix.BPF_JEQ, unix.SYS_CLONE, 0, 3),
		load(offArg0), jump(unix.BPF_JSET, unix.CLONE_THREAD, 1, 0), refuse,
		ret(unix.SECCOMP_RET_ALLOW),
	})
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func jump(test uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | test, K: k, Jt: yes, Jf: no}
}

func ret(action uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
}
