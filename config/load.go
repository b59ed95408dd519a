package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/internal/nearest"
)

// envPrefix starts the name of every environment variable that sets something:
// REEDBED_QUERY_DEADLINE sets query.deadline.
const envPrefix = "REEDBED_"

// ErrNoProject says that a folder holds no reedbed.yaml.
var ErrNoProject = errors.New("no " + FileName)

// Load reads the project in the folder dir. env is in the form of os.Environ.
// flags maps paths to text (listen: 127.0.0.1:0). A flag wins over the
// environment, which wins over the file, which wins over the defaults. Every
// problem is found in one go and returned as an *Error; a folder without the
// file is an error that matches ErrNoProject.
func Load(dir string, env []string, flags map[string]string) (Project, error) {
	name := filepath.Join(dir, FileName)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Project{}, fmt.Errorf("%w in %s", ErrNoProject, dir)
	}
	if err != nil {
		return Project{}, fmt.Errorf("read the configuration: %w", err)
	}
	d := decoder{name: name, config: Default(), places: map[string]string{}}
	if !d.file(text) {
		return Project{}, &Error{Problems: d.problems}
	}
	d.environment(env)
	d.flags(flags)
	d.complete()
	for _, p := range d.config.Validate() {
		if !d.reported(p.Path) {
			d.add(p)
		}
	}
	if len(d.problems) > 0 {
		return Project{}, &Error{Problems: d.problems}
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return Project{}, fmt.Errorf("project folder: %w", err)
	}
	return Project{Dir: absolute, Config: d.config}, nil
}

// environment applies REEDBED_*. A variable that names no setting may belong
// to something else and is left alone, unless it looks misspelt. An empty one
// counts as not set.
func (d *decoder) environment(env []string) {
	settings := map[string]string{}
	for path := range d.scalars() {
		settings[envName(path)] = path
	}
	for _, entry := range slices.Sorted(slices.Values(env)) {
		name, text, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) || text == "" {
			continue
		}
		if path, ok := settings[name]; ok {
			d.override(path, name, text)
			continue
		}
		for _, known := range slices.Sorted(maps.Keys(settings)) {
			if len(known) > len(envPrefix)+4 && nearest.Edits(name, known) <= 2 {
				d.add(Problem{
					Place: name, Cause: "there is no such setting",
					Fix: fmt.Sprintf("did you mean %s?", known),
				})
			}
		}
	}
}

// flags applies what the command line set.
func (d *decoder) flags(flags map[string]string) {
	known := d.scalars()
	for _, path := range slices.Sorted(maps.Keys(flags)) {
		text := flags[path]
		if _, ok := known[path]; !ok {
			d.add(Problem{Path: path, Place: "--" + path, Value: text, Cause: "there is no such setting", Fix: "remove it"})
			continue
		}
		d.override(path, "--"+path, text)
	}
}

func (d *decoder) override(path, place, text string) {
	d.places[path] = place
	d.problems = slices.DeleteFunc(d.problems, func(p Problem) bool { return p.Path == path })
	v := d.scalars()[path]
	if v.Kind() != reflect.Slice {
		d.set(v, text, path)
		return
	}
	v.SetZero()
	for entry := range strings.SplitSeq(text, ",") {
		element := reflect.New(v.Type().Elem()).Elem()
		d.set(element, strings.TrimSpace(entry), path)
		v.Set(reflect.Append(v, element))
	}
}

// scalars finds what a flag or variable can set: single values and lists of
// single values, by path. Sources and webhooks are set in the file only.
func (d *decoder) scalars() map[string]reflect.Value {
	found := map[string]reflect.Value{}
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		switch {
		case isScalar(v.Type()) || v.Kind() == reflect.Slice && isScalar(v.Type().Elem()):
			found[path] = v
		case v.Kind() == reflect.Struct:
			for f, field := range v.Fields() {
				walk(field, join(path, f.Tag.Get("yaml")))
			}
		}
	}
	walk(reflect.ValueOf(&d.config).Elem(), "")
	return found
}

// complete derives what is left out from what is set.
func (d *decoder) complete() {
	for i := range d.config.Sources {
		if s := &d.config.Sources[i]; s.Burst == 0 {
			s.Burst = s.Rate
		}
	}
}

func (d *decoder) reported(path string) bool {
	return slices.ContainsFunc(d.problems, func(p Problem) bool { return p.Path == path })
}

func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}
