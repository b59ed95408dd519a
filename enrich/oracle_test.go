package enrich

import (
	"regexp"
	"testing"

	"github.com/mileusna/useragent"
)

// compileAll returns the dumb way to match: try every pattern.
func compileAll(t *testing.T, patterns []string) func(string) bool {
	t.Helper()
	var all []*regexp.Regexp
	for _, p := range patterns {
		all = append(all, regexp.MustCompile(p))
	}
	return func(s string) bool {
		for _, re := range all {
			if re.MatchString(s) {
				return true
			}
		}
		return false
	}
}

func parserSaysBot(ua string) bool { return useragent.Parse(ua).Bot }
