// Package strictyaml decodes small YAML documents that people write: a key
// nobody knows is an error with its place. It knows YAML and nothing of what
// the documents say.
package strictyaml

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
)

// Error says what is wrong with a document and where. Line is 0 if that is not
// known; Token is the text at the place, such as a misspelt key.
type Error struct {
	Line  int
	What  string
	Token string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.What
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.What)
}

// Decode reads text into the struct v points to. An empty document empties v. Errors are *Error.
//
// The library panics on some odd documents; no file of a project may stop the
// program, so a panic here is an error.
func Decode(text []byte, v any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Error{What: fmt.Sprintf("the YAML cannot be understood (%v)", p)}
		}
	}()
	if several(text) {
		return &Error{What: "a second document begins behind a line of ---; only one is read"}
	}
	if err = yaml.UnmarshalWithOptions(text, v, yaml.Strict()); err == nil {
		return nil
	}
	out := &Error{What: firstLine(err.Error())}
	if e, ok := errors.AsType[yaml.Error](err); ok {
		out.What = e.GetMessage()
		if t := e.GetToken(); t != nil {
			out.Line, out.Token = t.Position.Line, t.Value
		}
	}
	return out
}

// several reports that text holds more than one document, of which the library
// would read the first and pass over the others. What does not parse holds none.
func several(text []byte) bool {
	file, err := parser.ParseBytes(text, 0)
	return err == nil && len(file.Docs) > 1
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
