package converge

import (
	"bytes"
	"context"
	"slices"

	"github.com/reedbed/reedbed/contract"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/fingerprint"
	"github.com/reedbed/reedbed/stage"
)

// The gate of a stage judges each outcome by its fingerprint before readers are
// sent to it. What is on record carries what the gate said of it last; another
// contract, or the close of the partition, judges it again and computes nothing.

// gate is what judges a stage's versions: its own contract, which counts for
// everybody, and the contracts of those who read it.
type gate struct {
	own       contract.Rules
	consumers []contract.Rules
	needs     contract.Needs
	asks      engine.Survey
	by        []byte // identifies all of this
	closes    bool   // the close of a partition judges more
	arrived   arrived
	comparing comparing
}

// received is the column by which it is known how late a row came.
const received = "received_at"

func newGate(s *stage.Stage, columns []dataset.Column, consumers []contract.Contract) gate {
	g := gate{own: s.Contract().Rules(), needs: s.Header.Fingerprint.Needs()}
	g.arrived.own = slices.ContainsFunc(g.needs.Measures, func(m contract.Expr) bool { return m.Name == complete })
	id := dataset.NewFields("gate")
	for _, m := range g.needs.Measures {
		id.Text(m.Name)
		id.Text(m.SQL)
	}
	for _, c := range consumers {
		g.consumers = append(g.consumers, c.Rules())
	}
	for _, r := range append([]contract.Rules{g.own}, g.consumers...) {
		g.needs.Add(r.Needs())
		id.Bytes(r.Identity())
		g.closes = g.closes || r.Closes()
		g.arrived.asked = g.arrived.asked || r.Completes()
	}
	g.by, g.comparing = id.Hash(), newComparing(s, consumers)
	g.asks = engine.Survey{
		Name: s.Name, Categories: g.needs.Categories,
		Measures: expressions(g.needs.Measures), Violations: expressions(g.needs.Violations),
		Counts: expressions(g.needs.Counts), Queries: expressions(g.needs.Queries),
	}
	if slices.ContainsFunc(columns, func(c dataset.Column) bool { return c.Name == received }) {
		g.asks.Received = received
	}
	return g
}

func expressions(list []contract.Expr) (out []engine.Expr) {
	for _, x := range list {
		out = append(out, engine.Expr(x))
	}
	return out
}

// judges reports whether there is a contract to judge by.
func (g gate) judges() bool {
	return g.own.Judges() || slices.ContainsFunc(g.consumers, contract.Rules.Judges)
}

// identity is what a verdict says it was given by, where so much arrived.
func (g gate) identity(open bool, m measured) []byte {
	switch {
	case open && g.closes:
		return append([]byte("open "), g.by...)
	case g.completes():
		id := dataset.NewFields("arrived")
		id.Bytes(g.by)
		id.Number(m.by.Count)
		id.Number(m.closed)
		id.Bytes(m.by.Bytes())
		return id.Hash()
	}
	return g.by
}

// survey is what the engine is to find out about an output.
func (g gate) survey() *engine.Survey { return &g.asks }

// suffices reports whether a fingerprint says all that is asked.
func (g gate) suffices(f *fingerprint.Fingerprint) bool {
	return f != nil && g.needs.Met(f) && (f.Completeness != nil || g.asks.Completeness == "")
}

// judge says what a version is worth by its fingerprint, which has what m says.
func (g gate) judge(f *fingerprint.Fingerprint, open bool, m measured) dataset.Verdict {
	if f == nil {
		f = &fingerprint.Fingerprint{}
	}
	facts := contract.Facts{Open: open}
	facts.Complete, facts.Unmeasured = g.arrivedFor(f, g.own.Contract.Dataset)
	v := dataset.Verdict{By: g.identity(open, m), Broken: g.own.Judge(f, facts)}
	for _, r := range g.consumers {
		facts.Complete, facts.Unmeasured = g.arrivedFor(f, r.Contract.Consumer)
		for _, b := range r.Judge(f, facts) {
			if r.Contract.Consumer == "" { // people, who are told
				b.Warning = true
			}
			if b.Warning {
				v.Broken = append(v.Broken, b)
				continue
			}
			if v.For == nil {
				v.For = map[string][]dataset.Broken{}
			}
			v.For[r.Contract.Consumer] = append(v.For[r.Contract.Consumer], b)
		}
	}
	return v
}

// tableOf is what everybody reads of a dataset in the time of a partition.
func (c *Converger) tableOf(ctx context.Context, name string, columns []dataset.Column, p dataset.Partition) (t engine.Table, err error) {
	t = engine.Table{Name: name, Columns: columns}
	parts, err := c.o.Catalog.Beside(ctx, name, p)
	if err != nil {
		return t, err
	}
	segments, err := c.o.Catalog.Segments(ctx, parts)
	for _, x := range segments {
		if x.Rows > 0 {
			t.Files = append(t.Files, c.o.Store.Path(x.Object))
		}
	}
	return t, err
}

// found is an outcome on record that the gate as it is now has not judged.
type found struct {
	known   string // the outcome if it passes
	record  dataset.Judgement
	compare bool // it is still to be compared with others
}

// isOpen reports whether a partition is judged as one whose events are not all
// there. What is not cut by time never closes: all of its contract always counts.
func isOpen(k dataset.Task) bool { return !k.Closed && k.Partition != dataset.Whole }

// weigh finds out what the gate said of what is on record for a task.
func (c *Converger) weigh(ctx context.Context, a *answer) error {
	k, g := a.build.Task, a.stage.gate
	if a.known == "" || !g.judges() && !g.comparing.compares(isOpen(k)) {
		return nil
	}
	j, err := c.o.Catalog.Judged(ctx, k.Dataset, k.Partition, a.build.FoundKey())
	if err != nil || j.Version == 0 {
		return err
	}
	var m measured
	if g.completes() {
		if m, err = c.sums.measured(ctx, c.o.Catalog, k.Partition); err != nil {
			return err
		}
	}
	compare, err := c.comparable(ctx, a, j.Verdict)
	if err != nil {
		return err
	}
	by := bytes.TrimSuffix(j.Verdict.By, []byte(compared))
	if compare || (j.Judged || g.judges()) && !bytes.Equal(by, g.identity(isOpen(k), m)) {
		a.found, a.known = &found{a.known, j, compare}, ""
		return nil
	}
	if !j.Judged {
		return nil
	}
	a.build.Verdict = &j.Verdict
	if j.Verdict.Held() {
		a.known = "held"
	}
	return nil
}

// judgeFound judges what is on record by its fingerprint, and takes that if there
// is none that says enough.
func (c *Converger) judgeFound(ctx context.Context, a *answer) error {
	f, b := a.found, &a.build
	open := isOpen(b.Task)
	print, err := decodeFingerprint(f.record.Fingerprint)
	if err != nil {
		return err
	}
	known := a.stage.gate.suffices(print) && (!f.compare || print.Whole())
	if !known && (a.stage.gate.judges() || f.compare) {
		if print, err = c.survey(ctx, a, f.record); err != nil {
			return err
		}
	}
	m, news, err := c.sayArrived(ctx, a, print)
	if err != nil {
		return err
	}
	if !known || news {
		if b.Fingerprint, err = c.encodeFingerprint(print); err != nil {
			return err
		}
	}
	v := a.stage.gate.judge(print, open, m)
	v.Approved = f.record.Verdict.Approved
	if err := c.compareFound(ctx, a, print, &v); err != nil {
		return err
	}
	b.Verdict, a.known = &v, f.known
	return c.explain(ctx, a, print, &v)
}

// survey takes the fingerprint of a version on record.
func (c *Converger) survey(ctx context.Context, a *answer, j dataset.Judgement) (*fingerprint.Fingerprint, error) {
	segments, err := c.o.Catalog.Segments(ctx, []dataset.Promoted{j.Promoted})
	if err != nil {
		return nil, err
	}
	return c.surveyRows(ctx, a, segments, j.Rejected)
}

// surveyRows takes the fingerprint of rows that are in the store.
func (c *Converger) surveyRows(ctx context.Context, a *answer, segments []dataset.Segment, rejected int64) (*fingerprint.Fingerprint, error) {
	k := a.build.Task
	rows := engine.Table{Name: k.Dataset, Columns: a.stage.columns}
	for _, x := range segments {
		if x.Rows > 0 {
			rows.Files = append(rows.Files, c.o.Store.Path(x.Object))
		}
	}
	tables, err := c.others(ctx, a, nil)
	if err != nil {
		return nil, err
	}
	print, usage, err := c.o.Engine.Survey(ctx, engine.SurveyJob{
		Tables: append(tables, rows), Survey: *a.stage.gate.survey(), Start: k.Partition.Start(), End: k.Partition.End(), Limits: c.o.Limits,
	})
	a.build.CPU, a.build.Wall = a.build.CPU+usage.CPU, a.build.Wall+usage.Wall
	if err == nil && print != nil {
		print.Rejected = rejected
	}
	return print, err
}

// others are the tables beside those in has that rules compare a version with, as
// everybody reads them now.
func (c *Converger) others(ctx context.Context, a *answer, has []engine.Table) (out []engine.Table, err error) {
	for _, name := range a.stage.gate.needs.Reads {
		if slices.ContainsFunc(has, func(t engine.Table) bool { return t.Name == name }) {
			continue
		}
		t, err := c.tableOf(ctx, name, a.stage.compares[name], a.build.Task.Partition)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// judgeBuilt judges what was computed by its fingerprint; of content that was
// added to by that of the whole.
func (c *Converger) judgeBuilt(ctx context.Context, a *answer, print *fingerprint.Fingerprint) (err error) {
	b := &a.build
	if b.Content.Growth != dataset.NoGrowth {
		if print, err = c.grown(ctx, a, print); err != nil {
			return err
		}
	}
	m, _, err := c.sayArrived(ctx, a, print)
	if err != nil {
		return err
	}
	if b.Fingerprint, err = c.encodeFingerprint(print); err != nil {
		return err
	}
	v := a.stage.gate.judge(print, isOpen(b.Task), m)
	if err := c.compareBuilt(ctx, a, print, &v); err != nil {
		return err
	}
	if !a.stage.gate.judges() && !bytes.HasSuffix(v.By, []byte(compared)) {
		return nil
	}
	b.Verdict = &v
	if err := c.approvedAlready(ctx, a, &v); err != nil {
		return err
	}
	return c.explain(ctx, a, print, &v)
}

// approvedAlready notes that a person approved the very content that is to be held:
// other inputs made the same of it.
func (c *Converger) approvedAlready(ctx context.Context, a *answer, v *dataset.Verdict) error {
	b, prior := &a.build, a.prior
	if !v.Held() || b.Content.Segment == nil || prior.Promoted.Version == 0 || b.Content.Growth != dataset.NoGrowth ||
		b.Content.Segment.Hash != prior.Promoted.Hash || b.Content.Segment.Rows != prior.Promoted.Rows {
		return nil
	}
	was, err := c.o.Catalog.Judged(ctx, b.Task.Dataset, b.Task.Partition, prior.TraceKey)
	v.Approved = was.Verdict.Approved
	return err
}

// grown is the fingerprint of the promoted version with added on top; nil for
// added says that nothing was. Where the parts cannot tell of the whole, its rows
// are read again.
func (c *Converger) grown(ctx context.Context, a *answer, added *fingerprint.Fingerprint) (*fingerprint.Fingerprint, error) {
	k := a.build.Task
	base, err := c.o.Catalog.Judged(ctx, k.Dataset, k.Partition, a.prior.TraceKey)
	if err != nil {
		return nil, err
	}
	print, err := decodeFingerprint(base.Fingerprint)
	if err != nil {
		return nil, err
	}
	if print != nil && added != nil {
		print = fingerprint.Merge(print, added)
	}
	// Those that are compared say what rows have in common, which parts do not know.
	together := !a.stage.gate.comparing.compares(isOpen(k)) || print != nil && print.Whole()
	if print == nil && added == nil || a.stage.gate.suffices(print) && together {
		return print, nil
	}
	segments, err := c.o.Catalog.Segments(ctx, []dataset.Promoted{a.build.Content.Base})
	if err != nil {
		return nil, err
	}
	if s := a.build.Content.Segment; s != nil {
		segments = append(segments, dataset.Segment{NewSegment: *s})
	}
	rejected := base.Rejected
	if r := a.build.Content.Rejected; r != nil {
		rejected += r.Rows
	}
	return c.surveyRows(ctx, a, segments, rejected)
}

func decodeFingerprint(b []byte) (*fingerprint.Fingerprint, error) {
	if b == nil {
		return nil, nil //nolint:nilnil // none was taken
	}
	return fingerprint.Decode(b)
}

func (c *Converger) encodeFingerprint(f *fingerprint.Fingerprint) ([]byte, error) {
	if f == nil {
		return nil, nil
	}
	return c.prints.Encode(f)
}
