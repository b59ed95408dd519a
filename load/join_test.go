package load

import (
	"io"
	"os"
	"path/filepath"
	"testing"

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

// joined joins files into a new one, if they can be.
func joined(t testing.TB, name string, paths []string) (path string, done bool) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "joined"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	done, err = (&Loader{}).joinSegments(name, paths, func(content func(io.Writer) error) error { return content(out) })
	if err != nil {
		t.Fatal(err)
	}
	return out.Name(), done
}

func TestJoinKeepsEveryRow(t *testing.T) {
	rows := sampleRows(45_000)
	path, done := joined(t, dataset.Raw, segmentFiles(t, rows, 5_000))
	if !done {
		t.Fatal("not joined")
	}
	files, err := openParquet([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	defer files.close()
	if n := len(files.parquet[0].RowGroups()); n != 9 {
		t.Errorf("%d row groups, want 9", n)
	}
	checkCells(t, rawTable(), files.parquet[0], rows)
	if _, done := joined(t, dataset.Raw, []string{path, path}); !done {
		t.Error("a joined file is not joined again")
	}
}

func TestSmallAndForeignFilesAreNotJoined(t *testing.T) {
	if _, done := joined(t, dataset.Raw, segmentFiles(t, sampleRows(3_000), 1_000)); done {
		t.Error("files of small row groups were joined")
	}
	large := segmentFiles(t, sampleRows(10_000), 10_000)
	if _, done := joined(t, "plays", large); done {
		t.Error("files of a stage were joined")
	}
	foreign, _, _, err := plainCompactor{t.TempDir()}.Compact(t.Context(), large, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, done := joined(t, dataset.Raw, append(large, foreign)); done {
		t.Error("a file of another writer was joined")
	}
}

func BenchmarkJoin(b *testing.B) {
	paths := segmentFiles(b, sampleRows(200_000), 20_000)
	begun := cpu()
	for b.Loop() {
		if _, done := joined(b, dataset.Raw, paths); !done {
			b.Fatal("not joined")
		}
	}
	b.ReportMetric((cpu()-begun).Seconds()/float64(b.N)/0.2, "cpu-s/Mrow")
}
