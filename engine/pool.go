package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/reedbed/reedbed/internal/confine"
)

// Options of a pool. The zero value of a field takes the default named.
type Options struct {
	Binary string   // the worker's program; default: the running one
	Args   []string // what its worker command is called; default: worker
	// Dir is where workers have their folders. It should be on the file system
	// that holds the objects, so that inputs are linked and not copied.
	Dir string

	StageWorkers int // stage jobs at a time, each in a warm worker; default 2
	QueryWorkers int // query workers kept ready; default 1, negative for none
	MaxQueries   int // queries at a time; default 4

	Defaults Limits   // for zero fields of a job's limits
	Env      []string // the whole environment of workers beside TZ, HOME and TMPDIR
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Limits that hold where neither the job nor Options says otherwise.
const (
	defaultWall   = 10 * time.Minute
	defaultCPU    = 10 * time.Minute
	defaultMemory = 512 << 20
	defaultOutput = 8 << 30
	defaultRows   = 1_000_000
)

const (
	// maxFile is RLIMIT_FSIZE of every worker, spill files included.
	maxFile = 16 << 30
	// warmUp is how long a worker may take to be ready before it counts as broken.
	warmUp = 30 * time.Second
	// attempts is how often a job is started before a dying worker is its fault.
	attempts = 5
	// queryThreads is what a person who waits gets.
	queryThreads = 2
	// stageNice keeps stages behind the front door and people's queries.
	stageNice = 10
)

// errKilled marks the death by a SIGKILL that was not ours: somebody's, or the
// kernel's when memory ran out.
var errKilled = errors.New("killed from outside")

// Pool runs jobs in worker processes and keeps some warm. All methods may be
// called from any goroutine.
//
// A worker that dies under a job is replaced and the job is started again, as
// long as none of its own limits was the reason; its half-made files vanish with
// the worker's folder, so a job either returns whole outputs or an error.
type Pool struct {
	opt     Options
	log     *slog.Logger
	metrics *metrics
	dir     string
	lock    *os.File
	results atomic.Int64 // outputs so far, which names them

	ctx    context.Context //nolint:containedctx // the life of the pool: ends when Close begins
	cancel context.CancelFunc
	spawns chan func()
	still  chan struct{} // closed when nothing will be spawned any more

	builds  chan struct{} // a token per stage job that may run
	briefs  chan struct{} // one more for parsing and binding, so that they never wait for a build
	queries chan struct{}
	ready   chan warmed // query workers, handed over by their keepers

	calls    sync.WaitGroup // methods that may start workers; grows only under mu while not closed
	keepers  sync.WaitGroup
	reapers  sync.WaitGroup
	spawner  sync.WaitGroup
	unwalled sync.Once // warns once that the kernel has no Landlock

	mu     sync.Mutex
	idle   []*process            // warm stage workers without a job
	living map[*process]struct{} // everything not reaped
	closed bool
}

// warmed is a worker ready for a query, or why there is none.
type warmed struct {
	w   *process
	err error
}

// NewPool makes the pool's folder and begins to warm query workers. Stage
// workers start with the first job that needs them. Close frees everything.
func NewPool(opt Options) (*Pool, error) {
	opt, err := withDefaults(opt)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(opt.Registry)
	if err != nil {
		return nil, fmt.Errorf("register the engine's metrics: %w", err)
	}
	dir, lock, err := claim(opt.Dir)
	if err != nil {
		return nil, err
	}
	p := &Pool{
		opt: opt, log: opt.Log, metrics: m, dir: dir, lock: lock,
		spawns: make(chan func()), still: make(chan struct{}),
		builds:  make(chan struct{}, opt.StageWorkers),
		briefs:  make(chan struct{}, 1),
		queries: make(chan struct{}, opt.MaxQueries),
		ready:   make(chan warmed),
		living:  map[*process]struct{}{},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.spawner.Go(p.spawnAll)
	for range opt.QueryWorkers {
		p.keepers.Go(p.keepQueryWorker)
	}
	return p, nil
}

func withDefaults(opt Options) (Options, error) {
	if opt.Dir == "" {
		return opt, errors.New("engine: Options.Dir is empty; give a folder for the workers")
	}
	var err error
	if opt.Dir, err = filepath.Abs(opt.Dir); err != nil {
		return opt, err
	}
	if opt.Binary == "" {
		if opt.Binary, err = confine.Self(); err != nil {
			return opt, fmt.Errorf("find own binary to start workers: %w", err)
		}
	}
	if opt.Args == nil {
		opt.Args = []string{"worker"}
	}
	opt.StageWorkers = cmp.Or(max(0, opt.StageWorkers), 2)
	opt.QueryWorkers = max(0, cmp.Or(opt.QueryWorkers, 1))
	opt.MaxQueries = cmp.Or(max(0, opt.MaxQueries), 4)
	opt.Log = cmp.Or(opt.Log, slog.New(slog.DiscardHandler))
	opt.Defaults = opt.Defaults.or(Limits{
		Wall: defaultWall, CPU: defaultCPU, Memory: defaultMemory, Output: defaultOutput, Rows: defaultRows,
	})
	return opt, nil
}

// or fills zero fields from d.
func (l Limits) or(d Limits) Limits {
	return Limits{
		Wall: cmp.Or(l.Wall, d.Wall), CPU: cmp.Or(l.CPU, d.CPU), Memory: cmp.Or(l.Memory, d.Memory),
		Output: cmp.Or(l.Output, d.Output), Rows: cmp.Or(l.Rows, d.Rows),
	}
}

// Close kills every worker, waits until all are gone and removes the pool's
// folder, with outputs nobody moved. Jobs in progress return ErrClosed.
func (p *Pool) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true // from here on no call enters and every new worker is killed
	for w := range p.living {
		w.kill()
	}
	p.mu.Unlock()
	p.cancel()
	p.calls.Wait()
	p.keepers.Wait()
	p.reapers.Wait()
	close(p.still)
	p.spawner.Wait()
	return errors.Join(os.RemoveAll(p.dir), p.lock.Close())
}

// enter counts a call in, unless the pool is closed.
func (p *Pool) enter() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	p.calls.Add(1)
	return nil
}

// spawnAll starts processes one after another on one thread that stays until the
// pool is closed: workers ask the kernel to kill them when the thread that
// started them ends, and other threads of a Go program may end at any time.
func (p *Pool) spawnAll() {
	runtime.LockOSThread()
	for {
		select {
		case start := <-p.spawns:
			start()
		case <-p.still:
			return
		}
	}
}

// spawn starts a command on the spawner's thread.
func (p *Pool) spawn(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	select {
	case p.spawns <- func() { result <- cmd.Start() }:
		return <-result
	case <-p.ctx.Done():
		return ErrClosed
	}
}

// warmWorker starts a worker and waits until it is ready.
func (p *Pool) warmWorker(ctx context.Context, flags ...string) (*process, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, warmUp, errors.New("it was not ready in time"))
	defer cancel()
	w, err := p.start(flags...)
	if err != nil {
		return nil, err
	}
	p.metrics.started.Inc()
	ready, err := w.warm(ctx)
	if err != nil {
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	if ready.Landlock == 0 {
		p.unwalled.Do(func() {
			p.log.Warn("this kernel has no Landlock: workers can read what this user can read")
		})
	}
	return w, nil
}

func (p *Pool) warmQueryWorker(ctx context.Context) (*process, error) {
	return p.warmWorker(ctx, "-query", "-threads="+strconv.Itoa(queryThreads), p.memoryFlag())
}

func (p *Pool) memoryFlag() string { return "-memory=" + strconv.FormatInt(p.opt.Defaults.Memory, 10) }

// keepQueryWorker has one warm worker at hand until the pool closes.
func (p *Pool) keepQueryWorker() {
	for p.ctx.Err() == nil {
		w, err := p.warmQueryWorker(p.ctx)
		if err != nil {
			p.offerFailure(err)
			continue
		}
		select {
		case p.ready <- warmed{w: w}:
		case <-w.done: // killed while it waited
		case <-p.ctx.Done():
		}
	}
}

// offerFailure tells whoever asks for a worker why there is none, and lets a
// second pass before the next try.
func (p *Pool) offerFailure(err error) {
	pause := time.NewTimer(time.Second)
	defer pause.Stop()
	for {
		select {
		case p.ready <- warmed{err: err}:
		case <-pause.C:
			return
		case <-p.ctx.Done():
			return
		}
	}
}

// takeQuery returns a warm worker that has run nothing yet.
func (p *Pool) takeQuery(ctx context.Context, _ string) (*process, error) {
	select {
	case got := <-p.ready:
		if got.err == nil && got.w.alive() {
			return got.w, nil
		}
	default:
	}
	return p.warmQueryWorker(ctx)
}

// takeStage returns an idle worker or a new one, and notes the text it is to run.
func (p *Pool) takeStage(ctx context.Context, sql string) (w *process, err error) {
	if w = p.popIdle(sql); w == nil {
		if w, err = p.warmWorker(ctx, "-threads=1", "-nice="+strconv.Itoa(stageNice), p.memoryFlag()); err != nil {
			return nil, err
		}
	}
	w.sql = sql
	return w, nil
}

// popIdle prefers the worker that ran the text last and has its inputs open, and
// else takes the one that has been idle for longest.
func (p *Pool) popIdle(sql string) *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = slices.DeleteFunc(p.idle, func(w *process) bool { return !w.alive() })
	if len(p.idle) == 0 {
		return nil
	}
	i := max(0, slices.IndexFunc(p.idle, func(w *process) bool { return w.sql == sql }))
	w := p.idle[i]
	p.idle = slices.Delete(p.idle, i, i+1)
	return w
}

// giveStage takes a worker back after a job, unless it has grown: what a process
// once mapped it seldom returns.
func (p *Pool) giveStage(w *process) {
	_, resident, err := confine.Memory(w.cmd.Process.Pid)
	if err != nil || resident > p.opt.Defaults.Memory {
		w.kill()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) > p.opt.StageWorkers {
		w.kill()
		return
	}
	p.idle = append(p.idle, w)
}

// remember counts a process among the living.
func (p *Pool) remember(w *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.living[w] = struct{}{}
	if p.closed {
		w.kill()
	}
}

func (p *Pool) forget(w *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.living, w)
}
