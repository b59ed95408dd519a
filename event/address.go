package event

import "net/netip"

// IPPolicy says how much of a client's address a source keeps.
type IPPolicy string

// The policies, as they are spelt in a project's configuration.
const (
	IPFull     IPPolicy = "full"
	IPTruncate IPPolicy = "truncate" // the network only: /24 of IPv4, /48 of IPv6
	IPDrop     IPPolicy = "drop"
)

// KeepIP returns what the policy keeps of an address: all of it, its network's
// first address, or "". What is not an address is dropped, and so is
// everything under a policy that is not known.
func KeepIP(policy IPPolicy, address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	ip = ip.Unmap().WithZone("")
	switch policy {
	case IPFull:
		return ip.String()
	case IPTruncate:
		bits := 48
		if ip.Is4() {
			bits = 24
		}
		network, err := ip.Prefix(bits)
		if err != nil {
			return ""
		}
		return network.Addr().String()
	}
	return ""
}
