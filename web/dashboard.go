package web

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/reedbed/reedbed/internal/strictyaml"
	"github.com/reedbed/reedbed/stage"
)

// Dashboard is one file of a project's dashboards folder: cards for the page.
type Dashboard struct {
	Title string `yaml:"title"`
	Cards []Card `yaml:"cards"`
}

// Card is one SELECT and how its answer is shown.
type Card struct {
	Title string `yaml:"title"`
	Kind  Kind   `yaml:"kind"`
	SQL   string `yaml:"sql"`
	// Limit is how many rows are shown; 0 takes the kind's default.
	Limit int `yaml:"limit"`
}

// Kind says how a card shows its rows, and so which columns its SQL selects.
type Kind string

// The kinds of card.
const (
	Ranked Kind = "ranked" // label and value, best first
	Series Kind = "series" // time and value, in order of time
	Number Kind = "number" // value, one row
)

// maxRows bounds what a card may ask to show.
const maxRows = 1000

func (c Card) limit() int {
	switch {
	case c.Kind == Number:
		return 1
	case c.Limit > 0:
		return c.Limit
	case c.Kind == Series:
		return 500
	default:
		return 10
	}
}

// ReadDashboards reads every *.yaml file of a folder, in the order of their
// names. shown is the folder's name in problems. A file with problems keeps
// its good cards; a missing folder holds none.
func ReadDashboards(folder fs.FS, shown string) ([]Dashboard, []stage.Problem) {
	var boards []Dashboard
	var problems []stage.Problem
	for _, pattern := range []string{"*.yaml", "*.yml"} {
		files, _ := fs.Glob(folder, pattern) // the patterns are well formed
		for _, file := range files {
			f := boardFile{shown: path.Join(shown, file)}
			f.read(folder, file)
			problems = append(problems, f.problems...)
			if len(f.board.Cards) > 0 {
				boards = append(boards, f.board)
			}
		}
	}
	return boards, problems
}

// boardFile is one file while it is read.
type boardFile struct {
	shown    string
	board    Dashboard
	lines    []int // where each card begins
	problems []stage.Problem
}

func (f *boardFile) problem(line int, fix, format string, args ...any) {
	f.problems = append(f.problems, stage.Problem{File: f.shown, Line: line, What: fmt.Sprintf(format, args...), Fix: fix})
}

func (f *boardFile) read(folder fs.FS, file string) {
	text, err := fs.ReadFile(folder, file)
	if err != nil {
		f.problem(0, "check that the file can be read", "cannot be read: %v", err)
		return
	}
	if err := strictyaml.Decode(text, &f.board); err != nil {
		f.yamlProblem(err)
		return
	}
	f.board.Title = cmp.Or(f.board.Title, strings.TrimSuffix(file, path.Ext(file)))
	f.findCards(text)
	f.check()
}

func (f *boardFile) yamlProblem(err error) {
	line, what, fix := 0, err.Error(), "correct the YAML at this place"
	if e, ok := errors.AsType[*strictyaml.Error](err); ok {
		line, what = e.Line, e.What
	}
	if strings.Contains(what, "unknown field") {
		fix = "a dashboard has title and cards; a card has title, kind, sql and limit"
	}
	f.problem(line, fix, "%s", what)
}

// findCards notes the lines cards begin at. The text parsed already.
func (f *boardFile) findCards(text []byte) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return
	}
	at, err := yaml.PathString("$.cards")
	if err != nil {
		return
	}
	node, err := at.FilterFile(file)
	if err != nil {
		return
	}
	if list, ok := node.(*ast.SequenceNode); ok {
		for _, v := range list.Values {
			f.lines = append(f.lines, firstLine(v))
		}
	}
}

// firstLine of a node. The token of a mapping is a colon, so its first key
// stands for it.
func firstLine(node ast.Node) int {
	if m, ok := node.(ast.MapNode); ok {
		if pairs := m.MapRange(); pairs.Next() {
			node = pairs.Key()
		}
	}
	return node.GetToken().Position.Line
}

// check keeps the cards that can be shown.
func (f *boardFile) check() {
	if len(f.board.Cards) == 0 {
		f.problem(0, "add a card with title, kind and sql", "there are no cards")
	}
	var good []Card
	seen := map[string]bool{}
	for i, c := range f.board.Cards {
		line := 0
		if i < len(f.lines) {
			line = f.lines[i]
		}
		before := len(f.problems)
		f.checkCard(c, cmp.Or(c.Title, fmt.Sprintf("number %d", i+1)), line)
		if seen[c.Title] {
			f.problem(line, "give each card its own title", "two cards are called %q", c.Title)
		}
		seen[c.Title] = true
		if len(f.problems) == before {
			good = append(good, c)
		}
	}
	f.board.Cards = good
}

func (f *boardFile) checkCard(c Card, name string, line int) {
	if c.Title == "" {
		f.problem(line, "say what the card shows", "card %s has no title", name)
	}
	if strings.TrimSpace(c.SQL) == "" {
		f.problem(line, "add sql: with one SELECT", "card %s has no sql", name)
	}
	if kinds := []Kind{Ranked, Series, Number}; !slices.Contains(kinds, c.Kind) {
		f.problem(line, "use ranked, series or number", "card %s has the kind %q, which there is not", name, c.Kind)
	}
	if c.Limit < 0 || c.Limit > maxRows {
		f.problem(line, fmt.Sprintf("use 1 to %d, or leave it out", maxRows), "card %s has a limit of %d", name, c.Limit)
	}
}
