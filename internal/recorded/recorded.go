// Package recorded finds the real data that some tests run over: public
// collections and what clients really sent, which are not in the repository.
//
// It knows where they may lie and nothing of what they hold. Only tests use it.
package recorded

import (
	"os"
	"path/filepath"
	"testing"
)

// Path is a file or folder of the recorded data. The test is skipped where it
// is not on the machine.
func Path(t testing.TB, parts ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{root()}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs recorded data (set REEDBED_SHARED to the folder that holds data/): %v", err)
	}
	return path
}

// Folder is the folder of all recorded data, or "" where there is none.
func Folder() string {
	folder, err := filepath.Abs(root())
	if _, missing := os.Stat(folder); err != nil || missing != nil {
		return ""
	}
	return folder
}

// root is data/ in the folder REEDBED_SHARED names, or else in the folder
// `shared` beside the repository.
func root() string {
	shared := os.Getenv("REEDBED_SHARED")
	if shared != "" {
		return filepath.Join(shared, "data")
	}
	repository := "." // go test runs in the folder of the package
	for range 8 {
		if _, err := os.Stat(filepath.Join(repository, "go.mod")); err == nil {
			break
		}
		repository = filepath.Join("..", repository)
	}
	return filepath.Join(repository, "..", "shared", "data")
}
