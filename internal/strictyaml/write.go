package strictyaml

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Text is a scalar that is a text, whatever it looks like.
func Text(s string) Value { return Value{Kind: Scalar, Text: s} }

// Number is a scalar that is a number or a truth, as JSON writes it.
func Number(s string) Value { return Value{Kind: Scalar, Text: s, bare: json.Valid([]byte(s))} }

// Write is a document with v, as people write it.
func Write(v Value) string {
	var b strings.Builder
	v.block(&b, "")
	return strings.TrimLeft(b.String(), "\n ") + "\n"
}

// block writes v behind a key or a dash.
func (v Value) block(b *strings.Builder, indent string) {
	switch {
	case v.Kind == Map && len(v.Fields) > 0:
		for _, f := range v.Fields {
			b.WriteString("\n" + indent + written(f.Name) + ":")
			f.Value.entry(b, indent+"  ")
		}
	case v.Kind == List && slices.ContainsFunc(v.List, func(x Value) bool { return x.Kind != Scalar }):
		for _, item := range v.List {
			var inner strings.Builder
			item.entry(&inner, indent+"  ")
			b.WriteString("\n" + indent + "- " + strings.TrimLeft(inner.String(), " \n"))
		}
	default:
		b.WriteString(v.flow(indent))
	}
}

func (v Value) entry(b *strings.Builder, indent string) {
	if v.Kind == Scalar || len(v.Fields)+len(v.List) == 0 || v.Kind == List && !slices.ContainsFunc(v.List, func(x Value) bool { return x.Kind != Scalar }) {
		b.WriteString(" ")
	}
	v.block(b, indent)
}

// flow writes what is on the line of its key.
func (v Value) flow(indent string) string {
	switch {
	case v.Kind == List:
		var items []string
		for _, item := range v.List {
			items = append(items, item.flowed())
		}
		return "[" + strings.Join(items, ", ") + "]"
	case v.Kind == Map:
		return "{}"
	case v.Kind != Scalar:
		return "null"
	case !v.bare && literal(v.Text):
		text := "|-\n" + indent + strings.ReplaceAll(v.Text, "\n", "\n"+indent)
		return strings.ReplaceAll(text, "\n"+indent+"\n", "\n\n")
	}
	return v.flowed()
}

func (v Value) flowed() string {
	if v.bare {
		return v.Text
	}
	return written(v.Text)
}

// plain are texts that no reader of YAML takes for something else.
var plain = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./%()-]*( [A-Za-z0-9_.;/%()-]+)*$|^[0-9.]+(%|[smh])$`)

// words are those that some reader takes for something else than a text.
var words = []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}

func written(s string) string {
	if plain.MatchString(s) && !slices.Contains(words, strings.ToLower(s)) {
		return s
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string cannot fail
	return strings.TrimSuffix(b.String(), "\n")
}

// literal reports whether a text of several lines can stand as it is.
func literal(s string) bool {
	lines := strings.Split(s, "\n")
	if len(lines) == 1 || lines[0] == "" || lines[len(lines)-1] == "" || strings.HasPrefix(lines[0], " ") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) &&
		!slices.ContainsFunc(lines, func(l string) bool { return strings.HasSuffix(l, " ") })
}
