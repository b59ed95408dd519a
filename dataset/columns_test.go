package dataset

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func FuzzColumnHashes(f *testing.F) {
	f.Add(ColumnHashes{Keys: ContentHash{1}}.Bytes())
	f.Add(ColumnHashes{Columns: map[string]ContentHash{"": {1}, "a": {2, 3}, "b": {}}}.Bytes())
	f.Add([]byte("short"))
	f.Add(NotUnique().Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ColumnHashesFromBytes(b)
		if err == nil && !bytes.Equal(h.Bytes(), b) {
			t.Errorf("%x was read as %v, which is written as %x", b, h, h.Bytes())
		}
	})
}

func TestLeafOfColumns(t *testing.T) {
	q := Promoted{Dataset: "d", Partition: "2026-04-01", Version: 1, Rows: 2, Hash: ContentHash{9}}
	h := ColumnHashes{Keys: ContentHash{1}, Columns: map[string]ContentHash{"a": {2}, "b": {3}}}
	if back, err := ColumnHashesFromBytes(h.Bytes()); err != nil || cmp.Diff(h, back) != "" {
		t.Errorf("written and read: %v, %v", back, err)
	}
	leaf := LeafOfColumns(q, h, []string{"a"})
	unread, rewritten := h, q
	unread.Columns = map[string]ContentHash{"a": {2}, "b": {4}, "c": {5}}
	rewritten.Hash, rewritten.Version = ContentHash{8}, 2
	if LeafOfColumns(rewritten, unread, []string{"a"}) != leaf {
		t.Error("a column that is not seen changes the leaf")
	}
	otherKeys, fewer := h, q
	otherKeys.Keys, fewer.Rows = ContentHash{7}, 1
	for what, other := range map[string]Sum{
		"a value that is seen": LeafOfColumns(q, ColumnHashes{Keys: h.Keys, Columns: map[string]ContentHash{"a": {6}}}, []string{"a"}),
		"a column that goes":   LeafOfColumns(q, ColumnHashes{Keys: h.Keys}, []string{"a"}),
		"the keys":             LeafOfColumns(q, otherKeys, []string{"a"}),
		"the number of rows":   LeafOfColumns(fewer, h, []string{"a"}),
		"another column seen":  LeafOfColumns(q, h, []string{"a", "b"}),
		"nothing seen":         LeafOfColumns(q, h, nil),
		"all of the row":       Leaf(q),
	} {
		if other == leaf {
			t.Errorf("the leaf does not tell %s", what)
		}
	}
}
