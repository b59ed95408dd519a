package dataset

import "encoding/binary"

// Bytes is the hash as the catalog keeps it: 32 bytes, lanes in order, big endian.
func (h ContentHash) Bytes() []byte {
	b := make([]byte, 0, 32)
	for _, lane := range h {
		b = binary.BigEndian.AppendUint64(b, lane)
	}
	return b
}

// HashFromBytes reads what Bytes wrote; short input gives the zero hash.
func HashFromBytes(b []byte) ContentHash {
	var h ContentHash
	if len(b) != 32 {
		return h
	}
	for i := range h {
		h[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return h
}

// Kind says how a dataset comes to be.
type Kind string

// The kinds of dataset.
const (
	Builtin  Kind = "builtin"  // written by the loader
	Computed Kind = "stage"    // computed by a stage
	Rejected Kind = "rejected" // rows a stage refused
	Side     Kind = "side"     // a small file of the project
)

// Spec is what the catalog must know to keep a dataset.
type Spec struct {
	Name       string
	Kind       Kind
	Grain      Grain
	Owner      string
	Columns    []Column
	HashScheme string
}

// Promoted is the promoted version of one partition, as readers see it.
type Promoted struct {
	Dataset   string
	Partition Partition
	Version   int64
	Rows      int64
	Hash      ContentHash
}

// Edge is one input of a deployed stage.
type Edge struct {
	Input  string
	Window Window
}
