package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/reedbed/reedbed/dataset"
)

func TestMigrationIsAllOrNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	c, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	known := len(migrations())
	steps := append(migrations(), "CREATE TABLE half (a); INSERT INTO half VALUES (1); INSERT INTO nowhere VALUES (1);")
	if err := c.migrate(t.Context(), steps); err == nil || !strings.Contains(err.Error(), fmt.Sprint("migration ", known+1)) {
		t.Errorf("a migration that fails: %v", err)
	}
	var version, tables int
	if err := c.write.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		t.Fatal(err)
	}
	if err := c.write.QueryRow("SELECT COUNT(*) FROM sqlite_master WHERE name = 'half'").Scan(&tables); err != nil {
		t.Fatal(err)
	}
	if version != known || tables != 0 {
		t.Errorf("left at version %d with %d of its tables", version, tables)
	}
	steps[known] = "CREATE TABLE half (a);"
	if err := c.migrate(t.Context(), steps); err != nil {
		t.Errorf("the corrected one: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Path: path}); err == nil || !strings.Contains(err.Error(), fmt.Sprint("schema ", known+1)) {
		t.Errorf("a catalog of a newer release: %v", err)
	}
}

// TestReadersAndWriterDoNotMeet has fifty readers, in this process and through
// another handle, beside a writer.
func TestReadersAndWriterDoNotMeet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	open := func(readOnly bool) *Catalog {
		c, err := Open(t.Context(), Options{Path: path, ReadOnly: readOnly})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
		return c
	}
	c := open(false)
	other := open(true)
	if err := c.EnsureDataset(t.Context(), dataset.Spec{Name: dataset.Raw, Kind: dataset.Builtin, Grain: dataset.Hour}, 0); err != nil {
		t.Fatal(err)
	}
	deploy(t, c, stageOver("s", dataset.Raw, "same", dataset.Hour, 1))
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for i := range 50 {
		readers.Go(func() {
			from := c
			if i%2 == 0 {
				from = other
			}
			for ctx.Err() == nil {
				if _, err := from.Status(t.Context()); err != nil {
					t.Error(err)
				}
				s, err := from.Snapshot(t.Context(), []string{dataset.Raw})
				if err != nil || s.Tables[0].Rows%7 != 0 {
					t.Errorf("half a load: %d rows, %v", s.Tables[0].Rows, err)
				}
			}
		})
	}
	for i := range 100 {
		load(
			t, c, segment(dataset.Raw, "2026-04-01T10", fmt.Sprint("a", i), 3), segment(dataset.Raw, "2026-04-01T11", fmt.Sprint("b", i), 4),
		)
	}
	stop()
	readers.Wait()
}

// big makes a catalog with n partitions of a stage, a tenth of them dirty.
func big(t testing.TB, c *Catalog, n int) {
	t.Helper()
	deployed := []dataset.Deployment{stageOver("s", dataset.Raw, "same", dataset.Hour, 1), stageOver("day", "s", "-27d..0d", dataset.Day, 2)}
	if _, err := c.Deploy(context.Background(), deployed, nil); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 - 1)
			INSERT INTO partitions (dataset_id, name, starts, ends, last_version, closed_at)
			SELECT d.id, strftime('%Y-%m-%dT%H', i * 3600, 'unixepoch'), i * 3600000000, (i + 1) * 3600000000, 1, 1 FROM n, datasets d WHERE d.name IN ('raw', 's')`,
		`INSERT INTO versions (partition_id, number, rows, bytes, hash, origin, created_at) SELECT id, 1, 10, 10, zeroblob(32), 'build', 1 FROM partitions WHERE ?1`,
		`INSERT INTO pointers (partition_id, version, generation, promoted_at) SELECT id, 1, 1, 1 FROM partitions WHERE ?1`,
		`INSERT INTO dirty (dataset_id, name, starts, ends, since, not_before, generation)
			SELECT p.dataset_id, p.name, p.starts, p.ends, 1, 1, 1 FROM partitions p JOIN datasets d ON d.id = p.dataset_id WHERE d.name = 's' AND p.id % 10 = 0 AND ?1`,
	} {
		if _, err := c.write.Exec(q, n); err != nil {
			t.Fatal(err)
		}
	}
}

// TestQueriesOfTheLoopUseIndexes looks at the plans of what the scheduler asks
// again and again: none may read a table from end to end.
func TestQueriesOfTheLoopUseIndexes(t *testing.T) {
	c, _ := openTest(t)
	for name, q := range map[string]struct {
		sql  string
		args []any
	}{
		"due, live":    {dueLive, []any{1, 1, 1, 1}},
		"due, history": {dueHistory, []any{1, 1, 1, 1, 1}},
		"next due":     {"SELECT MIN(not_before) FROM dirty WHERE not_before > ?", []any{1}},
		"closable":     {closable, []any{1}},
		"ended":        {endedBefore, []any{1, 1}},
		"refused with": {refusedWith, []any{1}},
		"refused rows": {closeRefused, []any{1}},
		"traces":       {tracesOf, []any{1, 1}},
		"releases":     {finished, nil},
		"held inputs":  {heldForAll, []any{1, 1, 1, false}},
		"held for one": {heldForReader, []any{1, 1, 1, false}},
	} {
		err := c.view(t.Context(), func(tx *tx) error {
			return tx.each("EXPLAIN QUERY PLAN "+q.sql, q.args, func(scan func(...any) error) error {
				var id, parent, unused int
				var step string
				if err := scan(&id, &parent, &unused, &step); err != nil {
					return err
				}
				if strings.HasPrefix(step, "SCAN") && !strings.Contains(step, "USING") && !strings.Contains(step, "datasets") && !slices.Contains([]string{"SCAN d", "SCAN g"}, step) { // datasets and groups
					t.Errorf("%s: %s", name, step)
				}
				t.Logf("%s: %s", name, step)
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
