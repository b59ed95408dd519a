package examples_test

import (
	"encoding/csv"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/reedbed/reedbed/examples"
)

var projects = []string{"plays", "web"}

// Stages must give the same rows whenever they run, so they may not ask the
// clock or chance.
var impure = regexp.MustCompile(`(?i)\b(now|random|uuid|gen_random_uuid|current_timestamp|current_date|today)\b`)

func TestStagesHaveAnOwnerAndAskNoClock(t *testing.T) {
	for _, project := range projects {
		for _, file := range list(t, path.Join(project, "stages/*.sql")) {
			text := read(t, file)
			header, sql, found := strings.Cut(text, "*/")
			if !found || !strings.HasPrefix(header, "/* @stage\n") {
				t.Errorf("%s does not begin with a stage header", file)
				continue
			}
			var h struct {
				Owner, Description, Partition string
				Inputs                        map[string]struct{ Window string }
			}
			if err := yaml.Unmarshal([]byte(strings.TrimPrefix(header, "/* @stage\n")), &h); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if h.Owner == "" || h.Description == "" || h.Partition == "" || len(h.Inputs) == 0 {
				t.Errorf("%s: header %+v leaves something out", file, h)
			}
			for input := range h.Inputs {
				if !exists(project, input) {
					t.Errorf("%s: nothing makes the input %q", file, input)
				}
			}
			if word := impure.FindString(sql); word != "" {
				t.Errorf("%s uses %s", file, word)
			}
		}
	}
}

func exists(project, input string) bool {
	switch input {
	case "raw":
		return true
	case "schemas":
		files, err := fs.Glob(examples.FS, path.Join(project, "schemas/*/*.json"))
		return err == nil && len(files) > 0
	}
	_, stage := fs.Stat(examples.FS, path.Join(project, "stages", input+".sql"))
	_, data := fs.Stat(examples.FS, path.Join(project, "data", input+".csv"))
	return stage == nil || data == nil
}

func TestCardsAreComplete(t *testing.T) {
	for _, project := range projects {
		var board struct {
			Title string
			Cards []struct{ Title, Kind, SQL string }
		}
		if err := yaml.Unmarshal([]byte(read(t, project+"/dashboards/stats.yaml")), &board); err != nil {
			t.Fatal(err)
		}
		for _, c := range board.Cards {
			if c.Title == "" || c.SQL == "" || !slices.Contains([]string{"ranked", "series", "number"}, c.Kind) {
				t.Errorf("%s: card %+v is not complete", project, c)
			}
		}
	}
}

// A join with a side input must not multiply rows.
func TestSideInputsHaveUniqueKeys(t *testing.T) {
	for file, width := range map[string]int{"plays/data/spam_rules.csv": 2, "plays/data/rates.csv": 1} {
		rows, err := csv.NewReader(strings.NewReader(read(t, file))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, row := range rows {
			key := strings.Join(row[:width], ",")
			if seen[key] {
				t.Errorf("%s has %s twice", file, key)
			}
			seen[key] = true
		}
	}
}

func list(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := fs.Glob(examples.FS, pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files match %s (%v)", pattern, err)
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := fs.ReadFile(examples.FS, file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
