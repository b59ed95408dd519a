package converge

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/reedbed/reedbed/anomaly"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/fingerprint"
	"github.com/reedbed/reedbed/store"
)

//go:embed observe.sql
var observeSQL string

// Observer looks at each hour of the events when it closes, once, with one job, and
// has it judged by what earlier hours were like. One goroutine uses it.
type Observer struct {
	Catalog *sqlite.Catalog
	Engine  interface {
		// Observe writes the rows of one SELECT over many rows to w.
		Observe(ctx context.Context, job engine.QueryJob, w io.Writer) (engine.QueryResult, error)
	}
	Store *store.Store
	// Allowance is how long after its end an hour stays open.
	Allowance time.Duration

	failing time.Time // the hour that could not be looked at when it was to be judged
	failed  int       // how often, one after the other
}

// Observed is an hour that was looked at.
type Observed struct {
	anomaly.Hour
	Judged  bool
	Changed []anomaly.Anomaly // that began in it, lasted or ended
	Damaged []time.Time       // the earlier hours whose record cannot be read
}

// behind is how many closed hours are judged at most when it was not possible at
// their close: what is older tells nobody of anything they could still act on.
const behind = 2

// triesOfHour is how often an hour that cannot be looked at is tried before the next
// one has its turn.
const triesOfHour = 4

// Step looks at one hour: the next of those that closed last, which is judged; or
// else, if there is time for it, the newest of those before that is not on record, so
// that later ones have something to be compared with. It is not ok if there is none.
//
// An hour that was judged is not looked at again when late events arrive: later
// hours are compared with what it was like at the same time after its end.
func (o *Observer) Step(ctx context.Context, watermark time.Time, idle bool) (out Observed, ok bool, err error) {
	if watermark.IsZero() {
		return out, false, nil
	}
	end := watermark.Add(-o.Allowance).Truncate(time.Hour)
	for i := behind; i > 0; i-- {
		start := end.Add(-time.Duration(i) * time.Hour)
		oldest, judged, err := o.Catalog.WatchedSince(ctx, start)
		if err != nil {
			return out, false, err
		}
		if !judged {
			out, err = o.judge(ctx, start, oldest)
			return out, err == nil, err
		}
	}
	if !idle {
		return out, false, nil
	}
	start, ok, err := o.Catalog.ToWatch(ctx, end.Add(-anomaly.Keep), end.Add(-behind*time.Hour))
	if err != nil || !ok {
		return out, false, err
	}
	w, err := o.look(ctx, start)
	if ctx.Err() != nil {
		return out, false, err
	}
	if err != nil { // nothing is known of it, rather than that it is tried again and again
		w.Hour = anomaly.Unknown(start)
	}
	w.Hour.Past = true
	err = errors.Join(err, o.Catalog.RecordWatched(ctx, w, nil))
	return Observed{Hour: w.Hour}, err == nil, err
}

func (o *Observer) judge(ctx context.Context, start, oldest time.Time) (out Observed, err error) {
	w, err := o.look(ctx, start)
	if err != nil {
		return out, o.missed(ctx, start, err)
	}
	w.Judged = true
	if oldest.IsZero() {
		oldest = start
	}
	history, damaged, err := o.Catalog.WatchedHours(ctx, anomaly.Wanted(start, oldest))
	if err != nil {
		return out, err
	}
	known, err := o.Catalog.Anomalies(ctx, start.Add(-anomaly.Keep))
	if err != nil {
		return out, err
	}
	out = Observed{Hour: w.Hour, Judged: true, Changed: anomaly.Judge(w.Hour, history, known), Damaged: damaged}
	return out, o.Catalog.RecordWatched(ctx, w, out.Changed)
}

// missed returns why an hour was not judged. When that happened often enough nothing
// is known of the hour: those after it do not wait for it.
func (o *Observer) missed(ctx context.Context, start time.Time, why error) error {
	if ctx.Err() != nil {
		return why
	}
	if !o.failing.Equal(start) {
		o.failing, o.failed = start, 0
	}
	if o.failed++; o.failed < triesOfHour {
		return why
	}
	if err := o.Catalog.RecordWatched(ctx, sqlite.Watched{Hour: anomaly.Unknown(start), Judged: true}, nil); err != nil {
		return errors.Join(why, err)
	}
	return fmt.Errorf("%w; it was tried %d times, and the hour is now taken for unknown", why, o.failed)
}

// observeLimits bound the one job of an hour; its memory is that of any stage.
func observeLimits() engine.Limits {
	return engine.Limits{Wall: 5 * time.Minute, CPU: 5 * time.Minute, Output: 16 << 20, Rows: 20_000}
}

// look counts the events of an hour.
func (o *Observer) look(ctx context.Context, start time.Time) (sqlite.Watched, error) {
	w := sqlite.Watched{Hour: anomaly.Hour{Start: start}}
	job := engine.QueryJob{SQL: observeSQL, Format: "ndjson", Limits: observeLimits()}
	rows := int64(0)
	for _, name := range []string{dataset.Raw, dataset.Quarantine} {
		table, n, err := o.table(ctx, name, dataset.PartitionAt(dataset.Hour, start))
		if err != nil {
			return w, err
		}
		if name == dataset.Raw {
			w.Rows = n
		}
		job.Tables, rows = append(job.Tables, table), rows+n
	}
	if rows == 0 {
		return w, nil
	}
	var answer bytes.Buffer
	result, err := o.Engine.Observe(ctx, job, &answer)
	if err == nil && result.Truncated {
		err = errors.New("there are more counts than observe.sql may return")
	}
	if err != nil {
		return w, fmt.Errorf("count the events of %s: %w", start.Format(time.RFC3339), err)
	}
	w.Hour, err = readHour(start, &answer)
	return w, err
}

// table is what everybody reads of one hour of a dataset, and its rows.
func (o *Observer) table(ctx context.Context, name string, p dataset.Partition) (engine.Table, int64, error) {
	all, err := o.Catalog.Datasets(ctx)
	if err != nil {
		return engine.Table{}, 0, err
	}
	table, rows := engine.Table{Name: name}, int64(0)
	for _, d := range all {
		if d.Spec.Name == name {
			table.Columns = d.Spec.Columns
		}
	}
	promoted, err := o.Catalog.Beside(ctx, name, p)
	if err != nil {
		return engine.Table{}, 0, err
	}
	segments, err := o.Catalog.Segments(ctx, promoted)
	for _, s := range segments {
		if s.Rows > 0 {
			table.Files, rows = append(table.Files, o.Store.Path(s.Object)), rows+s.Rows
		}
	}
	return table, rows, err
}

// tallied is one row of what observe.sql returns.
type tallied struct {
	What                                 string
	Source, Event, Version, Field, Value string
	N, A, B, C, D                        int64
	All                                  int `json:"of_all"`
}

// readHour puts the rows of observe.sql together.
func readHour(start time.Time, lines io.Reader) (anomaly.Hour, error) {
	h := hourReader{hour: anomaly.Hour{Start: start}, at: map[anomaly.Series]*anomaly.Observation{}, sample: map[anomaly.Series]int64{}, parts: map[anomaly.Series][]anomaly.Part{}}
	for d := json.NewDecoder(lines); ; {
		var row tallied
		if err := d.Decode(&row); errors.Is(err, io.EOF) {
			return h.done(), nil
		} else if err != nil {
			return anomaly.Hour{}, fmt.Errorf("read the counts of an hour: %w", err)
		}
		h.add(row)
	}
}

// hourReader is an hour while its rows are read, in any order.
type hourReader struct {
	hour   anomaly.Hour
	at     map[anomaly.Series]*anomaly.Observation
	order  []anomaly.Series
	sample map[anomaly.Series]int64          // events looked at, of an event name
	parts  map[anomaly.Series][]anomaly.Part // of which versions; Missing is not set
	has    []tallied                         // what versions have of a field
}

func (h *hourReader) series(s anomaly.Series) *anomaly.Observation {
	if h.at[s] == nil {
		h.at[s] = &anomaly.Observation{Series: s}
		h.order = append(h.order, s)
	}
	return h.at[s]
}

func (h *hourReader) add(row tallied) {
	event := anomaly.Series{Source: row.Source, Event: row.Event}
	field := anomaly.Series{Source: row.Source, Event: row.Event, Field: row.Field}
	switch row.What {
	case "source", "event", "version":
		o := h.series(anomaly.Series{Source: row.Source, Event: row.Event, Version: row.Version})
		o.Rows, o.Slow, o.Robots = row.N, [...]int64{row.A, row.B, row.C}, row.D
		h.all(row.What, row.All)
	case "crowd":
		h.series(anomaly.Series{Source: row.Source}).Crowd = row.N
	case "refused":
		h.series(anomaly.Series{Source: row.Source}).Refused = row.N
	case "sample":
		h.sample[event] = row.N
	case "field":
		h.series(field).Missing = -row.N // of the sample, see done
		h.all(row.What, row.All)
	case "value":
		o := h.series(field)
		o.Values = append(o.Values, fingerprint.Value{Text: row.Value, Rows: row.N})
	case "version of":
		h.parts[event] = append(h.parts[event], anomaly.Part{Version: row.Version, Rows: row.N})
	case "part":
		h.has = append(h.has, row)
	}
}

// all notes how many series of a level there were.
func (h *hourReader) all(what string, n int) {
	u := &h.hour.Unwatched
	*map[string]*int{"source": &u.Sources, "event": &u.Events, "version": &u.Versions, "field": &u.Fields}[what] = n
}

// done sets what follows from several rows.
func (h *hourReader) done() anomaly.Hour {
	u := &h.hour.Unwatched
	has := map[anomaly.Series]int64{}
	for _, row := range h.has {
		has[anomaly.Series{Source: row.Source, Event: row.Event, Field: row.Field, Version: row.Version}] = row.N
	}
	for _, s := range h.order {
		o := h.at[s]
		switch {
		case s.Field != "":
			event := anomaly.Series{Source: s.Source, Event: s.Event}
			o.Rows = h.sample[event]
			o.Missing += o.Rows
			for _, p := range h.parts[event] {
				p.Missing = p.Rows - has[anomaly.Series{Source: s.Source, Event: s.Event, Field: s.Field, Version: p.Version}]
				o.ByVersion = append(o.ByVersion, p)
			}
			u.Fields--
		case s.Version != "":
			u.Versions--
		case s.Event != "":
			u.Events--
		case o.Rows > 0:
			u.Sources--
		}
		h.hour.Series = append(h.hour.Series, *o)
	}
	return h.hour
}
