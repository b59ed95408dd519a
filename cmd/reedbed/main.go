// Command reedbed is the whole pipeline and the tools around it. This package
// knows the command line: what can be asked, how answers and errors look, and
// exit codes. It never knows how a thing is done; each subcommand calls the
// package that does.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
