package faultdisk_test

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/internal/faultdisk"
)

// TestContract says what every disk.FS does, and runs it on the real and on
// the faulty one, so that tests on the one mean something for the other.
func TestContract(t *testing.T) {
	t.Run("real", func(t *testing.T) {
		contract(t, func(t *testing.T) disk.FS {
			root, err := disk.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { root.Close() })
			return root
		})
	})
	t.Run("faulty", func(t *testing.T) {
		contract(t, func(*testing.T) disk.FS { return faultdisk.New() })
	})
}

func contract(t *testing.T, open func(*testing.T) disk.FS) {
	for name, test := range map[string]func(*testing.T, disk.FS){
		"read what was written": readWritten,
		"open":                  opening,
		"names":                 naming,
		"no way out":            noWayOut,
		"lock":                  locking,
		"closed":                closed,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func create(t *testing.T, fsys disk.FS, name, contents string) disk.File {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.WriteAt([]byte(contents), 0); err != nil {
		t.Fatal(err)
	}
	return f
}

func contents(t *testing.T, f disk.File) string {
	t.Helper()
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) || n != len(b) {
		t.Fatalf("read %d of %d bytes: %v", n, len(b), err)
	}
	return string(b)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func readWritten(t *testing.T, fsys disk.FS) {
	f := create(t, fsys, "a", "hello")
	if n, err := f.WriteAt([]byte("xy"), 7); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if got := contents(t, f); got != "hello\x00\x00xy" {
		t.Fatalf("%q", got)
	}
	must(t, f.Sync())
	must(t, f.Truncate(3))
	must(t, f.Truncate(4))
	if d, ok := fsys.(disk.CacheDropper); ok {
		must(t, f.Sync())
		must(t, d.DropCache(f))
	}
	if got := contents(t, f); got != "hel\x00" {
		t.Fatalf("%q", got)
	}
	b := make([]byte, 9)
	if n, err := f.ReadAt(b, 2); n != 2 || err != io.EOF { //nolint:errorlint // an io.ReaderAt returns this very error
		t.Fatalf("short read: %d, %v", n, err)
	}
	if n, err := f.ReadAt(b, 20); n != 0 || err != io.EOF { //nolint:errorlint // the same
		t.Fatalf("read behind the end: %d, %v", n, err)
	}
}

func opening(t *testing.T, fsys disk.FS) {
	if _, err := fsys.OpenFile("a", os.O_RDWR, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if _, err := fsys.OpenFile("no/a", os.O_RDWR|os.O_CREATE, 0o666); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	create(t, fsys, "a", "1")
	if _, err := fsys.OpenFile("a", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666); !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	f, err := fsys.OpenFile("a", os.O_RDONLY, 0)
	must(t, err)
	defer f.Close()
	if _, err := f.WriteAt([]byte("2"), 0); err == nil {
		t.Fatal("wrote to a file opened for reading")
	}
	if got := contents(t, f); got != "1" {
		t.Fatal(got)
	}
}

func naming(t *testing.T, fsys disk.FS) {
	must(t, fsys.MkdirAll("d/e", 0o777))
	must(t, fsys.MkdirAll("d/e", 0o777))
	f := create(t, fsys, "d/b", "b")
	create(t, fsys, "d/a", "a")
	if got := list(t, fsys, "d"); !slices.Equal(got, []string{"a", "b", "e/"}) {
		t.Fatal(got)
	}
	must(t, fsys.Rename("d/a", "d/b"))
	if got := contents(t, f); got != "b" {
		t.Fatal("an open file changed when its name was taken")
	}
	must(t, fsys.SyncDir("d"))
	must(t, fsys.SyncDir("."))
	if err := fsys.Rename("d/a", "d/c"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := fsys.Remove("d"); err == nil {
		t.Fatal("removed a folder that is not empty")
	}
	must(t, fsys.Remove("d/b"))
	must(t, fsys.Remove("d/e"))
	must(t, fsys.Remove("d"))
	if err := fsys.Remove("d"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if _, err := fsys.ReadDir("d"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := fsys.SyncDir("d"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

func list(t *testing.T, fsys disk.FS, dir string) []string {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	return names
}

func noWayOut(t *testing.T, fsys disk.FS) {
	create(t, fsys, "a", "")
	for _, name := range []string{"../x", "/etc/passwd", "d/../../x"} {
		if _, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666); err == nil {
			t.Errorf("opened %s", name)
		}
		if err := fsys.Rename("a", name); err == nil {
			t.Errorf("renamed to %s", name)
		}
		if err := fsys.MkdirAll(name, 0o777); err == nil {
			t.Errorf("made folder %s", name)
		}
	}
}

func locking(t *testing.T, fsys disk.FS) {
	l := fsys.(disk.Locker)
	held, err := l.Lock("lock")
	must(t, err)
	if _, err := l.Lock("lock"); !errors.Is(err, disk.ErrLocked) {
		t.Fatal(err)
	}
	must(t, held.Close())
	again, err := l.Lock("lock")
	must(t, err)
	must(t, again.Close())
}

func closed(t *testing.T, fsys disk.FS) {
	f := create(t, fsys, "a", "")
	must(t, f.Close())
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, fs.ErrClosed) {
		t.Error("write:", err)
	}
	if _, err := f.ReadAt(make([]byte, 1), 0); !errors.Is(err, fs.ErrClosed) {
		t.Error("read:", err)
	}
	if err := f.Sync(); err == nil {
		t.Error("synced a closed file")
	}
}

func TestCrashKeepsWhatWasSynced(t *testing.T) {
	lost, kept, torn := 0, 0, 0
	for seed := range uint64(200) {
		fsys := faultdisk.New()
		f := create(t, fsys, "a", "synced")
		must(t, f.Sync())
		must(t, fsys.SyncDir("."))
		create(t, fsys, "b", "never synced")
		if _, err := f.WriteAt(slices.Repeat([]byte{'x'}, 3000), 6); err != nil {
			t.Fatal(err)
		}
		after := fsys.CrashClone(rand.New(rand.NewPCG(seed, 0)))
		got := string(after.Contents("a"))
		if len(got) < 6 || got[:6] != "synced" {
			t.Fatalf("seed %d: %q", seed, got)
		}
		switch {
		case len(got) == 6:
			lost++
		case got[6:] == string(slices.Repeat([]byte{'x'}, 3000)):
			kept++
		default:
			torn++
		}
	}
	if lost == 0 || kept == 0 || torn == 0 {
		t.Fatalf("lost %d, kept %d, torn %d: not every outcome occurs", lost, kept, torn)
	}
}

func TestFailedSyncLeavesOnlyTheCache(t *testing.T) {
	fsys := faultdisk.New()
	f := create(t, fsys, "a", "old")
	must(t, f.Sync())
	if _, err := f.WriteAt([]byte("new"), 0); err != nil {
		t.Fatal(err)
	}
	fsys.SetFault(faultdisk.FailNth(1, faultdisk.Lost, errors.New("bad sector")))
	if err := f.Sync(); err == nil {
		t.Fatal("no error")
	}
	must(t, f.Sync()) // the second one lies, as the kernel does
	if got := contents(t, f); got != "new" {
		t.Fatalf("cached: %q", got)
	}
	must(t, fsys.DropCache(f))
	if got := contents(t, f); got != "old" {
		t.Fatalf("on disk: %q", got)
	}
}

func TestFaultsBothWays(t *testing.T) {
	broken := errors.New("broken")
	for out, want := range map[faultdisk.Outcome]string{faultdisk.Lost: "....", faultdisk.Half: "ab..", faultdisk.Done: "abcd"} {
		fsys := faultdisk.New()
		f := create(t, fsys, "a", "....")
		fsys.SetFault(faultdisk.FailNth(1, out, broken))
		if _, err := f.WriteAt([]byte("abcd"), 0); !errors.Is(err, broken) {
			t.Fatal(err)
		}
		if got := contents(t, f); got != want {
			t.Errorf("outcome %d: %q, want %q", out, got, want)
		}
	}
}

func TestFullDisk(t *testing.T) {
	fsys := faultdisk.New()
	fsys.Limit(10)
	f := create(t, fsys, "a", "12345678")
	n, err := f.WriteAt([]byte("abcd"), 8)
	if n != 2 || !disk.IsFull(err) {
		t.Fatal(n, err)
	}
	if n, err := f.WriteAt([]byte("abcd"), 0); n != 4 || err != nil {
		t.Fatal("overwriting needs no space:", n, err)
	}
	must(t, f.Truncate(0))
	if free, _ := fsys.Free(); free != 10 {
		t.Fatal(free)
	}
}
