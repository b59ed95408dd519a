package collect

import "net/http"

// boot is what a client asks for before it sends events, or beside them. It
// holds no events, so nothing of it is stored, and its answer holds nothing
// that the asker did not name: every page may read it.
type boot struct {
	method string
	keyed  bool // the path names a write key, which must be known
	media  []string
	render func(b []byte, r *http.Request, key string) []byte
}

var (
	scriptType = []string{"text/javascript; charset=utf-8"}
	shortLived = []string{"private, max-age=60"}
)

func (d *Door) boot(w http.ResponseWriter, r *http.Request, to route) {
	h := w.Header()
	h["Vary"] = varyOrigin
	set := d.sources.Load()
	if origin := r.Header.Get("Origin"); set.origins.exact[origin] {
		set.origins.grant(h, origin)
	} else {
		h["Access-Control-Allow-Origin"] = anyOrigin
	}
	if r.Method != to.boot.method {
		h["Allow"] = []string{to.boot.method + ", OPTIONS"}
		writeProblem(w, &wrongMethod)
		return
	}
	if to.boot.keyed && set.find([]byte(to.key)) == nil {
		writeProblem(w, &unknownKey)
		return
	}
	h["Cache-Control"] = shortLived
	h["Content-Type"] = to.boot.media
	h["X-Content-Type-Options"] = noSniff
	_, _ = w.Write(to.boot.render(nil, r, to.key))
}

// fixed is a boot answer that is always the same.
func fixed(method, text string) *boot {
	return &boot{method: method, media: jsonType, render: func(b []byte, _ *http.Request, _ string) []byte { return append(b, text...) }}
}

// options answers a preflight, or what else a protocol asks by OPTIONS.
func (d *Door) options(w http.ResponseWriter, r *http.Request, to route) {
	set := d.sources.Load()
	if to.entry.asked != nil {
		to.entry.asked(set, w.Header(), r)
	}
	set.preflight(w, r)
}
