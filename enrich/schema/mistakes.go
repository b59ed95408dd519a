package schema

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// explain says where in its file a schema that does not compile is wrong.
func explain(f File, err error) Mistake {
	m := Mistake{Path: f.Path(), What: err.Error(), Fix: "correct the schema"}
	at := "" // URL of what is wrong
	var invalid *jsonschema.SchemaValidationError
	var regex *jsonschema.InvalidRegexError
	var load *jsonschema.LoadURLError
	var anchor *jsonschema.AnchorNotFoundError
	var pointer *jsonschema.JSONPointerNotFoundError
	var exists *jsonschema.ResourceExistsError
	switch {
	case errors.As(err, &invalid):
		m.What = "it is no JSON Schema: " + words(invalid.Err)
		at = invalid.URL
		if failed, ok := errors.AsType[*jsonschema.ValidationError](invalid.Err); ok {
			inside := deepest(failed)
			at += place(inside.InstanceLocation)
			if f, ok := inside.ErrorKind.(*kind.Format); ok && f.Want == "regex" {
				m.What, m.Fix = noPattern(fmt.Sprint(f.Got), f.Err)
			}
		}
	case errors.As(err, &regex):
		m.What, m.Fix = noPattern(regex.Regex, regex.Err)
		at = regex.URL
	case errors.As(err, &load):
		m.What = fmt.Sprintf("it refers to %s: %v", strings.TrimPrefix(load.URL, base), load.Err)
		m.Fix = "put what it refers to into schemas/ and name it by its path, as ../EVENT/1-0-0.json; leave out a $schema that is none of JSON Schema's own"
	case errors.As(err, &anchor):
		m.What, m.Fix = "it refers to "+strings.TrimPrefix(anchor.Reference, base)+", which is not there", "correct the $ref"
	case errors.As(err, &pointer):
		m.What, m.Fix = "it refers to "+strings.TrimPrefix(pointer.URL, base)+", which is not there", "correct the $ref"
	case errors.As(err, &exists):
		m.What, m.Fix = "another schema has the same $id", "leave the $id out, or give each version its own"
	}
	file, fragment, _ := strings.Cut(strings.TrimPrefix(at, base), "#")
	switch {
	case at == "":
	case file == f.Path():
		m.Line = lineOf([]byte(f.Text), fragment)
	default: // it is wrong by itself, which is said of it too
		m.What, m.Fix = "it refers to "+file+", which is wrong: "+m.What, "correct schemas/"+file
	}
	return m
}

func noPattern(text string, err error) (what, fix string) {
	return fmt.Sprintf("%q cannot be used as a pattern: %v", clip(text, maxError), err),
		"write it in RE2 syntax, which knows no look-around and no back-references"
}

// deepest is the error about the place furthest inside.
func deepest(e *jsonschema.ValidationError) *jsonschema.ValidationError {
	out := e
	for _, cause := range e.Causes {
		if found := deepest(cause); len(found.InstanceLocation) >= len(out.InstanceLocation) {
			out = found
		}
	}
	return out
}

// lineOf is the line on which the value that a pointer leads to begins, or that
// of the nearest value around it.
func lineOf(text []byte, pointer string) int {
	if decoded, err := url.PathUnescape(pointer); err == nil {
		pointer = decoded
	}
	line, longest := 1, -1
	for d := jsontext.NewDecoder(bytes.NewReader(text)); ; {
		if _, err := d.ReadToken(); err != nil {
			return line
		}
		here := string(d.StackPointer())
		if len(here) > longest && (pointer == here || strings.HasPrefix(pointer, here+"/")) {
			longest, line = len(here), lineAt(text, int(d.InputOffset())-1)
		}
	}
}

// lineAt is the line of a byte, from 1.
func lineAt(text []byte, offset int) int {
	return 1 + bytes.Count(text[:max(0, min(offset, len(text)))], []byte("\n"))
}
