package compare

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/reedbed/reedbed/engine/worker"
)

// The test binary is its own worker: the pool starts it with the worker command.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == worker.Name {
		os.Exit(worker.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}
