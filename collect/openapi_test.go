package collect

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/journal"
)

// document is openapi.json as its test reads it.
type document struct {
	Paths      map[string]pathItem
	Components struct {
		PathItems map[string]pathItem
		Schemas   map[string]struct {
			Properties map[string]any
			Examples   []json.RawMessage
		}
		Responses map[string]any
	}
}

type pathItem struct {
	Ref       string `json:"$ref"`
	Get, Post *operation
}

type operation struct {
	Responses map[string]struct {
		Ref     string `json:"$ref"`
		Content map[string]struct{ Schema any }
	}
}

// served is the document as the door hands it out, with a compiler for what is
// in it.
func served(t *testing.T) (d document, schemas *jsonschema.Compiler) {
	t.Helper()
	door, _ := newDoor(t, Options{})
	w := call{method: http.MethodGet, path: "/v1/openapi.json"}.do(door)
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || w.Code != 200 {
		t.Fatalf("%d: %v", w.Code, err)
	}
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	schemas = jsonschema.NewCompiler()
	schemas.AssertFormat()
	if err := schemas.AddResource("openapi.json", whole); err != nil {
		t.Fatal(err)
	}
	return d, schemas
}

// at resolves a path's operation, and where in the document it stands.
func (d document) at(path, method string) (op *operation, pointer string) {
	item, pointer := d.Paths[path], "/paths/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(path)
	if name, ok := strings.CutPrefix(item.Ref, "#/components/pathItems/"); ok {
		item, pointer = d.Components.PathItems[name], "/components/pathItems/"+name
	}
	if method == http.MethodGet {
		return item.Get, pointer + "/get"
	}
	return item.Post, pointer + "/post"
}

// The document names exactly the paths and methods that are served.
func TestOpenAPINamesTheRoutes(t *testing.T) {
	d, _ := served(t)
	door, _ := newDoor(t, Options{})
	for path := range d.Paths {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			op, _ := d.at(path, method)
			w := call{method: method, path: strings.Replace(path, "{key}", "demo", 1), body: "{}"}.do(door)
			if answered := w.Code != 404 && w.Code != 405; answered != (op != nil) {
				t.Errorf("%s %s: documented %t, answers %d", method, path, op != nil, w.Code)
			}
		}
	}
	for path, to := range door.routes {
		_, documented := d.Paths[path]
		if name := to.entry.name; (name == protocol.Native || name == protocol.Segment) != documented {
			t.Errorf("%s of %s: documented %t", path, name, documented)
		}
	}
}

// Every status of an operation can be had, and its body is as documented.
func TestOpenAPIDescribesTheAnswers(t *testing.T) {
	d, schemas := served(t)
	for _, path := range []string{"/v1/events", "/v1/batch", "/v1/t"} {
		op, pointer := d.at(path, http.MethodPost)
		var had []string
		for _, c := range []struct {
			name   string
			call   call
			door   Options
			status string
		}{
			{"stored", call{path: path + "?key=demo", body: `{"id":"1","type":"track","name":"a","event":"a"}`}, Options{}, "200"},
			{"mixed", call{path: path + "?key=demo", body: `[{"id":"1","name":"a","type":"track","event":"a"},{"type":7}]`}, Options{}, "200"},
			{"nothing", call{path: path + "?key=demo"}, Options{}, "200"},
			{"no key", call{path: path}, Options{}, "401"},
			{"origin", call{path: path + "?key=demo", header: map[string]string{"Origin": "https://evil.example"}}, Options{}, "403"},
			{"large", call{path: path + "?key=demo", body: strings.Repeat(" ", 2000)}, Options{Limits: Limits{Expanded: 1000}}, "413"},
			{"full", call{path: path + "?key=demo", body: `{"id":"1","type":"track","name":"a","event":"a"}`}, Options{Journal: &memory{fail: func() error { return journal.ErrFull }}}, "503"},
			{"rate", call{path: path + "?key=k", body: `{"type":"page"}`}, Options{Sources: []Source{{Name: "s", Keys: []string{"k"}, Rate: 1}}, Now: func() time.Time { return time.Unix(1e9, 0) }}, "429"},
		} {
			door, _ := newDoor(t, c.door)
			if c.status == "429" {
				c.call.do(door) // takes what may come at once
			}
			w := c.call.do(door)
			had = append(had, c.status)
			if got := strconv.Itoa(w.Code); got != c.status {
				t.Errorf("%s, %s: %s, want %s", path, c.name, got, c.status)
				continue
			}
			where := pointer + "/responses/" + c.status
			if name, ok := strings.CutPrefix(op.Responses[c.status].Ref, "#/components/responses/"); ok {
				where = "/components/responses/" + name
			}
			matches(t, schemas, where+"/content/application~1json/schema", w.Body.Bytes())
		}
		for status := range op.Responses {
			if !slices.Contains(had, status) && status != "400" && status != "408" { // those need a connection: see server_test.go
				t.Errorf("%s: nothing answers %s", path, status)
			}
		}
	}
	door, _ := newDoor(t, Options{})
	_, pointer := d.at("/v1/projects/{key}/settings", http.MethodGet)
	settings := call{method: http.MethodGet, path: "/v1/projects/demo/settings"}.do(door)
	matches(t, schemas, pointer+"/responses/200/content/application~1json/schema", settings.Body.Bytes())
}

// matches holds a JSON text against a schema of the document.
func matches(t *testing.T, schemas *jsonschema.Compiler, pointer string, text []byte) {
	t.Helper()
	schema, err := schemas.Compile("openapi.json#" + pointer)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		t.Errorf("%s: %v\n%s", pointer, err, text)
	}
}

// The documented members of an event are those that are read, and no others.
func TestOpenAPIDescribesTheEvents(t *testing.T) {
	d, schemas := served(t)
	for name, schema := range map[string]string{protocol.Native: "NativeEvent", protocol.Segment: "SegmentMessage"} {
		s := d.Components.Schemas[schema]
		matches(t, schemas, "/components/schemas/"+schema, s.Examples[0])
		var example map[string]any
		if err := json.Unmarshal(s.Examples[0], &example); err != nil {
			t.Fatal(err)
		}
		for property := range s.Properties {
			if _, ok := example[property]; !ok {
				t.Errorf("%s: the example has no %s", schema, property)
			}
		}
		p, _ := protocol.ByName(name)
		e, err := protocol.NewDecoder(p, protocol.Limits{}).Decode(s.Examples[0])
		if err != nil || e.Extra != nil {
			t.Errorf("%s: %v; not read: %s", schema, err, e.Extra)
		}
		if diff := cmp.Diff([]string{"track", "u1", "a1"}, []string{e.Type, e.UserID, e.AnonymousID}); diff != "" {
			t.Errorf("%s: %s", schema, diff)
		}
	}
}
