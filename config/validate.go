package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var namePattern = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)

// ValidName says whether a name may be that of a project, source, dataset or
// stage: 1 to 63 of a-z, 0-9 and _.
func ValidName(name string) bool { return namePattern.MatchString(name) }

// keyPattern leaves out the colon, which ends the user name of HTTP Basic.
var keyPattern = regexp.MustCompile(`^[!-9;-~]{1,128}$`)

const (
	nameFix = "use 1 to 63 of a-z, 0-9 and _"
	minTask = 64 * MiB // below this DuckDB cannot even sort a small partition
)

// Validate returns everything that is wrong, in the order of the settings. The
// problems have no Place; Load knows it.
func (c *Config) Validate() []Problem {
	var v validator
	v.name("name", c.Name)
	v.listen("listen", c.Listen)
	v.check(c.Data != "", "data", c.Data, "is empty", "name a folder such as .reedbed")
	v.atLeast("stop_delay", c.StopDelay, 0)
	v.sources(c.Sources)
	v.limits(c.Limits)
	v.journal(c.Journal, c.Limits)
	v.atLeast("load.cycle", c.Load.Cycle, 10*time.Millisecond)
	v.size("load.batch", c.Load.Batch, MiB)
	v.count("stages.workers", c.Stages.Workers)
	v.size("stages.memory", c.Stages.Memory, minTask)
	v.atLeast("stages.deadline", c.Stages.Deadline, time.Second)
	v.count("query.workers", c.Query.Workers)
	v.size("query.memory", c.Query.Memory, minTask)
	v.atLeast("query.deadline", c.Query.Deadline, 100*time.Millisecond)
	v.count("query.rows", c.Query.Rows)
	v.size("query.bytes", c.Query.Bytes, KiB)
	v.check(c.Retention.Versions >= 0, "retention.versions", c.Retention.Versions, "is negative", "use 0 to keep no superseded version")
	v.tracker("tracker.path", c.Tracker.Path)
	v.webhooks(c.Alerts.Webhooks)
	return v.problems
}

// validator collects problems; its methods are the kinds of rule.
type validator struct{ problems []Problem }

func (v *validator) check(ok bool, path string, value any, cause, fix string) {
	if !ok {
		v.problems = append(v.problems, Problem{Path: path, Value: fmt.Sprint(value), Cause: cause, Fix: fix})
	}
}

func (v *validator) name(path, name string) {
	if name == "" {
		v.check(false, path, name, "is missing", nameFix)
		return
	}
	v.check(ValidName(name), path, name, fmt.Sprintf("%q is not a name", name), nameFix)
}

func (v *validator) listen(path, address string) {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	v.check(err == nil, path, address, fmt.Sprintf("%q is not an address", address),
		"write host:port, such as 127.0.0.1:8080")
}

var folderPattern = regexp.MustCompile(`^(/[A-Za-z0-9_~-]+)+/$`)

// ownFolders are the first parts of paths that serve something else.
var ownFolders = []string{"v1", "api", "datasets", "static", "fragment", "metrics", "livez", "readyz", "try"}

func (v *validator) tracker(path, folder string) {
	v.check(folderPattern.MatchString(folder), path, folder, fmt.Sprintf("%q is not a folder", folder),
		"begin and end it with a slash, such as /t/")
	first, _, _ := strings.Cut(strings.TrimPrefix(folder, "/"), "/")
	v.check(!slices.Contains(ownFolders, first), path, folder, fmt.Sprintf("%q serves something else", "/"+first),
		"use another first part, such as /t/")
}

func (v *validator) sources(sources []Source) {
	names, keys := map[string]int{}, map[Secret]string{}
	for i, s := range sources {
		path := fmt.Sprintf("sources[%d]", i)
		v.name(path+".name", s.Name)
		if first, taken := names[s.Name]; taken {
			v.check(false, path+".name", s.Name, fmt.Sprintf("sources[%d] has the same name", first),
				"give each source a name of its own")
		} else {
			names[s.Name] = i
		}
		v.keys(path, s, keys)
		v.check(s.Signing == nil || len(s.Signing) > 0, path+".signing", "[]", "asks for signatures and lists no secret",
			"list a secret, or remove signing to take requests that are not signed")
		for j, secret := range s.Signing {
			v.signingSecret(fmt.Sprintf("%s.signing[%d]", path, j), secret)
		}
		for j, origin := range s.Origins {
			v.origin(fmt.Sprintf("%s.origins[%d]", path, j), origin)
		}
		policies := []IPPolicy{IPFull, IPTruncate, IPDrop}
		v.check(slices.Contains(policies, s.IP), path+".ip", s.IP,
			fmt.Sprintf("%q is not a policy", string(s.IP)), "use full, truncate or drop")
		v.check(s.Rate >= 0, path+".rate", s.Rate, "is negative", "use events per second, or 0 for no limit")
		v.check(s.Burst >= 0, path+".burst", s.Burst, "is negative", "use a number of events")
		v.check(s.Burst == 0 || s.Rate > 0, path+".burst", s.Burst, "has no rate beside it",
			"set rate as well, or remove burst")
		v.check(s.AddressRate >= 0, path+".address_rate", s.AddressRate, "is negative", "use events per second, or 0 for no limit")
	}
}

// keys checks one source's write keys; taken maps every key seen so far to the
// path of its source.
func (v *validator) keys(path string, s Source, taken map[Secret]string) {
	for j, key := range s.Keys {
		at := fmt.Sprintf("%s.keys[%d]", path, j)
		v.check(keyPattern.MatchString(string(key)), at, key, "is not a write key",
			"use 1 to 128 visible ASCII characters without a colon")
		first, used := taken[key]
		v.check(!used, at, key, "is also a key of "+first, "give each source keys of its own")
		taken[key] = path
	}
}

func (v *validator) origin(path, origin string) {
	u, err := url.Parse(origin)
	ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && origin == u.Scheme+"://"+u.Host
	v.check(ok || origin == "*", path, origin, fmt.Sprintf("%q is not an origin", origin),
		"write scheme and host without a path, such as https://example.org, or *")
}

func (v *validator) webhooks(hooks []Webhook) {
	seen := map[Secret]int{}
	for i, h := range hooks {
		path := fmt.Sprintf("alerts.webhooks[%d]", i)
		u, err := url.Parse(string(h.URL))
		form := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil && u.Fragment == ""
		v.check(form, path+".url", h.URL, "is not the address of a webhook", "write one such as https://example.org/hooks/reedbed")
		v.check(!form || u.Scheme == "https" || h.AllowPrivate, path+".url", h.URL, "is not https, so that anybody on the way could read it",
			"use https, or set allow_private: true beside it if the way is your own")
		first, twice := seen[h.URL]
		v.check(!form || !twice, path+".url", h.URL, fmt.Sprintf("alerts.webhooks[%d] has the same address", first),
			"name all owners at one of them")
		seen[h.URL] = i
		v.signingSecret(path+".secret", h.Secret)
		for j, owner := range h.Owners {
			v.check(owner != "", fmt.Sprintf("%s.owners[%d]", path, j), owner, "is empty", "name a team as stages name their owner")
		}
	}
}

func (v *validator) signingSecret(path string, s Secret) {
	_, ok := s.SigningKey()
	v.check(ok, path, s, "is not a signing secret",
		`use whsec_ and 24 to 64 bytes in base64, such as: echo "whsec_$(head -c 32 /dev/urandom | base64 -w 0)"`)
}

func (v *validator) limits(l Limits) {
	v.size("limits.compressed", l.Compressed, KiB)
	v.size("limits.expanded", l.Expanded, KiB)
	v.size("limits.event", l.Event, KiB)
	v.check(l.Event <= l.Expanded, "limits.event", l.Event, "is more than limits.expanded",
		"an event cannot be larger than its request: at most "+l.Expanded.String())
	v.count("limits.batch_events", l.BatchEvents)
	largest := l.Compressed + l.Expanded // both are held while one becomes the other
	v.check(l.Inflight >= largest, "limits.inflight", l.Inflight, "is less than one request",
		"use at least "+largest.String())
	v.atLeast("limits.signature_window", l.SignatureWindow, time.Second)
	v.atLeast("limits.max_lateness", l.MaxLateness, time.Hour)
}

func (v *validator) journal(j Journal, l Limits) {
	v.check(j.Segment >= 2*l.Expanded, "journal.segment", j.Segment, "does not hold two of the largest requests",
		"use at least "+(2*l.Expanded).String()+" or lower limits.expanded")
	v.atLeast("journal.grace", j.Grace, 0)
	v.size("journal.reserve", j.Reserve, 0)
	v.check(j.Queue >= l.Expanded, "journal.queue", j.Queue, "is less than one request",
		"use at least "+l.Expanded.String())
}

func (v *validator) size(path string, s, least Size) {
	v.check(s >= least, path, s, "is too small", "use at least "+least.String())
}

func (v *validator) count(path string, n int) {
	v.check(n >= 1, path, n, "is too small", "use at least 1")
}

func (v *validator) atLeast(path string, d, least time.Duration) {
	v.check(d >= least, path, FormatDuration(d), "is too short", "use at least "+FormatDuration(least))
}
