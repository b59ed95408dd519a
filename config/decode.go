package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/reedbed/reedbed/internal/nearest"
)

// decoder fills a Config and remembers where each value came from, so that a
// problem found later can still name its place.
type decoder struct {
	name     string // of the file, as people would write it
	config   Config
	places   map[string]string
	problems []Problem
}

// file reads YAML strictly over the values that hold so far. It goes on after
// a mistake, so that one run shows them all, and says whether it could read the
// file at all.
func (d *decoder) file(text []byte) bool {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		d.syntax(err)
		return false
	}
	if len(file.Docs) > 1 {
		d.add(Problem{
			Place: d.name, Cause: "the file has more than one YAML document",
			Fix: "remove the line --- and what follows it",
		})
		return false
	}
	if len(file.Docs) == 1 && file.Docs[0].Body != nil {
		d.decode(file.Docs[0].Body, reflect.ValueOf(&d.config).Elem(), "")
	}
	return true
}

func (d *decoder) syntax(err error) {
	p := Problem{Place: d.name, Cause: err.Error(), Fix: "correct the YAML at this place"}
	if e, ok := errors.AsType[yaml.Error](err); ok {
		p.Cause = e.GetMessage()
		if t := e.GetToken(); t != nil {
			p.Place = fmt.Sprintf("%s:%d:%d", d.name, t.Position.Line, t.Position.Column)
		}
	}
	d.add(p)
}

func (d *decoder) decode(node ast.Node, v reflect.Value, path string) {
	d.places[path] = d.place(node)
	switch {
	case node.Type() == ast.NullType: // a key without a value keeps the default
	case isScalar(v.Type()):
		d.decodeScalar(node, v, path)
	case v.Kind() == reflect.Slice:
		d.decodeSlice(node, v, path)
	default:
		d.decodeStruct(node, v, path)
	}
}

func (d *decoder) decodeScalar(node ast.Node, v reflect.Value, path string) {
	scalar, ok := node.(ast.ScalarNode)
	if !ok {
		d.mismatch(path, "is a "+strings.ToLower(node.Type().String()), "write one value")
		return
	}
	text := fmt.Sprint(scalar.GetValue())
	if _, isText := scalar.GetValue().(string); !isText {
		text = node.GetToken().Value // as written: 0755 and 1_000 are not rewritten
	}
	d.set(v, text, path)
}

func (d *decoder) decodeSlice(node ast.Node, v reflect.Value, path string) {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		d.mismatch(path, "is not a list", "write each entry on its own line after a dash")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
	for i, entry := range list.Values {
		element := v.Index(i)
		if element.Type() == reflect.TypeFor[Source]() {
			element.Set(reflect.ValueOf(defaultSource()))
		}
		d.decode(entry, element, fmt.Sprintf("%s[%d]", path, i))
	}
}

func (d *decoder) decodeStruct(node ast.Node, v reflect.Value, path string) {
	mapping, ok := node.(ast.MapNode)
	if !ok {
		d.mismatch(path, "is not a section", "write its settings as `key: value`, indented below it")
		return
	}
	for pairs := mapping.MapRange(); pairs.Next(); {
		key := pairs.Key().GetToken().Value
		field := fieldByKey(v, key)
		if !field.IsValid() {
			d.unknown(pairs.Key(), key, v.Type(), path)
			continue
		}
		d.decode(pairs.Value(), field, join(path, key))
	}
}

// set reads text into a scalar, whichever source it came from.
func (d *decoder) set(v reflect.Value, text, path string) {
	if err := setScalar(v, text); err != nil {
		p := Problem{Path: path, Value: text, Cause: err.Error(), Fix: exampleOf(v.Type())}
		if v.Type() == reflect.TypeFor[Secret]() {
			p.Value = mask
		}
		d.add(p)
	}
}

func setScalar(v reflect.Value, text string) error {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d, err := ParseDuration(text)
		v.SetInt(int64(d))
		return err
	}
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		return u.UnmarshalText([]byte(text))
	}
	if v.Kind() == reflect.String {
		v.SetString(text)
		return nil
	}
	if v.Kind() == reflect.Bool {
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		v.SetBool(text == "true")
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%q is not a whole number", text)
	}
	v.SetInt(int64(n))
	return nil
}

func exampleOf(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Size]():
		return "write a size such as 512KiB or 64MiB"
	case reflect.TypeFor[time.Duration]():
		return "write a duration such as 30s, 1h30m, 7d or 2y"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "write true or false"
	case reflect.Int:
		return "write a whole number such as 1000"
	}
	return "write a network such as 10.0.0.0/8"
}

func (d *decoder) unknown(node ast.Node, key string, t reflect.Type, path string) {
	known := keysOf(t)
	fix := "known here: " + strings.Join(known, ", ")
	if near := nearest.Word(key, known); near != "" {
		fix = fmt.Sprintf("did you mean %s?", near)
	}
	d.add(Problem{Path: join(path, key), Place: d.place(node), Cause: "there is no such setting", Fix: fix})
}

func (d *decoder) mismatch(path, cause, fix string) {
	d.add(Problem{Path: path, Cause: cause, Fix: fix})
}

// add completes a problem with the place of its setting, or of the nearest
// setting around it.
func (d *decoder) add(p Problem) {
	for at := p.Path; p.Place == ""; at = parent(at) {
		if place, ok := d.places[at]; ok {
			p.Place = place
		} else if at == "" {
			p.Place = d.name
		}
	}
	d.problems = append(d.problems, p)
}

// place is where a node begins. The token of a mapping is its first colon, so
// the first key stands for it.
func (d *decoder) place(node ast.Node) string {
	if mapping, ok := node.(ast.MapNode); ok {
		if pairs := mapping.MapRange(); pairs.Next() {
			node = pairs.Key()
		}
	}
	t := node.GetToken()
	return fmt.Sprintf("%s:%d:%d", d.name, t.Position.Line, t.Position.Column)
}

// isScalar says whether a value of the type is written as one text.
func isScalar(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) ||
		t.Kind() != reflect.Struct && t.Kind() != reflect.Slice
}

func fieldByKey(v reflect.Value, key string) reflect.Value {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == key {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for f := range t.Fields() {
		keys = append(keys, f.Tag.Get("yaml"))
	}
	return keys
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}
