// Package schema knows the JSON Schemas of events: how their files are named and
// versioned, which one an event is held to, and how what is wrong with an event
// or with a schema is said in words.
//
// A check depends on nothing but the schema files and its arguments. No file and
// no address is ever opened on behalf of a schema: a $ref reaches the project's
// other schemas and the published metaschemas. Nobody is trusted, neither who
// wrote a schema nor who sent an event: the work and the memory of a check are
// bounded. The package never knows SQL, datasets or stages.
package schema

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// Semantics is raised by hand when an answer of [Set.Check] changes for any
// schemas and event: a library that judges otherwise, other words.
const Semantics = 1

// Bounds of what a project's folder may hold.
const (
	maxFile  = 64 << 10 // bytes of one schema
	maxFiles = 2000
	maxTotal = 4 << 20 // bytes of all
)

// File is one schema.
type File struct {
	Event   string // the folder: the event's name in snake case
	Version string // SchemaVer: model-revision-addition
	Text    string // JSON, as written
}

// Path is where the file is within the folder of schemas.
func (f File) Path() string { return f.Event + "/" + f.Version + ".json" }

// Mistake is one thing wrong with a schema file.
type Mistake struct {
	Path string // within the folder of schemas
	Line int    // 0 when it concerns the whole file
	What string
	Fix  string
}

// Read reads all schemas of a folder, <event>/<SchemaVer>.json, in the order of
// their paths. Files that are wrong by themselves are left out and named in the
// mistakes; what only the compiler sees is found by [Set.Mistakes].
func Read(folder fs.FS) ([]File, []Mistake, error) {
	names, err := paths(folder)
	if err != nil {
		return nil, nil, err
	}
	var files []File
	var mistakes []Mistake
	total := 0
	for _, name := range names {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, nil, err
		}
		total += len(text)
		f, wrong := parse(name, text)
		if wrong == nil && (len(files) == maxFiles || total > maxTotal) {
			wrong = &Mistake{What: fmt.Sprintf("there are more than %d schemas, or more than %d bytes of them", maxFiles, maxTotal), Fix: "remove versions that no client sends any more"}
		}
		if wrong != nil {
			wrong.Path = name
			mistakes = append(mistakes, *wrong)
			continue
		}
		files = append(files, f)
	}
	return files, mistakes, nil
}

// paths lists the paths of a folder's schemas, also of those that lie too high.
func paths(folder fs.FS) ([]string, error) {
	var all []string
	for _, pattern := range []string{"*.json", "*/*.json"} {
		names, err := fs.Glob(folder, pattern)
		if err != nil {
			return nil, err
		}
		all = append(all, names...)
	}
	slices.Sort(all)
	return all, nil
}

// parse reads a file as far as it can be judged without the others.
func parse(name string, text []byte) (File, *Mistake) {
	folder, base := path.Split(name)
	f := File{Event: strings.TrimSuffix(folder, "/"), Version: strings.TrimSuffix(base, ".json")}
	if f.Event == "" {
		return f, &Mistake{What: "a schema lies in a folder named after its event", Fix: "move it to schemas/EVENT/1-0-0.json"}
	}
	if snake := Snake(f.Event); f.Event != snake || snake == "" {
		return f, &Mistake{What: fmt.Sprintf("%q is no event's name in snake case, so no event would find this schema", f.Event), Fix: "name the folder " + cmp.Or(snake, "as track_played for the event Track Played")}
	}
	if _, ok := parseVersion(f.Version); !ok {
		return f, &Mistake{What: fmt.Sprintf("%q is no SchemaVer", f.Version), Fix: "name the file MODEL-REVISION-ADDITION.json, such as 1-0-0.json"}
	}
	if len(text) > maxFile {
		return f, &Mistake{What: fmt.Sprintf("the schema has %d bytes, more than %d", len(text), maxFile), Fix: "keep parts in schemas of their own and refer to them with $ref"}
	}
	doc, wrong := decode(text)
	if wrong != nil {
		return f, &Mistake{Line: lineAt(text, wrong.offset), What: wrong.what, Fix: "correct the JSON"}
	}
	switch doc.(type) {
	case map[string]any, bool:
	default:
		return f, &Mistake{Line: 1, What: "a schema is an object", Fix: `begin with {"type": "object", "properties": {...}}`}
	}
	f.Text = string(text)
	return f, nil
}

// Compact is the text without what does not matter between its parts, so that
// writing a schema otherwise changes nothing.
func (f File) Compact() string {
	v := jsontext.Value(f.Text)
	if v.Compact() != nil {
		return f.Text // Read lets nothing pass that is not JSON
	}
	return string(v)
}

// version is a SchemaVer.
type version [3]int

var versionPattern = regexp.MustCompile(`^[1-9][0-9]{0,5}(-(0|[1-9][0-9]{0,5})){2}$`)

func parseVersion(text string) (v version, ok bool) {
	if !versionPattern.MatchString(text) {
		return v, false
	}
	for i, part := range strings.Split(text, "-") {
		v[i], _ = strconv.Atoi(part) // digits, by the pattern
	}
	return v, true
}

func compareVersions(a, b version) int { return slices.Compare(a[:], b[:]) }

// Snake is an event's name as the name of its folder: letters and digits in lower
// case, and one _ for all that stands between words. "Track Played" and
// "trackPlayed" both are track_played.
func Snake(name string) string {
	var out []byte
	gap, lower := false, false // something stood between; the last letter was no capital
	for _, r := range name {
		if r == unicode.ReplacementChar || !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			gap = true
			continue
		}
		if len(out) > 0 && (gap || lower && unicode.IsUpper(r)) {
			out = append(out, '_')
		}
		gap, lower = false, !unicode.IsUpper(r)
		out = append(out, string(unicode.ToLower(r))...)
	}
	return string(out)
}

// errUnreachable is what a $ref meets that leads out of the project's schemas.
var errUnreachable = errors.New("it is not one of the project's schemas")
