// Command build makes the tracker's scripts of their source. It runs in
// tracker/js, by go generate.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/evanw/esbuild/pkg/api"
)

func main() {
	if err := write("."); err != nil {
		fmt.Fprintln(os.Stderr, "tracker:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	files, err := bundle(dir)
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, "dist", name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// bundle returns the files of dist by name.
func bundle(dir string) (map[string][]byte, error) {
	version, err := packageVersion(dir)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, b := range []struct {
		source, name string
		format       api.Format
	}{
		{"full.ts", "t.js", api.FormatIIFE},
		{"core.ts", "core.js", api.FormatIIFE},
		{"module.ts", "tracker.mjs", api.FormatESModule},
	} {
		built := api.Build(api.BuildOptions{
			EntryPoints: []string{filepath.Join(dir, "src", b.source)}, Bundle: true, Format: b.format, Target: api.ES2021,
			Define:           map[string]string{"VERSION": fmt.Sprintf("%q", version)},
			MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true, LegalComments: api.LegalCommentsNone,
			Charset: api.CharsetUTF8, TsconfigRaw: "{}",
		})
		if len(built.Errors) > 0 {
			return nil, errors.New(api.FormatMessages(built.Errors, api.FormatMessagesOptions{})[0])
		}
		files[b.name] = built.OutputFiles[0].Contents
	}
	return files, nil
}

func packageVersion(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		return "", err
	}
	var p struct {
		Version string `json:"version"`
	}
	return p.Version, json.Unmarshal(text, &p)
}
