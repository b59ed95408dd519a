package acceptance

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
)

// data is the folder that holds all the program wrote.
func (p project) data(path ...string) string {
	return filepath.Join(append([]string{p.dir, ".reedbed"}, path...)...)
}

// catalog opens the catalog of a project on which nothing runs.
func (p project) catalog(t *testing.T) *sqlite.Catalog {
	t.Helper()
	c, err := sqlite.Open(t.Context(), sqlite.Options{Path: p.data("catalog.db"), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// record is what the catalog of a stopped project says is promoted: partition
// by partition, rows and content hash. How many versions there were before is
// history, not content.
func (p project) record(t *testing.T) map[string]map[dataset.Partition]dataset.Promoted {
	t.Helper()
	c := p.catalog(t)
	datasets, err := c.Datasets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[dataset.Partition]dataset.Promoted{}
	for _, d := range datasets {
		versions, err := c.Promoted(t.Context(), d.Spec.Name)
		if err != nil {
			t.Fatal(err)
		}
		out[d.Spec.Name] = map[dataset.Partition]dataset.Promoted{}
		for _, v := range versions {
			v.Version = 0
			out[d.Spec.Name][v.Partition] = v
		}
	}
	return out
}

// verifyObjects reads every file the promoted versions of a stopped project
// are made of: it must be there and be what its name says.
func (p project) verifyObjects(t *testing.T) {
	t.Helper()
	c := p.catalog(t)
	datasets, err := c.Datasets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range datasets {
		names = append(names, d.Spec.Name)
	}
	snapshot, err := c.Snapshot(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	objects := 0
	for _, table := range snapshot.Tables {
		for _, object := range table.Objects {
			objects++
			p.verifyObject(t, object)
		}
	}
	t.Logf("%d objects are what their names say", objects)
}

func (p project) verifyObject(t *testing.T, object string) {
	t.Helper()
	f, err := os.Open(p.data("store", "objects", object[:2], object))
	if err != nil {
		t.Errorf("the catalog names an object that cannot be read: %v", err)
		return
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Error(err)
	}
	if sum, _, _ := strings.Cut(object, "."); hex.EncodeToString(h.Sum(nil)) != sum {
		t.Errorf("%s does not hold what its name says", object)
	}
}
