package collect

import (
	"net/http"
	"net/url"
	"strings"
)

// Header values used on every request are made once: net/http copies neither
// map keys nor slices, and never writes to them.
var (
	jsonType      = []string{"application/json"}
	noSniff       = []string{"nosniff"}
	varyOrigin    = []string{"Origin"}
	varyPreflight = []string{"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}
	anyOrigin     = []string{"*"}
	yes           = []string{"true"}
	exposed       = []string{"Retry-After"}
	allowMethods  = []string{"GET, POST, OPTIONS"}
	allowHeaders  = []string{"authorization, content-encoding, content-type, x-retry-count, x-write-key, sp-anonymous, " +
		"ce-id, ce-source, ce-specversion, ce-type, ce-time, ce-subject, ce-dataschema"}
	oneDay = []string{"86400"}
)

// origins is a set of allowed origins, compared byte for byte.
type origins struct {
	exact map[string]bool
	any   bool // "*" was configured: every origin, but never with credentials
}

func newOrigins(list []string) origins {
	o := origins{exact: make(map[string]bool, len(list))}
	o.add(list)
	return o
}

func (o *origins) add(list []string) {
	for _, s := range list {
		if s == "*" {
			o.any = true
			continue
		}
		o.exact[s] = true
	}
}

func (o *origins) allows(origin string) bool { return o.any || o.exact[origin] }

// grant writes the headers that let a page of this origin read the answer. An
// origin that is not listed gets none, so its browser keeps the answer from it.
func (o *origins) grant(h http.Header, origin string) {
	switch {
	case o.exact[origin]:
		h["Access-Control-Allow-Origin"] = []string{origin}
		h["Access-Control-Allow-Credentials"] = yes
	case o.any:
		h["Access-Control-Allow-Origin"] = anyOrigin
	default:
		return
	}
	h["Access-Control-Expose-Headers"] = exposed
}

// preflight answers OPTIONS. It carries no key, so an origin is allowed when
// any source lists it; the request that follows is judged by its own source.
func (s *sources) preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Vary"] = varyPreflight
	origin := r.Header.Get("Origin")
	if origin != "" && s.origins.allows(origin) {
		s.origins.grant(h, origin)
		h["Access-Control-Allow-Methods"] = allowMethods
		h["Access-Control-Allow-Headers"] = allowHeaders
		h["Access-Control-Max-Age"] = oneDay
	}
	w.WriteHeader(http.StatusNoContent)
}

// pageOf is the origin of the page that sends the request, or "". Images carry
// no Origin, but most say where they stand.
func pageOf(r *http.Request) string {
	origin := r.Header.Get("Origin")
	if origin != "" || r.Method == http.MethodPost {
		return origin
	}
	page, err := url.Parse(r.Header.Get("Referer"))
	if err != nil || page.Host == "" {
		return ""
	}
	return page.Scheme + "://" + page.Host
}

// mayPost says whether a request of this origin may add events to the source.
// A source that lists no origins takes them from anywhere; one that lists some
// takes them from these, from pages of the collector's own host, and from
// whatever is not a page (no Origin header). Scripts can forge the header, so
// this keeps a copied key from working on other sites and no more than that.
func (s *source) mayPost(r *http.Request, origin string) bool {
	if origin == "" || s.open || s.origins.allows(origin) {
		return true
	}
	host, ok := strings.CutPrefix(origin, "https://")
	if !ok {
		host, ok = strings.CutPrefix(origin, "http://")
	}
	return ok && host == r.Host
}
