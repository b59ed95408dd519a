package sidecar

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// failer is a *testing.T, B or F, or a *rapid.T.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// encode writes sorted keys and fails the test on any error.
func encode(t failer, keys []Key) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := NewWriter(&buf)
	for _, k := range keys {
		if err := w.Add(k); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func sortedSet(keys []Key) []Key {
	slices.SortFunc(keys, Key.Compare)
	return slices.Compact(keys)
}

// keyGen makes keys that often share a route, an id or a payload: some ids are
// spread over the whole range as hashes are, some are crowded at its ends.
func keyGen() *rapid.Generator[Key] {
	return rapid.Custom(func(t *rapid.T) Key {
		hi := rapid.OneOf(
			rapid.Uint64(),
			rapid.Uint64Range(0, 20),
			rapid.Uint64Range(1<<63, 1<<63+20),
			rapid.Uint64Range(^uint64(0)-20, ^uint64(0)),
		).Draw(t, "hi")
		return Key{
			Route:   rapid.Uint64Range(0, 3).Draw(t, "route"),
			ID:      ID{hi, rapid.Uint64Range(0, 2).Draw(t, "lo")},
			Payload: rapid.Uint64Range(0, 2).Draw(t, "payload"),
		}
	})
}

func TestSearchAgreesWithMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stored := sortedSet(rapid.SliceOfN(keyGen(), 0, 300).Draw(t, "stored"))
		asked := rapid.SliceOfN(keyGen(), 0, 60).Draw(t, "asked")
		if len(stored) > 0 {
			asked = append(asked, rapid.SliceOfN(rapid.SampledFrom(stored), 0, 60).Draw(t, "known")...)
		}
		asked = sortedSet(asked)
		oracle := map[Key]Match{}
		for _, k := range stored {
			oracle[k] |= SameEvent
			oracle[Key{Route: k.Route, ID: k.ID}] |= SameID
		}
		f, err := parse(encode(t, stored))
		if err != nil {
			t.Fatal(err)
		}
		known := make([]Match, len(asked))
		if err := f.Search(asked, known); err != nil {
			t.Fatal(err)
		}
		for i, k := range asked {
			want := oracle[k]&SameEvent | oracle[Key{Route: k.Route, ID: k.ID}]&SameID
			if known[i] != want {
				t.Fatalf("key %v: got %b, want %b", k, known[i], want)
			}
		}
	})
}

func TestMergeIsTheUnion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var files []*File
		var all []Key
		for _, keys := range rapid.SliceOfN(rapid.SliceOfN(keyGen(), 0, 80), 0, 9).Draw(t, "files") {
			keys = sortedSet(keys)
			all = append(all, keys...)
			f, err := parse(encode(t, keys))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		var merged bytes.Buffer
		w := NewWriter(&merged)
		if err := Merge(w, files); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if want := encode(t, sortedSet(all)); !bytes.Equal(merged.Bytes(), want) {
			t.Fatalf("the merge of %d files differs from the sorted union", len(files))
		}
	})
}

// opened is a file of keys, and where it lies.
func opened(t *testing.T, keys []Key) (*File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a."+Ext)
	if err := os.WriteFile(path, encode(t, keys), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, path
}

func TestOpenReadsThroughTheMap(t *testing.T) {
	keys := randomKeys(10_000, 3)
	f, path := opened(t, keys)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	known := make([]Match, len(keys))
	for range 2 {
		clear(known)
		if err := f.Search(keys, known); err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(known, func(m Match) bool { return m != SameID|SameEvent }); i >= 0 {
			t.Fatalf("key %d was not found", i)
		}
		f.Forget()
	}
}

// A file cut short under the map faults when read: an error, never a crash.
func TestSearchOfATruncatedFileIsAnError(t *testing.T) {
	keys := randomKeys(100_000, 1)
	f, path := opened(t, keys)
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	if err := f.Search(keys, make([]Match, len(keys))); err == nil {
		t.Fatal("searching beyond the end of the file did not fail")
	}
}

func TestEveryFlippedByteIsFound(t *testing.T) {
	whole := encode(t, randomKeys(40, 4))
	for i := range whole {
		if i >= 12 && i < 16 {
			continue // the header's reserved bytes
		}
		damaged := bytes.Clone(whole)
		damaged[i] ^= 0x40
		f, err := parse(damaged)
		if err == nil {
			w := NewWriter(&bytes.Buffer{})
			err = Merge(w, []*File{f})
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d flipped: got %v, want ErrCorrupt", i, err)
		}
	}
	for n := range whole {
		if _, err := parse(whole[:n]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut to %d bytes: got %v, want ErrCorrupt", n, err)
		}
	}
}

func TestAddRefusesDisorder(t *testing.T) {
	w := NewWriter(&bytes.Buffer{})
	k := Key{Route: 1, ID: ID{1, 1}, Payload: 1}
	if err := w.Add(k); err != nil {
		t.Fatal(err)
	}
	if err := w.Add(k); err == nil {
		t.Error("the same key twice was taken")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(encode(f, nil))
	f.Add(encode(f, randomKeys(5, 2)))
	f.Fuzz(func(_ *testing.T, data []byte) {
		s, err := parse(data)
		if err != nil {
			return
		}
		keys := []Key{{}, {Route: 1, ID: ID{1 << 63, 0}}, {Route: ^uint64(0), ID: ID{^uint64(0), 0}}}
		_ = s.Search(keys, make([]Match, len(keys)))
		w := NewWriter(&bytes.Buffer{})
		_ = Merge(w, []*File{s})
	})
}

func randomKeys(n, routes int) []Key {
	rng := rand.New(rand.NewPCG(1, 2))
	keys := make([]Key, n)
	for i := range keys {
		keys[i] = Key{rng.Uint64N(uint64(routes)), ID{rng.Uint64(), rng.Uint64()}, rng.Uint64()}
	}
	return sortedSet(keys)
}

func BenchmarkSearchSparse(b *testing.B) { benchmarkSearch(b, 4_000_000, 60_000) }
func BenchmarkSearchDense(b *testing.B)  { benchmarkSearch(b, 60_000, 60_000) }

func benchmarkSearch(b *testing.B, stored, asked int) {
	f, err := parse(encode(b, randomKeys(stored, 1)))
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	keys := make([]Key, asked)
	for i := range keys {
		keys[i] = Key{0, ID{rng.Uint64(), rng.Uint64()}, 0}
	}
	keys = sortedSet(keys)
	known := make([]Match, len(keys))
	for b.Loop() {
		if err := f.Search(keys, known); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keys)), "ns/key")
}

func BenchmarkMerge(b *testing.B) {
	var files []*File
	total := 0
	for i := range 4 {
		keys := randomKeys(100_000, 1)
		for j := range keys {
			keys[j].Payload += uint64(i)
		}
		total += len(keys)
		f, err := parse(encode(b, keys))
		if err != nil {
			b.Fatal(err)
		}
		files = append(files, f)
	}
	for b.Loop() {
		w := NewWriter(&bytes.Buffer{})
		if err := Merge(w, files); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*total), "ns/key")
}
