package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/internal/disk"
)

func newStore(t *testing.T) *Store {
	t.Helper()
	root, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	s, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put makes a file as a writer would.
func put(t *testing.T, s *Store, content string) string {
	t.Helper()
	f, err := s.Temp()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func adopt(t *testing.T, s *Store, content string) Object {
	t.Helper()
	o, err := s.Adopt(put(t, s, content), "parquet")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func list(t *testing.T, s *Store) []string {
	t.Helper()
	var ids []string
	for o, err := range s.List() {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, o.ID)
	}
	return ids
}

func TestAdopt(t *testing.T) {
	s := newStore(t)
	file := put(t, s, "hello")
	o, err := s.Adopt(file, "parquet")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x.parquet", sha256.Sum256([]byte("hello"))); o.ID != want || o.Bytes != 5 {
		t.Errorf("%+v, want id %s", o, want)
	}
	if b, err := os.ReadFile(s.Path(o.ID)); string(b) != "hello" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	info, err := os.Stat(s.Path(o.ID))
	if err != nil || info.Mode().Perm() != 0o444 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	if err := s.Verify(o.ID); err != nil {
		t.Error(err)
	}
	if got := list(t, s); !cmp.Equal(got, []string{o.ID}) {
		t.Error(got)
	}
}

// TestAdoptEqual keeps the file that is there and says that it is in use again.
func TestAdoptEqual(t *testing.T) {
	s := newStore(t)
	first := adopt(t, s, "same")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(s.Path(first.ID), old, old); err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(s.Path(first.ID))
	file := put(t, s, "same")
	second, err := s.Adopt(file, "parquet")
	if err != nil || second.ID != first.ID {
		t.Fatalf("%+v, %v", second, err)
	}
	after, _ := os.Stat(s.Path(first.ID))
	if !os.SameFile(before, after) || !after.ModTime().After(old.Add(time.Minute)) {
		t.Error("the object's file was replaced, or not touched")
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the second file is still there: %v", err)
	}
	gone, err := s.Discard(first.ID, old.Add(time.Minute))
	if gone || err != nil {
		t.Errorf("an object in use again was discarded: %v, %v", gone, err)
	}
	if gone, err = s.Discard(first.ID, time.Now().Add(time.Minute)); !gone || err != nil {
		t.Errorf("%v, %v", gone, err)
	}
	if got := list(t, s); len(got) != 0 {
		t.Error(got)
	}
}

func TestAdoptConcurrently(t *testing.T) {
	s := newStore(t)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if err := s.Verify(adopt(t, s, fmt.Sprint(i%4)).ID); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := list(t, s); len(got) != 4 {
		t.Error(got)
	}
}

// TestAdoptEveryStepFails fails each step of Adopt both ways: the store never
// shows an object that is not whole, and trying again with a new file works.
func TestAdoptEveryStepFails(t *testing.T) {
	broken := errors.New("broken on purpose")
	for step := 1; ; step++ {
		for _, done := range []bool{false, true} {
			s := newStore(t)
			n := 0
			fail := func(do func() error) error {
				if n++; n != step {
					return do()
				}
				if done {
					return errors.Join(do(), broken)
				}
				return broken
			}
			real := s.steps
			s.steps = steps{
				sync:    func(f *os.File) error { return fail(func() error { return real.sync(f) }) },
				mkdir:   func(name string) error { return fail(func() error { return real.mkdir(name) }) },
				move:    func(from, to string) error { return fail(func() error { return real.move(from, to) }) },
				syncDir: func(name string) error { return fail(func() error { return real.syncDir(name) }) },
			}
			_, err := s.Adopt(put(t, s, "content"), "ids")
			if n < step {
				if step < 6 {
					t.Fatalf("only %d steps were tried", step-1)
				}
				return
			}
			if !errors.Is(err, broken) {
				t.Fatalf("step %d: %v", step, err)
			}
			for _, id := range list(t, s) {
				if err := s.Verify(id); err != nil {
					t.Errorf("step %d: %v", step, err)
				}
			}
			o, err := s.Adopt(put(t, s, "content"), "ids")
			if err != nil || !cmp.Equal(list(t, s), []string{o.ID}) {
				t.Errorf("step %d, done %v: again: %v, %v", step, done, list(t, s), err)
			}
		}
	}
}

func TestAdoptRefuses(t *testing.T) {
	s := newStore(t)
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("/etc/hostname", link); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{link, pipe, dir, filepath.Join(dir, "missing")} {
		if _, err := s.Adopt(file, "parquet"); err == nil {
			t.Errorf("adopted %s", file)
		}
	}
	for _, ext := range []string{"", "../x", "A", "a/b"} {
		if _, err := s.Adopt(put(t, s, "x"), ext); err == nil {
			t.Errorf("adopted with extension %q", ext)
		}
	}
	o := adopt(t, s, "whole")
	damage(t, s, o.ID, "wh")
	if _, err := s.Adopt(put(t, s, "whole"), "parquet"); err == nil {
		t.Error("took a damaged object for an equal one")
	}
}

func damage(t *testing.T, s *Store, id, content string) {
	t.Helper()
	if err := os.Chmod(s.Path(id), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Path(id), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestVerify(t *testing.T) {
	s := newStore(t)
	o := adopt(t, s, "hello")
	damage(t, s, o.ID, "hallo")
	if e, ok := errors.AsType[*DamagedError](s.Verify(o.ID)); !ok || e.ID != o.ID || e.Bytes != 5 {
		t.Errorf("%v", e)
	}
}

func TestLink(t *testing.T) {
	s := newStore(t)
	o := adopt(t, s, "hello")
	dst := filepath.Join(filepath.Dir(s.root.Path("x")), "in")
	if err := s.Link(o.ID, dst); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(o.ID); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(dst); string(b) != "hello" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

func TestIDsCannotLeave(t *testing.T) {
	s := newStore(t)
	for _, id := range []string{"", "a", "../../etc/passwd", fmt.Sprintf("%x", sha256.Sum256(nil)), fmt.Sprintf("%x.parquet/../x", sha256.Sum256(nil))} {
		if p := s.Path(id); p != "" {
			t.Errorf("%q is at %s", id, p)
		}
		if s.Remove(id) == nil || s.Verify(id) == nil || s.Link(id, filepath.Join(t.TempDir(), "x")) == nil {
			t.Errorf("%q was taken for an id", id)
		}
	}
}

func TestReadOnly(t *testing.T) {
	s := newStore(t)
	o := adopt(t, s, "hello")
	r := OpenReadOnly(s.root)
	if err := r.Verify(o.ID); err != nil || len(list(t, r)) != 1 {
		t.Error(err)
	}
	_, tempErr := r.Temp()
	_, adoptErr := r.Adopt(put(t, s, "x"), "parquet")
	_, discardErr := r.Discard(o.ID, time.Now())
	for _, err := range []error{tempErr, adoptErr, discardErr, r.Remove(o.ID), r.RemoveTemp(time.Now())} {
		if !errors.Is(err, ErrReadOnly) {
			t.Error(err)
		}
	}
}

func TestRemoveTemp(t *testing.T) {
	s := newStore(t)
	old, young := put(t, s, "old"), put(t, s, "young")
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveTemp(time.Now().Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Error(err)
	}
}
