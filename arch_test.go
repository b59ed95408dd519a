// Package reedbed_test keeps the shape of the code: who may import whom, and
// how large things may grow. It knows paths and syntax, never behaviour.
package reedbed_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/reedbed/reedbed"

// layers from the outside in. A package imports what is further in, and
// nothing beside it unless `beside` says why. A folder holds those below it,
// but for one that is listed itself.
var layers = []struct {
	folders string
	reason  string
}{
	{"acceptance bench", "tests and measurements of the whole program, from outside; nobody imports them"},
	{"cmd", "the command line is the outermost thing"},
	{"node simulate", "wiring lives in node and nowhere else; the generator is a client"},
	{"web", "pages show what the inner packages know"},
	{"converge rehearse query compare collect importer", "what the program does: these do not know each other"},
	{"load engine enrich stage contract", "the mechanisms those combine"},
	{"dataset collect/protocol", "what things are on record or on the wire, not who records or sends them"},
	{"store journal event fingerprint judge anomaly arrival alert config examples tracker", "leaves"},
	{"internal", "mechanisms without domain meaning"},
}

// beside are the imports within one layer.
var beside = []struct{ from, to, reason string }{
	{"stage", "engine", "a stage is parsed by the engine's parser"},
	{"stage", "contract", "a stage's header holds what it promises"},
	{"judge", "fingerprint", "metrics are what is judged"},
	{"anomaly", "judge", "an hour of a series is judged as a version is"},
	{"anomaly", "fingerprint", "metrics are what is judged"},
	{"engine", "enrich", "the engine registers the functions that stages call"},
}

// rules forbid single imports. from and but are folders; "" is every folder.
var rules = []struct{ from, but, to, reason string }{
	{"journal", "", module + "/event", "the journal knows bytes and offsets, nothing of events"},
	{"event", "", "net/http", "what an event is does not depend on how it came"},
	{"event", "", "os", "what an event is needs no I/O"},
	{"judge", "", "os", "a judgement is of what it is given, and the same each time"},
	{"anomaly", "", "os", "what is unusual depends on the hours it is given, and is the same each time"},
	{"alert", "", "os", "what is wrong is told to it, and where messages are kept"},
	{"contract", "", "os", "what is expected of a dataset is text and numbers"},
	{"dataset", "", module + "/engine", "the catalog is kept without running SQL over data"},
	{"", "cmd node", module + "/config", "parts take plain options, so that reedbed.yaml can change without them"},
	{"", "engine/duck", "github.com/duckdb/", "only workers load DuckDB, so that no query takes the front door down"},
	{"", "dataset/sqlite", "github.com/mattn/go-sqlite3", "the catalog's database is known in one place"},
	{"", "dataset/sqlite engine/duck bench", "database/sql", "the parent's SQL is written in one place"},
	{"", "engine/worker cmd", module + "/engine/duck", "only a worker process runs the engine"},
	{"", "", module + "/cmd/", "nobody imports a command"},
	{"", "dataset/sqlite", "C", "cgo comes with the two database drivers only, one of which cannot be told all it must be told"},
}

// vague package names say nothing of what the package knows.
var vague = []string{"util", "utils", "common", "types", "helper", "helpers", "misc", "base"}

// selfExplaining methods do what their interface in the standard library says.
var selfExplaining = []string{"Error", "String", "Unwrap", "ServeHTTP"}

// Beyond the first figure a size is reported, beyond the second refused.
const (
	functionLong, functionTooLong = 60, 150
	fileLong, fileTooLong         = 500, 800
)

// pkg is what `go list` says of a package.
type pkg struct {
	Dir, ImportPath, Name, Doc string
	Imports                    []string
	GoFiles, CgoFiles          []string
}

// folder is the package's place in the module.
func (p pkg) folder() string { return folder(p.ImportPath) }

func folder(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
}

func top(importPath string) string {
	first, _, _ := strings.Cut(folder(importPath), "/")
	return first
}

func packages(t *testing.T) []pkg {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=Dir,ImportPath,Name,Doc,Imports,GoFiles,CgoFiles", "./...")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles)+len(p.CgoFiles) > 0 { // the others hold tests only
			all = append(all, p)
		}
	}
}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		if layer(p.ImportPath) < 0 {
			t.Errorf("%s has no place in the picture: add its folder to layers and to ARCHITECTURE.md", p.folder())
		}
		for _, imported := range p.Imports {
			for _, reason := range forbidden(p.ImportPath, imported) {
				t.Errorf("%s imports %s: %s", p.folder(), imported, reason)
			}
		}
	}
}

// forbidden gives every reason why one package may not import the other.
func forbidden(from, imported string) []string {
	var reasons []string
	for _, r := range rules {
		if (r.from == "" || under(from, r.from)) && !under(from, r.but) && matches(imported, r.to) {
			reasons = append(reasons, r.reason)
		}
	}
	if !strings.HasPrefix(imported, module+"/") || top(from) == top(imported) {
		return reasons
	}
	switch outer, inner := layer(from), layer(imported); {
	case inner < outer:
		reasons = append(reasons, top(imported)+" is further out: "+layers[inner].reason)
	case inner == outer && !isBeside(top(from), top(imported)):
		reasons = append(reasons, top(imported)+" is in the same layer: "+layers[inner].reason)
	}
	return reasons
}

// under says whether a package of the module lies in one of the folders.
func under(importPath, folders string) bool {
	for f := range strings.FieldsSeq(folders) {
		if name := folder(importPath); name == f || strings.HasPrefix(name, f+"/") {
			return true
		}
	}
	return false
}

// matches says whether an import is the rule's package, or below it when the
// rule ends with a slash.
func matches(imported, to string) bool {
	return imported == to || strings.HasSuffix(to, "/") && strings.HasPrefix(imported, to)
}

// layer is the index of the layer that lists the nearest folder, or -1.
func layer(importPath string) int {
	for at := folder(importPath); at != "."; at = path.Dir(at) {
		for i, l := range layers {
			if slices.Contains(strings.Fields(l.folders), at) {
				return i
			}
		}
	}
	return -1
}

func isBeside(from, to string) bool {
	return slices.ContainsFunc(beside, func(b struct{ from, to, reason string }) bool {
		return b.from == from && b.to == to
	})
}

// Who tracks events from Go takes nothing else into his program.
func TestTrackerNeedsTheStandardLibraryOnly(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			if first, _, _ := strings.Cut(imported, "/"); folder(p.ImportPath) == "tracker/go" && strings.Contains(first, ".") {
				t.Errorf("tracker/go imports %s", imported)
			}
		}
	}
}

// The rules are worth nothing if they match nothing.
func TestForbidden(t *testing.T) {
	for _, test := range []struct {
		from, imported string
		want           bool
	}{
		{"journal", module + "/event", true},
		{"journal", module + "/internal/disk", false},
		{"dataset/sqlite", "github.com/mattn/go-sqlite3", false},
		{"dataset", "github.com/mattn/go-sqlite3", true},
		{"engine/duck", "github.com/duckdb/duckdb-go/v2", false},
		{"web", "github.com/duckdb/duckdb-go/v2", true},
		{"converge", module + "/collect", true},
		{"converge", module + "/stage", false},
		{"load", module + "/collect", true},
		{"load", module + "/collect/protocol", false},
		{"collect/protocol", module + "/event", false},
		{"load", module + "/web", true},
		{"store", module + "/dataset", true},
		{"node", module + "/config", false},
		{"collect", module + "/config", true},
		{"event", "net/http", true},
		{"event", "net/netip", false},
		{"web", module + "/cmd/reedbed", true},
		{"internal/disk", module + "/event", true},
	} {
		if got := forbidden(module+"/"+test.from, test.imported); len(got) > 0 != test.want {
			t.Errorf("%s importing %s: %q", test.from, test.imported, got)
		}
	}
}

func TestPackages(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment: say what it knows and what it must never know", p.folder())
		}
		if slices.Contains(vague, p.Name) {
			t.Errorf("%s: the name %q says nothing of what the package knows", p.folder(), p.Name)
		}
	}
}

func TestSource(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
			checkFile(t, p, filepath.Join(p.Dir, name))
		}
	}
}

func checkFile(t *testing.T, p pkg, name string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Errorf("%v", err)
		return
	}
	if ast.IsGenerated(file) {
		return
	}
	c := checker{t: t, files: files, command: p.Name == "main" || p.folder() == "engine/worker"}
	c.size(file, "file", fileLong, fileTooLong)
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			c.function(d)
		case *ast.GenDecl:
			c.declaration(d)
		}
	}
	ast.Inspect(file, c.call)
}

// checker judges one file.
type checker struct {
	t       *testing.T
	files   *token.FileSet
	command bool // the file is the code of a process of its own
}

func (c checker) errorf(node ast.Node, format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("%s: "+format, append([]any{c.files.Position(node.Pos())}, args...)...)
}

func (c checker) size(node ast.Node, what string, long, tooLong int) {
	lines := c.files.Position(node.End()).Line - c.files.Position(node.Pos()).Line + 1
	switch {
	case lines > tooLong:
		c.errorf(node, "a %s of %d lines; at most %d", what, lines, tooLong)
	case lines > long:
		c.t.Logf("warning: %s: a %s of %d lines; better below %d", c.files.Position(node.Pos()), what, lines, long)
	}
}

func (c checker) function(f *ast.FuncDecl) {
	c.size(f, "function", functionLong, functionTooLong)
	if f.Recv == nil && f.Name.Name == "init" {
		c.errorf(f, "an init function: work that nobody asked for; call it from where it is needed")
	}
	if f.Recv != nil && (!receiverExported(f) || slices.Contains(selfExplaining, f.Name.Name)) {
		return
	}
	if f.Name.IsExported() && f.Doc == nil {
		c.errorf(f, "%s has no doc comment", f.Name.Name)
	}
}

func receiverExported(f *ast.FuncDecl) bool {
	exported := true
	ast.Inspect(f.Recv.List[0].Type, func(n ast.Node) bool {
		if name, ok := n.(*ast.Ident); ok {
			exported = exported && name.IsExported()
		}
		return true
	})
	return exported
}

// declaration wants a comment on every exported type, constant and variable;
// one on the group serves all of it.
func (c checker) declaration(d *ast.GenDecl) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
				c.errorf(s, "%s has no doc comment", s.Name.Name)
			}
		case *ast.ValueSpec:
			if s.Names[0].IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
				c.errorf(s, "%s has no doc comment", s.Names[0].Name)
			}
		}
	}
}

// call refuses os.Exit outside of commands, where it would skip what is
// deferred in the rest of the program.
func (c checker) call(n ast.Node) bool {
	if s, ok := n.(*ast.SelectorExpr); ok && !c.command {
		if x, ok := s.X.(*ast.Ident); ok && x.Name == "os" && s.Sel.Name == "Exit" {
			c.errorf(n, "only a command may exit")
		}
	}
	return true
}
