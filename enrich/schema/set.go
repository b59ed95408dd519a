package schema

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// base is where the files are for a $ref, so that ../other/1-0-0.json is one.
const base = "project:///schemas/"

// Set is the schemas of a project, ready to check events against. Each is
// compiled when it is first asked for. A Set may be used by several goroutines,
// which take turns.
type Set struct {
	mu       sync.Mutex
	compiler *jsonschema.Compiler
	events   map[string][]*compiled // by folder, newest last
	names    map[string]string      // what Snake said of the names seen last
	meter    meter
	reader   reader
}

// compiled is one schema. It is tried once.
type compiled struct {
	file    File
	version version
	tried   bool
	schema  *jsonschema.Schema
	plain   *plain
	err     error
}

// NewSet takes files as Read returns them.
func NewSet(files []File) *Set {
	s := &Set{compiler: jsonschema.NewCompiler(), events: map[string][]*compiled{}, names: map[string]string{}}
	s.compiler.UseLoader(nowhere{})
	s.compiler.UseRegexpEngine(s.meter.compilePattern)
	s.compiler.AssertFormat()
	for _, f := range files {
		c := &compiled{file: f}
		c.version, _ = parseVersion(f.Version) // Read saw to it
		s.events[f.Event] = append(s.events[f.Event], c)
		c.err = s.add(f)
	}
	for _, versions := range s.events {
		slices.SortFunc(versions, func(a, b *compiled) int { return compareVersions(a.version, b.version) })
	}
	return s
}

// nowhere is the loader of everything that is neither one of the files nor a
// published metaschema.
type nowhere struct{}

func (nowhere) Load(string) (any, error) { return nil, errUnreachable }

// add makes a file known to the compiler by its path, and by the $id it gives
// itself.
func (s *Set) add(f File) error {
	doc, wrong := decode([]byte(f.Text))
	if wrong != nil {
		return fmt.Errorf("the schema %s", wrong.what)
	}
	if err := s.compiler.AddResource(base+f.Path(), doc); err != nil {
		return err
	}
	object, _ := doc.(map[string]any)
	if id, _ := object["$id"].(string); strings.Contains(id, "://") {
		return s.compiler.AddResource(strings.TrimSuffix(id, "#"), doc)
	}
	return nil
}

// compile compiles a schema. What the library makes of a broken one shall cost
// nobody but the schema, so its panics are errors here.
func (s *Set) compile(c *compiled) (err error) {
	if c.tried || c.err != nil {
		return c.err
	}
	c.tried = true
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the schema cannot be compiled: %v", r)
		}
		c.err = err
	}()
	s.meter.left = work
	if c.schema, err = s.compiler.Compile(base + c.file.Path()); err != nil {
		return err
	}
	c.plain = plainOf(c.schema, map[*jsonschema.Schema]*plain{})
	seen := map[*jsonschema.Schema]bool{}
	s.meter.guard(c.schema, seen)
	return s.guardAnchors(c, seen)
}

// guardAnchors guards subschemas that only a $dynamicRef finds.
func (s *Set) guardAnchors(c *compiled, seen map[*jsonschema.Schema]bool) error {
	doc, _ := decode([]byte(c.file.Text)) // as add did
	for _, place := range anchored(doc, "", nil) {
		sub, err := s.compiler.Compile(base + c.file.Path() + "#" + place)
		if err != nil {
			return err
		}
		s.meter.guard(sub, seen)
	}
	return nil
}

// Check says what is wrong with an event of a name, "" if nothing is. Without a
// version the newest schema of the event counts. An event of which there are no
// schemas, or that has no name, is right. Properties are JSON; "" are none, which
// is an empty object. Errors are about the schema, not the event.
func (s *Set) Check(name, version, properties string) (reason string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	event := s.folder(name)
	versions := s.events[event]
	if len(versions) == 0 {
		return "", nil
	}
	c := versions[len(versions)-1]
	if version != "" {
		if c = find(versions, version); c == nil {
			return clip(fmt.Sprintf("there is no schema %s of %s", version, event), maxReason), nil
		}
	}
	if err := s.compile(c); err != nil {
		return "", fmt.Errorf("schemas/%s: %s", c.file.Path(), explain(c.file, err).What)
	}
	if properties == "" {
		properties = "{}"
	}
	text := []byte(properties)
	if s.reader.surely(c.plain, text) {
		return "", nil
	}
	doc, wrong := s.reader.read(text)
	if wrong != nil {
		return "the text " + wrong.what, nil
	}
	return s.check(c.schema, doc), nil
}

// folder is Snake of a name. Events have few names, but nobody is held to that.
func (s *Set) folder(name string) string {
	if known, ok := s.names[name]; ok {
		return known
	}
	const many, long = 1024, 512
	if len(name) > long {
		return Snake(name)
	}
	if len(s.names) >= many {
		clear(s.names)
	}
	folder := Snake(name)
	s.names[strings.Clone(name)] = folder
	return folder
}

func find(versions []*compiled, want string) *compiled {
	for _, c := range versions {
		if c.file.Version == want {
			return c
		}
	}
	return nil
}

// check holds a value against a schema. A check that takes too much, or that the
// library cannot finish, is a reason to refuse the event: whoever sends such a
// thing shall not stop the others.
func (s *Set) check(schema *jsonschema.Schema, doc any) (reason string) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case exhausted:
			reason = "checking it takes too much work"
		default:
			reason = fmt.Sprintf("it cannot be checked: %T", r)
		}
	}()
	s.meter.left = work
	return words(schema.Validate(doc))
}

// Mistakes compiles all schemas and says what is wrong with them.
func (s *Set) Mistakes() []Mistake {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Mistake
	for _, versions := range s.events {
		for _, c := range versions {
			if err := s.compile(c); err != nil {
				out = append(out, explain(c.file, err))
			}
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return out
}

// anchored lists the places of objects below doc that have a $dynamicAnchor.
func anchored(doc any, place string, out []string) []string {
	switch v := doc.(type) {
	case map[string]any:
		if _, ok := v["$dynamicAnchor"].(string); ok {
			out = append(out, place)
		}
		for key, child := range v {
			out = anchored(child, place+"/"+escape(key), out)
		}
	case []any:
		for i, child := range v {
			out = anchored(child, fmt.Sprintf("%s/%d", place, i), out)
		}
	}
	return out
}
