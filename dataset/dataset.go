// Package dataset knows what a dataset is: a named table cut into partitions,
// each with immutable versions made of segments, one of which is promoted.
//
// It never runs SQL over data, never reads an object, and never imports the
// engine. What is on record is kept by a catalog (dataset/sqlite).
package dataset

// Names of the built-in datasets.
const (
	Raw        = "raw"
	Quarantine = "quarantine"
	Schemas    = "schemas" // the project's JSON Schemas, a side input
)

// Completeness is the stage that measures how much of what was sent arrived, in
// projects that have it.
const Completeness = "completeness"

// Column is one column of a dataset: its name and its SQL type as DuckDB
// spells it (VARCHAR, BIGINT, TIMESTAMP WITH TIME ZONE, JSON, DOUBLE, ...).
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// ContentHash is the order-independent hash of a multiset of rows: four lanes,
// each the sum modulo 2^64 of one salted hash per row. Hashes of disjoint
// row sets add up, so a version's hash is the sum of its segments'.
// Claimed width: 64 bits per row (SEMANTICS ruling 10).
type ContentHash [4]uint64

// Add returns the hash of the union of two row multisets.
func (h ContentHash) Add(o ContentHash) ContentHash {
	for i := range h {
		h[i] += o[i]
	}
	return h
}
