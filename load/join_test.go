package load

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/reedbed/reedbed/dataset"
)

// segmentFiles writes rows in files of the given size.
func segmentFiles(t testing.TB, rows []*row, each int) (paths []string) {
	tab := rawTable()
	for len(rows) > 0 {
		n := min(each, len(rows))
		f, err := os.Create(filepath.Join(t.TempDir(), "s.parquet"))
		if err != nil {
			t.Fatal(err)
		}
		if err := tab.write(f, rows[:n]); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		paths, rows = append(paths, f.Name()), rows[n:]
	}
	return paths
}

func TestJoinKeepsEveryRow(t *testing.T) {
	rows := sampleRows(45_000)
	paths := segmentFiles(t, rows, 5_000)
	c := dataset.CompactionCandidate{Dataset: dataset.Raw}
	if ok, err := joinable(c, paths); !ok || err != nil {
		t.Fatalf("joinable: %v, %v", ok, err)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "joined"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := join(out, dataset.Raw, paths); err != nil {
		t.Fatal(err)
	}
	err = withParquet(out.Name(), func(f *parquet.File) error {
		if n := len(f.RowGroups()); n != 9 {
			t.Errorf("%d row groups, want 9", n)
		}
		checkCells(t, rawTable(), f, rows)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSmallAndForeignFilesAreNotJoined(t *testing.T) {
	small := segmentFiles(t, sampleRows(3_000), 1_000)
	if ok, err := joinable(dataset.CompactionCandidate{Dataset: dataset.Raw}, small); ok || err != nil {
		t.Errorf("small row groups: joinable %v, %v", ok, err)
	}
	large := segmentFiles(t, sampleRows(10_000), 10_000)
	if ok, _ := joinable(dataset.CompactionCandidate{Dataset: "plays"}, large); ok {
		t.Error("a stage's file is joinable")
	}
	foreign, _, _, err := plainCompactor{t.TempDir()}.Compact(t.Context(), large, nil)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := joinable(dataset.CompactionCandidate{Dataset: dataset.Raw}, append(large, foreign)); ok || err != nil {
		t.Errorf("a file of another writer: joinable %v, %v", ok, err)
	}
}

func BenchmarkJoin(b *testing.B) {
	rows := sampleRows(200_000)
	paths := segmentFiles(b, rows, 20_000)
	out, err := os.Create(filepath.Join(b.TempDir(), "joined"))
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	begun := cpu()
	for b.Loop() {
		if _, err := out.Seek(0, 0); err != nil {
			b.Fatal(err)
		}
		if err := join(out, dataset.Raw, paths); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpu()-begun).Seconds()/float64(b.N)/float64(len(rows))*1e6, "cpu-s/Mrow")
}
