package enrich

import "testing"

func TestCountry(t *testing.T) {
	for ip, want := range map[string]string{
		"8.8.8.8":              "US",
		"8.8.8.0":              "US", // truncated by a source's policy
		"::ffff:8.8.8.8":       "US",
		"2001:4860:4860::":     "US",
		"2001:4860:4860::8888": "US",
		"193.0.6.139":          "NL",
		"fe80::1%eth0":         "",
		"10.0.0.1":             "",
		"127.0.0.1":            "",
		"203.0.113.0":          "", // documentation range
		"0.0.0.0":              "",
		"255.255.255.255":      "",
		"":                     "",
		"8.8.8":                "",
		"8.8.8.8:443":          "",
		"08.8.8.8":             "",
		"999.1.1.1":            "",
		"unknown":              "",
		"\x00":                 "",
	} {
		if got := Country(ip); got != want {
			t.Errorf("Country(%q) = %q, want %q", ip, got, want)
		}
	}
}

func TestCountryDatabaseIsSound(t *testing.T) {
	codes := map[string]bool{}
	for result := range countries().Networks() {
		var record struct {
			Code string `maxminddb:"country_code"`
		}
		if err := result.Decode(&record); err != nil {
			t.Fatalf("%v: %v", result.Prefix(), err)
		}
		codes[record.Code] = true
	}
	for code := range codes {
		if !isCountryCode(code) {
			t.Errorf("the database has the code %q", code)
		}
	}
	if len(codes) < 200 {
		t.Errorf("the database knows %d countries, want at least 200", len(codes))
	}
}

func FuzzCountry(f *testing.F) {
	for _, s := range []string{"8.8.8.8", "2001:db8::", "fe80::1%eth0", "::ffff:1.2.3.4", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, ip string) {
		if got := Country(ip); got != "" && !isCountryCode(got) {
			t.Errorf("Country(%q) = %q", ip, got)
		}
	})
}

func BenchmarkCountry(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Country("193.0.6.139")
	}
}
