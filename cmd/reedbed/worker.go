package main

import (
	"io"

	"github.com/reedbed/reedbed/engine/worker"
)

// runWorker serves another reedbed process as its worker. It is no subcommand:
// its arguments and its standard streams belong to the engine, not to people.
// It reports false when that is not what the arguments ask for.
func runWorker(args []string, stdin io.Reader, stdout, stderr io.Writer) (code int, is bool) {
	if len(args) == 0 || args[0] != worker.Name {
		return 0, false
	}
	return worker.Main(args[1:], stdin, stdout, stderr), true
}
