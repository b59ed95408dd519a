package event

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseTime(t *testing.T) {
	checkTimes(t, ParseTime, map[string]string{
		"2026-11-22T03:14:15Z":                 "2026-11-22T03:14:15Z",
		"2026-11-22t03:14:15z":                 "2026-11-22T03:14:15Z",
		"2026-11-22 03:14:15.9Z":               "2026-11-22T03:14:15.9Z",
		"2026-11-22T03:14:15.1234567899+14:00": "2026-11-21T13:14:15.123456789Z",
		"2026-11-22T03:14:15-00:30":            "2026-11-22T03:44:15Z",
		"2016-12-31T23:59:60Z":                 "2017-01-01T00:00:00Z",
		"2000-02-29T00:00:00Z":                 "2000-02-29T00:00:00Z",
		"0000-02-29T00:00:00Z":                 "0000-02-29T00:00:00Z",
	},
		"", "now", "2026-11-22", "2026-11-22T03:14:15", "2026-11-22T03:14:15.Z", "2026-11-22T03:14:15.5", "2026-11-22T03:14Z",
		"2026-11-22T24:00:00Z", "2026-11-22T03:60:00Z", "2026-11-22T03:14:61Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
		"2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-11-31T00:00:00Z", "2026-11-00T00:00:00Z", "26-11-22T03:14:15Z   ",
		"2026-11-22T03:14:15+0200", "2026-11-22T03:14:15+24:00", "2026-11-22T03:14:15+02:60", "2026-11-22T03:14:15ZZ",
		"2026/11/22T03:14:15Z", "-026-11-22T03:14:15Z", "2026-11-22T03:14:15,5Z", "12026-11-22T03:14:15Z", "2026-11-22T03:14:15\x00",
	)
}

// checkTimes wants each text read as the time beside it, and others refused.
func checkTimes(t *testing.T, parse func(string) (time.Time, bool), good map[string]string, bad ...string) {
	t.Helper()
	for text, want := range good {
		got, ok := parse(text)
		if !ok || got.Format(time.RFC3339Nano) != want {
			t.Errorf("%s: %v, %v; want %s", text, got, ok, want)
		}
	}
	for _, text := range bad {
		if got, ok := parse(text); ok {
			t.Errorf("%q: %v, want refusal", text, got)
		}
	}
}

func TestParseTimeReadsWhatGoWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := time.FixedZone("", 60*rapid.IntRange(-14*60, 14*60).Draw(t, "offset"))
		want := time.Unix(rapid.Int64Range(-62167219200+86400, 253402300799-86400).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "nanos")).In(zone)
		got, ok := ParseTime(want.Format(time.RFC3339Nano))
		if !ok || !got.Equal(want) {
			t.Fatalf("%s: %v, %v", want.Format(time.RFC3339Nano), got, ok)
		}
	})
}

func FuzzParseTime(f *testing.F) {
	f.Add("2026-11-22T03:14:15.926Z")
	f.Add("0000-12-31T23:59:59.999999999-23:59")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseTime(s)
		want, err := time.Parse(time.RFC3339Nano, s)
		if err == nil && !strings.Contains(s, ",") && len(s) >= 20 && s[13] == ':' {
			if !ok || !got.Equal(want) {
				t.Fatalf("%q: %v, %v; Go says %v", s, got, ok, want)
			}
		}
		if ok && err != nil && s[10] == 'T' && !strings.HasSuffix(s, "z") && s[17:19] != "60" {
			t.Fatalf("%q: %v; Go says %v", s, got, err)
		}
	})
}

func TestParseUnix(t *testing.T) {
	checkTimes(t, ParseUnix, map[string]string{
		"0":                 "1970-01-01T00:00:00Z",
		"1795290026":        "2026-11-21T19:40:26Z",
		"1795290026.5":      "2026-11-21T19:40:26.5Z",
		"1795290026.123456": "2026-11-21T19:40:26.123456Z",
		"1795290026668":     "2026-11-21T19:40:26.668Z",
		"1795290026668123":  "2026-11-21T19:40:26.668123Z",
		"1.795290026668e12": "2026-11-21T19:40:26.668Z",
		"99999999999":       "5138-11-16T09:46:39Z",
		"100000000000":      "1973-03-03T09:46:40Z",
	}, "", "-1", "1e30", "9223372036854775807", "x")
}

func TestKeepIP(t *testing.T) {
	for _, c := range []struct {
		policy        IPPolicy
		address, want string
	}{
		{IPFull, "203.0.113.77", "203.0.113.77"},
		{IPFull, "2001:DB8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6"},
		{IPFull, "::ffff:203.0.113.77", "203.0.113.77"},
		{IPFull, "fe80::1%eth0", "fe80::1"},
		{IPTruncate, "203.0.113.77", "203.0.113.0"},
		{IPTruncate, "::ffff:203.0.113.77", "203.0.113.0"},
		{IPTruncate, "2001:db8:1:2:3:4:5:6", "2001:db8:1::"},
		{IPTruncate, "fe80::1%eth0", "fe80::"},
		{IPDrop, "203.0.113.77", ""},
		{"", "203.0.113.77", ""},
		{"misspelt", "203.0.113.77", ""},
		{IPFull, "unknown", ""},
		{IPTruncate, "203.0.113.77:80", ""},
		{IPTruncate, "", ""},
	} {
		if got := KeepIP(c.policy, c.address); got != c.want {
			t.Errorf("%s of %q: %q, want %q", c.policy, c.address, got, c.want)
		}
	}
}
