package node

import (
	"os"
	"runtime/debug"
)

// SaveMemory makes the collector run when the heap has grown by half, not when it
// has doubled: the loader's buffers are used again, so there is little to
// collect, and what it costs could not be told from noise. It is for a process
// that does nothing but run a node. GOGC in the environment wins.
func SaveMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}
