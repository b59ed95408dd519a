package web

import (
	"encoding/json"
	"net/http"
)

// plan says what deploying the project's own files would do.
func (s *server) plan(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		s.elsewhere(w, r)
		return
	}
	only(http.MethodGet, func(w http.ResponseWriter, r *http.Request) {
		plan, err := s.Plan(r.Context())
		if err != nil {
			p, theirs := queryProblem(err)
			if !theirs && r.Context().Err() == nil {
				s.Log.Error("plan failed", "err", err)
			}
			p.write(w)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(plan) // the reader left: nobody to tell
	}).ServeHTTP(w, r)
}

// elsewhere answers what the control socket does and no listener.
func (s *server) elsewhere(w http.ResponseWriter, _ *http.Request) {
	problem{
		status: http.StatusForbidden, Code: "control_socket_only",
		Message: "only the user who runs the project changes what is deployed, through the control socket in its data folder",
		Fix:     "use reedbed plan, reedbed apply or reedbed rollback",
	}.write(w)
}
