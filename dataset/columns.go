package dataset

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// ColumnHashes tell apart the columns of rows whose key is unique and nowhere
// NULL. Each is a sum over rows like a ContentHash; a column's binds every value
// to the key of its row, so that values which change places change it. Two
// relations with the same Keys have the same set of keys; if a column's hash is
// the same as well, that column is the same at every key.
type ColumnHashes struct {
	Keys    ContentHash            `json:"keys"`
	Columns map[string]ContentHash `json:"columns"` // of the columns that are not in the key
}

// NotUnique stands for rows of which somebody found that the key does not tell
// them apart.
func NotUnique() *ColumnHashes { return &ColumnHashes{} }

// Proven reports whether there are hashes by column.
func (h *ColumnHashes) Proven() bool { return h != nil && h.Columns != nil }

// Bytes is the form the catalog keeps: the hash of the keys, then for each
// column in order of name the length of the name in two bytes, big endian, the
// name, and the hash; nothing for NotUnique.
func (h ColumnHashes) Bytes() []byte {
	if h.Columns == nil {
		return []byte{}
	}
	b := h.Keys.Bytes()
	for _, name := range slices.Sorted(maps.Keys(h.Columns)) {
		b = binary.BigEndian.AppendUint16(b, uint16(len(name)))
		b = append(b, name...)
		b = append(b, h.Columns[name].Bytes()...)
	}
	return b
}

// ColumnHashesFromBytes reads what Bytes wrote.
func ColumnHashesFromBytes(b []byte) (ColumnHashes, error) {
	if len(b) == 0 {
		return *NotUnique(), nil
	}
	bad := errors.New("these are not the hashes of columns")
	if len(b) < 32 {
		return ColumnHashes{}, bad
	}
	h := ColumnHashes{Keys: HashFromBytes(b[:32]), Columns: map[string]ContentHash{}}
	last := ""
	for b = b[32:]; len(b) > 0; {
		if len(b) < 2 {
			return ColumnHashes{}, bad
		}
		n := int(binary.BigEndian.Uint16(b))
		if len(b) < 2+n+32 {
			return ColumnHashes{}, bad
		}
		name := string(b[2 : 2+n])
		if len(h.Columns) > 0 && name <= last {
			return ColumnHashes{}, bad
		}
		h.Columns[name], last = HashFromBytes(b[2+n:2+n+32]), name
		b = b[2+n+32:]
	}
	return h, nil
}

// LeafOfColumns is the leaf of a partition for a reader that can see the keys
// and the named columns, in order of name, and nothing else. A column the version
// does not have is NULL to it.
func LeafOfColumns(q Promoted, h ColumnHashes, seen []string) Sum {
	f := NewFields("columns")
	f.Text(string(q.Partition))
	f.Number(q.Rows)
	f.Bytes(h.Keys.Bytes())
	f.Number(int64(len(seen)))
	for _, name := range seen {
		f.Text(name)
		if hash, has := h.Columns[name]; has {
			f.Bytes(hash.Bytes())
		} else {
			f.Text("")
		}
	}
	return SumFromBytes(1, f.Hash())
}
