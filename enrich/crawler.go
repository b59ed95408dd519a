package enrich

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
)

//go:embed crawlers/patterns.json
var crawlerData []byte

// crawlers builds the pattern index when it is first asked. The list is part
// of the binary and its indexing is tested, so a failure is a broken build.
var crawlers = sync.OnceValue(func() *crawlerIndex {
	var patterns []string
	if err := json.Unmarshal(crawlerData, &patterns); err != nil {
		panic(fmt.Sprintf("enrich: the embedded crawler patterns cannot be read: %v", err))
	}
	x, err := newCrawlerIndex(patterns)
	if err != nil {
		panic(fmt.Sprintf("enrich: the embedded crawler patterns cannot be used: %v", err))
	}
	return x
})

// gram is how many bytes of a literal the index is keyed by.
const gram = 3

// crawlerIndex finds whether any of many patterns matches, without trying
// each. Every pattern has a literal that must occur for it to match (nearly
// all are nothing but a literal); a text is scanned once for the literals'
// first bytes, and only what begins there is compared.
type crawlerIndex struct {
	byGram map[[gram]byte][]crawler
	seen   [1 << 16 / 8]byte // one bit per hashed gram, so that most positions cost no map lookup
}

type crawler struct {
	literal string
	re      *regexp.Regexp // nil when the literal is the whole pattern
}

func newCrawlerIndex(patterns []string) (*crawlerIndex, error) {
	x := &crawlerIndex{byGram: make(map[[gram]byte][]crawler, len(patterns))}
	for _, p := range patterns {
		re, err := syntax.Parse(p, syntax.Perl)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", p, err)
		}
		for _, branch := range alternatives(re) {
			if err := x.add(branch); err != nil {
				return nil, fmt.Errorf("pattern %q: %w", p, err)
			}
		}
	}
	return x, nil
}

func (x *crawlerIndex) add(re *syntax.Regexp) error {
	literal := requiredLiteral(re)
	if len(literal) < gram {
		return fmt.Errorf("no literal of %d bytes or more must occur in %q", gram, re)
	}
	c := crawler{literal: literal}
	if re.Op != syntax.OpLiteral {
		compiled, err := regexp.Compile(re.String())
		if err != nil {
			return err
		}
		c.re = compiled
	}
	key := [gram]byte([]byte(literal))
	x.byGram[key] = append(x.byGram[key], c)
	h := hashGram(key)
	x.seen[h/8] |= 1 << (h % 8)
	return nil
}

// match reports whether any pattern matches somewhere in the text.
func (x *crawlerIndex) match(s string) bool {
	for i := 0; i+gram <= len(s); i++ {
		key := [gram]byte{s[i], s[i+1], s[i+2]}
		if h := hashGram(key); x.seen[h/8]&(1<<(h%8)) == 0 {
			continue
		}
		for _, c := range x.byGram[key] {
			if strings.HasPrefix(s[i:], c.literal) && (c.re == nil || c.re.MatchString(s)) {
				return true
			}
		}
	}
	return false
}

func hashGram(g [gram]byte) uint16 {
	return uint16((uint32(g[0]) | uint32(g[1])<<8 | uint32(g[2])<<16) * 0x9E3779B1 >> 16)
}

// alternatives splits a pattern at its top-level |.
func alternatives(re *syntax.Regexp) []*syntax.Regexp {
	if re.Op == syntax.OpAlternate {
		return re.Sub
	}
	return []*syntax.Regexp{re}
}

// requiredLiteral returns the longest literal that must occur wherever the
// pattern matches, or "".
func requiredLiteral(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return string(re.Rune)
		}
	case syntax.OpCapture:
		return requiredLiteral(re.Sub[0])
	case syntax.OpConcat:
		longest := ""
		for _, sub := range re.Sub {
			if l := requiredLiteral(sub); len(l) > len(longest) {
				longest = l
			}
		}
		return longest
	}
	return ""
}
