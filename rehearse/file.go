package rehearse

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/reedbed/reedbed/internal/nearest"
	"github.com/reedbed/reedbed/internal/strictyaml"
	"github.com/reedbed/reedbed/stage"
)

// File is one file of cases. Its parts are as written, with their lines, and
// are checked when the stages are known.
type File struct {
	path  string // as people see it in messages
	stage strictyaml.Value
	cases []written
}

// written is a case as it stands in a file.
type written struct {
	Name      strictyaml.Value `yaml:"name"`
	Partition strictyaml.Value `yaml:"partition"`
	Given     strictyaml.Value `yaml:"given"`
	Expect    strictyaml.Value `yaml:"expect"`
	Rejected  strictyaml.Value `yaml:"rejected"`
}

// ReadFolder reads every .yaml file of a tests folder, in name order; a folder
// that is not there has none. Files that do not decode are left out and named in
// the problems.
func ReadFolder(folder fs.FS, shown string) ([]File, []stage.Problem) {
	entries, err := fs.ReadDir(folder, ".")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, []stage.Problem{{File: shown, What: err.Error()}}
	}
	var files []File
	var problems []stage.Problem
	for _, e := range entries {
		switch at := path.Join(shown, e.Name()); path.Ext(e.Name()) {
		case ".yaml":
			f, problem := read(folder, e.Name(), at)
			if problem != nil {
				problems = append(problems, *problem)
				continue
			}
			files = append(files, f)
		case ".yml":
			problems = append(problems, stage.Problem{File: at, What: "only .yaml files are read as cases", Fix: "rename the file to end in .yaml"})
		}
	}
	return files, problems
}

func read(folder fs.FS, name, shown string) (File, *stage.Problem) {
	text, err := fs.ReadFile(folder, name)
	if err != nil {
		return File{}, &stage.Problem{File: shown, What: "cannot be read: " + err.Error()}
	}
	return decode(shown, text)
}

func decode(shown string, text []byte) (File, *stage.Problem) {
	var d struct {
		Stage strictyaml.Value `yaml:"stage"`
		Cases []written        `yaml:"cases"`
	}
	err := strictyaml.Decode(text, &d)
	if err == nil {
		return File{path: shown, stage: d.Stage, cases: d.Cases}, nil
	}
	p := &stage.Problem{File: shown, What: err.Error(), Fix: "check the indentation and the keys"}
	if e, ok := errors.AsType[*strictyaml.Error](err); ok {
		p.What, p.Line = e.What, e.Line
		if near := nearest.Word(e.Token, []string{"stage", "cases", "name", "partition", "given", "expect", "rejected"}); near != "" {
			p.Fix = fmt.Sprintf("did you mean `%s`?", near)
		}
	}
	return File{}, p
}
