package converge

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
)

// TestLiftedConvergesToWhatScratchGives waives partitions, sends readers back to
// older versions, pins inputs and collects garbage in random projects at work.
// When all that is lifted, everything is as if nobody had done it.
func TestLiftedConvergesToWhatScratchGives(t *testing.T) { disturbed(t, (*world).keep) }

// disturbed does random things to random projects at work, and lifts all of them.
func disturbed(t *testing.T, disturb func(*world, *rapid.T)) {
	shards(t, 5, func(t *testing.T, check func(*testing.T, func(*rapid.T))) {
		synctest.Test(t, func(t *testing.T) {
			catalog := newCatalog(t)
			check(t, func(t *rapid.T) { lifted(t, catalog, disturb) })
		})
	})
}

func lifted(t *rapid.T, catalog []byte, disturb func(*world, *rapid.T)) {
	w := newWorld(t, nil, catalog)
	defer w.close()
	w.draw(t)
	w.start()
	w.load(drawHours(t, 5)...)
	for range rapid.IntRange(1, 8).Draw(t, "steps") {
		if rapid.Bool().Draw(t, "disturbed") {
			disturb(w, t)
		} else {
			w.step(t)
		}
	}
	w.lift()
	w.settle()
	w.check()
	w.checkStatus()
	w.recheck()
}

// keep does one random thing that holds something as it is.
func (w *world) keep(t *rapid.T) {
	w.pass(time.Second)
	if rapid.Bool().Draw(t, "settled") {
		w.settle()
	}
	ctx := context.Background()
	d := w.stages[rapid.IntRange(0, len(w.stages)-1).Draw(t, "stage")]
	var err error
	switch rapid.SampledFrom([]string{"waive", "waive", "promote", "pin", "pin", "free", "lift"}).Draw(t, "keep") {
	case "waive":
		_, err = w.catalog.Waive(ctx, dataset.Waiver{
			Dataset: d.name, First: w.drawBound(t, d.grain), Last: w.drawBound(t, d.grain), Reason: "test", Actor: "test",
		})
		w.held = true
	case "promote":
		err = w.sendBack(t, d.name)
		w.held = true
	case "pin":
		in := rapid.SampledFrom(d.program.Inputs).Draw(t, "input")
		_, err = w.catalog.Pin(ctx, dataset.Pin{Stage: d.name, Input: in, Reason: "test", Actor: "test"})
		w.held = true
	case "free":
		_, err = w.catalog.Free(ctx, rapid.IntRange(0, 2).Draw(t, "versions"))
		w.collect()
	case "lift":
		w.lift()
	}
	if _, refused := errors.AsType[*dataset.Refusal](err); !refused {
		w.must(err)
	}
	w.converger.Wake()
}

// drawBound draws an end of a range of partitions, or none.
func (w *world) drawBound(t *rapid.T, g dataset.Grain) dataset.Partition {
	hour := rapid.SampledFrom([]int64{0, 0, 20, present - 24, present - 1, present}).Draw(t, "bound")
	if hour == 0 || g == dataset.None {
		return ""
	}
	return w.partition(g, hour)
}

// sendBack promotes some older version of some partition of a stage.
func (w *world) sendBack(t *rapid.T, stage string) error {
	var older []dataset.Promotion
	w.must(w.ledger.each(`SELECT p.name, v.number FROM versions v JOIN partitions p ON p.id = v.partition_id JOIN datasets d ON d.id = p.dataset_id
		WHERE d.name = ? AND v.number < p.last_version ORDER BY p.name, v.number`, func(rows *sql.Rows) error {
		m := dataset.Promotion{Dataset: stage, Reason: "test", Actor: "test"}
		err := rows.Scan(&m.Partition, &m.Version)
		older = append(older, m)
		return err
	}, stage))
	if len(older) == 0 {
		return nil
	}
	_, err := w.catalog.Promote(context.Background(), rapid.SampledFrom(older).Draw(t, "version"))
	return err
}

// lift removes every contract, pin and waiver.
func (w *world) lift() {
	ctx := context.Background()
	if slices.ContainsFunc(w.stages, func(d definition) bool { return d.holds != "" }) || w.relies != nil {
		for i := range w.stages {
			w.stages[i].holds = ""
		}
		w.relies = nil
		w.deploy()
	}
	pins, err := w.catalog.Pins(ctx)
	w.must(err)
	for _, p := range pins {
		_, err := w.catalog.Unpin(ctx, p.ID, "test")
		if _, gone := errors.AsType[*dataset.Refusal](err); !gone { // nobody set it, and it went by itself
			w.must(err)
		}
	}
	waivers, err := w.catalog.Waivers(ctx)
	w.must(err)
	for _, v := range waivers {
		_, err := w.catalog.Unwaive(ctx, v.ID, "test")
		w.must(err)
	}
	w.held = false
	w.converger.Wake()
}
