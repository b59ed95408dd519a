package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guard lets a request read. On a loopback listener it asks for a host name of
// this machine, so that a page elsewhere whose name was pointed here (DNS
// rebinding) reads nothing. On any other listener it asks for the token.
type guard struct {
	loopback bool
	token    string
}

func (g guard) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, refused := g.refuse(r); refused {
			if p.status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="reedbed"`)
			}
			p.write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (g guard) refuse(r *http.Request) (problem, bool) {
	switch {
	case g.loopback && !isThisMachine(r.Host):
		return problem{
			status: http.StatusForbidden, Code: "host_not_allowed",
			Message: "this listener answers to the names of this machine only",
			Fix:     "use localhost, 127.0.0.1 or [::1] in the address",
		}, true
	case g.loopback:
		return problem{}, false
	case g.token == "":
		return problem{
			status: http.StatusForbidden, Code: "no_token_set",
			Message: "the listener can be reached from other machines and no token is set, so nobody may read",
			Fix:     "set REEDBED_TOKEN (or token in reedbed.yaml) and start again, or listen on 127.0.0.1",
		}, true
	case !sameText(presented(r), g.token):
		return problem{
			status: http.StatusUnauthorized, Code: "token_needed",
			Message: "reading needs the project's token",
			Fix:     "send the header Authorization: Bearer TOKEN, or open the page with ?token=TOKEN",
		}, true
	}
	return problem{}, false
}

func presented(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return r.URL.Query().Get("token")
}

// sameText takes the same time whatever the two have in common.
func sameText(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// isThisMachine judges a Host header.
func isThisMachine(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// harden sets what every answer of ours tells a browser.
func harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; script-src 'self'; style-src 'self'; object-src 'none'; "+
			"base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
