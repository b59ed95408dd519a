package duck

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
)

// binding is all that decides which columns a text returns, hashed.
type binding [sha256.Size]byte

// rebind is bind, for a text that comes again over files of the same columns: to
// bind a small partition takes as long as to compute it.
func (d *DB) rebind(ctx context.Context, r engine.Request) ([]dataset.Column, error) {
	key, ok := d.binding(r)
	if columns := d.bound[key]; ok && columns != nil {
		return columns, nil
	}
	columns, err := d.bind(ctx, r.SQL)
	if err == nil && ok {
		const many = 256
		if len(d.bound) >= many {
			clear(d.bound)
		}
		d.bound[key] = columns
	}
	return columns, err
}

// binding is not ok where a table's columns are found by looking at its rows. A
// text may choose its columns by the bounds of the partition.
func (d *DB) binding(r engine.Request) (key binding, ok bool) {
	h := sha256.New()
	fmt.Fprintf(h, "%q", r.SQL)
	if strings.Contains(strings.ToLower(r.SQL), "getvariable") {
		fmt.Fprintf(h, "%s %s", r.Start, r.End)
	}
	for _, t := range r.Tables {
		if t.Format == "csv" {
			return key, false
		}
		paths := d.paths(t)
		t.Files = nil
		text, err := json.Marshal(t)
		if err != nil {
			return key, false
		}
		h.Write(text)
		var last []byte
		for _, path := range paths {
			schema, err := schemaOf(path)
			if err != nil {
				return key, false // DuckDB will say what is wrong with it
			}
			if !slices.Equal(schema, last) { // most files are like the one before
				fmt.Fprintf(h, "%q", schema)
				last = schema
			}
		}
	}
	return binding(h.Sum(nil)), true
}
