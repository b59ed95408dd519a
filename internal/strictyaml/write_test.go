package strictyaml

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

const asWritten = `name: plays
"off": "2026-01-01"
count: 5
some: [a, "true", 1.5, 5%]
empty: []
checks:
  - name: none
    sql: |-
      SELECT *
        FROM plays

      WHERE false
  - deep:
      - {}
      - "x: y"
`

func TestWrite(t *testing.T) {
	v := Value{Kind: Map, Fields: []Field{
		{Name: "name", Value: Text("plays")},
		{Name: "off", Value: Text("2026-01-01")},
		{Name: "count", Value: Number("5")},
		{Name: "some", Value: Value{Kind: List, List: []Value{Text("a"), Text("true"), Number("1.5"), Text("5%")}}},
		{Name: "empty", Value: Value{Kind: List}},
		{Name: "checks", Value: Value{Kind: List, List: []Value{
			{Kind: Map, Fields: []Field{{Name: "name", Value: Text("none")}, {Name: "sql", Value: Text("SELECT *\n  FROM plays\n\nWHERE false")}}},
			{Kind: Map, Fields: []Field{{Name: "deep", Value: Value{Kind: List, List: []Value{{Kind: Map}, Text("x: y")}}}}},
		}}},
	}}
	if d := cmp.Diff(asWritten, Write(v)); d != "" {
		t.Error(d)
	}
}

// What is written is read as it was.
func TestWrittenIsRead(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z0-9:#,'" \n\[\]{}|>&*!%@-]{1,12}`), rapid.StringMatching(`(SELECT|  FROM|\n| |x|-- ;)*`))
	var value func(depth int) *rapid.Generator[Value]
	value = func(depth int) *rapid.Generator[Value] {
		return rapid.Custom(func(t *rapid.T) Value {
			kinds := []string{"text", "number", "list", "map"}
			if depth == 0 {
				kinds = kinds[:2]
			}
			v := Value{}
			switch rapid.SampledFrom(kinds).Draw(t, "kind") {
			case "text":
				v = Text(text.Draw(t, "text"))
			case "number":
				v = Number(rapid.SampledFrom([]string{"0", "-5", "1.25", "true", "86400000"}).Draw(t, "number"))
			case "list":
				v.Kind, v.List = List, rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "list")
			case "map":
				v.Kind = Map
				for _, name := range rapid.SliceOfNDistinct(text, 0, 3, rapid.ID[string]).Draw(t, "names") {
					v.Fields = append(v.Fields, Field{Name: name, Value: value(depth-1).Draw(t, "value")})
				}
			}
			return v
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		v := Value{Kind: Map, Fields: []Field{{Name: "a", Value: value(3).Draw(t, "value")}}}
		var back Value
		if err := Decode([]byte(Write(v)), &back); err != nil {
			t.Fatalf("%v\n%s", err, Write(v))
		}
		if d := cmp.Diff(v, back, cmp.AllowUnexported(Value{}), cmpopts.IgnoreFields(Value{}, "Line"), cmpopts.IgnoreFields(Field{}, "Line"),
			cmpopts.EquateEmpty(), cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Text" && !scalar(p) }, cmp.Ignore())); d != "" {
			t.Fatalf("%s\n%s", d, Write(v))
		}
	})
}

// scalar reports whether a path leads to the text of a scalar; others keep the text
// of a bracket.
func scalar(p cmp.Path) bool {
	v, _ := p.Index(-2).Values()
	return v.Interface().(Value).Kind == Scalar
}
