package converge

import (
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/reedbed/reedbed/dataset"
)

// table is what the oracle knows of a dataset: the rows of each partition that
// exists, by the hour it starts at, and how many hours a partition has; 0 when
// the dataset is not cut.
type table struct {
	span int64
	rows map[int64][]row
}

// check compares everything promoted with a computation from scratch, unless
// something is kept from following.
func (w *world) check() {
	if w.held {
		return
	}
	promoted := w.contents()
	tables := map[string]table{dataset.Raw: {1, w.raw}}
	for name, values := range w.sides {
		tables[name] = sideTableOf(values)
	}
	for _, d := range w.stages {
		if d.gone {
			continue // and nobody reads it
		}
		out, refused := w.compute(d, tables)
		tables[d.name], tables[d.name+"_rejected"] = out, refused
		for name, want := range map[string]table{d.name: out, d.name + "_rejected": refused} {
			expected := map[dataset.Partition][]row{}
			for at, rows := range want.rows {
				if len(rows) > 0 {
					expected[w.partition(d.grain, at)] = slices.SortedFunc(slices.Values(rows), compareRows)
				}
			}
			if diff := cmp.Diff(expected, promoted[name], cmpopts.EquateEmpty()); diff != "" {
				w.tb.Fatalf("%s (%s, rejects %q, %v) is not what a computation from scratch gives: %s", name, w.engine.text(d.program), d.rejects, d.windows, diff)
			}
		}
	}
}

func sideTableOf(values []int64) table {
	t := table{0, map[int64][]row{0: nil}}
	for _, v := range values {
		t.rows[0] = append(t.rows[0], row{0, v})
	}
	return t
}

// compute gives a stage's output and refused rows by the plain definition.
func (w *world) compute(d definition, tables map[string]table) (out, refused table) {
	span := d.grain.Span().Milliseconds() / time.Hour.Milliseconds()
	out, refused = table{span, map[int64][]row{}}, table{span, map[int64][]row{}}
	starts := map[int64]bool{}
	if span == 0 {
		starts[0] = true
	} else {
		for name := range d.windows {
			in := tables[name]
			for at := range in.rows {
				for h := at; h < at+in.span; h++ {
					starts[h/span*span] = true
				}
			}
		}
	}
	for start := range starts {
		timed, side, cut, some := w.inputs(d, start, span, tables)
		if !some {
			continue
		}
		kept, no := refuse(d.rejects, d.program.run(timed, side, cut))
		out.rows[start] = kept
		if len(no) > 0 {
			refused.rows[start] = no
		}
	}
	return out, refused
}

func (w *world) inputs(d definition, start, span int64, tables map[string]table) (timed, side []row, cut, some bool) {
	for name, text := range d.windows {
		in := tables[name]
		if in.span == 0 {
			rows := in.rows[0]
			if then := w.closed[place{d.name, w.partition(d.grain, start)}]; then != nil && w.asOf(text, d.grain, start) {
				rows = sideTableOf(then[name]).rows[0]
			}
			side = append(side, rows...)
			continue
		}
		cut = true
		reach := reaches()[text]
		for at, rows := range in.rows {
			if text == "all" || (at < start+span+reach[1] && at+in.span > start+reach[0]) {
				timed, some = append(timed, rows...), true
			}
		}
	}
	return timed, side, cut, some || !cut
}

// asOf reports whether a closed partition reads an input as of its close.
func (w *world) asOf(window string, g dataset.Grain, start int64) bool {
	_, from, dated := strings.Cut(window, "from: ")
	return window == "as-of" || dated && w.partition(g, start).Start().Before(dataset.Partition(from).Start())
}

// reaches are the windows of the tests that are spans, in hours.
func reaches() map[string][2]int64 {
	return map[string][2]int64{"same": {}, "-1h..+1h": {-1, 1}, "-2d..0d": {-48, 0}, "-2h..-1h": {-2, -1}, "-13d..0d": {-13 * 24, 0}}
}
