package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/reedbed/reedbed/internal/confine"
)

// maxTalk is how much of a worker's talk is kept to explain its death.
const maxTalk = 8 << 10

// process is one worker from the parent's side. It serves one job at a time;
// whoever took it from the pool owns it, but kill may be called by anybody.
type process struct {
	cmd    *exec.Cmd
	dir    string // holds in/ and out/, and is removed when the process is reaped
	stdin  *os.File
	stdout *os.File
	reader *bufio.Reader
	stderr *talk
	sql    string        // of the last job
	done   chan struct{} // closed when the process is reaped; cmd.ProcessState is set then
}

// start makes the private folders and starts a worker; it is not warm yet.
// Whatever happens, nothing is left behind when it fails.
func (p *Pool) start(flags ...string) (*process, error) {
	dir, err := os.MkdirTemp(p.dir, "worker-")
	if err != nil {
		return nil, fmt.Errorf("make a worker's folder: %w", err)
	}
	w, err := p.startIn(dir, flags)
	if err != nil {
		return nil, fmt.Errorf("start a worker: %w", joinRemove(err, dir))
	}
	return w, nil
}

func joinRemove(err error, dir string) error {
	if e := os.RemoveAll(dir); e != nil {
		return fmt.Errorf("%w (and cannot remove its folder: %w)", err, e)
	}
	return err
}

func (p *Pool) startIn(dir string, flags []string) (*process, error) {
	for _, sub := range []string{"in", filepath.Join("out", "tmp")} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	childIn, stdin, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer childIn.Close() // the child has its own
	stdout, childOut, err := os.Pipe()
	if err != nil {
		stdin.Close() // nothing was written
		return nil, err
	}
	defer childOut.Close() // the child has its own
	w := &process{
		dir: dir, stdin: stdin, stdout: stdout, reader: bufio.NewReader(stdout),
		stderr: new(talk), done: make(chan struct{}),
	}
	w.cmd = p.command(w, flags)
	w.cmd.Stdin, w.cmd.Stdout = childIn, childOut
	if err := p.spawn(w.cmd); err != nil {
		stdin.Close()  // nothing was written
		stdout.Close() // nothing was read
		return nil, err
	}
	p.remember(w)
	p.reapers.Go(func() { p.reap(w) })
	return w, nil
}

func (p *Pool) command(w *process, flags []string) *exec.Cmd {
	args := append(append([]string{}, p.opt.Args...),
		"-dir="+w.dir, "-parent="+strconv.Itoa(os.Getpid()), "-max-file="+strconv.FormatInt(maxFile, 10))
	cmd := exec.Command(p.opt.Binary, append(args, flags...)...) //nolint:noctx // it outlives any one call; kill ends it
	cmd.Args[0] = os.Args[0]                                     // what people see in a list of processes
	cmd.Dir = w.dir
	// Nothing of the parent's environment: it may hold secrets.
	cmd.Env = append([]string{"TZ=UTC", "HOME=" + w.dir, "TMPDIR=" + filepath.Join(w.dir, "out", "tmp"), "MALLOC_ARENA_MAX=2"}, p.opt.Env...)
	cmd.Stderr = w.stderr
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = confine.Attr()
	return cmd
}

// reap waits for the end of a process and removes what was its own.
func (p *Pool) reap(w *process) {
	_ = w.cmd.Wait() // ProcessState says more than this error
	w.stdin.Close()  // its reader is dead
	w.stdout.Close() // what was not read is lost with the process
	p.forget(w)
	if err := os.RemoveAll(w.dir); err != nil {
		p.log.Warn("cannot remove the folder of a dead worker", "dir", w.dir, "err", err)
	}
	close(w.done)
}

// kill ends the process at once. It cannot have children: its system call
// filter refuses to start any.
func (w *process) kill() { _ = w.cmd.Process.Kill() } // an error means that it has ended already

func (w *process) alive() bool {
	select {
	case <-w.done:
		return false
	default:
		return true
	}
}

func (w *process) path(parts ...string) string {
	return filepath.Join(append([]string{w.dir}, parts...)...)
}

// warm waits for the message a worker sends when it is ready.
func (w *process) warm(ctx context.Context) (Reply, error) {
	var ready Reply
	err := w.during(ctx, func() error { return ReadMessage(w.reader, &ready) })
	if err != nil {
		return ready, w.died(ctx, err)
	}
	return ready, nil
}

// exchange sends a request and waits for the answer. If ctx ends first the
// worker is killed.
func (w *process) exchange(ctx context.Context, r Request) (Reply, error) {
	var reply Reply
	err := w.during(ctx, func() error {
		if err := w.limit(r.Limits); err != nil {
			return err
		}
		if err := WriteMessage(w.stdin, r); err != nil {
			return err
		}
		return ReadMessage(w.reader, &reply)
	})
	if err != nil {
		return reply, w.died(ctx, err)
	}
	return reply, nil
}

// during kills the worker if ctx ends while do runs.
func (w *process) during(ctx context.Context, do func() error) error {
	stop := context.AfterFunc(ctx, w.kill)
	err := do()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	return err
}

// headroom is the address space a job gets beside its memory limit, for what
// DuckDB does not count (strings and lists being built), for Go and for stacks.
const headroom = 384 << 20

func (w *process) limit(l Limits) error {
	pid := w.cmd.Process.Pid
	if err := confine.LimitCPU(pid, l.CPU); err != nil {
		return err
	}
	return confine.LimitMemory(pid, l.Memory+l.Memory/4+headroom)
}

// died makes sure that the process is gone and says why: the caller's context,
// one of the job's limits, or nothing the job can be blamed for.
func (w *process) died(ctx context.Context, cause error) error {
	ended := w.ended(cause)
	w.kill()
	<-w.done
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !ended {
		return fmt.Errorf("%w: it was stopped because: %w", ErrWorkerDied, cause)
	}
	said := w.stderr.String()
	switch state := w.cmd.ProcessState; {
	case state.ExitCode() == ExitCPU:
		return fmt.Errorf("%w: CPU time: the job used more than it may; "+
			"raise its CPU limit or let it read fewer rows", ErrLimit)
	case outOfMemory(said):
		return fmt.Errorf("%w: memory: the worker could not allocate more; "+
			"raise the job's memory limit or let the SQL build smaller values", ErrLimit)
	case signalled(state) == syscall.SIGKILL:
		return fmt.Errorf("%w: %w", ErrWorkerDied, errKilled)
	default:
		return fmt.Errorf("%w: %s: %s", ErrWorkerDied, state, opening(said))
	}
}

// ended reports that an error came from a process that is ending by itself, and
// waits a moment for its end, so that the reason is not lost under our own kill.
func (w *process) ended(cause error) bool {
	for _, sign := range []error{io.EOF, io.ErrUnexpectedEOF, os.ErrClosed, syscall.EPIPE, syscall.ESRCH, fs.ErrNotExist} {
		if !errors.Is(cause, sign) {
			continue
		}
		patience := time.NewTimer(2 * time.Second)
		defer patience.Stop()
		select {
		case <-w.done:
			return true
		case <-patience.C:
			return false
		}
	}
	return false
}

func signalled(state *os.ProcessState) syscall.Signal {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return ws.Signal()
	}
	return 0
}

func outOfMemory(talk string) bool {
	for _, sign := range []string{"out of memory", "bad_alloc", "cannot allocate memory", "Cannot allocate memory"} {
		if strings.Contains(talk, sign) {
			return true
		}
	}
	return false
}

// opening shortens a worker's talk to what fits into an error.
func opening(talk string) string {
	const most = 300
	talk = strings.Join(strings.Fields(talk), " ")
	return talk[:min(len(talk), most)]
}

// talk keeps the first and drops the rest of what is written to it: a dying Go
// process says why in its first lines.
type talk struct {
	mu   sync.Mutex
	text []byte // guarded by mu
}

// Write never fails and never blocks.
func (t *talk) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b[:min(len(b), maxTalk-len(t.text))]...)
	return len(b), nil
}

func (t *talk) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
