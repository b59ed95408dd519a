package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"

	"github.com/zeebo/xxh3"
)

//go:embed templates
var templateFiles embed.FS

// pages are the parsed templates.
type pages struct{ all *template.Template }

func newPages(a *assets) (*pages, error) {
	all, err := template.New("").Funcs(template.FuncMap{"asset": a.path, "grouped": grouped, "spreads": spreads}).
		ParseFS(templateFiles, "templates/*.html")
	return &pages{all}, err
}

func (p *pages) render(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	err := p.all.ExecuteTemplate(&b, name, data)
	return b.Bytes(), err
}

// page is the whole page; it reads the same without scripts.
func (s *server) page(w http.ResponseWriter, r *http.Request) {
	s.serve(w, r, "page.html")
}

// fragment is the part of the page that changes. Its ETag is a hash of it, so
// that a page on which nothing changed is sent nothing.
func (s *server) fragment(w http.ResponseWriter, r *http.Request) {
	s.serve(w, r, "fragment.html")
}

func (s *server) serve(w http.ResponseWriter, r *http.Request, name string) {
	body, err := s.pages.render(name, s.view(r))
	if err != nil {
		s.Log.Error("the page does not render", "template", name, "err", err)
		http.Error(w, "The page cannot be shown; the program's log says why.", http.StatusInternalServerError)
		return
	}
	tag := fmt.Sprintf(`"%016x"`, xxh3.Hash(body))
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(body) // the reader left: nobody to tell
}

// view is everything the templates show.
type view struct {
	Project  string
	Version  string
	Query    string // what links carry on: the token, if it came in the address
	Trouble  string // why there is no status
	Head     headline
	Status   Status
	Waiting  int64
	Loaded   string // what the watermark says
	Complete string // how much of what was sent arrived
	Open     string // that numbers may still change
	Boards   []boardView
	Columns  []StateColumn
	Datasets []datasetView
	Arrivals *Arrivals // nil while nothing runs
	First    string    // the command that sends a first event, when there is none
}

type boardView struct {
	Title string
	Cards []cardHTML
}

// Series, Numbers and Ranked are laid out differently, in this order.
func (b boardView) Series() []cardHTML  { return b.of(Series) }
func (b boardView) Numbers() []cardHTML { return b.of(Number) }
func (b boardView) Ranked() []cardHTML  { return b.of(Ranked) }

func (b boardView) of(k Kind) (cards []cardHTML) {
	for _, c := range b.Cards {
		if c.Kind == k {
			cards = append(cards, c)
		}
	}
	return cards
}

// datasetView is one line of the table of datasets.
type datasetView struct {
	Name, Class, State string
	Counts             []int64 // one for each of the view's Columns
}

func (s *server) view(r *http.Request) view {
	v := view{Project: s.Project, Query: carried(r)}
	status, err := s.board.Status(r.Context())
	if err != nil {
		v.Trouble = err.Error()
		v.Head = headline{Class: bad, Word: "No answer", Detail: "the status cannot be read at the moment"}
		return v
	}
	v.Status, v.Version, v.Head = status, status.Version, headlineOf(status)
	v.Waiting = status.Journal.End - status.Journal.Loaded
	if !status.Watermark.IsZero() {
		v.Loaded = moment(status.Watermark, s.Now())
	}
	v.Complete = CompleteInWords(status.Completeness, s.Now())
	if sum(status.Datasets).Open > 0 {
		v.Open = "The newest hours may still change."
	}
	v.Columns = StateColumns(status.Datasets)
	for i, d := range status.Datasets {
		class, words := worst(d)
		line := datasetView{Name: d.Name, Class: class, State: words}
		for _, c := range v.Columns {
			line.Counts = append(line.Counts, c.Counts[i])
		}
		v.Datasets = append(v.Datasets, line)
	}
	if status.Totals.Acknowledged == 0 && status.Journal.End == 0 {
		v.First = firstEvent(s.URL, s.writeKey())
		return v
	}
	v.Boards = s.boards(r, status)
	if s.Arrivals != nil {
		a := s.Arrivals()
		v.Arrivals = &a
	}
	return v
}

// carried is what links on a page carry on: the token, if it came in the address.
func carried(r *http.Request) string {
	token := r.URL.Query().Get("token")
	if token == "" {
		return ""
	}
	return "?token=" + url.QueryEscape(token)
}

// firstEvent is a line for a shell.
func firstEvent(server, key string) string {
	return fmt.Sprintf("curl %s -u %s -d '%s'", shellWord(server+"/v1/events"), shellWord(key+":"),
		`{"id":"first-1","type":"track","name":"Hello"}`)
}

func (s *server) boards(r *http.Request, status Status) []boardView {
	var asked []*Card
	for i := range s.Dashboards {
		for j := range s.Dashboards[i].Cards {
			asked = append(asked, &s.Dashboards[i].Cards[j])
		}
	}
	known := s.board.Cards(r.Context(), asked, status.Revision)
	var boards []boardView
	n := 0
	for i, d := range s.Dashboards {
		b := boardView{Title: d.Title}
		for j := range d.Cards {
			b.Cards = append(b.Cards, s.cardHTML(fmt.Sprintf("card-%d-%d", i, j), asked[n], known[n]))
			n++
		}
		boards = append(boards, b)
	}
	return boards
}
