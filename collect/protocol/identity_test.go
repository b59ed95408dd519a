package protocol

import (
	"bytes"
	"testing"

	"github.com/reedbed/reedbed/internal/strictjson"
)

// The identity is of what decides about one event, written out or by default.
func TestIdentity(t *testing.T) {
	base := Limits{}.Identity()
	for name, c := range map[string]struct {
		limits Limits
		same   bool
	}{
		"written out":     {Limits{JSON: strictjson.DefaultLimits(), Events: 10_000, EventBytes: 1 << 20}, true},
		"more events":     {Limits{Events: 5}, true}, // of a request: says nothing about one
		"larger events":   {Limits{EventBytes: 2 << 20}, false},
		"longer strings":  {Limits{JSON: strictjson.Limits{String: 1 << 20}}, false},
		"deeper nestings": {Limits{JSON: strictjson.Limits{Depth: 33}}, false},
	} {
		if got := bytes.Equal(base, c.limits.Identity()); got != c.same {
			t.Errorf("%s: same is %v", name, got)
		}
	}
}

// Whatever a decoder refuses in an event can be tried again.
func TestOfEvent(t *testing.T) {
	d := NewDecoder(All()[0], Limits{EventBytes: 100})
	for _, raw := range []string{`{"name":1}`, `{}`, `[]`, "{", `{"a":1,"a":2}`, `{"type":"x"}`, `{"name":"P","pad":"` + string(bytes.Repeat([]byte("x"), 100)) + `"}`, "\"\xff", `{"n":1e999999}`} {
		if _, err := d.Decode([]byte(raw)); err == nil || !OfEvent(d.refusal.Code) {
			t.Errorf("%s: %+v", raw, d.refusal)
		}
	}
	for _, code := range []string{"", CodeTooManyEvents, "bad_log_line", "truncated_body"} {
		if OfEvent(code) {
			t.Errorf("%q is no refusal of an event", code)
		}
	}
}
