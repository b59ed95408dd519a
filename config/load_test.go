package config_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/reedbed/reedbed/config"
)

// write makes a project folder that holds only a configuration.
func write(tb testing.TB, yaml string) string {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.WriteFile(filepath.Join(dir, config.FileName), []byte(yaml), 0o600); err != nil {
		tb.Fatal(err)
	}
	return dir
}

func TestLoadFillsDefaults(t *testing.T) {
	p, err := config.Load(write(t, "name: radio\nsources:\n- name: app\n  keys: [demo]\n  rate: 100\n"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.DataDir(), filepath.Join(p.Dir, ".reedbed"); got != want {
		t.Errorf("data is in %s, want %s", got, want)
	}
	want := config.Default()
	want.Name = "radio"
	want.Sources = []config.Source{{
		Name: "app", Keys: []config.Secret{"demo"}, IP: config.IPTruncate, Rate: 100, Burst: 100,
	}}
	if diff := cmp.Diff(want, p.Config, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
}

func TestDefaultIsValidButForItsName(t *testing.T) {
	c := config.Default()
	c.Name = "x"
	if problems := c.Validate(); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestLoadReadsEverySetting(t *testing.T) {
	p, err := config.Load(write(t, `
name: radio
listen: 0.0.0.0:80
data: /srv/reedbed
token: letmein
trusted_proxies: [10.0.0.0/8, "::1/128"]
stop_delay: 15s
sources:
- {name: web, keys: [k1, k2], signing: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw], origins: ["https://example.org", "*"], ip: drop, rate: 5, burst: 9, address_rate: 2, owner: web team}
limits: {compressed: 1MiB, expanded: 2MiB, event: 64KiB, batch_events: 7, inflight: 8MiB, signature_window: 1m, max_lateness: 1y}
journal: {segment: 16MiB, grace: 1h30m, reserve: 1GB, queue: 4MiB}
load: {cycle: 250ms, batch: 8MiB}
stages: {workers: 3, memory: 1GiB, deadline: 5m}
query: {workers: 1, memory: 128MiB, deadline: 5s, rows: 10, bytes: 1KiB}
retention: {versions: 7}
tracker: {path: /assets/s/}
alerts:
  webhooks:
  - {url: "https://hooks.example/x", secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, owners: [web team]}
  - {url: "http://10.0.0.1/x", secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, allow_private: true}
`), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		Name: "radio", Listen: "0.0.0.0:80", Data: "/srv/reedbed", Token: "letmein",
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		StopDelay:      15 * time.Second,
		Sources: []config.Source{{
			Name: "web", Keys: []config.Secret{"k1", "k2"}, Signing: []config.Secret{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, Origins: []string{"https://example.org", "*"},
			IP: config.IPDrop, Rate: 5, Burst: 9, AddressRate: 2, Owner: "web team",
		}},
		Limits: config.Limits{
			Compressed: config.MiB, Expanded: 2 * config.MiB, Event: 64 * config.KiB, BatchEvents: 7,
			Inflight: 8 * config.MiB, SignatureWindow: time.Minute, MaxLateness: 365 * 24 * time.Hour,
		},
		Journal: config.Journal{Segment: 16 * config.MiB, Grace: 90 * time.Minute, Reserve: 1e9, Queue: 4 * config.MiB},
		Load:    config.Loading{Cycle: 250 * time.Millisecond, Batch: 8 * config.MiB},
		Stages:  config.Stages{Workers: 3, Memory: config.GiB, Deadline: 5 * time.Minute},
		Query:   config.Query{Workers: 1, Memory: 128 * config.MiB, Deadline: 5 * time.Second, Rows: 10, Bytes: config.KiB},

		Retention: config.Retention{Versions: 7},
		Tracker:   config.Tracker{Path: "/assets/s/"},
		Alerts: config.Alerts{Webhooks: []config.Webhook{
			{URL: "https://hooks.example/x", Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Owners: []string{"web team"}},
			{URL: "http://10.0.0.1/x", Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", AllowPrivate: true},
		}},
	}
	if diff := cmp.Diff(want, p.Config, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
	if got := p.JournalDir(); got != "/srv/reedbed/journal" {
		t.Errorf("an absolute data folder is not taken as it is: %s", got)
	}
}

func TestFlagWinsOverEnvironmentWinsOverFile(t *testing.T) {
	file := "name: radio\nlisten: 127.0.0.1:1\nquery: {deadline: 1s, rows: 1}\n"
	env := []string{"REEDBED_LISTEN=127.0.0.1:2", "REEDBED_QUERY_DEADLINE=2s", "REEDBED_TRUSTED_PROXIES=10.0.0.0/8, 192.168.0.0/16"}
	p, err := config.Load(write(t, file), env, map[string]string{"listen": "127.0.0.1:3"})
	if err != nil {
		t.Fatal(err)
	}
	c := p.Config
	if c.Listen != "127.0.0.1:3" || c.Query.Deadline != 2*time.Second || c.Query.Rows != 1 || len(c.TrustedProxies) != 2 {
		t.Errorf("got %s, %v, %d, %v", c.Listen, c.Query.Deadline, c.Query.Rows, c.TrustedProxies)
	}
}

func TestOverrideHealsTheFile(t *testing.T) {
	_, err := config.Load(write(t, "name: radio\nlimits: {compressed: lots}\n"), []string{"REEDBED_LIMITS_COMPRESSED=1MiB"}, nil)
	if err != nil {
		t.Error(err)
	}
}

func TestProblems(t *testing.T) {
	tests := map[string]struct {
		yaml  string
		env   []string
		flags map[string]string
		want  []string // of each problem: what follows the folder
	}{
		"misspelt keys": {
			yaml: "name: radio\nlisen: 127.0.0.1:0\nsources:\n  - name: app\n    orgins: []\n",
			want: []string{
				"reedbed.yaml:2:1: lisen: there is no such setting (did you mean listen?)",
				"reedbed.yaml:5:5: sources[0].orgins: there is no such setting (did you mean origins?)",
			},
		},
		"the tracker's folder": {
			yaml: "name: radio\ntracker: {path: t}\n",
			want: []string{`reedbed.yaml:2:17: tracker.path: "t" is not a folder (begin and end it with a slash, such as /t/)`},
		},
		"a folder that is taken": {
			yaml: "name: radio\ntracker: {path: /v1/t/}\n",
			want: []string{`reedbed.yaml:2:17: tracker.path: "/v1" serves something else (use another first part, such as /t/)`},
		},
		"unknown key": {
			yaml: "name: radio\nload: {whatever: 1}\n",
			want: []string{"reedbed.yaml:2:8: load.whatever: there is no such setting (known here: cycle, batch)"},
		},
		"all at once, each with its place": {
			yaml: "name: My Radio\nlisten: nowhere\nload:\n  cycle: 1 fortnight\nquery:\n  rows: many\n  memory: 1B\n",
			want: []string{
				`reedbed.yaml:4:10: load.cycle: "1 fortnight" has the unknown unit " fortnight" (write a duration such as 30s, 1h30m, 7d or 2y)`,
				`reedbed.yaml:6:9: query.rows: "many" is not a whole number (write a whole number such as 1000)`,
				`reedbed.yaml:1:7: name: "My Radio" is not a name (use 1 to 63 of a-z, 0-9 and _)`,
				`reedbed.yaml:2:9: listen: "nowhere" is not an address (write host:port, such as 127.0.0.1:8080)`,
				`reedbed.yaml:7:11: query.memory: is too small (use at least 64MiB)`,
			},
		},
		"wrong shapes": {
			yaml: "name: [a]\nsources: app\nlimits: 5\ntrusted_proxies: [here]\n",
			want: []string{
				"reedbed.yaml:1:7: name: is a sequence (write one value)",
				"reedbed.yaml:2:10: sources: is not a list (write each entry on its own line after a dash)",
				"reedbed.yaml:3:9: limits: is not a section (write its settings as `key: value`, indented below it)",
				`reedbed.yaml:4:19: trusted_proxies[0]: netip.ParsePrefix("here"): no '/' (write a network such as 10.0.0.0/8)`,
			},
		},
		"sources": {
			yaml: "name: x\nsources:\n- {name: a, keys: [k, 'has space'], ip: some}\n- {name: a, keys: [k], origins: [example.org], burst: 3, signing: [hush], address_rate: -1}\n- {name: b, keys: [k2], signing: []}\n",
			want: []string{
				"reedbed.yaml:3:23: sources[0].keys[1]: is not a write key (use 1 to 128 visible ASCII characters without a colon)",
				`reedbed.yaml:3:41: sources[0].ip: "some" is not a policy (use full, truncate or drop)`,
				"reedbed.yaml:4:10: sources[1].name: sources[0] has the same name (give each source a name of its own)",
				"reedbed.yaml:4:20: sources[1].keys[0]: is also a key of sources[0] (give each source keys of its own)",
				"reedbed.yaml:4:68: sources[1].signing[0]: is not a signing secret (use whsec_ and",
				`reedbed.yaml:4:34: sources[1].origins[0]: "example.org" is not an origin (write scheme and host without a path, such as https://example.org, or *)`,
				"reedbed.yaml:4:55: sources[1].burst: has no rate beside it (set rate as well, or remove burst)",
				"reedbed.yaml:4:89: sources[1].address_rate: is negative (use events per second, or 0 for no limit)",
				"reedbed.yaml:5:34: sources[2].signing: asks for signatures and lists no secret (list a secret, or remove signing to take requests that are not signed)",
			},
		},
		"webhooks": {
			yaml: "name: x\nalerts:\n  webhooks:\n  - {url: 'http://a.example/hush', secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}\n" +
				"  - {url: a.example, secret: hush, owners: ['']}\n  - {url: 'https://a.example', secret: whsec_c2hvcnQ=, allow_private: maybe, owner: web}\n" +
				"  - {url: 'https://a.example', secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}\n",
			want: []string{
				`reedbed.yaml:6:71: alerts.webhooks[2].allow_private: "maybe" is neither true nor false (write true or false)`,
				"reedbed.yaml:6:78: alerts.webhooks[2].owner: there is no such setting (did you mean owners?)",
				"reedbed.yaml:4:11: alerts.webhooks[0].url: is not https, so that anybody on the way could read it (use https, or set allow_private",
				"reedbed.yaml:5:11: alerts.webhooks[1].url: is not the address of a webhook (write one such as",
				"reedbed.yaml:5:30: alerts.webhooks[1].secret: is not a signing secret (use whsec_ and",
				"reedbed.yaml:5:45: alerts.webhooks[1].owners[0]: is empty (name a team",
				"reedbed.yaml:6:40: alerts.webhooks[2].secret: is not a signing secret (use whsec_ and",
				"reedbed.yaml:7:11: alerts.webhooks[3].url: alerts.webhooks[2] has the same address (name all owners",
			},
		},
		"duplicate key": {
			yaml: "name: a\nname: b\n",
			want: []string{`reedbed.yaml:2:1: mapping key "name" already defined at [1:1]`},
		},
		"broken yaml": {
			yaml: "name: a\n\tlisten: x\n",
			want: []string{"reedbed.yaml:2:1: "},
		},
		"two documents": {
			yaml: "name: a\n---\nname: b\n",
			want: []string{"reedbed.yaml: the file has more than one YAML document"},
		},
		"environment and flags": {
			yaml:  "name: x\n",
			env:   []string{"REEDBED_LISTEM=a", "REEDBED_QUERY_ROWS=-1", "REEDBED_SOMETHING_ELSE=1", "HOME=/root"},
			flags: map[string]string{"lissten": "x", "listen": "x"},
			want: []string{
				"REEDBED_LISTEM: there is no such setting (did you mean REEDBED_LISTEN?)",
				"--lissten: lissten: there is no such setting (remove it)",
				`--listen: listen: "x" is not an address (write host:port, such as 127.0.0.1:8080)`,
				"REEDBED_QUERY_ROWS: query.rows: is too small (use at least 1)",
			},
		},
		"empty file": {
			yaml: "",
			want: []string{"reedbed.yaml: name: is missing (use 1 to 63 of a-z, 0-9 and _)"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := write(t, test.yaml)
			_, err := config.Load(dir, test.env, test.flags)
			e, ok := errors.AsType[*config.Error](err)
			if !ok {
				t.Fatalf("got %v, want problems", err)
			}
			var got []string
			for _, p := range e.Problems {
				got = append(got, strings.TrimPrefix(p.String(), dir+"/"))
			}
			if !slices.EqualFunc(got, test.want, strings.HasPrefix) || len(got) != len(test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestProblemsMaskSecrets(t *testing.T) {
	_, err := config.Load(write(t, "name: x\nsources: [{name: a, keys: ['hush hush']}]\n"), nil, nil)
	e, ok := errors.AsType[*config.Error](err)
	if !ok || e.Problems[0].Value != "***" || strings.Contains(err.Error(), "hush") {
		t.Errorf("got %v", err)
	}
}

func TestLoadWithoutProject(t *testing.T) {
	if _, err := config.Load(t.TempDir(), nil, nil); !errors.Is(err, config.ErrNoProject) {
		t.Errorf("got %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("name: a\nsources: [{name: b, keys: [c]}]\n")
	f.Add("name: a\nalerts: {webhooks: [{url: 'https://b.example/%zz', secret: whsec_, allow_private: yes, owners: [c]}]}\n")
	f.Add("name: &x a\nlisten: *x\n<<: {}\n? [a]\n: b\n")
	f.Add("limits: {compressed: 1e400B, max_lateness: 999999999999y}\n")
	f.Add("!!binary name: !foo |\n  x\n")
	f.Fuzz(func(t *testing.T, yaml string) {
		p, err := config.Load(write(t, yaml), nil, nil)
		if err != nil {
			return
		}
		if problems := p.Config.Validate(); len(problems) > 0 {
			t.Errorf("loaded with problems: %v", problems)
		}
	})
}
