package recorded_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/internal/recorded"
)

func TestPath(t *testing.T) {
	shared := t.TempDir()
	t.Setenv("REEDBED_SHARED", shared)
	if got := recorded.Folder(); got != "" {
		t.Errorf("the folder is %q before there is one", got)
	}
	want := filepath.Join(shared, "data", "a", "b")
	if err := os.MkdirAll(want, 0o700); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(filepath.Join(shared, "data"), recorded.Folder()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want, recorded.Path(t, "a", "b")); d != "" {
		t.Error(d)
	}
	t.Run("missing", func(t *testing.T) {
		defer func() {
			if !t.Skipped() {
				t.Error("the test was not skipped")
			}
		}()
		recorded.Path(t, "a", "c")
	})
}
