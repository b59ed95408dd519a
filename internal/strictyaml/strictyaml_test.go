package strictyaml

import (
	"errors"
	"testing"
)

type document struct {
	Owner  string            `yaml:"owner"`
	Inputs map[string]string `yaml:"inputs"`
	List   []string          `yaml:"list"`
}

func TestDecode(t *testing.T) {
	var d document
	if err := Decode([]byte("owner: a\ninputs: {raw: same}\n"), &d); err != nil || d.Owner != "a" || d.Inputs["raw"] != "same" {
		t.Errorf("got %+v, %v", d, err)
	}
	for _, text := range []string{"", "# nothing\n", "---\nowner: a\n", "# words\n---\nowner: a\n", "owner: a\n...\n"} {
		var d document
		if err := Decode([]byte(text), &d); err != nil || len(text) > 10 && d.Owner != "a" {
			t.Errorf("%q: got %+v, %v", text, d, err)
		}
	}
	for text, want := range map[string]Error{
		"owner: a\nowners: b\n":   {Line: 2, Token: "owners"},
		"owner: [1]\n":            {Line: 1, Token: "["},
		"list:\n  ! 000":          {}, // the library panics on this
		"owner: a\n---\nlist: []": {},
	} {
		err := Decode([]byte(text), &document{})
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Line != want.Line || e.Token != want.Token || e.What == "" {
			t.Errorf("%q: got %#v", text, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("owner: a\ninputs: {raw: same}\n"))
	f.Add([]byte("list:\n  ! 000"))
	f.Fuzz(func(t *testing.T, text []byte) {
		err := Decode(text, &document{})
		if _, ok := errors.AsType[*Error](err); err != nil && !ok {
			t.Errorf("%q: %v is not an *Error", text, err)
		}
	})
}
