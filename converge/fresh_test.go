package converge

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
)

// expectLate wants these datasets to be late so long after the end of hour 5.
func (w *world) expectLate(after time.Duration, want ...string) {
	w.tb.Helper()
	found, err := w.converger.Late(context.Background(), w.partition(dataset.Hour, 5).End().Add(after))
	w.must(err)
	var got []string
	for _, l := range found {
		got = append(got, l.Dataset+" of "+l.Contract+": "+l.Words())
	}
	if d := cmp.Diff(want, got); d != "" {
		w.tb.Errorf("%s after the end (-want +got):\n%s", after, d)
	}
}

// TestLate has a dataset that is late as long as an hour that events came for is not
// closed, though it should be; and computing history again is not late.
func TestLate(t *testing.T) {
	w := newWorld(t, nil, newCatalog(t))
	t.Cleanup(w.close)
	w.stages = chain("{fresh: 15m}")
	w.relies = map[string]string{"r.yaml": "owner: charts\nconsumer: b\ndatasets: {a: {fresh: 1h}}\n"}
	w.start()
	w.value = 1
	w.load(4, 5)
	w.settle()
	start := w.partition(dataset.Hour, 5).Start().Format("2006-01-02 15:04 UTC")
	end := w.partition(dataset.Hour, 5).End().Format("2006-01-02 15:04 UTC")
	w.expectLate(20*time.Minute, "a of a: nothing of it is there, and should be up to "+end+" within 15m0s",
		"a of r: nothing of it is there, and should be up to "+start+" within 1h0m0s")
	w.mark.Store(w.partition(dataset.Hour, 5).Start().Add(10 * time.Minute).UnixMicro())
	w.settle()
	w.settle() // the first may have been under way with the watermark before
	w.expectLate(10 * time.Minute)
	behind := "it is there up to " + start + ", and should be up to " + end
	w.expectLate(2*time.Hour, "a of a: "+behind+" within 15m0s", "a of r: "+behind+" within 1h0m0s")
	w.closeTo(7)
	w.settle()
	w.expectLate(20 * time.Minute)
	w.engine.setBarrier(func(context.Context, bool) error { return errors.New("no worker") })
	w.load(5)
	w.expectLate(20 * time.Minute)
}
