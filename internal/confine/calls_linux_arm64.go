package confine

import "golang.org/x/sys/unix"

// calls returns the architecture as the kernel names it to a filter, and the
// numbers of the system calls that are refused. arm64 has no fork or vfork.
func calls() (arch uint32, denied []uint32) {
	return unix.AUDIT_ARCH_AARCH64, []uint32{
		unix.SYS_SOCKET, unix.SYS_IO_URING_SETUP, unix.SYS_PTRACE,
		unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV,
	}
}
