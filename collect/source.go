package collect

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/reedbed/reedbed/event"
)

// Source is where events come from, as the front door needs to know it.
type Source struct {
	Name string
	// Keys are its write keys; any of them grants adding events to this
	// source and nothing else. Several allow changing a key without a gap.
	Keys []string
	// SigningKeys make it take only requests signed with one of them, whatever
	// write key they name. Several allow changing one without a gap.
	SigningKeys [][]byte
	// Origins are the pages that may post to it, as browsers write them
	// ("https://example.org", no path). Empty means from anywhere, but then
	// no page can read the answers; "*" lets every page, without credentials.
	Origins []string
	// ClientIP says how much of the client's address is kept ("" is truncate).
	ClientIP event.IPPolicy
	// Rate is the most events per second, 0 for no limit; Burst how many may
	// come at once after a pause (default: one second's worth).
	Rate  float64
	Burst float64
	// AddressRate is the most events per second that one client's address may
	// send to this source, 0 for no limit. Ten seconds' worth may come at once.
	AddressRate float64
	// Share is the most of the door's capacity this source may hold while
	// other sources hold some, above 0 up to 1 (default 0.5).
	Share float64
}

func (s Source) keepIP(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return event.KeepIP(cmp.Or(s.ClientIP, event.IPTruncate), a.String())
}

func (s Source) share() float64 { return cmp.Or(s.Share, 0.5) }
func (s Source) burst() float64 { return max(cmp.Or(s.Burst, s.Rate), 1) }

// Validate returns every problem of the source at once.
func (s Source) Validate() error {
	var errs []error
	bad := func(field, why string) {
		errs = append(errs, fmt.Errorf("source %q: %s: %s", s.Name, field, why))
	}
	if s.Name == "" {
		bad("name", "is empty; give the source a name")
	}
	for _, k := range s.Keys {
		if k == "" || len(k) > maxKey || strings.ContainsAny(k, " :\t\r\n") {
			bad("keys", fmt.Sprintf("a write key has 1 to %d bytes and no space or colon", maxKey))
		}
	}
	for _, k := range s.SigningKeys {
		if len(k) < minSigningKey {
			bad("signing", fmt.Sprintf("a secret stands for %d bytes at least", minSigningKey))
		}
	}
	for _, o := range s.Origins {
		if !isOrigin(o) {
			bad("origins", fmt.Sprintf("%q is not an origin; write scheme, host and port as browsers send them, such as https://example.org", o))
		}
	}
	if k := s.ClientIP; k != "" && k != event.IPFull && k != event.IPTruncate && k != event.IPDrop {
		bad("ip", fmt.Sprintf("%q is not full, truncate or drop", k))
	}
	if s.Rate < 0 || s.Burst < 0 {
		bad("rate", "is negative; 0 means no limit")
	}
	if s.AddressRate < 0 {
		bad("address_rate", "is negative; 0 means no limit")
	}
	if s.Share < 0 || s.Share > 1 {
		bad("share", "is not between 0 and 1")
	}
	return errors.Join(errs...)
}

// isOrigin refuses what no browser sends, and "null", which every sandboxed
// frame and local file sends.
func isOrigin(s string) bool {
	if s == "*" {
		return true
	}
	u, err := url.Parse(s)
	return err == nil && u.Scheme != "" && u.Host != "" && s == u.Scheme+"://"+u.Host && s == strings.ToLower(s)
}

// minSigningKey is what Standard Webhooks asks for, in bytes.
const minSigningKey = 24

// maxKey bounds what is hashed before anyone is known.
const maxKey = 256

// source is a Source prepared for requests. Immutable, but for usage, which
// the gate guards, addresses, which guard themselves, and counters, which are
// atomic.
type source struct {
	Source
	open     bool // lists no origins
	origins  origins
	usage    *usage
	senders  *addresses
	counters []*counters // by protocol.index
}

// sources is one immutable set of sources, swapped as a whole.
type sources struct {
	byKey  map[[sha256.Size]byte]*source
	byName map[string]*source
	// unknown stands for requests whose key is not known, or not yet.
	unknown *source
	origins origins // of any source
}

// find looks a key up by its hash, so that how long it takes says nothing
// about how much of a guessed key is right.
func (s *sources) find(key []byte) *source {
	if len(key) == 0 || len(key) > maxKey {
		return nil
	}
	return s.byKey[sha256.Sum256(key)]
}

// newSources prepares a set of sources. Sources of the same name keep what
// they hold and owe in the gate.
func (d *Door) newSources(list []Source, old *sources) (*sources, error) {
	s := &sources{
		byKey:   make(map[[sha256.Size]byte]*source),
		byName:  make(map[string]*source, len(list)),
		origins: newOrigins(nil),
	}
	var errs []error
	for _, c := range list {
		if err := s.add(d, c, old); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if old != nil {
		s.unknown = old.unknown
	} else {
		s.unknown = d.prepare(Source{}, nil)
	}
	return s, nil
}

func (s *sources) add(d *Door, c Source, old *sources) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if s.byName[c.Name] != nil {
		return fmt.Errorf("source %q: named twice; names tell sources apart", c.Name)
	}
	for _, k := range c.Keys {
		h := sha256.Sum256([]byte(k))
		if other := s.byKey[h]; other != nil {
			return fmt.Errorf("source %q: keys: one of its write keys also belongs to source %q; a key names one source", c.Name, other.Name)
		}
	}
	p := d.prepare(c, old)
	s.byName[c.Name] = p
	for _, k := range c.Keys {
		s.byKey[sha256.Sum256([]byte(k))] = p
	}
	s.origins.add(c.Origins)
	return nil
}

func (d *Door) prepare(c Source, old *sources) *source {
	p := &source{Source: c, open: len(c.Origins) == 0, origins: newOrigins(c.Origins)}
	p.usage, p.senders = new(usage), new(addresses)
	if old != nil {
		if before := old.byName[c.Name]; before != nil {
			p.usage, p.senders = before.usage, before.senders
		}
	}
	p.counters = d.metrics.forSource(c.Name)
	return p
}

// configure tells the gate the limits of every source; it runs only once the
// whole set is known to be good.
func (s *sources) configure(g *gate, now time.Time) {
	for _, p := range s.byName {
		g.configure(p.usage, p.Source, now)
	}
	g.configure(s.unknown.usage, s.unknown.Source, now)
}
