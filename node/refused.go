package node

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/query"
)

// RefusedGroup is what is refused for one cause: events that do not decode, which
// are in quarantine, or rows that a stage refuses. What is not known is "".
type RefusedGroup struct {
	ID      string `json:"id"`      // names the group for as long as it has rows
	Dataset string `json:"dataset"` // quarantine, or <stage>_rejected
	Cause   string `json:"cause"`
	Source  string `json:"source,omitempty"`
	// Schema is the event's name, with the version of its schema if rows say it.
	Schema     string    `json:"schema,omitempty"`
	AppVersion string    `json:"app_version,omitempty"`
	Rows       int64     `json:"rows"`
	First      time.Time `json:"first,omitzero"`
	Last       time.Time `json:"last,omitzero"`
	// Share is that of the group in all rows it could have been: those of raw and
	// quarantine, or those the stage has and refuses.
	Share  float64 `json:"share"`
	Sample string  `json:"sample"` // id of one row, "" if the dataset's rows have none
	Text   string  `json:"text"`   // the beginning of that row
}

// RefusedRow is one thing that is refused, whole.
type RefusedRow struct {
	Dataset string    `json:"dataset"`
	ID      string    `json:"id,omitempty"`
	Cause   string    `json:"cause"`
	Reason  string    `json:"reason,omitempty"` // in words, of what does not decode
	Source  string    `json:"source,omitempty"`
	At      time.Time `json:"at,omitzero"`
	// Body are the bytes of what does not decode, Row is a refused row.
	Body []byte          `json:"body,omitempty"`
	Row  json.RawMessage `json:"row,omitempty"`
}

// RefusedAsk names what of a group, or which single row, is to be shown.
type RefusedAsk struct {
	What  string `json:"what"`
	Limit int    `json:"limit"`
}

// Refused lists what is refused, the largest group first.
func Refused(ctx context.Context, o Options) ([]RefusedGroup, error) {
	return inquire(ctx, o, "refused", struct{}{}, (*refusals).list)
}

// ShowRefused returns rows of a group, or one row, whole.
func ShowRefused(ctx context.Context, o Options, ask RefusedAsk) ([]RefusedRow, error) {
	return inquire(ctx, o, "refused-rows", ask, (*refusals).show)
}

// inquire asks the running node, or reads the project itself when none runs.
func inquire[In, Out any](ctx context.Context, o Options, name string, in In, answer func(*refusals, context.Context, In) (Out, error)) (out Out, err error) {
	client, err := Connect(ctx, o.Project)
	if err == nil {
		body, err := json.Marshal(in)
		if err != nil {
			return out, err
		}
		return out, client.call(ctx, http.MethodPost, orders+name, body, &out)
	}
	if !errors.Is(err, ErrNotRunning) {
		return out, err
	}
	r, err := OpenReader(ctx, o)
	if errors.Is(err, ErrNothingYet) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	if err = r.startWorkers(o); err == nil {
		out, err = answer(&refusals{r.catalog, r.query}, ctx, in)
	}
	return out, errors.Join(err, r.Close())
}

// refused and refusedRows answer these for a running node.
func (n *Node) refused(ctx context.Context, in struct{}) ([]RefusedGroup, error) {
	return underLease(ctx, n, in, (*refusals).list)
}

func (n *Node) refusedRows(ctx context.Context, ask RefusedAsk) ([]RefusedRow, error) {
	return underLease(ctx, n, ask, (*refusals).show)
}

func underLease[In, Out any](ctx context.Context, n *Node, in In, answer func(*refusals, context.Context, In) (Out, error)) (out Out, err error) {
	done, err := n.leases.read(ctx)
	if err != nil {
		return out, err
	}
	defer done()
	return answer(&refusals{n.catalog, n.query}, ctx, in)
}

// refusals reads what is refused, with SQL over the datasets that hold it.
type refusals struct {
	catalog *sqlite.Catalog
	query   *query.Service
}

// maxGroups bounds the groups of one dataset that are listed.
const maxGroups = 1000

// list groups what every dataset of refusals holds.
func (r *refusals) list(ctx context.Context, _ struct{}) ([]RefusedGroup, error) {
	places, err := r.places(ctx)
	if err != nil {
		return nil, err
	}
	out := []RefusedGroup{}
	for _, p := range places {
		groups, err := r.groups(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("group %s: %w", p.name, err)
		}
		out = append(out, groups...)
	}
	slices.SortStableFunc(out, func(a, b RefusedGroup) int { return cmp.Compare(b.Rows, a.Rows) })
	return out, nil
}

func (r *refusals) groups(ctx context.Context, p place) (out []RefusedGroup, err error) {
	err = r.each(ctx, fmt.Sprintf(`SELECT %s AS cause, %s AS source, %s AS "schema", %s AS app_version, count(*) AS "rows",
		epoch_us(min(%[5]s)) AS "first", epoch_us(max(%[5]s)) AS "last", min_by(%[6]s, (%[5]s, %[6]s)) AS sample, min_by(left(%[7]s, 200), (%[5]s, %[6]s)) AS text
		FROM %[8]s GROUP BY ALL ORDER BY "rows" DESC, cause, source, "schema", app_version LIMIT %[9]d`,
		p.cause, p.source, p.schema, p.app, p.at, p.id, p.text, p.from, maxGroups), func(line []byte) error {
		var row struct {
			Cause, Source, Schema, Sample, Text string
			AppVersion                          string `json:"app_version"`
			Rows                                int64
			First, Last                         *int64
		}
		if err := json.Unmarshal(line, &row); err != nil {
			return err
		}
		g := RefusedGroup{
			Dataset: p.name, Cause: row.Cause, Source: row.Source, Schema: row.Schema, AppVersion: row.AppVersion, Rows: row.Rows,
			First: instant(row.First), Last: instant(row.Last), Share: float64(row.Rows) / float64(max(p.of, row.Rows)), Sample: row.Sample, Text: row.Text,
		}
		g.ID = g.id()
		out = append(out, g)
		return nil
	})
	return out, err
}

// id names a group by what its rows have in common.
func (g RefusedGroup) id() string {
	sum := xxh3.Hash128(fmt.Appendf(nil, "%q", []string{g.Dataset, g.Cause, g.Source, g.Schema, g.AppVersion})).Bytes()
	return hex.EncodeToString(sum[:4])
}

func instant(micros *int64) time.Time {
	if micros == nil {
		return time.Time{}
	}
	return time.UnixMicro(*micros).UTC()
}

// show returns rows of the group of that id, or else the rows that have it.
func (r *refusals) show(ctx context.Context, ask RefusedAsk) ([]RefusedRow, error) {
	places, err := r.places(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range places {
		groups, err := r.groups(ctx, p)
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			if g.ID == ask.What {
				return r.rows(ctx, p, ask.Limit, fmt.Sprintf("%s = %s AND %s = %s AND %s = %s AND %s = %s",
					p.cause, literal(g.Cause), p.source, literal(g.Source), p.schema, literal(g.Schema), p.app, literal(g.AppVersion)))
			}
		}
	}
	for _, p := range places {
		rows, err := r.rows(ctx, p, ask.Limit, p.id+" = "+literal(ask.What))
		if err != nil || len(rows) > 0 {
			return rows, err
		}
	}
	return nil, &dataset.Refusal{
		Code: "unknown_group", What: fmt.Sprintf("nothing that is refused is named %q", ask.What),
		Fix: "`reedbed quarantine list` names the groups, and a row of each; a group whose rows are healed is gone",
	}
}

func (r *refusals) rows(ctx context.Context, p place, limit int, where string) (out []RefusedRow, err error) {
	err = r.each(ctx, fmt.Sprintf(`SELECT %s AS id, %s AS cause, %s AS reason, %s AS source, epoch_us(%s) AS "at", %s AS body, %s AS "row"
		FROM %s WHERE %s ORDER BY "at", id LIMIT %d`, p.id, p.cause, p.reason, p.source, p.at, p.body, p.row, p.from, where, limit), func(line []byte) error {
		var row struct {
			ID, Cause, Reason, Source string
			At                        *int64
			Body                      []byte // base64
			Row                       string
		}
		if err := json.Unmarshal(line, &row); err != nil {
			return err
		}
		whole := RefusedRow{Dataset: p.name, ID: row.ID, Cause: row.Cause, Reason: row.Reason, Source: row.Source, At: instant(row.At), Body: row.Body}
		if row.Row != "" {
			whole.Row = json.RawMessage(row.Row)
		}
		out = append(out, whole)
		return nil
	})
	return out, err
}

// each answers a SELECT and calls fn with each row as JSON.
func (r *refusals) each(ctx context.Context, sql string, fn func(line []byte) error) error {
	var answer bytes.Buffer
	if _, err := r.query.Report(ctx, sql, &answer); err != nil {
		return err
	}
	for d := json.NewDecoder(&answer); ; {
		var line json.RawMessage
		if err := d.Decode(&line); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := fn(line); err != nil {
			return err
		}
	}
}

// place is a dataset of refusals and the SQL of what is asked of its rows; of
// what they do not say it is that of an empty text, or of no time.
type place struct {
	name string
	of   int64 // rows it could hold at most: what is refused and what is not
	from string

	cause, source, schema, app, at, id string
	text                               string // one row for people
	reason, body, row                  string // body in base64
}

// places lists the datasets that hold something refused.
func (r *refusals) places(ctx context.Context) (out []place, err error) {
	status, err := r.catalog.Status(ctx)
	if err != nil {
		return nil, err
	}
	rows := map[string]int64{}
	for _, d := range status.Datasets {
		rows[d.Name] = d.Rows
	}
	all, err := r.catalog.Datasets(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		name := d.Spec.Name
		switch {
		case rows[name] == 0:
		case name == dataset.Quarantine:
			p := undecoded()
			p.of = rows[name] + rows[dataset.Raw]
			out = append(out, p)
		case d.Spec.Kind == dataset.Rejected:
			p := rejected(d.Spec)
			p.of = rows[name] + rows[strings.TrimSuffix(name, "_rejected")]
			out = append(out, p)
		}
	}
	return out, nil
}

// undecoded is quarantine. What was refused for its size or a field is JSON all
// the same, and says what it is.
func undecoded() place {
	const from = `(SELECT *, CASE WHEN json_valid(raw_text) THEN raw_text END AS json_text, CASE WHEN json_valid(shared_text) THEN shared_text END AS shared_json
		FROM (SELECT *, TRY(decode(body)) AS raw_text, TRY(decode(shared)) AS shared_text FROM quarantine))`
	return place{
		name: dataset.Quarantine, from: from, cause: "code", source: "source", at: "received_at", id: "quarantine_id",
		schema: `coalesce(json_text ->> '$.event', json_text ->> '$.name', '')`,
		app:    `coalesce(json_text ->> '$.context.app.version', shared_json ->> '$.context.app.version', '')`,
		text:   "coalesce(raw_text, body::VARCHAR)", reason: "reason", body: "base64(body)", row: "''",
	}
}

// rejected is what a stage refuses. It has the stage's columns: which say what is
// known by their names.
func rejected(spec dataset.Spec) place {
	text := func(names ...string) string {
		for _, name := range names {
			if slices.ContainsFunc(spec.Columns, func(c dataset.Column) bool { return c.Name == name }) {
				return "coalesce(" + name + "::VARCHAR, '')"
			}
		}
		return "''"
	}
	p := place{
		name: spec.Name, from: identifier(spec.Name) + " AS x", cause: text(engine.ReasonColumn), source: text("source"),
		schema: text("name", "event", "event_name"), app: text("app_version"), at: "NULL::TIMESTAMPTZ", id: "''",
		text: "to_json(x)::VARCHAR", reason: "''", body: "''", row: "to_json(x)::VARCHAR",
	}
	if wrong := text("schema_errors"); wrong != "''" { // which says more than that there are some
		p.cause = fmt.Sprintf("coalesce(nullif(%s, ''), %s)", wrong, p.cause)
	}
	if version := text("schema_version"); version != "''" {
		p.schema = fmt.Sprintf("concat_ws('/', nullif(%s, ''), nullif(%s, ''))", p.schema, version)
	}
	for _, c := range slices.Backward(spec.Columns) {
		if strings.HasPrefix(c.Type, "TIMESTAMP") {
			p.at = identifier(c.Name)
		}
		if strings.HasSuffix(c.Name, "_id") {
			p.id = "coalesce(" + identifier(c.Name) + "::VARCHAR, '')"
		}
	}
	return p
}

func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
