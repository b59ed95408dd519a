package sqlite

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A catalog of the first release opens, and has everything that a new one has.
func TestCatalogOfTheFirstRelease(t *testing.T) {
	schema := func(c *Catalog) (all []string) {
		err := c.view(t.Context(), func(x *tx) error {
			return x.each("SELECT type || ' ' || name || ' ' || COALESCE(sql, '') FROM sqlite_schema ORDER BY 1", nil, func(scan func(...any) error) error {
				var s string
				err := scan(&s)
				all = append(all, s)
				return err
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	path := filepath.Join(t.TempDir(), "catalog")
	c, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	fresh := schema(c)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	old := &Catalog{now: c.now}
	path = filepath.Join(t.TempDir(), "catalog")
	if old.write, err = sql.Open("sqlite3", dsn(path, "rwc")); err != nil {
		t.Fatal(err)
	}
	if err := old.migrate(t.Context(), migrations()[:1]); err != nil {
		t.Fatal(err)
	}
	if err := old.write.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err = Open(t.Context(), Options{Path: path}); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if d := cmp.Diff(fresh, schema(c)); d != "" {
		t.Errorf("a new catalog and one that was brought up to date differ:\n%s", d)
	}
}
