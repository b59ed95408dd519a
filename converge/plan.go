package converge

import (
	"context"
	"fmt"
	"slices"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/stage"
)

// Plan says what deploying a set of definitions would do.
type Plan struct {
	// Apply is the record in force that the set is compared with, 0 when nothing
	// was ever deployed.
	Apply       int64      `json:"based_on"`
	GitRevision string     `json:"git_revision,omitempty"`
	Changes     []Change   `json:"changes"`
	Refusals    []Refusal  `json:"refusals"`
	Affected    []Affected `json:"affected"` // upstream first
	// Total is an upper bound: where output stays equal, nothing below it is
	// computed again.
	Total     dataset.Cost `json:"total"`
	Workers   int          `json:"workers"`
	Estimate  float64      `json:"estimate_seconds"` // of wall time with all workers
	Contracts []Contract   `json:"contracts"`
	Samples   []Sample     `json:"samples"`
}

// Pending reports whether deploying would change anything.
func (p Plan) Pending() bool { return len(p.Changes) > 0 }

// Change is what differs in one file, in words.
type Change struct {
	dataset.FileChange
	Dataset    string `json:"dataset"`
	Owner      string `json:"owner,omitempty"`
	Recomputes bool   `json:"recomputes"`
	// OnRecord is how what is there fares by the contracts that changed.
	OnRecord []Standing `json:"on_record,omitempty"`
}

// Affected is what would be recomputed of one dataset.
type Affected struct {
	Dataset string       `json:"dataset"`
	Owner   string       `json:"owner"`
	Because []string     `json:"because"` // itself, or the inputs through which it is reached
	First   string       `json:"first"`
	Last    string       `json:"last"`
	Cost    dataset.Cost `json:"cost"`
	// Unknown counts the partitions that were never computed; the dataset's
	// average stands for them, or nothing where NoHistory is set.
	Unknown   int64 `json:"unknown"`
	NoHistory bool  `json:"no_history"`
	// Recorded counts the partitions that have a version of this very code, to
	// which they can return without being computed.
	Recorded int64 `json:"recorded"`
	// Unstable says where verify found that the deployed code gives other rows from
	// the same inputs; "" if it found no such thing.
	Unstable string `json:"unstable,omitempty"`
}

// PlanOptions of a plan.
type PlanOptions struct {
	// Sample is how many partitions to try of each stage that changes, or reads a
	// side input that does; 0 for none.
	Sample int
}

// Plan compares a project's files with what is deployed. It changes nothing.
func (c *Converger) Plan(ctx context.Context, p Project, o PlanOptions) (Plan, error) {
	d, err := c.propose(ctx, o, func(d *proposal) (err error) {
		d.def, err = d.fromFolder(ctx, p, d.before)
		return err
	})
	defer d.def.discard()
	if err != nil {
		return d.plan, err
	}
	return d.plan, d.samples(ctx)
}

// proposal is a set of definitions that somebody wants to deploy.
type proposal struct {
	*deployment
	options PlanOptions
	before  sqlite.Deployed
	def     definitions
	set     map[string]*deployed // what binds
	was     map[string]*stage.Stage
	old     map[string]sqlite.Definition
	changed map[string]bool                // stages and side inputs that make something else
	redated map[string]bool                // other stages that follow an input from another day on
	reached map[string][]dataset.Partition // partitions to try of what would be recomputed
	broken  map[string][]stage.Problem     // deployed contracts that the set breaks, by file
	plan    Plan
}

// propose binds the definitions that take gathers, and works out what deploying
// them would do.
func (c *Converger) propose(ctx context.Context, o PlanOptions, take func(*proposal) error) (*proposal, error) {
	d := &proposal{
		deployment: c.newDeployment(), options: o, was: map[string]*stage.Stage{}, old: map[string]sqlite.Definition{},
		changed: map[string]bool{}, redated: map[string]bool{}, reached: map[string][]dataset.Partition{}, broken: map[string][]stage.Problem{},
	}
	d.plan = Plan{ // never null in JSON
		Workers: c.o.Workers, Changes: []Change{}, Refusals: []Refusal{}, Affected: []Affected{}, Contracts: []Contract{}, Samples: []Sample{},
	}
	var err error
	if d.before, err = c.o.Catalog.Deployed(ctx); err != nil {
		return d, err
	}
	d.plan.Apply = d.before.Apply
	for _, f := range d.before.Stages {
		d.old[f.Name] = f
		if s, _ := stage.Parse(f.Name, f.File, f.Text()); s != nil {
			d.was[f.Name] = s
		}
	}
	if err := take(d); err != nil {
		return d, err
	}
	d.plan.GitRevision = d.def.gitRevision
	if err := d.bindAll(ctx); err != nil {
		return d, err
	}
	if err := d.compare(ctx); err != nil {
		return d, err
	}
	d.refuse()
	if err := d.reach(ctx); err != nil {
		return d, err
	}
	d.contracts()
	return d, d.standings(ctx)
}

// bindAll binds every stage to what the others of the set make of their inputs.
// Where a file does not parse, the deployed text stands in, so that its readers
// are told nothing that is not so.
func (d *proposal) bindAll(ctx context.Context) error {
	known, err := d.known(ctx, d.def.sides)
	if err != nil {
		return err
	}
	d.problems = append(d.problems, d.def.problems...)
	files := append(slices.Clone(d.def.stages), d.fallBack(d.def.stages, d.def.problems, d.old)...)
	sorted, problems := stage.Order(files, known)
	d.problems = append(d.problems, problems...)
	d.depths = stage.Depths(sorted)
	d.set = map[string]*deployed{}
	for _, s := range sorted {
		b, problems, err := d.bindUnlessTaken(ctx, s)
		if err != nil {
			return err
		}
		d.problems = append(d.problems, problems...)
		if b != nil {
			d.set[s.Name] = d.runnable(*b)
		}
	}
	d.setGates(d.set, d.def.contracts)
	problems, err = d.checkContracts(ctx, d.def.contracts)
	d.problems = append(d.problems, problems...)
	return err
}

// reach works out which partitions would be recomputed, and what that takes.
func (d *proposal) reach(ctx context.Context) error {
	var sides []string
	for _, s := range d.def.sides {
		if d.changed[s.Spec.Name] {
			sides = append(sides, s.Spec.Name)
		}
	}
	found, err := d.c.o.Catalog.Reach(ctx, d.planned(), sides)
	if err != nil {
		return fmt.Errorf("work out what would be recomputed: %w", err)
	}
	unstable, err := d.c.o.Catalog.Unstable(ctx)
	if err != nil {
		return err
	}
	differs := map[string]string{}
	for _, u := range unstable {
		differs[u.Dataset] = u.Found
	}
	for _, x := range found {
		d.plan.Affected = append(d.plan.Affected, Affected{
			Dataset: x.Dataset, Owner: d.set[x.Dataset].stage.Header.Owner, Because: x.Because, First: string(x.First), Last: string(x.Last),
			Cost: x.Cost, Unknown: x.Unknown, NoHistory: x.Guessless, Recorded: x.Recorded, Unstable: differs[x.Dataset],
		})
		d.plan.Total = d.plan.Total.Add(x.Cost)
		d.reached[x.Dataset] = x.Sample
		if d.redated[x.Dataset] && slices.Contains(x.Because, x.Dataset) {
			d.recomputes(x.Dataset)
		}
	}
	d.plan.Estimate = d.plan.Total.Wall / float64(d.plan.Workers)
	return nil
}

// planned words what is bound for Reach.
func (d *proposal) planned() []sqlite.Planned {
	var out []sqlite.Planned
	for _, b := range d.bound {
		p := sqlite.Planned{
			Name: b.stage.Name, Grain: b.stage.Header.Partition, Identity: b.identity, Changed: d.changed[b.stage.Name], Sample: d.options.Sample,
		}
		for _, in := range d.set[b.stage.Name].inputs {
			p.Edges = append(p.Edges, dataset.Edge{Input: in.name, Window: in.window})
		}
		out = append(out, p)
	}
	return out
}

// recomputes notes that the change of a stage's file, which leaves its code as it
// is, has partitions recomputed.
func (d *proposal) recomputes(name string) {
	for i, c := range d.plan.Changes {
		if c.Dataset == name {
			d.plan.Changes[i].Recomputes = true
		}
	}
}

// predicted is the plan's cost by dataset.
func (p Plan) predicted() map[string]dataset.Cost {
	out := map[string]dataset.Cost{}
	for _, a := range p.Affected {
		out[a.Dataset] = a.Cost
	}
	return out
}
