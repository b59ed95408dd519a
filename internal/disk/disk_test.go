package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reedbed/reedbed/internal/disk"
)

func open(t *testing.T, dir string) *disk.Root {
	t.Helper()
	r, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// TestLockNamesTheFolder locks one folder through two handles, as two
// processes would.
func TestLockNamesTheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	held, err := open(t, dir).Lock("lock")
	if err != nil {
		t.Fatal(err)
	}
	_, err = open(t, dir).Lock("lock")
	if !errors.Is(err, disk.ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Fatal(err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := open(t, dir).Lock("lock")
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestLinksCannotLeave(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	r := open(t, dir)
	if _, err := r.OpenFile("link", os.O_RDONLY, 0); err == nil {
		t.Error("followed a link out of the folder")
	}
	if got := r.Path("../secret"); got != dir {
		t.Errorf("path %s", got)
	}
	if got, want := r.Path("a/b"), filepath.Join(dir, "a", "b"); got != want {
		t.Errorf("path %s, want %s", got, want)
	}
}

func TestAllocate(t *testing.T) {
	r := open(t, t.TempDir())
	f, err := r.OpenFile("reserve", os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := r.Allocate(f, 3<<20); err != nil {
		t.Fatal(err)
	}
	if size, err := f.Size(); size != 3<<20 || err != nil {
		t.Fatal(size, err)
	}
	if free, err := r.Free(); free <= 0 || err != nil {
		t.Fatal(free, err)
	}
}
