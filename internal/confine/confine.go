// Package confine shuts a process into a few files and a few resources, with
// what the kernel itself enforces: Landlock for paths, TCP, signals and sockets;
// a seccomp filter for the system calls a calculating process never needs;
// resource limits that a supervising process can move while it runs.
//
// It knows the kernel and nothing of SQL, jobs or why a process is confined.
// Where the kernel lacks a wall the package builds the ones it can; ABI tells
// the caller which are missing.
package confine

// Rules is what a confined process may use. Whatever is not named is refused.
type Rules struct {
	Read     []string // files and folders that may be read
	Write    []string // folders in which everything may be done but execute
	MaxFile  int64    // bytes one file may grow to (RLIMIT_FSIZE); 0 leaves it
	MaxOpen  uint64   // open files (RLIMIT_NOFILE); 0 leaves it
	Nice     int      // added to the scheduling priority
	OOMScore int      // oom_score_adj: how readily the kernel kills it first
	Parent   int      // die when this process, the one that started us, is gone
}
