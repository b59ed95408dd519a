package schema

import (
	"fmt"
	"reflect"
	"regexp"
	"regexp/syntax"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	// work is what one check may take: subschemas looked at, members and items of
	// what they look at, and texts held against patterns.
	work = 200_000
	// patternWork is how many steps of a pattern's machine count as one.
	patternWork = 1024
	maxPattern  = 1000 // bytes of a pattern
)

// meter bounds the work of a check. The library asks nobody how long it may
// take, so it is stopped by a panic, which Check recovers.
type meter struct{ left int }

type exhausted struct{}

func (m *meter) spend(n int) {
	if m.left -= n; m.left < 0 {
		panic(exhausted{})
	}
}

// pattern is a regular expression whose matches cost work. Go's expressions take
// time linear in the text, times the size of their machine.
type pattern struct {
	*regexp.Regexp
	size  int
	meter *meter
}

// MatchString is [regexp.Regexp.MatchString].
func (p *pattern) MatchString(s string) bool {
	p.meter.spend(1 + len(s)*p.size/patternWork)
	return p.Regexp.MatchString(s)
}

// compilePattern is a [jsonschema.RegexpEngine].
func (m *meter) compilePattern(text string) (jsonschema.Regexp, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("the pattern has more than %d bytes", maxPattern)
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, err
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, err
	}
	return &pattern{re, len(program.Inst), m}, nil
}

// guard makes every subschema that can be reached count when it is looked at. The
// library calls a schema's format before it goes down into the subschemas.
func (m *meter) guard(s *jsonschema.Schema, seen map[*jsonschema.Schema]bool) {
	if s == nil || seen[s] {
		return
	}
	seen[s] = true
	below := subschemas(reflect.ValueOf(s).Elem())
	for _, sub := range below {
		m.guard(sub, seen)
	}
	if s.Bool != nil {
		return
	}
	// An item or member is met by few keywords that lead to one subschema each, and
	// by every pattern.
	asked, each, all := s.Format, 3+len(s.PatternProperties), 1+len(below)
	s.Format = &jsonschema.Format{Validate: func(v any) error {
		m.spend(all + each*size(v))
		if asked == nil {
			return nil
		}
		return m.format(asked, v)
	}}
	if asked != nil {
		s.Format.Name = asked.Name
	}
}

// format is Validate of a format, whose work is that of the text.
func (m *meter) format(f *jsonschema.Format, v any) error {
	text, ok := v.(string)
	if !ok {
		return f.Validate(v)
	}
	m.spend(len(text) / patternWork)
	return f.Validate(v)
}

func size(v any) int {
	switch v := v.(type) {
	case map[string]any:
		return len(v)
	case []any:
		return len(v)
	}
	return 0
}

// subschemas lists the schemas that the exported fields of v hold, in whatever
// way the library keeps them.
func subschemas(v reflect.Value) []*jsonschema.Schema {
	var out []*jsonschema.Schema
	for i := range v.NumField() {
		if v.Type().Field(i).IsExported() {
			out = append(out, schemasIn(v.Field(i))...)
		}
	}
	return out
}

func schemasIn(v reflect.Value) (out []*jsonschema.Schema) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			out = append(out, schemasIn(v.Index(i))...)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			out = append(out, schemasIn(v.MapIndex(key))...)
		}
	case reflect.Interface:
		return schemasIn(v.Elem())
	case reflect.Pointer:
		switch held := v.Interface().(type) {
		case *jsonschema.Schema:
			if held != nil {
				return []*jsonschema.Schema{held}
			}
		case *jsonschema.DynamicRef:
			if held != nil {
				return []*jsonschema.Schema{held.Ref}
			}
		}
	}
	return out
}
