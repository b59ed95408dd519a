//go:build !unix || aix || (solaris && !illumos)

package tracker

import (
	"errors"
	"os"
)

// lock has no counterpart here in the standard library that a killed process lets go of.
func lock(string) (*os.File, error) {
	return nil, errors.New("a queue in files needs a Unix system with flock; leave Dir empty for one in memory")
}
