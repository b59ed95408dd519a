package node

import (
	"context"
	"errors"
)

// While opens a project, runs it without a listener as long as fn works, and
// closes it.
func While(ctx context.Context, o Options, fn func(context.Context, *Node) error) error {
	n, err := Open(ctx, o)
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	ready := make(chan struct{})
	go func() { ended <- n.Run(run, func() { close(ready) }) }()
	select {
	case <-ready:
		err = fn(run, n)
		stop()
		err = errors.Join(err, <-ended)
	case err = <-ended:
	}
	return errors.Join(err, n.Close())
}
