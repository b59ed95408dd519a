package converge

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/internal/strictyaml"
)

// Contract is a contract that concerns a dataset a plan reaches. Whether its
// terms are met is judged when the new versions are there.
type Contract struct {
	Name     string   `json:"name"`
	Owner    string   `json:"owner"`
	File     string   `json:"file"`
	Datasets []string `json:"datasets"`
}

// contracts lists the contracts of affected stages and those in files that name
// an affected dataset. A file that is not YAML names nothing.
func (d *proposal) contracts(folder fs.FS) error {
	affected := map[string]bool{}
	for _, a := range d.plan.Affected {
		affected[a.Dataset], affected[a.Dataset+"_rejected"] = true, true
		if s := d.set[a.Dataset].stage; !s.Header.Contract.Empty() {
			d.plan.Contracts = append(d.plan.Contracts, Contract{Name: s.Name, Owner: s.Header.Owner, File: s.File, Datasets: []string{s.Name}})
		}
	}
	if folder == nil {
		return nil
	}
	files, err := fs.Glob(folder, "*.yaml")
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := fs.ReadFile(folder, file)
		if err != nil {
			return err
		}
		c := readContract(text)
		c.File = path.Join("contracts", file)
		if c.Name == "" {
			c.Name = strings.TrimSuffix(file, ".yaml")
		}
		if c.Datasets = slices.DeleteFunc(c.Datasets, func(name string) bool { return !affected[name] }); len(c.Datasets) > 0 {
			d.plan.Contracts = append(d.plan.Contracts, c)
		}
	}
	return nil
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
