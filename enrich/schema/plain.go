package schema

import (
	"bytes"
	"errors"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Most events are right, and most schemas ask for types, members and ranges only.
// For these this file finds in one pass over the text, without making a tree of
// it, that an event is right. Whenever it is not sure, the library judges: so it
// never says why, and nothing it says differs from what the library would say.

// plain is what a simple schema asks of a value. A nil one asks for nothing.
type plain struct {
	unsure    bool   // the schema asks for more than is known here
	types     string // of the kinds that are right, the first bytes of their JSON; "" for all
	integer   bool   // numbers must be whole
	least     int64
	most      int64
	bounded   bool // least and most count
	minLength int
	maxLength int // -1 for any
	pattern   *pattern
	among     map[string]bool // texts; nil for any
	members   map[string]*plain
	others    *plain // members that are not among those
	required  []string
	items     *plain
}

// errUnsure says that the library must judge.
var errUnsure = errors.New("not surely right")

// known are the fields of a schema that ask for nothing, or for what plainOf
// makes something of.
func known() []string {
	return []string{
		"DraftVersion", "Location", "ID", "Anchor", "Title", "Description", "Default", "Comment", "ReadOnly", "WriteOnly", "Examples", "Deprecated",
		"Bool", "Types", "Enum", "Minimum", "Maximum", "MinLength", "MaxLength", "Pattern", "Properties", "Required", "AdditionalProperties", "Items", "Items2020",
	}
}

// plainOf is what a schema asks for. It must not be guarded yet.
func plainOf(s *jsonschema.Schema, seen map[*jsonschema.Schema]*plain) *plain {
	if p, ok := seen[s]; ok {
		return p
	}
	p := &plain{maxLength: -1}
	seen[s] = p
	p.unsure = !p.takes(s, seen)
	return p
}

// takes reports whether all that a schema asks for could be noted.
func (p *plain) takes(s *jsonschema.Schema, seen map[*jsonschema.Schema]*plain) bool {
	if s.Bool != nil {
		return *s.Bool
	}
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && !v.Field(i).IsZero() && !slices.Contains(known(), f.Name) {
			return false
		}
	}
	p.required = s.Required
	p.noteTypes(s)
	return len(s.Required) <= 64 && p.takesTexts(s) && p.takesNumbers(s) && p.takesBelow(s, seen)
}

func (p *plain) noteTypes(s *jsonschema.Schema) {
	if s.Types == nil || s.Types.IsEmpty() {
		return
	}
	kinds := map[string]string{"null": "n", "boolean": "tf", "string": `"`, "array": "[", "object": "{", "number": "0", "integer": "0"}
	names := s.Types.ToStrings()
	for _, name := range names {
		p.types += kinds[name]
	}
	p.integer = slices.Contains(names, "integer") && !slices.Contains(names, "number")
}

func (p *plain) takesTexts(s *jsonschema.Schema) bool {
	if s.MinLength != nil {
		p.minLength = *s.MinLength
	}
	if s.MaxLength != nil {
		p.maxLength = *s.MaxLength
	}
	if s.Enum != nil {
		p.among = map[string]bool{}
		for _, v := range s.Enum.Values {
			if text, ok := v.(string); ok {
				p.among[text] = true // what is no text is left to the library
			}
		}
	}
	if s.Pattern == nil {
		return true
	}
	var ours bool
	p.pattern, ours = s.Pattern.(*pattern)
	return ours
}

func (p *plain) takesNumbers(s *jsonschema.Schema) bool {
	p.least, p.most, p.bounded = -1<<63, 1<<63-1, s.Minimum != nil || s.Maximum != nil
	for _, x := range []struct {
		from *big.Rat
		into *int64
	}{{s.Minimum, &p.least}, {s.Maximum, &p.most}} {
		if x.from == nil {
			continue
		}
		if !x.from.IsInt() || !x.from.Num().IsInt64() {
			return false
		}
		*x.into = x.from.Num().Int64()
	}
	return true
}

func (p *plain) takesBelow(s *jsonschema.Schema, seen map[*jsonschema.Schema]*plain) bool {
	if s.Properties != nil {
		p.members = map[string]*plain{}
	}
	for name, below := range s.Properties {
		p.members[name] = plainOf(below, seen)
	}
	switch others := s.AdditionalProperties.(type) {
	case bool:
		if !others {
			p.others = &plain{unsure: true}
		}
	case *jsonschema.Schema:
		p.others = plainOf(others, seen)
	}
	switch items := s.Items.(type) {
	case *jsonschema.Schema:
		p.items = plainOf(items, seen)
	case []*jsonschema.Schema:
		return items == nil
	}
	if s.Items2020 != nil {
		p.items = plainOf(s.Items2020, seen)
	}
	return true
}

// surely reports whether a text is JSON that a schema asks no more of. It keeps
// the bounds of read.
func (r *reader) surely(p *plain, text []byte) bool {
	if p.unsure || len(text) > maxText {
		return false
	}
	r.in.Reset(text)
	r.dec.Reset(&r.in)
	r.values = 0
	if r.fits(p, 0) != nil {
		return false
	}
	return int(r.dec.InputOffset()) == len(bytes.TrimRight(text, " \t\r\n"))
}

func (r *reader) fits(p *plain, depth int) error {
	if r.values++; r.values > maxValues || depth > maxDepth {
		return errUnsure
	}
	kind := r.dec.PeekKind()
	if p != nil {
		if p.unsure || p.types != "" && bytes.IndexByte([]byte(p.types), byte(kind)) < 0 {
			return errUnsure
		}
		if p.among != nil && kind != '"' {
			return errUnsure
		}
	}
	switch kind {
	case '{':
		return r.fitsObject(p, depth)
	case '[':
		return r.fitsArray(p, depth)
	}
	raw, err := r.dec.ReadValue()
	if err != nil || p == nil && kind != '0' {
		return err
	}
	switch kind {
	case '"':
		return p.text(raw)
	case '0':
		return p.number(raw)
	}
	return nil
}

func (r *reader) fitsObject(p *plain, depth int) error {
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	var found uint64 // which of the required members are there
	for r.dec.PeekKind() != '}' {
		raw, err := r.dec.ReadValue()
		if err != nil {
			return err
		}
		if len(raw) < 2 || bytes.IndexByte(raw, '\\') >= 0 {
			return errUnsure
		}
		var below *plain
		if name := raw[1 : len(raw)-1]; p != nil {
			var listed bool
			if below, listed = p.members[string(name)]; !listed {
				below = p.others
			}
			for i, want := range p.required {
				if want == string(name) {
					found |= 1 << i
				}
			}
		}
		if err := r.fits(below, depth+1); err != nil {
			return err
		}
	}
	if p != nil && found != 1<<len(p.required)-1 {
		return errUnsure
	}
	_, err := r.dec.ReadToken()
	return err
}

func (r *reader) fitsArray(p *plain, depth int) error {
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	var below *plain
	if p != nil {
		below = p.items
	}
	for r.dec.PeekKind() != ']' {
		if err := r.fits(below, depth+1); err != nil {
			return err
		}
	}
	_, err := r.dec.ReadToken()
	return err
}

// text looks at a text as it is written, which is sure only without escapes.
func (p *plain) text(raw jsontext.Value) error {
	if p.pattern == nil && p.among == nil && p.minLength == 0 && p.maxLength < 0 {
		return nil
	}
	if bytes.IndexByte(raw, '\\') >= 0 {
		return errUnsure
	}
	text := raw[1 : len(raw)-1]
	n := utf8.RuneCount(text)
	switch {
	case n < p.minLength, p.maxLength >= 0 && n > p.maxLength, p.among != nil && !p.among[string(text)]:
		return errUnsure
	case p.pattern == nil:
		return nil
	case len(text)*p.pattern.size > patternWork || !p.pattern.Match(text):
		return errUnsure
	}
	return nil
}

// number looks at a number, which is sure only if it is whole and not large.
func (p *plain) number(raw jsontext.Value) error {
	if len(raw) > 18 || bytes.ContainsAny(raw, ".eE") {
		if len(raw) <= 18 && !bytes.ContainsAny(raw, "eE") && (p == nil || !p.integer && !p.bounded) {
			return nil
		}
		return errUnsure
	}
	if p == nil || !p.bounded {
		return nil
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n < p.least || n > p.most {
		return errUnsure
	}
	return nil
}
