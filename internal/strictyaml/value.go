package strictyaml

import (
	"bytes"
	"encoding/json"

	"github.com/goccy/go-yaml/ast"
)

// Kind is what a Value is.
type Kind int

// The kinds of value. A key that is not in the document leaves Absent.
const (
	Absent Kind = iota
	Null
	Scalar // text, number or truth: Text is as written
	List
	Map
	Unknown // an alias, a tag or another thing that has no plain meaning here
)

// Value is any part of a document as it was written, with its places. It is for
// documents whose keys are not known beforehand.
type Value struct {
	Kind   Kind
	Line   int
	Text   string  // of a Scalar, without quotes
	List   []Value // of a List
	Fields []Field // of a Map, in order
	bare   bool    // a Scalar that JSON writes without quotes
}

// Field is one entry of a Map.
type Field struct {
	Name  string
	Line  int
	Value Value
}

// UnmarshalYAML takes the value as it stands in the document. Only the YAML
// library calls it.
func (v *Value) UnmarshalYAML(node ast.Node) error {
	*v = valueOf(node)
	return nil
}

func valueOf(node ast.Node) Value {
	v := Value{Kind: Unknown}
	if node == nil {
		return Value{Kind: Null}
	}
	if t := node.GetToken(); t != nil && t.Position != nil {
		v.Line, v.Text = t.Position.Line, t.Value
	}
	switch n := node.(type) {
	case *ast.NullNode:
		v.Kind = Null
	case *ast.StringNode:
		v.Kind, v.Text = Scalar, n.Value
	case *ast.LiteralNode:
		v.Kind, v.Text = Scalar, n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		v.Kind, v.bare = Scalar, json.Valid([]byte(v.Text))
	case *ast.InfinityNode, *ast.NanNode:
		v.Kind = Scalar
	case *ast.SequenceNode:
		v.Kind = List
		for _, item := range n.Values {
			v.List = append(v.List, valueOf(item))
		}
	case *ast.MappingNode:
		v.Kind = Map
		for _, entry := range n.Values {
			v.Fields = append(v.Fields, fieldOf(entry))
		}
		if len(v.Fields) > 0 {
			v.Line = min(v.Line, v.Fields[0].Line)
		}
	case *ast.MappingValueNode: // a mapping of one entry
		f := fieldOf(n)
		v.Kind, v.Line, v.Fields = Map, f.Line, []Field{f}
	}
	return v
}

func fieldOf(n *ast.MappingValueNode) Field {
	f := Field{Value: valueOf(n.Value)}
	if s, ok := n.Key.(*ast.StringNode); ok {
		f.Name = s.Value
	}
	if t := n.Key.GetToken(); t != nil && t.Position != nil {
		f.Line = t.Position.Line
		if f.Name == "" {
			f.Name = t.Value
		}
	}
	return f
}

// Plain reports that v and all in it have a plain meaning.
func (v Value) Plain() bool {
	for _, item := range v.List {
		if !item.Plain() {
			return false
		}
	}
	for _, f := range v.Fields {
		if !f.Value.Plain() {
			return false
		}
	}
	return v.Kind != Unknown
}

// JSON writes v as JSON: numbers and truths as they are, other text in quotes.
func (v Value) JSON() string {
	var b bytes.Buffer
	v.write(&b)
	return b.String()
}

func (v Value) write(b *bytes.Buffer) {
	switch {
	case v.Kind == List:
		b.WriteByte('[')
		for i, item := range v.List {
			separate(b, i)
			item.write(b)
		}
		b.WriteByte(']')
	case v.Kind == Map:
		b.WriteByte('{')
		for i, f := range v.Fields {
			separate(b, i)
			quote(b, f.Name)
			b.WriteByte(':')
			f.Value.write(b)
		}
		b.WriteByte('}')
	case v.Kind == Scalar && v.bare:
		b.WriteString(v.Text)
	case v.Kind == Scalar:
		quote(b, v.Text)
	default:
		b.WriteString("null")
	}
}

func separate(b *bytes.Buffer, i int) {
	if i > 0 {
		b.WriteByte(',')
	}
}

func quote(b *bytes.Buffer, s string) {
	text, _ := json.Marshal(s) // a string cannot fail
	b.Write(text)
}
