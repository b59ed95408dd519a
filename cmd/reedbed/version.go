package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCmd struct{}

// build says which program this is. Revision is "" when the build did not
// record one.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Run prints the version.
func (versionCmd) Run(g *globals, term terminal) error {
	b := currentBuild()
	if g.JSON {
		return json.NewEncoder(term.out).Encode(b)
	}
	revision := b.Revision
	if revision == "" {
		revision = "no revision"
	}
	_, err := fmt.Fprintf(term.out, "reedbed %s (%s, %s, %s)\n", b.Version, revision, b.Go, b.Platform)
	return err
}

func currentBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Revision = s.Value
		}
	}
	return b
}
