//go:build linux

package confine

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary plays the confined process: as "confine" it puts up the walls,
// as "probe" it tries what is behind them and prints what it found.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "confine" {
		dir := os.Args[2]
		parent, _ := strconv.Atoi(os.Args[3])
		rules := Rules{
			Read: []string{filepath.Join(dir, "in")}, Write: []string{filepath.Join(dir, "out")},
			MaxFile: 1000, MaxOpen: 64, Nice: 3, OOMScore: 300, Parent: parent,
		}
		self, _ := Self()
		fmt.Println(Exec(rules, self, []string{self, "probe", dir}, os.Environ()))
		os.Exit(1)
	}
	if len(os.Args) > 2 && os.Args[1] == "probe" {
		probe(os.Args[2])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func probe(dir string) {
	say := func(what string, err error) {
		if err == nil {
			fmt.Println(what, "ok")
		} else {
			fmt.Println(what, "refused")
		}
	}
	readFile := func(path string) error { _, err := os.ReadFile(path); return err }
	writeFile := func(path string, n int) error { return os.WriteFile(path, make([]byte, n), 0o600) }
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	say("read in", readFile(in+"/linked"))
	say("read out", readFile(out+"/old"))
	say("read original", readFile(dir+"/original"))
	say("read passwd", readFile("/etc/passwd"))
	_, err := os.ReadDir("/")
	say("list root", err)
	say("write out", writeFile(out+"/new", 10))
	say("write in", writeFile(in+"/new", 10))
	say("overwrite in", writeFile(in+"/linked", 10))
	say("remove in", os.Remove(in+"/linked"))
	say("chmod-free truncate in", os.Truncate(in+"/linked", 0))
	say("write beside", writeFile(dir+"/new", 10))
	say("move within out", os.Rename(out+"/new", out+"/sub/new"))
	say("link out of in", os.Link(in+"/linked", out+"/link"))
	say("big file", writeFile(out+"/big", 2000))
	_, err = net.DialTimeout("tcp", os.Getenv("PROBE_ADDR"), time.Second)
	say("tcp", err)
	_, err = net.ListenPacket("udp", "127.0.0.1:0")
	say("udp", err)
	say("start self", exec.Command("/proc/self/exe", "-test.run=^$").Run())
	say("start sh", exec.Command("/bin/sh", "-c", "true").Run())
	say("signal parent", syscall.Kill(os.Getppid(), 0))
	say("trace parent", syscall.PtraceAttach(os.Getppid()))
	nice, _ := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	fmt.Println("nice", 20-nice)
	var core, files syscall.Rlimit
	_ = syscall.Getrlimit(syscall.RLIMIT_CORE, &core)
	_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files)
	fmt.Println("core", core.Cur, "files", files.Max)
}

func confined(t *testing.T, dir string, parent int) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "confine", dir, strconv.Itoa(parent))
	cmd.Env = []string{"PROBE_ADDR=" + listener.Addr().String()}
	out, _ := cmd.CombinedOutput() // what it says is what is judged
	return string(out)
}

func sandbox(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"in", "out/sub"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"original", "out/old"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(dir, "original"), filepath.Join(dir, "in", "linked")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWalls(t *testing.T) {
	if ABI() < 6 {
		t.Skipf("this kernel has Landlock ABI %d, the table needs 6", ABI())
	}
	dir := sandbox(t)
	got := confined(t, dir, os.Getpid())
	want := []string{
		"read in ok", "read out ok", "read original refused", "read passwd refused", "list root refused",
		"write out ok", "write in refused", "overwrite in refused", "remove in refused", "chmod-free truncate in refused",
		"write beside refused", "move within out ok", "link out of in refused", "big file refused",
		"tcp refused", "udp refused", "start self refused", "start sh refused", "signal parent refused", "trace parent refused",
		"nice 3", "core 0 files 64",
	}
	if got := strings.Split(strings.TrimSpace(got), "\n"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i] {
				t.Fatalf("line %d of\n%s\nwant\n%s", i+1, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "original"))
	if err != nil || string(b) != "content" {
		t.Errorf("the original is now %q %v", b, err)
	}
}

func TestOrphanDoesNotStart(t *testing.T) {
	if got := confined(t, sandbox(t), os.Getpid()+1); !strings.Contains(got, "is gone") {
		t.Errorf("it said %q", got)
	}
}

func TestLimitsMoveBothWays(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "/bin/sleep", "60")
	cmd.SysProcAttr = Attr()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // it was killed
	}()
	pid := cmd.Process.Pid
	for _, budget := range []time.Duration{5 * time.Second, time.Second, 1500 * time.Millisecond} {
		if err := LimitCPU(pid, budget); err != nil {
			t.Fatal(err)
		}
		want := int64((budget + time.Second - 1) / time.Second)
		if got := limitLine(t, pid, "Max cpu time"); got != strconv.FormatInt(want, 10) {
			t.Errorf("CPU limit %s for a budget of %s", got, budget)
		}
	}
	virtual, resident, err := Memory(pid)
	if err != nil || virtual < resident || resident <= 0 {
		t.Errorf("memory %d %d %v", virtual, resident, err)
	}
	if err := LimitMemory(pid, 1<<20); err != nil {
		t.Fatal(err)
	}
	if got := limitLine(t, pid, "Max address space"); got == "unlimited" {
		t.Error("the address space is not limited")
	}
}

func limitLine(t *testing.T, pid int, name string) string {
	t.Helper()
	limits, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/limits")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(limits) {
		if rest, ok := strings.CutPrefix(string(line), name); ok {
			return strings.Fields(rest)[0]
		}
	}
	t.Fatalf("no line %q", name)
	return ""
}

func TestCPUTimeOfSelf(t *testing.T) {
	used, err := cpuTime(os.Getpid())
	if err != nil || used < 0 || used > time.Hour {
		t.Errorf("%s %v", used, err)
	}
	if _, err := cpuTime(1 << 30); err == nil {
		t.Error("a process that is not there has used CPU time")
	}
}
