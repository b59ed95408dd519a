package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// realFile is a file of real events.
type realFile struct {
	source, format, mapping string
	path                    string
	rows                    int // its lines; none of the three holds an event twice under one id
	one, sql                string
}

// Real files become exactly their rows, and importing them again adds nothing,
// whether a node runs or not.
//
// Lines that are equal byte for byte are events of their own where they have no
// id: the web server's log has 10 such pairs and more, all of them requests
// that were made.
func TestImportOfRealFiles(t *testing.T) {
	files := []realFile{
		{
			"github", "ndjson", "github.yaml", shared(t, "github-events", "2015-01-01-0.emails-redacted.json.gz"), 7702,
			"PushEvent", "SELECT min(name) FROM raw WHERE event_id = '2489368070' AND user_id = '9152315' AND occurred_at = TIMESTAMPTZ '2015-01-01 00:00:00Z'",
		},
		{
			"wikipedia", "ndjson", "wikipedia.yaml", shared(t, "wikipedia-edits", "wikiticker-part1.ndjson.gz"), 20249,
			"#vi.wikipedia", "SELECT min(name) FROM raw WHERE user_id = 'ThitxongkhoiAWB' AND (properties ->> '$.page') = 'Atractus apophis'",
		},
		{
			"website", "combined", "", shared(t, "access-logs", "elastic-apache_logs.log"), 10000,
			"2015-05-17", "SELECT min(occurred_at)::DATE FROM raw WHERE source = 'website'",
		},
	}
	p := newProject(t, "empty")
	config := "name: files\nsources:\n  - {name: github, keys: [a]}\n  - {name: wikipedia, keys: [b]}\n  - {name: website, keys: [c]}\n"
	if err := os.WriteFile(filepath.Join(p.dir, "reedbed.yaml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if got := p.load(t, f); got.Records != f.rows || got.Loaded != f.rows || got.Quarantined+got.DuplicatesRemoved != 0 {
			t.Errorf("%s: first import: %+v, want %d rows", f.source, got, f.rows)
		}
		if got := p.count(t, "SELECT count(*) FROM raw WHERE source = '"+f.source+"'"); got != f.rows {
			t.Errorf("%s: %d rows on record, want %d", f.source, got, f.rows)
		}
		if got := p.answer(t, f.sql); got != f.one {
			t.Errorf("%s: %s answers %q, want %q", f.source, f.sql, got, f.one)
		}
	}
	n := p.up(t).listening(t)
	for _, f := range files {
		if got := p.load(t, f); got.Records != f.rows || got.Loaded+got.Quarantined != 0 || got.DuplicatesRemoved != f.rows {
			t.Errorf("%s: second import: %+v, want nothing added", f.source, got)
		}
		if got := p.count(t, "SELECT count(*) FROM raw WHERE source = '"+f.source+"'"); got != f.rows {
			t.Errorf("%s: %d rows after the second import, want %d", f.source, got, f.rows)
		}
	}
	n.converged(t)
	n.stop(t)
}

// imported is what `reedbed import --json` answers.
type imported struct {
	Records           int `json:"records"`
	Loaded            int `json:"loaded"`
	Quarantined       int `json:"quarantined"`
	DuplicatesRemoved int `json:"duplicates_removed"`
}

func (p project) load(t *testing.T, f realFile) (done imported) {
	t.Helper()
	args := []string{"import", "-C", p.dir, "--json", "--source", f.source, "--format", f.format}
	if f.mapping != "" {
		args = append(args, "--map", filepath.Join("testdata", f.mapping))
	}
	if err := json.Unmarshal([]byte(p.must(t, append(args, f.path)...)), &done); err != nil {
		t.Fatal(err)
	}
	return done
}

// An import that is killed goes on where it was, and what came twice on the way
// is counted once. Equal lines of the file are events of their own.
func TestImportKilled(t *testing.T) {
	r := random(t)
	p := newProject(t, "empty")
	lines := sized(100_000, 20_000)
	var text bytes.Buffer
	for range lines {
		fmt.Fprintf(&text, `{"at":%d,"who":"u%d"}`+"\n", 1_700_000_000+r.IntN(1000), r.IntN(50))
	}
	dir := t.TempDir()
	file, mapping := filepath.Join(dir, "events.ndjson"), filepath.Join(dir, "map.yaml")
	if err := errors.Join(os.WriteFile(file, text.Bytes(), 0o644),
		os.WriteFile(mapping, []byte("time: at\nuser_id: who\nconstants: {name: Seen}\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	args := []string{"import", "-C", p.dir, "--json", "--source", "app", "--format", "ndjson", "--map", mapping, file}
	killed := 0
	for range sized(12, 5) {
		ctx, kill := context.WithTimeout(t.Context(), time.Duration(r.IntN(1200))*time.Millisecond)
		if p.command(ctx, args...).Run() != nil {
			killed++
		}
		kill()
	}
	var done imported
	if err := json.Unmarshal([]byte(p.must(t, args...)), &done); err != nil {
		t.Fatal(err)
	}
	t.Logf("killed %d times; then %+v", killed, done)
	if killed == 0 {
		t.Errorf("void: it always ended before it was killed")
	}
	if got := p.count(t, "SELECT count(*) FROM raw"); got != lines {
		t.Errorf("%d rows of %d lines", got, lines)
	}
}
