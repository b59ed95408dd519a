package converge

import (
	"context"
	"fmt"
	"slices"

	"github.com/reedbed/reedbed/contract"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/fingerprint"
)

// Standing is how what is on record of a dataset fares by a contract: the versions
// that readers see, or would see if they were not held. It is judged by the
// statistics that were stored; nothing is read or computed for it.
type Standing struct {
	Contract string   `json:"contract"`
	File     string   `json:"file"`
	Dataset  string   `json:"dataset"`
	Versions int64    `json:"versions"` // one for each partition
	Breaks   int64    `json:"breaks"`   // of which so many break the contract
	Unknown  int64    `json:"unknown"`  // of the others, those whose statistics do not say all that is asked
	Meaning  string   `json:"meaning"`  // what becomes of those that break it
	First    []Breach `json:"first"`    // the newest that break it
}

// Breach is a version that breaks a contract, and the first rule that it breaks.
type Breach struct {
	Partition dataset.Partition `json:"partition"`
	Version   int64             `json:"version"`
	Rule      string            `json:"rule"`
	At        string            `json:"at"`
	What      string            `json:"what"`
}

// firstBreaches is how many versions that break a contract are named.
const firstBreaches = 3

// Words say it in a line, and each of the first that break it in one more.
func (s Standing) Words() []string {
	unknown := ""
	if s.Unknown > 0 {
		unknown = fmt.Sprintf("; the statistics of %d do not say all that is asked", s.Unknown)
	}
	if s.Breaks == 0 {
		return []string{fmt.Sprintf("%s: %d versions on record, none of which breaks it%s", s.Dataset, s.Versions, unknown)}
	}
	out := []string{fmt.Sprintf("%s: %d versions on record, of which %d break it: %s%s", s.Dataset, s.Versions, s.Breaks, s.Meaning, unknown)}
	for _, b := range s.First {
		out = append(out, fmt.Sprintf("  %s@%s: %s (%s)", s.Dataset, b.Partition, b.What, b.At))
	}
	if more := s.Breaks - int64(len(s.First)); more > 0 {
		out = append(out, fmt.Sprintf("  and %d others", more))
	}
	return out
}

// Meaning says who is kept from what breaks a contract; stored says that no stage
// computes its dataset.
func Meaning(c contract.Contract, stored bool) string {
	switch {
	case c.Producer:
		return "held from everybody"
	case c.Consumer == "" || stored:
		return "told to " + c.Owner
	}
	return "held from stage " + c.Consumer
}

// Standings judges what is on record by contracts that may not be deployed yet, in
// their order. Of datasets with nothing on record there is none.
func Standings(ctx context.Context, catalog *sqlite.Catalog, contracts []contract.Contract, known contract.Subjects) ([]Standing, error) {
	var all []*standing
	byDataset := map[string][]*standing{} // each fingerprint is unpacked once
	for _, c := range contracts {
		s := &standing{rules: c.Rules(), Standing: Standing{
			Contract: c.Name, File: c.File, Dataset: c.Dataset, Meaning: Meaning(c, !known[c.Dataset].Stage), First: []Breach{},
		}}
		if s.rules.Judges() {
			all, byDataset[c.Dataset] = append(all, s), append(byDataset[c.Dataset], s)
		}
	}
	for name, about := range byDataset {
		err := catalog.Prints(ctx, name, func(p sqlite.Print) error {
			print, err := decodeFingerprint(p.Fingerprint)
			for _, s := range about {
				s.judge(p, print)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("judge what is on record of %s: %w", name, err)
		}
	}
	var out []Standing
	for _, s := range all {
		if s.Versions > 0 {
			out = append(out, s.Standing)
		}
	}
	return out, nil
}

// standing is a Standing that is being found out.
type standing struct {
	Standing
	rules contract.Rules
}

// judge counts a version; print is nil if its statistics were not taken.
func (s *standing) judge(p sqlite.Print, print *fingerprint.Fingerprint) {
	s.Versions++
	if print == nil {
		s.Unknown++
		return
	}
	broken, unasked := s.rules.Recall(print, factsOf(print, p.Open))
	switch {
	case len(broken) > 0 && !p.Approved:
		if s.Breaks++; len(s.First) < firstBreaches {
			b := broken[0]
			s.First = append(s.First, Breach{p.Partition, p.Version, b.Rule, b.At, b.What})
		}
	case unasked > 0:
		s.Unknown++
	}
}

// factsOf is what is known of a version on record beside its rules.
func factsOf(f *fingerprint.Fingerprint, open bool) contract.Facts {
	facts := contract.Facts{Open: open}
	if m := f.Measure(complete); m != nil && m.Error == "" {
		facts.Complete = m.Value
	} else if f.Completeness != nil {
		facts.Complete = f.Completeness.Arrived()
	}
	return facts
}

// standings judges what is on record by the contracts that are new or changed.
func (d *proposal) standings(ctx context.Context) error {
	known := d.subjects()
	for i, change := range d.plan.Changes {
		found, err := Standings(ctx, d.c.o.Catalog, d.changedContracts(change), known)
		if err != nil {
			return err
		}
		d.plan.Changes[i].OnRecord = found
	}
	return nil
}

// changedContracts are those in a file of the set that ask for something else than
// what is deployed, or for something new.
func (d *proposal) changedContracts(change Change) []contract.Contract {
	if x, ok := d.set[change.Dataset]; ok {
		c := x.stage.Contract()
		if was, deployed := d.was[change.Dataset]; deployed && len(c.Rules().Changes(was.Contract().Rules())) > 0 {
			return []contract.Contract{c}
		}
		return nil
	}
	i := slices.IndexFunc(d.def.contracts, func(f *contract.File) bool { return f.Path == change.File })
	if i < 0 {
		return nil
	}
	is := d.def.contracts[i]
	was, _ := contract.Parse(change.File, []byte(d.before.Contracts[change.File]))
	if was == nil {
		return is.Contracts
	}
	before := rulesByDataset(was)
	return slices.DeleteFunc(slices.Clone(is.Contracts), func(c contract.Contract) bool {
		return was.Consumer == is.Consumer && len(c.Rules().Changes(before[c.Dataset])) == 0
	})
}
