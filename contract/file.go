package contract

import (
	"errors"
	"path"
	"strings"

	"github.com/reedbed/reedbed/internal/strictyaml"
)

// File is what a consumer relies on: one file of contracts/.
type File struct {
	Path string // as people see it in messages
	Name string
	// Owner is the team that is told.
	Owner       string
	Consumer    string // the stage whose reads it protects, "" for people and programs outside
	Description string
	Contracts   []Contract // one for each dataset, in the order of the file

	consumerLine int
}

// Parse reads a file of contracts/. The problems are complete for what can be seen
// without knowing the datasets; a file with problems gives nil.
func Parse(file string, text []byte) (*File, []Problem) {
	var doc strictyaml.Value
	if err := strictyaml.Decode(text, &doc); err != nil {
		return nil, []Problem{unreadable(file, text, err)}
	}
	return read(file, doc)
}

func unreadable(file string, text []byte, err error) Problem {
	p := Problem{File: file, What: err.Error(), Fix: "check the indentation"}
	if e, ok := errors.AsType[*strictyaml.Error](err); ok {
		p.What, p.Line = e.What, min(e.Line, 1+strings.Count(string(text), "\n"))
	}
	return p
}

func read(file string, doc strictyaml.Value) (*File, []Problem) {
	r := reader{file: file}
	f := File{Path: file, Name: strings.TrimSuffix(path.Base(file), path.Ext(file))}
	r.each(strictyaml.Field{Line: 1, Value: doc}, "the contract", keys{
		"name":        func(e strictyaml.Field) { f.Name = r.text(e, "name") },
		"owner":       func(e strictyaml.Field) { f.Owner = r.text(e, "owner") },
		"consumer":    func(e strictyaml.Field) { f.Consumer, f.consumerLine = r.text(e, "consumer"), e.Line },
		"description": func(e strictyaml.Field) { f.Description = r.text(e, "description") },
		"datasets":    func(e strictyaml.Field) { f.Contracts = r.datasets(e) },
	})
	if f.Owner == "" {
		r.bad(1, "the contract has no owner", "add `owner: team-name`: whoever is told when it is broken")
	}
	if len(f.Contracts) == 0 && len(r.problems) == 0 {
		r.bad(1, "the contract names no dataset", "list what it relies on under `datasets:`, by the name of the dataset")
	}
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	for i := range f.Contracts {
		c := &f.Contracts[i]
		c.Name, c.Owner, c.File, c.Consumer = f.Name, f.Owner, file, f.Consumer
	}
	return &f, nil
}

func (r *reader) datasets(f strictyaml.Field) []Contract {
	var out []Contract
	for _, e := range r.entries(f, "datasets") {
		c := Contract{Dataset: e.Name, Line: e.Line}
		r.each(e, e.Name, r.terms(&c.Terms))
		out = append(out, c)
	}
	return out
}

// IsODCS reports whether a document is an Open Data Contract Standard contract,
// which is another format than that of Parse.
func IsODCS(text []byte) bool {
	var doc strictyaml.Value
	if strictyaml.Decode(text, &doc) != nil {
		return false
	}
	for _, f := range doc.Fields {
		if f.Name == "kind" && f.Value.Text == "DataContract" {
			return true
		}
	}
	return false
}
