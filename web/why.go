package web

import (
	"net/http"

	"github.com/reedbed/reedbed/dataset"
)

// why accounts for /api/v1/datasets/DATASET/PARTITION?version=N.
func (s *server) why(w http.ResponseWriter, r *http.Request) {
	text := r.PathValue("partition")
	if v := r.URL.Query().Get("version"); v != "" && v != "0" {
		text += "/" + v
	}
	ref, err := dataset.ParseVersionOf(r.PathValue("dataset"), text)
	if err != nil {
		problem{status: http.StatusBadRequest, Code: "not_a_partition", Message: err.Error(), Fix: "name the partition by its start in UTC"}.write(w)
		return
	}
	account, err := s.Backend.Why(r.Context(), ref)
	if err != nil {
		s.failed(w, r, "why", err)
		return
	}
	s.writeJSON(w, account)
}

// failed tells what a question came to, and notes what is our doing.
func (s *server) failed(w http.ResponseWriter, r *http.Request, question string, err error) {
	p, theirs := queryProblem(err)
	if r.Context().Err() == nil && !theirs {
		s.Log.Error("a question could not be answered", "question", question, "err", err)
	}
	p.write(w)
}
