package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/reedbed/reedbed/tracker/js"
)

var (
	//go:embed package.json
	packageJSON []byte
	//go:embed package-lock.json
	packageLock []byte
)

// adapters are where the pages' own few lines for each tracker are, from the
// folder of the module.
const adapters = "tracker/faults/adapters"

// tracker is one that is tried.
type tracker struct {
	name    string // as the name of its adapter
	version string
	script  []byte // defines tell
}

// load bundles the adapters with the packages they use, which are in modules.
// Without npm there is only ours.
func load(ctx context.Context, only string) (trackers []tracker, modules string, err error) {
	wanted := func(name string) bool { return only == "" || slices.Contains(strings.Split(only, ","), name) }
	ours, err := bundle("ours", "")
	if err != nil {
		return nil, "", err
	}
	if wanted("ours") {
		trackers = append(trackers, tracker{name: "ours", script: ours})
	}
	modules, err = install(ctx)
	if errors.Is(err, exec.ErrNotFound) {
		fmt.Println("SKIPPED: the other trackers and axe: npm is not installed (Debian: apt-get install npm)")
		return trackers, "", nil
	} else if err != nil {
		return nil, "", err
	}
	var pinned struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	if err := json.Unmarshal(packageJSON, &pinned); err != nil {
		return nil, "", err
	}
	for _, other := range [][2]string{
		{"segment", "@segment/analytics-next"},
		{"snowplow", "@snowplow/browser-tracker"},
		{"posthog", "posthog-js"},
		{"plausible", "plausible-tracker"},
		{"jitsu", "@jitsu/js"},
	} {
		if name := other[0]; wanted(name) {
			script, err := bundle(name, modules)
			if err != nil {
				return nil, "", err
			}
			trackers = append(trackers, tracker{name, pinned.Dependencies[other[1]], script})
		}
	}
	return trackers, modules, nil
}

// install puts the pinned packages into the user's cache, once, and returns
// their folder. Nothing of theirs is run.
func install(ctx context.Context) (modules string, err error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "reedbed-tracker-faults", fmt.Sprintf("%x", sha256.Sum256(packageLock))[:16])
	modules = filepath.Join(dir, "node_modules")
	if _, err := os.Stat(filepath.Join(modules, ".package-lock.json")); err == nil {
		return modules, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for name, text := range map[string][]byte{"package.json": packageJSON, "package-lock.json": packageLock} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return "", err
		}
	}
	c := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", dir)
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return modules, nil
}

func bundle(name, modules string) ([]byte, error) {
	o := api.BuildOptions{
		EntryPoints: []string{filepath.Join(adapters, name+".ts")}, Bundle: true, Format: api.FormatIIFE, Target: api.ES2021,
		Platform: api.PlatformBrowser, MinifyWhitespace: true, Define: map[string]string{"process.env.NODE_ENV": `"production"`},
		LogOverride: map[string]api.LogLevel{"": api.LogLevelError},
	}
	if modules != "" {
		o.NodePaths = []string{modules}
	}
	built := api.Build(o)
	if len(built.Errors) > 0 {
		return nil, errors.New(api.FormatMessages(built.Errors, api.FormatMessagesOptions{})[0])
	}
	return built.OutputFiles[0].Contents, nil
}

// page is a page of a site that carries the tracker, which tells the collector.
func (t tracker) page(collector string) string {
	head := `<script src="/page.js"></script>`
	if t.name == "ours" {
		head += fmt.Sprintf(`<script src="/t.js" data-key="demo" data-url="%s/t/e" data-off="pages clicks vitals"></script>`, collector)
	}
	return `<!DOCTYPE html><html lang="en"><title>` + t.name + `</title>` + head + `<script src="/adapter.js"></script><p>A page`
}

// pageScript goes before the tracker: where the collector is, and, if the
// address says ?day=-3, that it is three days ago.
const pageScript = `
window.collector = location.protocol + "//collector-" + location.host.replace(/:.*/, "") + ":" + "%d"
const day = +new URLSearchParams(location.search).get("day") * 864e5
if (day) {
  const now = Date.now
  Date.now = () => now() + day
  Date = new Proxy(Date, { construct: (D, a) => (a.length ? new D(...a) : new D(Date.now())) })
}
window.many = (name, from, to, pause) => {
  let i = from
  const next = () => {
    if (i < to) tell(name + "-" + i++ + ".")
    if (i < to) pause ? setTimeout(next, pause) : next()
    else window.done = true
  }
  next()
}
window.fill = () => {
  for (let size = 1 << 20, n = 0; size > 16; ) {
    try {
      localStorage["site" + n++] = "x".repeat(size)
    } catch {
      size >>= 1
    }
  }
}
`

// served are the files of a tracker's site.
func (t tracker) served(collector string, port int) map[string]string {
	return map[string]string{
		"/":           t.page(collector),
		"/page.js":    fmt.Sprintf(pageScript, port),
		"/adapter.js": string(t.script),
		"/t.js":       string(js.Full),
		"/elsewhere":  "<!DOCTYPE html><title>Elsewhere</title>",
	}
}
