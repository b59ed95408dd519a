package strictyaml

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValue(t *testing.T) {
	const text = `rows:
  - {id: 007, amount: 1.50, at: 2026-05-01T12:00:00Z, sure: true, much: .inf}
  - id: null
    deep:
      list: [1, "1", ~]
      "odd: key": |
        two
        lines
  - only: one
blank:
`
	var d struct{ Rows, Blank, Gone Value }
	if err := Decode([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	want := []struct {
		line int
		json string
	}{
		{2, `{"id":"007","amount":1.50,"at":"2026-05-01T12:00:00Z","sure":true,"much":".inf"}`},
		{3, `{"id":null,"deep":{"list":[1,"1",null],"odd: key":"two\nlines\n"}}`},
		{9, `{"only":"one"}`},
	}
	for i, row := range d.Rows.List {
		if row.Kind != Map || row.Line != want[i].line || row.JSON() != want[i].json || !row.Plain() {
			t.Errorf("row %d is %+v, as JSON %s", i, row, row.JSON())
		}
	}
	if f := d.Rows.List[0].Fields[1]; f.Name != "amount" || f.Line != 2 || f.Value.Text != "1.50" {
		t.Errorf("got %+v", f)
	}
	if diff := cmp.Diff(d.Blank.Kind, Absent) + cmp.Diff(d.Gone.Kind, Absent); diff != "" {
		t.Error(diff)
	}
}

// What is not plain is not taken for something else.
func TestValueNotPlain(t *testing.T) {
	for _, text := range []string{"a: [&x 1, *x]", "a: {<<: *x}", "a: {b: !!str 3}"} {
		var d struct{ A Value }
		if err := Decode([]byte(text), &d); err == nil && d.A.Plain() {
			t.Errorf("%s became %s", text, d.A.JSON())
		}
	}
	var d struct{ A Value }
	if err := Decode([]byte("a: {x: 1, x: 2}"), &d); err == nil {
		t.Error("a key may be there twice")
	}
}

func FuzzValue(f *testing.F) {
	f.Add([]byte("a: {b: [1, 0x1F, 1_000, 'c', ~, .nan, 2026-05-01], d: !!str 3}"))
	f.Add([]byte("a: ? b\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var d struct{ A Value }
		if Decode(text, &d) == nil && !json.Valid([]byte(d.A.JSON())) {
			t.Errorf("%q became %s", text, d.A.JSON())
		}
	})
}
