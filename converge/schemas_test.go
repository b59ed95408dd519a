package converge

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/store"
)

// schemaFiles is a folder of schemas.
func schemaFiles(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

// rows counts what is promoted of a dataset.
func (p *plays) rows(t *testing.T, name string) (n int64) {
	t.Helper()
	versions, err := p.catalog.Promoted(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range versions {
		n += v.Rows
	}
	return n
}

// apply deploys the plays with other schemas and waits for what comes of it.
func (p *plays) apply(t *testing.T, schemas map[string]string) Plan {
	t.Helper()
	project := playsProject(t)
	project.Schemas = schemaFiles(schemas)
	done, err := p.Apply(t.Context(), project, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	return done.Plan
}

// words are the changes of a plan.
func words(plan Plan) []string {
	var out []string
	for _, c := range plan.Changes {
		out = append(out, c.File+": "+strings.Join(c.Changes, ", "))
	}
	return out
}

// Events that a schema refused by mistake become rows once its file is corrected
// and applied: all of them, once, as if the schema had always been right, and
// with everything that follows from them.
func TestSchemasHeal(t *testing.T) {
	pool := newPool(t)
	root, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	objects, err := store.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	const played, paused = "track_played/1-0-0.json", "track_paused/1-0-0.json"
	strict := map[string]string{played: `{"required": ["quality"]}`, paused: `{"properties": {"played_ms": {"type": "string"}}}`}
	right := map[string]string{played: `{"required": ["track_id"]}`, paused: `{"properties": {"played_ms": {"type": "integer"}}}`}

	p := newPlays(t, pool, objects)
	if d := cmp.Diff([]string{"schemas/track_paused/1-0-0.json: new schema", "schemas/track_played/1-0-0.json: the schema changed"}, words(p.apply(t, strict))); d != "" {
		t.Error(d)
	}
	hour := time.Now().UTC().Truncate(24 * time.Hour)
	partition := dataset.PartitionAt(dataset.Hour, hour)
	segment := build(t, pool, objects, rawSQL(7, 5000, hour), partition)
	p.load(t, segment)
	if got, refused := p.rows(t, "events"), p.rows(t, "events_rejected"); got != 0 || refused != 5000 {
		t.Fatalf("%d rows and %d refused", got, refused)
	}

	// One stage reads the schemas; the rest follows from it.
	plan := p.apply(t, right)
	if d := cmp.Diff([]string{"schemas/track_paused/1-0-0.json: the schema changed", "schemas/track_played/1-0-0.json: the schema changed"}, words(plan)); d != "" {
		t.Error(d)
	}
	if i := slices.IndexFunc(plan.Affected, func(a Affected) bool { return a.Dataset == "events" }); i < 0 || plan.Affected[i].Cost.Partitions != 1 {
		t.Errorf("affected: %+v", plan.Affected)
	}
	if got, refused := p.rows(t, "events"), p.rows(t, "events_rejected"); got != 5000 || refused != 0 {
		t.Fatalf("%d rows and %d refused", got, refused)
	}
	why, err := p.catalog.Why(t.Context(), dataset.Reference{Dataset: "events", Partition: partition})
	told, failed := json.Marshal(why)
	if err := errors.Join(err, failed); err != nil || !strings.Contains(string(told), "schemas/track_paused/1-0-0.json, schemas/track_played/1-0-0.json changed") {
		t.Errorf("%v, %s", err, told)
	}
	always := newPlays(t, pool, objects)
	always.apply(t, right)
	always.load(t, segment)
	if d := cmp.Diff(withRows(always.hashes(t)), withRows(p.hashes(t))); d != "" {
		t.Error("healed and always right differ:", d)
	}
	p.changeNothing(t, right)
	p.refuse(t, right)
}

// withRows leaves out what has no rows.
func withRows(hashes map[string]string) map[string]string {
	maps.DeleteFunc(hashes, func(_, hash string) bool { return strings.HasPrefix(hash, "0 ") })
	return hashes
}

// changeNothing: another way to write schemas computes nothing, and a schema that
// is taken away comes back with what is deployed.
func (p *plays) changeNothing(t *testing.T, schemas map[string]string) {
	t.Helper()
	before, rows := p.outcomes(t), p.hashes(t)
	changed := maps.Clone(schemas)
	changed["track_paused/1-0-0.json"] = "{\n  \"properties\": {\"played_ms\": {\"type\": \"integer\"} }\n}\n"
	otherwise := []string{"schemas/track_paused/1-0-0.json: the file is written otherwise, the schema is the same"}
	if d := cmp.Diff(otherwise, words(p.apply(t, changed))); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string(nil), words(p.apply(t, changed))); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(before, p.outcomes(t)); d != "" {
		t.Error(d)
	}
	delete(changed, "track_paused/1-0-0.json")
	if d := cmp.Diff([]string{"schemas/track_paused/1-0-0.json: the file is gone"}, words(p.apply(t, changed))); d != "" {
		t.Error(d)
	}
	if _, err := p.Rollback(t.Context(), nil, 0, "test"); err != nil {
		t.Fatal(err)
	}
	if err := p.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(rows, p.hashes(t)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(otherwise, words(p.apply(t, schemas))); d != "" {
		t.Error("what came back is not the schemas as they were written last:", d)
	}
}

// refuse: schemas that are wrong are told with file, line and fix, and change
// nothing.
func (p *plays) refuse(t *testing.T, schemas map[string]string) {
	t.Helper()
	before := p.hashes(t)
	broken := maps.Clone(schemas)
	broken["track_played/1-0-1.json"] = "{\n  \"required\": \"track_id\"\n}"
	broken["track_played/2.json"] = "{}"
	project := playsProject(t)
	project.Schemas = schemaFiles(broken)
	_, err := p.Apply(t.Context(), project, "test")
	refused, ok := errors.AsType[*Refused](err)
	if !ok || len(refused.Plan.Refusals) != 2 {
		t.Fatal(err)
	}
	r := refused.Plan.Refusals[0]
	if r.File == "schemas/track_played/2.json" {
		r = refused.Plan.Refusals[1]
	}
	if r.File != "schemas/track_played/1-0-1.json" || r.Line != 2 || r.Fix == "" || !strings.Contains(r.What, "/required must be array") || r.Dataset != dataset.Schemas {
		t.Errorf("%+v", r)
	}
	if !slices.ContainsFunc(r.Affects, func(a Party) bool { return a.Dataset == "royalties" }) {
		t.Errorf("affects %+v", r.Affects)
	}
	if d := cmp.Diff(before, p.hashes(t)); d != "" {
		t.Error(d)
	}
}
