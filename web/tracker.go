package web

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/zeebo/xxh3"

	"github.com/reedbed/reedbed/tracker/js"
)

// tracker serves the scripts for browsers under Options.Tracker, and takes
// their events there as well, so that a site passes one folder of its own host
// on to us and its pages ask nobody else.
type tracker struct {
	path    string
	collect http.Handler
	scripts map[string]script // by file name, without and with the hash of the content
}

// script is what may be loaded and run by the pages of any site.
type script struct {
	body  []byte
	tag   string
	cache string
}

const (
	forEver  = "public, max-age=31536000, immutable"
	aWhile   = "public, max-age=600" // for names that are the same in the next release
	notAtAll = "no-cache"
)

func newTracker(path string, collect http.Handler) *tracker {
	t := &tracker{path: path, collect: collect, scripts: map[string]script{}}
	for name, body := range map[string][]byte{"t": js.Full, "core": js.Core} {
		hash := fmt.Sprintf("%016x", xxh3.Hash(body))
		tag := `"` + hash + `"`
		t.scripts[name+".js"] = script{body, tag, aWhile}
		t.scripts[name+"-"+hash+".js"] = script{body, tag, forEver}
	}
	return t
}

func (t *tracker) routes() http.Handler {
	all := http.NewServeMux()
	all.HandleFunc("POST "+t.path+"e", t.events)
	all.HandleFunc("OPTIONS "+t.path+"e", t.events)
	all.HandleFunc("GET "+t.path+"{$}", t.index)
	all.Handle("GET "+t.path+"{file}", gzhttp.GzipHandler(http.HandlerFunc(t.script)))
	return all
}

// events passes a request on as if it had come to the native endpoint.
func (t *tracker) events(w http.ResponseWriter, r *http.Request) {
	moved, at := *r, *r.URL
	at.Path, at.RawPath = "/v1/events", ""
	moved.URL = &at
	t.collect.ServeHTTP(w, &moved)
}

func (t *tracker) script(w http.ResponseWriter, r *http.Request) {
	found, ok := t.find(r.PathValue("file"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Cache-Control", found.cache)
	h.Set("ETag", found.tag)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(found.body))
}

// find takes the hash of another release for today's script: a page that was
// written before must not stop telling what happens on it.
func (t *tracker) find(file string) (script, bool) {
	if found, ok := t.scripts[file]; ok {
		return found, true
	}
	name, hashed, _ := strings.Cut(file, "-")
	found, ok := t.scripts[name+".js"]
	found.cache = notAtAll
	return found, ok && strings.HasSuffix(hashed, ".js")
}

// address is where a script may be kept for ever, and what to write into a
// script tag's integrity.
type address struct {
	URL       string `json:"url"`
	Integrity string `json:"integrity"`
}

// addresses are those of today's scripts, by their names without hashes.
func (t *tracker) addresses() map[string]address {
	out := map[string]address{}
	for file, s := range t.scripts {
		if name, _, hashed := strings.Cut(file, "-"); hashed {
			sum := sha512.Sum384(s.body)
			out[name+".js"] = address{t.path + file, "sha384-" + base64.StdEncoding.EncodeToString(sum[:])}
		}
	}
	return out
}

func (t *tracker) index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", notAtAll)
	_ = json.NewEncoder(w).Encode(t.addresses()) // the reader left: nobody to tell
}

func (s *server) writeKey() string {
	if s.WriteKey == nil {
		return ""
	}
	return s.WriteKey()
}

// tryPage is a page that carries the tracker.
func (s *server) tryPage(w http.ResponseWriter, r *http.Request) {
	script := s.tracker.addresses()["t.js"]
	body, err := s.pages.render("try.html", struct {
		Project, WriteKey, Script, Integrity, Index, Query string
	}{s.Project, s.writeKey(), script.URL, script.Integrity, s.Tracker, carried(r)})
	if err != nil {
		s.Log.Error("the page does not render", "template", "try.html", "err", err)
		http.Error(w, "The page cannot be shown; the program's log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(body) // the reader left: nobody to tell
}
