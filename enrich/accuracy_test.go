package enrich

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/goccy/go-yaml"

	"github.com/reedbed/reedbed/internal/recorded"
)

// The tests here measure against public collections that are not part of the
// repository. The floors are what was measured, rounded down: they notice a
// loss, they do not claim that the figure is good.

func shared(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(recorded.Path(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// share counts how many of the comparable cases are answered as expected.
type share struct{ right, all int }

func (s *share) add(ok bool) {
	s.all++
	if ok {
		s.right++
	}
}

func (s share) atLeast(t *testing.T, what string, floor float64) {
	t.Helper()
	got := float64(s.right) / float64(s.all)
	t.Logf("%s: %d of %d (%.1f %%)", what, s.right, s.all, 100*got)
	if got < floor {
		t.Errorf("%s: %.3f right, want at least %.3f", what, got, floor)
	}
}

type uapCase struct {
	UserAgent string `yaml:"user_agent_string"`
	Family    string `yaml:"family"`
	Major     string `yaml:"major"`
}

func uapCases(t *testing.T, file string) []uapCase {
	t.Helper()
	var doc struct {
		Cases []uapCase `yaml:"test_cases"`
	}
	if err := yaml.Unmarshal(shared(t, "ua/uap-core/tests/"+file), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Cases
}

// Only families both sides have a word for are compared; uap-core names
// hundreds of apps and crawlers that the parser does not try to know.
func TestBrowserAccuracy(t *testing.T) {
	names := map[string]string{
		"Chrome": "Chrome", "Chrome Mobile": "Chrome", "Chrome Mobile iOS": "Chrome",
		"Firefox": "Firefox", "Firefox Mobile": "Firefox", "Firefox iOS": "Firefox",
		"Safari": "Safari", "Mobile Safari": "Safari",
		"Edge": "Edge", "Edge Mobile": "Edge",
		"Opera": "Opera", "Opera Mobile": "Opera", "Opera Mini": "Opera Mini",
		"IE": "Internet Explorer", "Samsung Internet": "Samsung Browser", "Vivaldi": "Vivaldi",
	}
	var family, major, people share
	for _, c := range uapCases(t, "test_ua.yaml") {
		want, comparable := names[c.Family]
		if !comparable {
			continue
		}
		got := Agent(c.UserAgent)
		family.add(got.Browser == want)
		people.add(!got.Bot)
		if got.Browser == want && c.Major != "" {
			major.add(strings.TrimLeft(c.Major, "0") == strings.TrimLeft(strconv.Itoa(got.BrowserMajor), "0"))
		}
	}
	family.atLeast(t, "browser family", 0.90)
	major.atLeast(t, "browser major version, where the family is right", 0.87)
	people.atLeast(t, "browsers not taken for bots", 0.97)
}

func TestOSAccuracy(t *testing.T) {
	names := map[string]string{
		"Windows": "Windows", "Mac OS X": "macOS", "iOS": "iOS", "Android": "Android", "Linux": "Linux", "Ubuntu": "Linux",
		"Fedora": "Linux", "Chrome OS": "ChromeOS", "FreeBSD": "FreeBSD", "BlackBerry OS": "BlackBerry",
		"Windows Phone": "Windows Phone", "Tizen": "Tizen", "tvOS": "tvOS",
	}
	var family share
	for _, c := range uapCases(t, "test_os.yaml") {
		if want, comparable := names[c.Family]; comparable {
			family.add(Agent(c.UserAgent).OS == want)
		}
	}
	family.atLeast(t, "operating system", 0.90)
}

// The patterns come from the same list as these instances, so finding them
// says only that the index and the cut at 512 bytes lose nothing.
func TestCrawlersAreFound(t *testing.T) {
	var list []struct {
		Pattern   string   `json:"pattern"`
		Instances []string `json:"instances"`
	}
	if err := json.Unmarshal(shared(t, "ua/crawler-user-agents/crawler-user-agents.json"), &list); err != nil {
		t.Fatal(err)
	}
	var found, parserAlone share
	for _, c := range list {
		for _, ua := range c.Instances {
			found.add(Agent(ua).Device == Bot)
			parserAlone.add(parserSaysBot(ua))
		}
	}
	found.atLeast(t, "crawler instances found", 1)
	t.Logf("of them by the parser without the patterns: %d", parserAlone.right)
}

func TestNaughtyStrings(t *testing.T) {
	var list []string
	if err := json.Unmarshal(shared(t, "strings/blns.json"), &list); err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		Country(s)
		if got := Agent(s); !utf8.ValidString(got.Browser) || len(got.Browser) > 40 {
			t.Errorf("Agent(%q) = %+v", s, got)
		}
		for _, u := range []string{s, "https://" + s, "https://example.org/?p=" + s} {
			if host := ParseURL(u).Host; strings.ContainsAny(host, "/?#@ <>\x00") {
				t.Errorf("ParseURL(%q).Host = %q", u, host)
			}
			if v := Param(u, "p"); !utf8.ValidString(v) {
				t.Errorf("Param(%q) = %q is not UTF-8", u, v)
			}
			ReferrerHost(u)
		}
	}
}
