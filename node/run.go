package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/reedbed/reedbed/collect"
	"github.com/reedbed/reedbed/stage"
)

// drainTime bounds how long a stopping node waits for requests under way.
const drainTime = 10 * time.Second

// maxConnections bounds the open connections of the listener.
const maxConnections = 10_000

// Listen binds the project's address, so that the URL is known before Run.
func (n *Node) Listen(ctx context.Context) (url string, err error) {
	var lc net.ListenConfig
	if n.listener, err = lc.Listen(ctx, "tcp", n.project.Config.Listen); err != nil {
		return "", fmt.Errorf("listen on %s: %w", n.project.Config.Listen, err)
	}
	return "http://" + n.listener.Addr().String(), nil
}

// Run serves, loads and converges until ctx ends, then drains: requests under
// way are answered, what was acknowledged stays in the journal for the next
// start. ready is called once the definitions are deployed. A journal that can
// no longer promise durability ends Run with its error: the process must exit
// and recover.
func (n *Node) Run(ctx context.Context, ready func()) error {
	n.running.Store(true)
	g, ctx := errgroup.WithContext(ctx)
	context.AfterFunc(ctx, n.stop)
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if n.listener != nil {
		g.Go(func() error { return n.serve(ctx, stop) })
		g.Go(func() error { return n.loader.Heal(work) })
		g.Go(func() error { return n.watchSources(work) })
	} else {
		context.AfterFunc(ctx, stop)
	}
	g.Go(func() error { return n.serveControl(ctx) })
	g.Go(func() error { return n.watchJournal(work) })
	g.Go(func() error { return n.loader.Run(work) })
	g.Go(func() error { return n.collectGarbage(work) })
	g.Go(func() error {
		if err := n.begin(work); err != nil {
			return err
		}
		ready()
		if n.listener != nil {
			g.Go(func() error { return n.watchAlerts(work) })
			g.Go(func() error { return n.watchHours(work) })
			g.Go(func() error { return n.converger.WatchStored(work) })
		}
		return n.converger.Run(work)
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// watchJournal ends the node when an fsync failed: nothing may be acknowledged
// on a journal whose state on disk is unknown.
func (n *Node) watchJournal(ctx context.Context) error {
	select {
	case <-n.journal.Failed():
		return errors.New("the journal's disk failed an fsync: what is not acknowledged must be sent again; stopping so that the next start recovers from what is on disk")
	case <-ctx.Done():
		return nil
	}
}

// serve answers HTTP until ctx ends and others had time to notice, drains, and then stops the rest.
func (n *Node) serve(ctx context.Context, stop func()) error {
	defer stop()
	pages, err := n.pages()
	if err != nil {
		return err
	}
	server := collect.Server(pages)
	served := make(chan error, 1)
	go func() { served <- server.Serve(collect.LimitListener(n.listener, maxConnections)) }()
	select {
	case err := <-served: // nobody asked it to end: without a front door the node is of no use
		return fmt.Errorf("serve %s: %w", n.listener.Addr(), err)
	case <-ctx.Done():
	}
	n.door.Leave(context.WithoutCancel(ctx), n.project.Config.StopDelay)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err = errors.Join(n.door.Drain(drain), server.Shutdown(drain))
	if end := <-served; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(end, err)
	}
	return err
}

// problems are what is wrong with the project's files, by what was read last.
type problems struct {
	mu       sync.Mutex
	byFolder map[string][]stage.Problem
}

func (p *problems) set(folder string, list []stage.Problem) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byFolder == nil {
		p.byFolder = map[string][]stage.Problem{}
	}
	p.byFolder[folder] = list
}

// Problems lists what is wrong with the project's configuration, stages, side
// inputs and dashboards.
func (n *Node) Problems() []stage.Problem {
	n.problems.mu.Lock()
	defer n.problems.mu.Unlock()
	return slices.Concat(n.problems.byFolder["configuration"], n.problems.byFolder["stages"], n.problems.byFolder["files"], n.problems.byFolder["dashboards"])
}

// files lists the files that problems of a folder are about.
func (p *problems) files(folder string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, x := range p.byFolder[folder] {
		out = append(out, x.File)
	}
	return out
}

// Settle loads all that is durable and converges until nothing is due, bringing
// forward what debounce postpones. Run must be running.
func (n *Node) Settle(ctx context.Context) error {
	if err := n.Drain(ctx); err != nil {
		return err
	}
	return n.converger.Settle(ctx)
}

// Drain loads all that is durable now. Run must be running.
func (n *Node) Drain(ctx context.Context) error { return n.loader.Drain(ctx) }
