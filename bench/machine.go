package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of times in /proc; it is 1/100 s on every Linux that Go
// runs on.
const tick = 10 * time.Millisecond

// status is what /proc/PID/stat says of a process that matters here.
type status struct {
	parent int
	cpu    time.Duration // its own and that of children it has waited for
}

// parseStat reads one line of /proc/PID/stat. The name in it may hold
// anything, so fields are counted from its last parenthesis.
func parseStat(line string) (status, error) {
	at := strings.LastIndexByte(line, ')')
	fields := strings.Fields(line[at+1:])
	if at < 0 || len(fields) < 15 {
		return status{}, fmt.Errorf("not a line of /proc/PID/stat: %.80q", line)
	}
	var s status
	var err error
	if s.parent, err = strconv.Atoi(fields[1]); err != nil {
		return status{}, err
	}
	for _, f := range fields[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return status{}, err
		}
		s.cpu += time.Duration(n) * tick
	}
	return s, nil
}

// treeCPU is the processor time of a process and all it started, those that
// have ended included.
func treeCPU(root int) time.Duration {
	all := map[int]status{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // it has ended meanwhile
		}
		if s, err := parseStat(string(line)); err == nil {
			all[pid] = s
		}
	}
	return sumTree(all, root)
}

func sumTree(all map[int]status, root int) time.Duration {
	sum := all[root].cpu
	for pid, s := range all {
		if s.parent == root && pid != root {
			sum += sumTree(all, pid)
		}
	}
	return sum
}

// ownCPU is the processor time of this process and of children it waited for.
func ownCPU() time.Duration {
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}

// highWater is the most memory a process had resident so far, in bytes.
func highWater(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmHWM:" {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}

// clock is the state of the whole machine at one moment.
type clock struct {
	at      time.Time
	busy    time.Duration // of all processors together, since boot
	flushes int64         // of the disk since boot; -1 when the kernel does not say
}

func readClock(dir string) clock {
	c := clock{at: time.Now(), flushes: flushes(dir)}
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return c
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	for i, f := range strings.Fields(string(first)) {
		n, err := strconv.ParseInt(f, 10, 64)
		if err == nil && i != 4 && i != 5 && i < 9 { // without idle, iowait and what guests count twice
			c.busy += time.Duration(n) * tick
		}
	}
	return c
}

// others is the share of the machine, 0 to 1, that somebody else used between
// two moments in which we used ours.
func (c clock) others(since clock, ours time.Duration) float64 {
	wall := c.at.Sub(since.at) * time.Duration(runtime.NumCPU())
	return max(0, float64(c.busy-since.busy-ours)/float64(wall))
}

// flushRate is flushes per second; negative when it is not known.
func (c clock) flushRate(since clock) float64 {
	if c.flushes < 0 || since.flushes < 0 {
		return -1
	}
	return float64(c.flushes-since.flushes) / c.at.Sub(since.at).Seconds()
}

// flushes reads how often the disk that holds dir was told to make its cache
// stable.
func flushes(dir string) int64 {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return -1
	}
	device := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	for _, name := range []string{device + "/stat", device + "/../stat"} { // a partition's figures are its disk's
		if n, err := parseBlockStat(os.DirFS("/"), name[1:]); err == nil {
			return n
		}
	}
	return -1
}

func parseBlockStat(root fs.FS, name string) (int64, error) {
	text, err := fs.ReadFile(root, filepath.Clean(name))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 16 {
		return 0, fmt.Errorf("%s: %d figures; flushes are the 16th", name, len(fields))
	}
	return strconv.ParseInt(fields[15], 10, 64)
}

// describeMachine says in one line where the figures come from.
func describeMachine() string {
	model := "unknown processor"
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if name, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	var u unix.Utsname
	_ = unix.Uname(&u)
	return fmt.Sprintf("%d x %s, Linux %s, %s", runtime.NumCPU(), model, unix.ByteSliceToString(u.Release[:]), runtime.Version())
}
