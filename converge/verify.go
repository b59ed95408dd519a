package converge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/stage"
	"github.com/reedbed/reedbed/store"
)

// Verification asks that promoted partitions are computed again and compared.
type Verification struct {
	Dataset string `json:"dataset,omitempty"` // empty: all of them
	Sample  int    `json:"sample"`            // how many partitions
	All     bool   `json:"all"`               // every partition, and every file on record
	Seed    uint64 `json:"seed"`              // which ones
}

// Verified is what came of a Verification.
type Verified struct {
	Seed       uint64    `json:"seed"`
	Partitions int       `json:"partitions"` // looked at
	Recomputed int       `json:"recomputed"`
	Keys       int64     `json:"keys"`  // trace keys derived anew, of everything if all was asked for
	Files      int       `json:"files"` // read and compared with their content address
	Skipped    []Finding `json:"skipped"`
	Wrong      []Finding `json:"wrong"`
}

// Finding is something about one partition or one file.
type Finding struct {
	Kind    string `json:"kind"` // differs, missing, damaged, unreadable, miscounted, stale_key; or why it was skipped
	Dataset string `json:"dataset,omitempty"`
	// Partition is empty for files that belong to no partition.
	Partition dataset.Partition `json:"partition,omitempty"`
	What      string            `json:"what"`
}

// Verify computes promoted partitions again from what they were computed from and
// compares the content, and reads the files they are in. It promotes nothing. A
// stage that gives other rows is on record as unstable from then on.
func (c *Converger) Verify(ctx context.Context, ask Verification) (Verified, error) {
	v := verifier{c: c, out: Verified{Seed: ask.Seed, Skipped: []Finding{}, Wrong: []Finding{}}, files: map[string]string{}}
	all, err := c.o.Catalog.Datasets(ctx)
	if err != nil {
		return v.out, err
	}
	v.datasets = map[string]sqlite.Dataset{}
	var places [][]dataset.Promoted
	for _, d := range all {
		v.datasets[d.Spec.Name] = d
		if ask.Dataset != "" && ask.Dataset != d.Spec.Name {
			continue
		}
		promoted, err := c.o.Catalog.Promoted(ctx, d.Spec.Name)
		if err != nil {
			return v.out, err
		}
		places = append(places, promoted)
	}
	if len(places) == 0 {
		return v.out, &dataset.Refusal{Code: "unknown_dataset", What: fmt.Sprintf("there is no dataset %q", ask.Dataset), Fix: "see the names in `reedbed status`"}
	}
	n := ask.Sample
	if ask.All {
		n = 1 << 40
	}
	for _, p := range sample(places, n, rand.New(rand.NewPCG(ask.Seed, 0))) {
		if err := v.partition(ctx, p); err != nil {
			return v.out, err
		}
	}
	if ask.All && ask.Dataset == "" {
		err = errors.Join(v.everyFile(ctx), v.counts(ctx), v.everyKey(ctx))
	}
	return v.out, err
}

// counts compares what status tells of datasets with counting, and puts right
// what differs.
func (v *verifier) counts(ctx context.Context) error {
	wrong, err := v.c.o.Catalog.Miscounted(ctx)
	if err != nil || len(wrong) == 0 {
		return err
	}
	for _, name := range wrong {
		v.out.Wrong = append(v.out.Wrong, Finding{Kind: "miscounted", Dataset: name, What: "status counted its partitions wrong; they were counted again"})
	}
	return v.c.o.Catalog.Recount(ctx)
}

// sample takes up to n partitions: as many of each dataset as there are, in turns,
// and of one dataset one of each of as many equal parts of its time.
func sample(places [][]dataset.Promoted, n int, r *rand.Rand) []dataset.Promoted {
	share := make([]int, len(places))
	for left := n; left > 0; {
		before := left
		for i, of := range places {
			if left > 0 && share[i] < len(of) {
				share[i]++
				left--
			}
		}
		if left == before {
			break
		}
	}
	var out []dataset.Promoted
	for i, of := range places {
		for k := range share[i] {
			from, to := k*len(of)/share[i], (k+1)*len(of)/share[i]
			out = append(out, of[from+r.IntN(to-from)])
		}
	}
	return out
}

// verifier is one Verify at work.
type verifier struct {
	c        *Converger
	datasets map[string]sqlite.Dataset
	files    map[string]string // what is wrong with a file that was read, "" for nothing
	out      Verified
}

func (v *verifier) skip(p dataset.Promoted, kind, what string) {
	v.out.Skipped = append(v.out.Skipped, Finding{Kind: kind, Dataset: p.Dataset, Partition: p.Partition, What: what})
}

func (v *verifier) wrong(p dataset.Promoted, kind, what string) {
	v.out.Wrong = append(v.out.Wrong, Finding{Kind: kind, Dataset: p.Dataset, Partition: p.Partition, What: what})
}

// partition checks the files of a promoted version, and computes it again if it
// is a stage's.
func (v *verifier) partition(ctx context.Context, p dataset.Promoted) error {
	v.out.Partitions++
	if _, err := v.intact(ctx, []dataset.Promoted{p}); err != nil {
		return v.unlessMoved(ctx, p, err)
	}
	if v.datasets[p.Dataset].Spec.Kind != dataset.Computed {
		return nil // refused rows are computed with the stage, others come from outside
	}
	return v.unlessMoved(ctx, p, v.recompute(ctx, p))
}

// unlessMoved passes over a partition that was promoted anew meanwhile.
func (v *verifier) unlessMoved(ctx context.Context, p dataset.Promoted, err error) error {
	if errors.Is(err, dataset.ErrSegmentGone) && ctx.Err() == nil {
		v.skip(p, "moved", "another version was promoted meanwhile")
		return nil
	}
	return err
}

// intact reads the files of versions and reports whether all are what they were.
func (v *verifier) intact(ctx context.Context, versions []dataset.Promoted) (bool, error) {
	segments, err := v.c.o.Catalog.Segments(ctx, versions)
	if err != nil {
		return false, err
	}
	whole := true
	for _, s := range segments {
		ok, err := v.file(ctx, s.Object, dataset.Promoted{Dataset: s.Dataset, Partition: s.Partition})
		if err != nil {
			return false, err
		}
		whole = whole && ok
	}
	return whole, nil
}

// file reads one file, once.
func (v *verifier) file(ctx context.Context, object string, of dataset.Promoted) (bool, error) {
	if kind, read := v.files[object]; read {
		return kind == "", nil
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	v.out.Files++
	err := v.c.o.Store.Verify(object)
	kind := ""
	if _, damaged := errors.AsType[*store.DamagedError](err); damaged {
		kind = "damaged"
	} else if errors.Is(err, fs.ErrNotExist) {
		kind = "missing"
	} else if err != nil {
		kind = "unreadable"
	}
	if v.files[object] = kind; kind != "" {
		v.wrong(of, kind, err.Error())
	}
	return kind == "", nil
}

// recompute runs the stage as it was on what it had read.
func (v *verifier) recompute(ctx context.Context, p dataset.Promoted) error {
	r, err := v.c.o.Catalog.Recorded(ctx, p.Dataset, p.Partition)
	if err != nil {
		return err
	}
	if r.Output != p {
		return dataset.ErrSegmentGone
	}
	switch {
	case len(r.Lost) > 0:
		v.skip(p, "inputs_gone", "what it was computed from is no longer on record: "+strings.Join(r.Lost, ", "))
		return nil
	case len(r.Inputs) == 0 || r.Definition == 0:
		v.skip(p, "promoted_by_hand", "it is not on record what this version was computed from")
		return nil
	}
	s, err := v.stage(ctx, r.Definition)
	if err != nil {
		return err
	}
	if s == nil || s.stage.Header.Volatile {
		v.skip(p, "volatile", "its definition says that it gives other rows each time")
		return nil
	}
	if ok, err := v.intact(ctx, r.Inputs); err != nil || !ok {
		return err // told already; of damaged inputs nothing can be computed
	}
	return v.compare(ctx, s, p, r)
}

// stage is a definition on record, ready to run.
func (v *verifier) stage(ctx context.Context, id int64) (*deployed, error) {
	def, err := v.c.o.Catalog.Definition(ctx, id)
	if err != nil {
		return nil, err
	}
	parsed, problems := stage.Parse(def.Name, def.File, def.Text())
	if parsed == nil {
		return nil, fmt.Errorf("definition %d of %s on record: %v", def.Revision, def.Name, problems)
	}
	s := &deployed{stage: parsed}
	for _, name := range parsed.InputNames() {
		s.inputs = append(s.inputs, input{name: name, window: parsed.Window(name), columns: v.datasets[name].Spec.Columns})
	}
	return s, nil
}

// compare computes a partition, and once more if it differs: to tell a stage that
// gives other rows each time from one that once gave others.
func (v *verifier) compare(ctx context.Context, s *deployed, p dataset.Promoted, r sqlite.Recorded) error {
	segments, err := v.c.o.Catalog.Segments(ctx, r.Inputs)
	if err != nil {
		return err
	}
	var results [2]contents
	for i := range results {
		if results[i], err = v.c.tryOnce(ctx, s, p.Partition, segments); err != nil {
			if _, wrong := errors.AsType[*engine.SQLError](err); wrong && ctx.Err() == nil {
				v.wrong(p, "differs", "it cannot be computed any more: "+err.Error())
				return nil
			}
			return err
		}
		if i == 0 {
			v.out.Recomputed++
		}
		if results[i].same(r) {
			break
		}
	}
	if results[0].same(r) {
		return nil
	}
	what := fmt.Sprintf("%s, computed again %s", inWords(r.Output, r.Rejected), results[0].words())
	if results[0] != results[1] {
		what += ", and once more " + results[1].words()
	}
	v.wrong(p, "differs", what)
	return v.c.o.Catalog.MarkUnstable(ctx, r.Definition, fmt.Sprintf("%s@%s: %s", p.Dataset, p.Partition, what))
}

// contents are the rows and hashes of an output and of the rows refused with it.
type contents struct {
	rows, refused     int64
	hash, refusedHash dataset.ContentHash
}

// tryOnce computes a partition and throws the files away.
func (c *Converger) tryOnce(ctx context.Context, s *deployed, p dataset.Partition, segments []dataset.Segment) (out contents, err error) {
	res, err := c.o.Engine.Build(ctx, c.job(s, p, segments))
	if err != nil {
		return out, err
	}
	out.rows, out.hash = res.Output.Rows, res.Output.Hash
	errs := []error{os.Remove(res.Output.Path)}
	if res.Rejected != nil {
		out.refused, out.refusedHash = res.Rejected.Rows, res.Rejected.Hash
		errs = append(errs, os.Remove(res.Rejected.Path))
	}
	return out, errors.Join(errs...)
}

func (x contents) same(r sqlite.Recorded) bool {
	return x.rows == r.Output.Rows && x.hash == r.Output.Hash && x.refused == r.Rejected.Rows && x.refusedHash == r.Rejected.Hash
}

func (x contents) words() string {
	return inWords(dataset.Promoted{Rows: x.rows, Hash: x.hash}, dataset.Promoted{Rows: x.refused, Hash: x.refusedHash})
}

func inWords(out, refused dataset.Promoted) string {
	text := fmt.Sprintf("%d rows with content %x", out.Rows, out.Hash.Bytes()[:8])
	if refused.Rows > 0 {
		text += fmt.Sprintf(" and %d refused with %x", refused.Rows, refused.Hash.Bytes()[:8])
	}
	return text
}

// everyFile reads all files on record that were not read yet.
func (v *verifier) everyFile(ctx context.Context) error {
	all, err := v.c.o.Catalog.Objects(ctx)
	if err != nil {
		return err
	}
	for _, object := range all {
		if _, err := v.file(ctx, object, dataset.Promoted{}); err != nil {
			return err
		}
	}
	return nil
}

// everyKey derives the trace key of every partition anew. What it finds is due
// from then on.
func (v *verifier) everyKey(ctx context.Context) error {
	found, err := v.c.o.Catalog.Recheck(ctx)
	v.out.Keys = found.Checked
	for _, f := range found.Stale {
		v.wrong(dataset.Promoted{Dataset: f.Dataset, Partition: f.Partition}, "stale_key", "nothing said that it is not what it should be: "+f.What)
	}
	v.c.Wake()
	return err
}
