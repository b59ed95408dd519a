package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
)

// schemasTable is the table schemas with rows of event, version, schema.
func schemasTable(cells ...string) engine.Table {
	t := engine.Table{Name: dataset.Schemas, Columns: []dataset.Column{{Name: "event", Type: "VARCHAR"}, {Name: "version", Type: "VARCHAR"}, {Name: "schema", Type: "VARCHAR"}}}
	for i := 0; i < len(cells); i += 3 {
		t.Rows = append(t.Rows, []*string{&cells[i], &cells[i+1], &cells[i+2]})
	}
	return t
}

// One worker serves jobs with other schemas, in turns, and each job its own.
func TestSchemaErrors(t *testing.T) {
	p := newPool(t, engine.Options{StageWorkers: 1})
	strict := schemasTable("track_played", "1-0-0", `{"required": ["track_id"]}`, "track_played", "1-0-1", `{"required": ["ms"]}`)
	loose := schemasTable("track_played", "1-0-0", `true`)
	ask := func(sql string, tables ...engine.Table) string {
		t.Helper()
		out := build(t, p, engine.BuildJob{SQL: sql, Tables: tables}).Output
		return answer(t, p, engine.QueryJob{SQL: "SELECT * FROM t ORDER BY ALL", Tables: []engine.Table{{Name: "t", Files: []string{out.Path}}}, Format: "csv"})
	}
	const all = `SELECT i, schema_errors(name, version, properties) AS e FROM (VALUES
		(1, 'Track Played', NULL, '{"track_id": 1}'::JSON), (2, 'Track Played', '1-0-0', '{"track_id": 1}'), (3, 'Track Played', '1-0-0', NULL),
		(4, NULL, NULL, '{}'), (5, 'Track Liked', '1-0-0', '[]'), (6, 'Track Played', '2-0-0', '{}')) t(i, name, version, properties)`
	for range 2 {
		if d := cmp.Diff("i,e\n1,/ms is missing\n2,\n3,/track_id is missing\n4,\n5,\n6,there is no schema 2-0-0 of track_played\n", ask(all, strict)); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff("i,e\n1,\n2,\n3,\n4,\n5,\n6,there is no schema 2-0-0 of track_played\n", ask(all, loose)); d != "" {
			t.Error(d)
		}
		// Constants are no reason to compute the answer once and for all.
		const constant = "SELECT schema_errors('Track Played', NULL, '{}') AS e"
		for _, x := range []struct {
			table engine.Table
			want  string
		}{{strict, "/ms is missing"}, {loose, ""}, {schemasTable(), ""}} {
			if got := ask(constant, x.table); got != "e\n"+x.want+"\n" {
				t.Errorf("%q, want %q", got, x.want)
			}
		}
	}
	_, err := p.Build(t.Context(), engine.BuildJob{SQL: "SELECT schema_errors('Track Played', NULL, '{}') AS e"})
	if err == nil || !strings.Contains(err.Error(), "list `schemas: {window: latest}`") {
		t.Error(err)
	}
	_, err = p.Build(t.Context(), engine.BuildJob{SQL: "SELECT schema_errors('e', NULL, '{}') AS e", Tables: []engine.Table{schemasTable("e", "1-0-0", `{"type": 1}`)}})
	if _, isSQL := errors.AsType[*engine.SQLError](err); !isSQL || !strings.Contains(err.Error(), "schemas/e/1-0-0.json") {
		t.Error(err)
	}
}

// The rule of a stage may ask what the SELECT computed.
func TestSchemaErrorsReject(t *testing.T) {
	p := newPool(t, engine.Options{})
	got := build(t, p, engine.BuildJob{
		SQL:     `SELECT i, schema_errors('e', NULL, json_object('ms', i)) AS schema_errors FROM range(5000) r(i)`,
		Rejects: "schema_errors IS NOT NULL", Tables: []engine.Table{schemasTable("e", "1-0-0", `{"properties": {"ms": {"maximum": 999}}}`)},
	})
	if got.Output.Rows != 1000 || got.Rejected == nil || got.Rejected.Rows != 4000 {
		t.Fatalf("%+v", got)
	}
	why := answer(t, p, engine.QueryJob{
		SQL: "SELECT DISTINCT schema_errors, rejected_because FROM t", Format: "csv", Tables: []engine.Table{{Name: "t", Files: []string{got.Rejected.Path}}},
	})
	if why != "schema_errors,rejected_because\n/ms must be at most 999,schema_errors IS NOT NULL\n" {
		t.Error(why)
	}
}

// What the function costs beside the rest of a stage such as `events`.
func BenchmarkSchemaErrors(b *testing.B) {
	p := newPool(b, engine.Options{StageWorkers: 1})
	const rows = 200_000
	raw, err := p.Build(b.Context(), engine.BuildJob{SQL: fmt.Sprintf(`SELECT 'Track Played' AS name, 'u' || i AS user_id, '81.2.69.' || i %% 256 AS client_ip,
		'Mozilla/5.0 (X11; Linux x86_64; rv:' || i %% 500 || '.0) Gecko/20100101 Firefox/143.0' AS user_agent,
		'{"app": {"name": "web", "version": "3.1"}, "page": {"url": "https://a.example/music/1?utm_source=feed", "referrer": "https://b.example/"}}'::JSON AS context,
		json_object('track_id', 'trk_' || lpad((i %% 100000)::VARCHAR, 6, '0'), 'played_ms', i, 'position_ms', i, 'quality', 'high', 'shuffle', false) AS properties
		FROM range(%d) r(i)`, rows)})
	if err != nil {
		b.Fatal(err)
	}
	schemas := schemasTable("track_played", "1-0-0", `{"type": "object", "properties": {"track_id": {"type": "string", "pattern": "^trk_[0-9]{6}$"},
		"played_ms": {"type": "integer", "minimum": 0, "maximum": 86400000}, "position_ms": {"type": "integer", "minimum": 0}, "site": {"type": "string"}}}`)
	tables := []engine.Table{{Name: "raw", Files: []string{raw.Output.Path}}, schemas}
	const list = `name, user_id, geo_country(client_ip) AS country, ua_browser(user_agent) AS browser, ua_os(user_agent) AS os, ua_device(user_agent) AS device,
		ua_is_bot(user_agent) AS is_bot, context ->> '$.app.name' AS app, url_host(context ->> '$.page.url') AS site, url_path(context ->> '$.page.url') AS path,
		referrer_host(context ->> '$.page.referrer') AS referrer, properties`
	for _, x := range []struct{ name, sql, rejects string }{
		{"without", "SELECT " + list + " FROM raw", ""},
		{"rejects", "SELECT " + list + ", NULL::VARCHAR AS schema_errors FROM raw", "schema_errors IS NOT NULL"},
		{"checked", "SELECT " + list + ", schema_errors(name, NULL, properties) AS schema_errors FROM raw", "schema_errors IS NOT NULL"},
	} {
		b.Run(x.name, func(b *testing.B) {
			var cpu float64
			for b.Loop() {
				res, err := p.Build(b.Context(), engine.BuildJob{SQL: x.sql, Tables: tables, Rejects: x.rejects})
				if err != nil || res.Output.Rows != rows {
					b.Fatal(res.Output.Rows, err)
				}
				cpu += res.Usage.CPU.Seconds()
			}
			b.ReportMetric(cpu/float64(b.N)/rows*1e6, "µs-cpu/row")
			b.ReportMetric(0, "ns/op")
		})
	}
}
