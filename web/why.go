package web

import (
	"net/http"
	"strings"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
)

// why accounts for /api/v1/datasets/DATASET/PARTITION?version=N.
func (s *server) why(w http.ResponseWriter, r *http.Request) {
	account, err := s.account(r)
	if err != nil {
		s.failed(w, r, "why", err)
		return
	}
	s.writeJSON(w, account)
}

func (s *server) account(r *http.Request) (sqlite.Account, error) {
	text := r.PathValue("partition")
	if v := r.URL.Query().Get("version"); v != "" && v != "0" {
		text += "/" + v
	}
	ref, err := dataset.ParseVersionOf(r.PathValue("dataset"), text)
	if err != nil {
		return sqlite.Account{}, &dataset.Refusal{Code: "not_a_partition", What: err.Error(), Fix: "name the partition by its start in UTC"}
	}
	return s.Backend.Why(r.Context(), ref)
}

// whyPage is /datasets/DATASET/PARTITION: the same in words.
func (s *server) whyPage(w http.ResponseWriter, r *http.Request) {
	v := whyView{Project: s.Project, Name: r.PathValue("dataset") + "@" + r.PathValue("partition"), Query: carried(r)}
	status := http.StatusOK
	account, err := s.account(r)
	if err != nil {
		p, theirs := queryProblem(err)
		if r.Context().Err() == nil && !theirs {
			s.Log.Error("a question could not be answered", "question", "why", "err", err)
		}
		status, v.Trouble, v.Fix = p.status, p.Message, p.Fix
	} else {
		v.Words, v.Others = Explain(account), account.Others
	}
	body, err := s.pages.render("why.html", v)
	if err != nil {
		s.Log.Error("the page does not render", "template", "why.html", "err", err)
		http.Error(w, "The page cannot be shown; the program's log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the reader left: nobody to tell
}

type whyView struct {
	Project, Name string
	Query         string // what links carry on: the token, if it came in the address
	Trouble, Fix  string // why there are no words
	Words         string
	Others        []sqlite.VersionSummary
}

// Token is Query behind another parameter.
func (v whyView) Token() string { return strings.Replace(v.Query, "?", "&", 1) }

// failed tells what a question came to, and notes what is our doing.
func (s *server) failed(w http.ResponseWriter, r *http.Request, question string, err error) {
	p, theirs := queryProblem(err)
	if r.Context().Err() == nil && !theirs {
		s.Log.Error("a question could not be answered", "question", question, "err", err)
	}
	p.write(w)
}
