package collect

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientAddr is the address of whoever sent the request: the peer, or, when
// the peer is a trusted proxy, the right-most address of X-Forwarded-For that
// is not one. What stands further left was written by the client and proves
// nothing. The zero Addr means unknown.
func clientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := peer.Addr().Unmap()
	if len(trusted) == 0 || !contains(trusted, addr) {
		return addr
	}
	return forwarded(r.Header["X-Forwarded-For"], addr, trusted)
}

func forwarded(headers []string, addr netip.Addr, trusted []netip.Prefix) netip.Addr {
	for _, rest := range slices.Backward(headers) {
		for rest != "" {
			var hop string
			rest, hop = cutLast(rest)
			next, ok := parseHop(hop)
			if !ok {
				return addr // nothing left of a hop that does not parse can be trusted
			}
			addr = next
			if !contains(trusted, addr) {
				return addr
			}
		}
	}
	return addr
}

func cutLast(list string) (rest, last string) {
	if i := strings.LastIndexByte(list, ','); i >= 0 {
		return list[:i], list[i+1:]
	}
	return "", list
}

// parseHop accepts an address with or without a port, as proxies write both.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return a.Unmap().WithZone(""), err == nil
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
