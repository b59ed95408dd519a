package converge

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/contract"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/internal/strictyaml"
	"github.com/reedbed/reedbed/stage"
)

// Contract is a contract that concerns a dataset a plan reaches, or that the plan
// breaks. Whether its terms are met is judged when the new versions are there.
type Contract struct {
	Name     string   `json:"name"`
	Owner    string   `json:"owner"`
	File     string   `json:"file"`
	Datasets []string `json:"datasets"`
	// Broken is what a deployed contract of a consumer relies on and the set does not
	// give: a stage changed, and the contract did not. It hinders nobody but the consumer.
	Broken []stage.Problem `json:"broken,omitempty"`
}

// contracts lists the contracts of affected stages, and those in files that name
// an affected dataset or that the set breaks.
func (d *proposal) contracts() {
	affected := map[string]bool{}
	for _, a := range d.plan.Affected {
		affected[a.Dataset], affected[a.Dataset+"_rejected"] = true, true
		if s := d.set[a.Dataset].stage; !s.Header.Contract.Empty() {
			d.plan.Contracts = append(d.plan.Contracts, Contract{Name: s.Name, Owner: s.Header.Owner, File: s.File, Datasets: []string{s.Name}})
		}
	}
	for _, file := range slices.Sorted(maps.Keys(d.def.contractTexts)) {
		c := d.contractOf(file)
		c.Broken = d.broken[file]
		if len(c.Broken) == 0 {
			c.Datasets = slices.DeleteFunc(c.Datasets, func(name string) bool { return !affected[name] })
		}
		if len(c.Datasets) > 0 {
			d.plan.Contracts = append(d.plan.Contracts, c)
		}
	}
}

// contractOf is a file of contracts/ in short.
func (d *proposal) contractOf(file string) Contract {
	i := slices.IndexFunc(d.def.contracts, func(f *contract.File) bool { return f.Path == file })
	if i < 0 { // in another format, wrong, or gone
		c := readContract([]byte(cmp.Or(d.def.contractTexts[file], d.before.Contracts[file])))
		c.File, c.Name = file, cmp.Or(c.Name, strings.TrimSuffix(path.Base(file), ".yaml"))
		return c
	}
	f := d.def.contracts[i]
	c := Contract{Name: f.Name, Owner: f.Owner, File: file}
	for _, x := range f.Contracts {
		c.Datasets = append(c.Datasets, x.Dataset)
	}
	return c
}

// isDeployed reports whether a file of contracts/ is on record as it is.
func (d *proposal) isDeployed(file string) bool {
	text, on := d.before.Contracts[file]
	return on && text == d.def.contractTexts[file]
}

// breaks notes a problem of a contract that is deployed as it is, with the change
// that made it one, as far as columns say so.
func (d *proposal) breaks(p stage.Problem) {
	for _, name := range d.contractOf(p.File).Datasets {
		for _, words := range columnWords(d.columnsBefore(name), d.columns[name]) {
			column, _, _ := strings.Cut(strings.TrimPrefix(words, "column "), " ")
			if !strings.Contains(words, " is new (") && strings.Contains(p.What, column) {
				p.What = fmt.Sprintf("%s; %s changes what it relies on: %s", p.What, d.fileOf(name), words)
			}
		}
	}
	d.broken[p.File] = append(d.broken[p.File], p)
}

// refusedContract is the refusal of a contract that is new or changed.
func (d *proposal) refusedContract(p stage.Problem) Refusal {
	c := d.contractOf(p.File)
	return Refusal{Problem: p, Dataset: c.Name, Owner: c.Owner, Affects: []Party{}}
}

// compareContracts says which files of contracts/ changed, and how.
func (d *proposal) compareContracts() {
	files := map[string]string{}
	maps.Copy(files, d.def.contractTexts)
	maps.Copy(files, d.before.Contracts)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		before, had := d.before.Contracts[file]
		after, has := d.def.contractTexts[file]
		c := Change{FileChange: dataset.FileChange{File: file}, Owner: d.contractOf(file).Owner}
		switch {
		case had && has && before == after:
			continue
		case !had:
			c.Changes = []string{"new contract"}
		case !has:
			c.Changes = []string{"the file is gone: what it says is no longer judged"}
		default:
			c.Changes = contractWords(file, before, after)
		}
		d.plan.Changes = append(d.plan.Changes, c)
	}
}

// contractWords says how a consumer's contract changed.
func contractWords(file, before, after string) []string {
	was, _ := contract.Parse(file, []byte(before))
	is, _ := contract.Parse(file, []byte(after))
	if was == nil || is == nil {
		return []string{"the text changed"}
	}
	var out []string
	if was.Consumer != is.Consumer {
		out = append(out, fmt.Sprintf("consumer: was %s, is %s", cmp.Or(was.Consumer, "none"), cmp.Or(is.Consumer, "none")))
	}
	old, now := rulesByDataset(was), rulesByDataset(is)
	all := maps.Clone(old)
	maps.Copy(all, now)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, words := range now[name].Changes(old[name]) {
			out = append(out, name+": "+words)
		}
	}
	if len(out) == 0 {
		return []string{"what is judged stays as it is"}
	}
	return out
}

func rulesByDataset(f *contract.File) map[string]contract.Rules {
	out := map[string]contract.Rules{}
	for _, c := range f.Contracts {
		out[c.Dataset] = c.Rules()
	}
	return out
}

// readContract takes from a contract what names it, its owner and its datasets,
// whether it is written our way or as ODCS.
func readContract(text []byte) (c Contract) {
	var doc map[string]any
	if strictyaml.Decode(text, &doc) != nil {
		return c
	}
	c.Name, _ = doc["name"].(string)
	for _, key := range []string{"owner", "consumer", "team"} {
		switch v := doc[key].(type) {
		case string:
			c.Owner = v
		case map[string]any:
			c.Owner, _ = v["name"].(string)
		}
		if c.Owner != "" {
			break
		}
	}
	words := map[string]bool{}
	gatherWords(doc, words)
	c.Datasets = slices.Sorted(maps.Keys(words))
	return c
}

// gatherWords collects every key and text of a document: whatever way a contract
// is written in, the name of its dataset is one of them.
func gatherWords(v any, out map[string]bool) {
	switch v := v.(type) {
	case string:
		out[v] = true
	case []any:
		for _, x := range v {
			gatherWords(x, out)
		}
	case map[string]any:
		for key, x := range v {
			out[key] = true
			gatherWords(x, out)
		}
	}
}
