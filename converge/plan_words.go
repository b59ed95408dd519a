package converge

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/stage"
)

// compare says of each file what changed, in words.
func (d *proposal) compare(ctx context.Context) error {
	for _, s := range d.def.stages {
		c, err := d.compareStage(ctx, s)
		if err != nil {
			return err
		}
		if len(c.Changes) > 0 {
			d.plan.Changes = append(d.plan.Changes, c)
		}
	}
	for _, s := range d.def.sides {
		d.compareSide(s)
	}
	d.compareGone()
	d.compareContracts()
	slices.SortFunc(d.plan.Changes, func(a, b Change) int { return cmp.Compare(a.File, b.File) })
	return nil
}

func (d *proposal) compareStage(ctx context.Context, s *stage.Stage) (Change, error) {
	c := Change{FileChange: dataset.FileChange{File: s.File}, Dataset: s.Name, Owner: s.Header.Owner}
	was, existed := d.was[s.Name]
	if !existed {
		c.Changes, c.Recomputes = []string{"new stage"}, true
		d.changed[s.Name] = true
		return c, nil
	}
	sameSQL, ast := was.SQL == s.SQL, ""
	i := slices.IndexFunc(d.bound, func(b bound) bool { return b.stage == s })
	if i >= 0 {
		ast = d.bound[i].ast
	}
	if !sameSQL && ast != "" {
		parsed, err := d.c.o.Engine.Parse(ctx, was.SQL)
		if ctx.Err() != nil {
			return c, err
		}
		sameSQL = err == nil && parsed.AST == ast
	}
	c.Changes = headerWords(was, s)
	switch {
	case !sameSQL:
		c.Changes = append([]string{"the SQL computes something else"}, c.Changes...)
	case was.SQL != s.SQL:
		c.Changes = append([]string{"only comments or formatting of the SQL changed"}, c.Changes...)
	}
	if i >= 0 {
		b := d.bound[i]
		c.Recomputes = !bytes.Equal(b.identity, d.old[s.Name].CodeIdentity)
		columns := columnWords(d.old[s.Name].Columns, b.columns)
		switch {
		case c.Recomputes && len(c.Changes) == 0 && len(columns) > 0:
			c.Changes = []string{"the file is as it was, but its columns follow from what it reads"}
		case c.Recomputes && len(c.Changes) == 0:
			c.Changes = []string{"the file is as it was, but this release computes it otherwise"}
		}
		c.Changes = append(c.Changes, columns...)
	}
	d.changed[s.Name], d.redated[s.Name] = c.Recomputes, !c.Recomputes && redated(was, s)
	return c, nil
}

// redated reports whether a stage follows an input from another day on.
func redated(was, is *stage.Stage) bool {
	return slices.ContainsFunc(is.InputNames(), func(in string) bool {
		_, had := was.Header.Inputs[in]
		return had && was.Window(in).From != is.Window(in).From
	})
}

// headerWords says which keys of the header changed.
func headerWords(was, is *stage.Stage) []string {
	out := keyWords("", reflect.ValueOf(was.Header), reflect.ValueOf(is.Header))
	out = append(out, inputWords(was.Header.Inputs, is.Header.Inputs)...)
	for _, words := range is.Contract().Rules().Changes(was.Contract().Rules()) {
		out = append(out, "contract."+words)
	}
	out = append(out, is.Header.Fingerprint.Changes(was.Header.Fingerprint)...)
	if len(out) == 0 && was.HeaderText != is.HeaderText {
		out = append(out, "only comments or formatting of the header changed")
	}
	return out
}

// keyWords compares two values of one struct whose fields are YAML keys. Inputs
// have words of their own, and so has what is promised.
func keyWords(prefix string, was, is reflect.Value) []string {
	var out []string
	for i := range was.NumField() {
		key, _, _ := strings.Cut(was.Type().Field(i).Tag.Get("yaml"), ",")
		before, after := was.Field(i), is.Field(i)
		switch {
		case key == "inputs" || key == "-" || empty(before) && empty(after):
		case before.Kind() == reflect.Struct:
			out = append(out, keyWords(prefix+key+".", before, after)...)
		case !reflect.DeepEqual(before.Interface(), after.Interface()):
			out = append(out, fmt.Sprintf("%s%s: was %s, is %s", prefix, key, short(before), short(after)))
		}
	}
	return out
}

// empty reports a value that says nothing: zero, or a list or map without entries.
func empty(v reflect.Value) bool {
	return v.IsZero() || (v.Kind() == reflect.Map || v.Kind() == reflect.Slice) && v.Len() == 0
}

func inputWords(was, is map[string]stage.Input) []string {
	var out []string
	all := maps.Clone(was)
	maps.Copy(all, is)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		before, had := was[name]
		after, has := is[name]
		switch {
		case !had:
			out = append(out, fmt.Sprintf("reads %s (window %s)", name, windowWords(after)))
		case !has:
			out = append(out, fmt.Sprintf("no longer reads %s", name))
		case before != after:
			words := fmt.Sprintf("window of %s: was %s, is %s", name, windowWords(before), windowWords(after))
			if before.Window == after.Window {
				words += dateWords(before.From, after.From)
			}
			out = append(out, words)
		}
	}
	return out
}

func windowWords(in stage.Input) string {
	if in.From == "" {
		return in.Window
	}
	return in.Window + " from " + in.From
}

// dateWords says what it means that an input is followed from another day on, ""
// being the first of all.
func dateWords(was, is string) string {
	which := fmt.Sprintf("from %s until %s", min(was, is), max(was, is))
	if min(was, is) == "" {
		which = "before " + max(was, is)
	}
	if is < was {
		return "; closed partitions " + which + " would follow it"
	}
	return "; closed partitions " + which + " would read it as of their close"
}

// short is a value of a header on one line, "none" for nothing.
func short(v reflect.Value) string {
	if empty(v) {
		return "none"
	}
	if v.Kind() == reflect.String {
		return v.String()
	}
	text, err := json.Marshal(v.Interface())
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// columnWords says how columns changed.
func columnWords(was, is []dataset.Column) []string {
	var out []string
	types := func(columns []dataset.Column) map[string]string {
		m := map[string]string{}
		for _, c := range columns {
			m[c.Name] = c.Type
		}
		return m
	}
	before, after := types(was), types(is)
	for _, c := range is {
		switch t, had := before[c.Name]; {
		case !had:
			out = append(out, fmt.Sprintf("column %s is new (%s)", c.Name, c.Type))
		case t != c.Type:
			out = append(out, fmt.Sprintf("column %s is %s, was %s", c.Name, c.Type, t))
		}
	}
	for _, c := range was {
		if _, has := after[c.Name]; !has {
			out = append(out, fmt.Sprintf("column %s is gone", c.Name))
		}
	}
	return out
}

func (d *proposal) compareSide(s sideInput) {
	c := Change{FileChange: dataset.FileChange{File: s.File}, Dataset: s.Spec.Name}
	i := slices.IndexFunc(d.before.Sides, func(o sqlite.Side) bool { return o.Spec.Name == s.Spec.Name })
	switch {
	case s.Spec.Name == dataset.Schemas:
		d.compareSchemas(s)
		return
	case i < 0:
		c.Changes, c.Recomputes = []string{"new side input"}, true
	case s.Version != 0 && s.Version == d.before.Sides[i].Version:
		if s.Digest == d.before.Sides[i].Digest {
			return
		}
		c.Changes = []string{"the file is written otherwise, its rows are the same"}
	default:
		c.Changes, c.Recomputes = append([]string{"the content changed"}, columnWords(d.before.Sides[i].Spec.Columns, s.Spec.Columns)...), true
	}
	d.changed[s.Spec.Name] = c.Recomputes
	d.plan.Changes = append(d.plan.Changes, c)
}

// compareGone says which files are no longer there.
func (d *proposal) compareGone() {
	for _, f := range d.before.Stages {
		if d.gone(f) {
			d.plan.Changes = append(d.plan.Changes, Change{Dataset: f.Name, Owner: d.owner(f.Name), FileChange: dataset.FileChange{
				File: f.File, Changes: []string{"the file is gone: " + f.Name + " is no longer computed or readable; what was computed stays on record"},
			}})
		}
	}
	for _, s := range d.before.Sides {
		if d.goneSide(s) {
			d.plan.Changes = append(d.plan.Changes, Change{Dataset: s.Spec.Name, FileChange: dataset.FileChange{File: s.File, Changes: []string{"the file is gone"}}})
		}
	}
}

// gone reports whether a deployed stage has no file in the set, not even a wrong one.
func (d *proposal) gone(f sqlite.Definition) bool {
	return !slices.ContainsFunc(d.def.stages, func(s *stage.Stage) bool { return s.Name == f.Name }) &&
		!slices.ContainsFunc(d.def.problems, func(p stage.Problem) bool { return p.File == f.File })
}

func (d *proposal) goneSide(s sqlite.Side) bool {
	return !slices.ContainsFunc(d.def.sides, func(x sideInput) bool { return x.Spec.Name == s.Spec.Name }) &&
		!slices.ContainsFunc(d.problems, func(p stage.Problem) bool { return p.File == s.File })
}
