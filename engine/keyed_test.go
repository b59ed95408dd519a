package engine_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
)

// relation is a table with the key k, as cells of SQL by key and column.
type relation map[string]map[string]string

func (r relation) sql(columns ...string) string {
	var b strings.Builder
	b.WriteString("SELECT NULL::BIGINT AS k, NULL::VARCHAR AS s, NULL::INTEGER[] AS l WHERE false")
	for _, k := range slices.Sorted(maps.Keys(r)) {
		fmt.Fprintf(&b, " UNION ALL SELECT %s", k)
		for _, c := range columns {
			fmt.Fprintf(&b, ", %s", r[k][c])
		}
	}
	return b.String()
}

// column is what a reader of one column can tell.
func (r relation) column(name string) map[string]string {
	out := map[string]string{}
	for k, cells := range r {
		out[k] = cells[name]
	}
	return out
}

// A column's hash is equal exactly where the column is equal at every key, and
// the hash of the keys where the keys are.
func TestHashesByColumn(t *testing.T) {
	p := newPool(t, engine.Options{StageWorkers: 1})
	keyed := func(t *rapid.T, r relation) *dataset.ColumnHashes {
		got, err := p.Build(t.Context(), engine.BuildJob{SQL: r.sql("s", "l"), Key: []string{"k"}, OrderBy: []string{"k"}})
		if err != nil {
			t.Fatal(err)
		}
		if got.Output.Keyed == nil {
			t.Fatalf("the key of %v was not found to be unique", r)
		}
		return got.Output.Keyed
	}
	cells := rapid.Custom(func(t *rapid.T) map[string]string {
		return map[string]string{
			"s": rapid.SampledFrom([]string{"NULL", "''", "'a'", "'b'"}).Draw(t, "s"),
			"l": rapid.SampledFrom([]string{"NULL", "[]", "[NULL]", "[1]"}).Draw(t, "l"),
		}
	})
	keys := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"0", "1", "2", "-1"}), 0, 3, rapid.ID[string])
	rapid.Check(t, func(t *rapid.T) {
		a, b := relation{}, relation{}
		for _, k := range keys.Draw(t, "keys of a") {
			a[k] = cells.Draw(t, "cells")
		}
		keysOfB := slices.Sorted(maps.Keys(a))
		if rapid.Bool().Draw(t, "other keys") {
			keysOfB = keys.Draw(t, "keys of b")
		}
		for _, k := range keysOfB {
			b[k] = cells.Draw(t, "cells")
		}
		x, y := keyed(t, a), keyed(t, b)
		if same := maps.Equal(a.column(""), b.column("")); same != (x.Keys == y.Keys) {
			t.Fatalf("keys of %v and %v: the same %v, of one hash %v", a, b, same, !same)
		}
		for _, name := range []string{"s", "l"} {
			if same := maps.Equal(a.column(name), b.column(name)); same != (x.Columns[name] == y.Columns[name]) {
				t.Fatalf("%s of %v and %v: the same %v, of one hash %v", name, a, b, same, !same)
			}
		}
	})
}

// Values that change places between rows leave a column's values as they were,
// and so any hash that is not bound to the key.
func TestColumnHashesAreBound(t *testing.T) {
	p := newPool(t, engine.Options{StageWorkers: 1})
	const one, other = "SELECT * FROM (VALUES (1, 'x'), (2, 'y')) t(k, v)", "SELECT * FROM (VALUES (1, 'y'), (2, 'x')) t(k, v)"
	by := func(key []string, sql string) engine.Output {
		return build(t, p, engine.BuildJob{SQL: sql, Key: key}).Output
	}
	if by(nil, "SELECT v FROM ("+one+")").Hash != by(nil, "SELECT v FROM ("+other+")").Hash {
		t.Error("the values by themselves are others")
	}
	x, y := by([]string{"k"}, one), by([]string{"k"}, other)
	for lane := range x.Hash {
		if x.Keyed.Columns["v"][lane] == y.Keyed.Columns["v"][lane] {
			t.Errorf("lane %d does not tell that the values changed places", lane)
		}
	}
	if x.Keyed.Keys != y.Keyed.Keys {
		t.Error("the keys are the same")
	}
	// What is not in the key is hashed apart: a new column changes none of the others.
	more := by([]string{"k"}, "SELECT *, 7 AS n FROM ("+one+")")
	if more.Keyed.Columns["v"] != x.Keyed.Columns["v"] || more.Keyed.Keys != x.Keyed.Keys || more.Hash == x.Hash {
		t.Error("a new column changes the hash of another")
	}
	rounded := func(v string) dataset.ContentHash {
		job := engine.BuildJob{SQL: "SELECT 1 AS k, " + v + "::DOUBLE AS v", Key: []string{"k"}, Equal: map[string]int{"v": 2}}
		return build(t, p, job).Output.Keyed.Columns["v"]
	}
	if rounded("0.1234") != rounded("0.1239") || rounded("0.1234") == rounded("0.13") {
		t.Error("`equal` is not what decides")
	}
}

func TestKeyMustBeUnique(t *testing.T) {
	p := newPool(t, engine.Options{StageWorkers: 1})
	for sql, proven := range map[string]bool{
		"SELECT range AS a, 1 AS b FROM range(3)":                         true,
		"SELECT range // 2 AS a, range % 2 AS b FROM range(4)":            true,
		"SELECT 1 AS a, 1 AS b WHERE false":                               true,
		"SELECT range // 2 AS a, 1 AS b FROM range(4)":                    false,
		"SELECT 1 AS a, NULL::INT AS b":                                   false,
		"SELECT range AS a, 1 AS b, 0 AS __REEDBED_KEY FROM range(3)":     false, // it is, but the name is ours
		"SELECT [range] AS a, 1 AS b FROM range(3)":                       true,
		"SELECT []::INT[] AS a, 1 AS b UNION ALL SELECT NULL, 1":          false,
		"SELECT [NULL]::INT[] AS a, 1 AS b UNION ALL SELECT []::INT[], 1": true,
		"SELECT [range // 2] AS a, 'x' AS b, range AS c FROM range(3)":    false,
	} {
		out := build(t, p, engine.BuildJob{SQL: sql, Key: []string{"a", "b"}, OrderBy: []string{"a", "b"}}).Output
		if (out.Keyed != nil) != proven {
			t.Errorf("unique %v, want %v: %s", out.Keyed != nil, proven, sql)
		}
	}
	if _, err := p.Build(t.Context(), engine.BuildJob{SQL: "SELECT 1 AS a", Key: []string{"b"}}); err == nil || !strings.Contains(err.Error(), "key names the column") {
		t.Errorf("a key that is not there: %v", err)
	}
	refused := build(t, p, engine.BuildJob{SQL: "SELECT range AS a FROM range(4)", Key: []string{"a"}, Rejects: "a > 1"})
	if refused.Output.Keyed == nil || refused.Rejected.Keyed != nil {
		t.Error("the output has a key, refused rows have none")
	}
}
