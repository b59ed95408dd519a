package simulate_test

import (
	"strings"
	"testing"

	"github.com/reedbed/reedbed/simulate"
)

func TestLossIsRead(t *testing.T) {
	for text, want := range map[string]simulate.Loss{
		"2026.11=2%,1%": {Version: "2026.11", InFlight: 0.02, AtClient: 0.01},
		"4.1.0=0.5":     {Version: "4.1.0", InFlight: 0.5},
		"4.1.0=0,100%":  {Version: "4.1.0", AtClient: 1},
	} {
		var got simulate.Loss
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"2%":             "as in 2026.11=2%,1%",
		"5.3.1=2%":       "there are 2026.11 and 4.1.0",
		"4.1.0=":         "no share",
		"4.1.0=NaN":      "no share",
		"4.1.0=-1%":      "no share",
		"4.1.0=2%,x":     "no share",
		"4.1.0=60%,0.41": "more than everything",
	} {
		got := simulate.Loss{Version: "as before"}
		if err := got.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || got.Version != "as before" {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}
