package simulate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// UnmarshalText reads what people write: a version, the share of its events that is
// lost in flight, and perhaps the share that its clients drop: 2026.11=2%,1%. The
// version must be one that numbers its events, for nobody would see it otherwise.
func (l *Loss) UnmarshalText(text []byte) error {
	version, shares, ok := strings.Cut(string(text), "=")
	if !ok {
		return fmt.Errorf("write a version, the share that is lost in flight and the share that clients drop, as in %s=2%%,1%%", versions()[0])
	}
	if !slices.Contains(versions(), version) {
		return fmt.Errorf("no application of version %q numbers its events; there are %s", version, strings.Join(versions(), " and "))
	}
	inFlight, atClient, _ := strings.Cut(shares, ",")
	out := Loss{Version: version}
	var err error
	if out.InFlight, err = share(inFlight); err == nil && atClient != "" {
		out.AtClient, err = share(atClient)
	}
	if err == nil && out.InFlight+out.AtClient > 1 {
		err = fmt.Errorf("%s is more than everything", shares)
	}
	if err == nil {
		*l = out
	}
	return err
}

// versions are those of the applications that number their events.
func versions() (out []string) {
	for _, a := range apps {
		if a.wire != segmentBatch {
			out = append(out, a.version)
		}
	}
	return out
}

// share reads 2% or 0.02.
func share(text string) (float64, error) {
	digits, percent := strings.CutSuffix(text, "%")
	x, err := strconv.ParseFloat(digits, 64)
	if percent {
		x /= 100
	}
	if err != nil || !(x >= 0 && x <= 1) {
		return 0, fmt.Errorf("%q is no share; write it as 2%% or 0.02", text)
	}
	return x, nil
}
