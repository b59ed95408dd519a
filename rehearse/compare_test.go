package rehearse

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
)

// most is the greatest number of rows that can serve expectations, by trying all.
func most(fits [][]bool, used []bool) int {
	if len(fits) == 0 {
		return 0
	}
	best := most(fits[1:], used)
	for j, fit := range fits[0] {
		if fit && !used[j] {
			used[j] = true
			best = max(best, 1+most(fits[1:], used))
			used[j] = false
		}
	}
	return best
}

func TestMatchFindsTheMost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 6).Draw(t, "rows")
		fits := rapid.SliceOfN(rapid.SliceOfN(rapid.Bool(), n, n), 0, 6).Draw(t, "fits")
		seen, found := map[int]bool{}, 0
		for j, i := range match(fits, n) {
			if i < 0 {
				continue
			}
			if seen[i] || !fits[i][j] {
				t.Fatalf("row %d serves expectation %d", j, i)
			}
			seen[i] = true
			found++
		}
		if want := most(fits, make([]bool, n)); found != want {
			t.Fatalf("%d rows serve an expectation, %d could", found, want)
		}
	})
}

// Every expected row and every row that came out is accounted for once: matched,
// or in exactly one difference.
func TestDifferencesAccountForEveryRow(t *testing.T) {
	columns := []dataset.Column{{Name: "a", Type: "BIGINT"}, {Name: "b", Type: "BIGINT"}, {Name: "c", Type: "BIGINT"}}
	cell := rapid.Custom(func(t *rapid.T) *string {
		if n := rapid.IntRange(0, 2).Draw(t, "cell"); n > 0 {
			return new(strconv.Itoa(n))
		}
		return nil
	})
	table := rapid.SliceOfN(rapid.SliceOfN(cell, 3, 3), 0, 5)
	rapid.Check(t, func(t *rapid.T) {
		d := differ{want: table.Draw(t, "want"), got: table.Draw(t, "got")}
		d.expectation = &expectation{key: []string{"a"}, rows: rows{columns: columns}}
		for i := range d.want {
			d.rows.named = append(d.rows.named, rapid.SliceOfN(rapid.Bool(), 3, 3).Draw(t, "named"))
			d.rows.lines = append(d.rows.lines, i+1)
		}
		counts, lines := map[Kind]int{}, map[int]bool{}
		for _, x := range d.differences() {
			counts[x.Kind]++
			if x.Line > 0 && lines[x.Line] {
				t.Fatalf("line %d differs twice", x.Line)
			}
			lines[x.Line] = true
		}
		missing, unexpected := d.leftOver()
		if counts[Missing]+counts[Differs] != len(missing) || counts[Unexpected]+counts[Differs] != len(unexpected) {
			t.Fatalf("%v of %d missing and %d unexpected", counts, len(missing), len(unexpected))
		}
		if len(d.want)-len(missing) != len(d.got)-len(unexpected) {
			t.Fatal("a row serves several expectations")
		}
	})
}

func TestDifferences(t *testing.T) {
	d := differ{
		expectation: &expectation{output: "plays", key: []string{"id"}, rows: rows{
			columns: []dataset.Column{{Name: "id", Type: "VARCHAR"}, {Name: "n", Type: "BIGINT"}, {Name: "x", Type: "DOUBLE"}},
			named:   [][]bool{{true, true, false}, {true, true, false}, {false, true, false}},
			lines:   []int{4, 5, 6},
		}},
		want: [][]*string{{new("a"), new("1"), nil}, {new("b"), new("2"), nil}, {nil, nil, nil}},
		got:  [][]*string{{new("b"), new("3"), new("0.5")}, {new("c"), nil, nil}, {new("d"), new("9"), nil}, {new("e"), new("8"), nil}},
	}
	want := []Difference{
		{Output: "plays", Kind: Differs, Line: 5, Cells: []Cell{{Column: "id", Want: new("b"), Got: new("b"), Same: true}, {Column: "n", Want: new("2"), Got: new("3")}}},
		{Output: "plays", Kind: Missing, Line: 4, Cells: []Cell{{Column: "id", Want: new("a")}, {Column: "n", Want: new("1")}}},
		{Output: "plays", Kind: Unexpected, Cells: []Cell{{Column: "id", Got: new("d")}, {Column: "n", Got: new("9")}}},
		{Output: "plays", Kind: Unexpected, Cells: []Cell{{Column: "id", Got: new("e")}, {Column: "n", Got: new("8")}}},
	}
	if diff := cmp.Diff(want, d.differences()); diff != "" {
		t.Error(diff)
	}
}
