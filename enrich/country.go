package enrich

import (
	_ "embed"
	"fmt"
	"net/netip"
	"sync"

	"github.com/oschwald/maxminddb-golang/v2"
)

//go:embed geo/country.mmdb
var countryData []byte

// countries opens the embedded database when it is first asked. The file is
// part of the binary and its opening is tested, so a failure is a broken build.
var countries = sync.OnceValue(func() *maxminddb.Reader {
	db, err := maxminddb.OpenBytes(countryData)
	if err != nil {
		panic(fmt.Sprintf("enrich: the embedded country database cannot be opened: %v", err))
	}
	return db
})

// Country returns the ISO 3166-1 alpha-2 code of the country the address is
// registered in, or "" when it is not known: private addresses, addresses
// nobody announces, and text that is no address. A truncated address
// (203.0.113.0, 2001:db8::) is looked up as it stands.
func Country(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	var record struct {
		Code string `maxminddb:"country_code"`
	}
	if err := countries().Lookup(addr.Unmap().WithZone("")).Decode(&record); err != nil {
		return ""
	}
	if !isCountryCode(record.Code) {
		return ""
	}
	return record.Code
}

func isCountryCode(s string) bool {
	return len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && 'A' <= s[1] && s[1] <= 'Z'
}
