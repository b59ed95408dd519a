package converge

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/fingerprint"
)

// row is what datasets of the tests hold: an event's hour and a value.
type row struct{ Hour, Value int64 }

func compareRows(a, b row) int {
	return cmp.Or(cmp.Compare(a.Hour, b.Hour), cmp.Compare(a.Value, b.Value))
}

// program is what a stage of the tests computes, as a function over multisets
// of rows.
type program struct {
	Op     string // map: row by row; sum: everything together
	K      int64
	Inputs []string
	Whole  map[string]bool // the inputs that are not cut by time
}

// text stands where the SELECT would: `SELECT map 3 FROM a, b`.
func (f *fakeEngine) text(p program) string {
	return fmt.Sprintf("SELECT %s %d FROM %s", p.Op, p.K, strings.Join(p.Inputs, ", "))
}

// rule is the text of a rejects rule.
func (f *fakeEngine) rule(rejects string) string { return rejects }

func parseProgram(text string) (program, error) {
	var lines []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "--")
		lines = append(lines, strings.TrimSpace(line))
	}
	head, from, ok := strings.Cut(strings.TrimSpace(strings.Join(lines, " ")), " FROM ")
	words := strings.Fields(head)
	if !ok || len(words) != 3 {
		return program{}, &engine.SQLError{Message: "syntax error", Line: 1}
	}
	k, err := strconv.ParseInt(words[2], 10, 64)
	if err != nil {
		return program{}, &engine.SQLError{Message: "syntax error", Line: 1}
	}
	p := program{Op: words[1], K: k}
	for name := range strings.SplitSeq(from, ",") {
		p.Inputs = append(p.Inputs, strings.TrimSpace(name))
	}
	return p, nil
}

// run computes the program over its inputs. Tables that are not cut by time
// come in as side. Of nothing in time, if cut says it reads such, comes nothing.
func (p program) run(timed, side []row, cut bool) []row {
	if cut && len(timed) == 0 {
		return nil
	}
	var extra int64
	for _, r := range side {
		extra += r.Value
	}
	var out []row
	if p.Op == "map" {
		for _, r := range timed {
			if r.Value%5 != p.K%5 {
				out = append(out, row{r.Hour, r.Value*p.K + extra})
			}
		}
		return out
	}
	groups := map[int64]int64{}
	for _, r := range append(slices.Clone(timed), side...) {
		groups[(r.Value%3+3)%3] += r.Value/7 + p.K
	}
	for g, sum := range groups {
		out = append(out, row{g, sum})
	}
	return out
}

// refuse splits rows by a rejects rule: `mod 3` refuses multiples of three.
func refuse(rule string, rows []row) (kept, refused []row) {
	_, text, ok := strings.Cut(rule, "mod ")
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if !ok || err != nil {
		return rows, nil
	}
	for _, r := range rows {
		if r.Value%n == 0 {
			refused = append(refused, r)
		} else {
			kept = append(kept, r)
		}
	}
	return kept, refused
}

// fakeEngine runs programs on files of JSON lines. timed says which tables are
// cut by time.
type fakeEngine struct {
	dir   string
	timed func(name string) bool
	files atomic.Int64
}

func (f *fakeEngine) Parse(_ context.Context, sql string) (engine.Parsed, error) {
	if strings.HasPrefix(sql, "SELECT (") {
		ast, err := json.Marshal(map[string]any{"node": map[string]any{"type": "SELECT_NODE", "select_list": []any{map[string]any{"class": "CONSTANT", "value": sql}}}})
		return engine.Parsed{AST: string(ast)}, err
	}
	p, err := parseProgram(sql)
	if err != nil {
		return engine.Parsed{}, err
	}
	var from map[string]any
	for _, name := range p.Inputs {
		table := map[string]any{"type": "BASE_TABLE", "table_name": name}
		if from == nil {
			from = table
		} else {
			from = map[string]any{"type": "JOIN", "ref_type": "CROSS", "join_type": "INNER", "left": from, "right": table}
		}
	}
	n := map[string]any{"type": "SELECT_NODE", "from_table": from, "select_list": []any{map[string]any{"class": "CONSTANT", "value": f.text(p)}}}
	if p.Op != "map" {
		n["aggregate_handling"] = "FORCE_AGGREGATES"
	}
	ast, err := json.Marshal(map[string]any{"node": n})
	return engine.Parsed{AST: string(ast)}, err
}

// measures is the comment of a stage whose rows say how much arrived: a value below
// 50 is an event that did, any other one that is lost.
const measures = "-- measures\n"

func (f *fakeEngine) Describe(_ context.Context, sql string, _ []engine.Table) ([]dataset.Column, error) {
	out := columns()
	if strings.Contains(sql, measures) {
		out = append(out, dataset.Column{Name: "source", Type: "VARCHAR"})
		for _, name := range []string{"received", "numbered", "lost_in_flight", "lost_at_client"} {
			out = append(out, dataset.Column{Name: name, Type: "BIGINT"})
		}
	}
	return out, nil
}

func (f *fakeEngine) Build(_ context.Context, job engine.BuildJob) (engine.BuildResult, error) {
	if job.Tables[0].Format == "csv" {
		rows, err := readCSV(job.Tables[0].Files[0])
		if err != nil {
			return engine.BuildResult{}, err
		}
		out, err := f.write(rows)
		return engine.BuildResult{Output: out}, err
	}
	p, err := parseProgram(job.SQL)
	if err != nil {
		return engine.BuildResult{}, err
	}
	var timed, side []row
	cut := false
	for _, t := range job.Tables {
		cut = cut || f.timed(t.Name)
		rows, err := f.read([][]string{t.Files})
		if err != nil {
			return engine.BuildResult{}, err
		}
		if f.timed(t.Name) {
			timed = append(timed, rows[0]...)
		} else {
			side = append(side, rows[0]...)
		}
	}
	kept, refused := refuse(job.Rejects, p.run(timed, side, cut))
	res := engine.BuildResult{Usage: engine.Usage{CPU: time.Microsecond, Wall: time.Microsecond}}
	if res.Output, err = f.write(kept); err != nil {
		return res, err
	}
	if job.Survey != nil {
		res.Output.Fingerprint = fingerprintOf(kept, *job.Survey)
		res.Output.Fingerprint.Rejected = int64(len(refused))
	}
	if job.Rejects == "" {
		return res, err
	}
	out, err := f.write(refused)
	res.Rejected = &out
	return res, err
}

// Survey is Build's fingerprint, of rows in files.
func (f *fakeEngine) Survey(_ context.Context, job engine.SurveyJob) (*fingerprint.Fingerprint, engine.Usage, error) {
	i := slices.IndexFunc(job.Tables, func(t engine.Table) bool { return t.Name == job.Survey.Name })
	rows, err := f.read([][]string{job.Tables[i].Files})
	if err != nil {
		return nil, engine.Usage{}, err
	}
	return fingerprintOf(rows[0], job.Survey), engine.Usage{}, nil
}

// fingerprintOf counts rows, and those that break rules such as `"v" > 7`. Values are
// a category of eight.
func fingerprintOf(rows []row, s engine.Survey) *fingerprint.Fingerprint {
	f := &fingerprint.Fingerprint{Rows: int64(len(rows)), Together: int64(len(rows)), Columns: []fingerprint.Column{categories(rows)}}
	for _, x := range s.Violations {
		c := fingerprint.Check{Name: x.Name}
		words := strings.Fields(x.SQL)
		limit, err := strconv.ParseInt(words[len(words)-1], 10, 64)
		if err != nil {
			c.Error = err.Error()
		}
		for _, r := range rows {
			if words[1] == ">" && r.Value > limit || words[1] == "<" && r.Value < limit {
				c.Count++
			}
		}
		f.Checks = append(f.Checks, c)
	}
	if s.Completeness != "" {
		f.Completeness = &fingerprint.Completeness{}
		for _, r := range rows {
			if r.Value >= 50 {
				f.Completeness.InFlight++
				continue
			}
			f.Completeness.Received++
			f.Completeness.Numbered++
		}
	}
	return f
}

func categories(rows []row) fingerprint.Column {
	c := fingerprint.Column{Name: "value", Kind: fingerprint.Text}
	counts := map[int64]int64{}
	for _, r := range rows {
		counts[(r.Value%8+8)%8]++
	}
	var entropy float64
	for v, n := range counts {
		p := float64(n) / float64(len(rows))
		entropy -= p * math.Log(p) / math.Log(8)
		c.Distinct++
		if n >= fingerprint.FloorRows {
			c.Top = append(c.Top, fingerprint.Value{Text: strconv.FormatInt(v, 10), Rows: n})
		}
	}
	slices.SortFunc(c.Top, func(a, b fingerprint.Value) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Text, b.Text))
	})
	if c.Entropy = &entropy; c.Distinct < 2 {
		*c.Entropy = 0
	}
	return c
}

func (f *fakeEngine) write(rows []row) (engine.Output, error) {
	path := fmt.Sprintf("%s/out-%d", f.dir, f.files.Add(1))
	return engine.Output{Path: path, Rows: int64(len(rows)), Hash: contentHash(rows), Columns: columns()}, writeRows(path, rows)
}

func writeRows(path string, rows []row) error {
	rows = slices.SortedFunc(slices.Values(rows), compareRows)
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

func (f *fakeEngine) read(sets [][]string) ([][]row, error) {
	out := make([][]row, len(sets))
	for i, files := range sets {
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			var rows []row
			if err := json.Unmarshal(text, &rows); err != nil {
				return nil, err
			}
			out[i] = append(out[i], rows...)
		}
	}
	return out, nil
}

func (f *fakeEngine) join(files []string) (engine.Output, error) {
	rows, err := f.read([][]string{files})
	if err != nil {
		return engine.Output{}, err
	}
	return f.write(rows[0])
}

func readCSV(path string) ([]row, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() // only read
	var out []row
	for lines := bufio.NewReader(file); ; {
		line, err := lines.ReadString('\n')
		if v, bad := strconv.ParseInt(strings.TrimSpace(line), 10, 64); bad == nil {
			out = append(out, row{0, v})
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
	}
}

func contentHash(rows []row) (h dataset.ContentHash) {
	for _, r := range rows {
		sum := sha256.Sum256(fmt.Append(nil, r.Hour, " ", r.Value))
		h = h.Add(dataset.HashFromBytes(sum[:]))
	}
	return h
}

// Report is not what programs are asked for.
func (f *fakeEngine) Report(context.Context, engine.QueryJob, io.Writer) (engine.QueryResult, error) {
	return engine.QueryResult{}, errors.ErrUnsupported
}
