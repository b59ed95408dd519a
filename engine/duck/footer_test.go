package duck

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/reedbed/reedbed/engine"
)

// footers are those of files DuckDB wrote.
func footers(t testing.TB, texts ...string) (out [][]byte) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	d, err := Open(t.Context(), Config{Out: dir, Memory: 128 << 20, Spill: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.conn.Close() })
	for _, text := range texts {
		if _, err := d.Build(t.Context(), engine.Request{SQL: text}); err != nil {
			t.Fatal(err)
		}
		schema, err := schemaOf(filepath.Join(dir, engine.RowsFile))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, schema)
	}
	return out
}

// TestSchemaOf tells files of other columns apart, and no others.
func TestSchemaOf(t *testing.T) {
	like := footers(t, "SELECT 1 AS a, ['x'] AS b", "SELECT range::INTEGER AS a, NULL::VARCHAR[] AS b FROM range(100000)")
	if string(like[0]) != string(like[1]) || len(like[0]) == 0 {
		t.Errorf("%q and %q are of the same columns", like[0], like[1])
	}
	seen := map[string]string{}
	texts := []string{
		"SELECT 1 AS a", "SELECT 1 AS b", "SELECT 1 AS a, 2 AS b", "SELECT 1 AS b, 2 AS a", "SELECT 1::BIGINT AS a", "SELECT 1::UTINYINT AS a",
		"SELECT 'x' AS a", "SELECT '1'::JSON AS a", "SELECT 'x'::BLOB AS a", "SELECT 1::DECIMAL(5,1) AS a", "SELECT 1::DECIMAL(5,2) AS a",
		"SELECT [1] AS a", "SELECT {'a': 1} AS a", "SELECT now() AS a", "SELECT now()::TIMESTAMP AS a", "SELECT MAP {'k': 1} AS a",
	}
	for i, schema := range footers(t, texts...) {
		if other, same := seen[string(schema)]; same {
			t.Errorf("%s and %s are told to have the same columns", texts[i], other)
		}
		seen[string(schema)] = texts[i]
	}
	path := filepath.Join(t.TempDir(), "short")
	for _, content := range []string{"", "PAR1", "\xff\xff\xff\xffPAR1", "\x00\x00\x00\x00XXXX", "\x15\x02\x01\x00\x00\x00PAR1\x03\x00\x00\x00PAR1"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if schema, err := schemaOf(path); err == nil {
			t.Errorf("%q has the schema %q", content, schema)
		}
	}
}

// FuzzSchemaIn ends for all bytes, and returns no more than it was given.
func FuzzSchemaIn(f *testing.F) {
	for _, schema := range footers(f, "SELECT 1 AS a, ['x'] AS b") {
		f.Add(append([]byte{0x15, 2, 0x19}, append(schema, 0)...))
	}
	f.Add([]byte{0x15, 2, 0x19, 0x1c, 0x48, 1, 'a', 0, 0x39, 0xfc, 0xff, 0xff, 0x7f})
	f.Add([]byte{0x29, 0x15, 2, 0})
	f.Fuzz(func(t *testing.T, footer []byte) {
		schema, err := schemaIn(footer)
		if len(schema) > 20*(len(footer)+1) {
			t.Errorf("%d bytes of %d: %v", len(schema), len(footer), err)
		}
	})
}
