package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/config"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]config.Size{
		"0": 0, "17": 17, "17B": 17, "1KiB": 1024, "1kB": 1000, "1KB": 1000, "64MiB": 64 << 20,
		"1.5GiB": 3 << 29, "2TB": 2e12, "3 MiB": 3 << 20,
	} {
		if got, err := config.ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1XB", "1mib", "NaN", "Inf", "1e400", "9999999TiB", "1 2"} {
		if got, err := config.ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", text, got)
		}
	}
}

func TestSizeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Floats are exact up to 2^53, which is more than any disk here.
		size := config.Size(rapid.Int64Range(0, 1<<53).Draw(t, "size"))
		if got, err := config.ParseSize(size.String()); err != nil || got != size {
			t.Fatalf("%s = %d, %v; want %d", size, got, err, size)
		}
	})
}

func TestParseDuration(t *testing.T) {
	day := 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "30s": 30 * time.Second, "1h30m": 90 * time.Minute, "2y": 730 * day, "1w2d": 9 * day,
		"1.5d": 36 * time.Hour, "5ms": 5 * time.Millisecond,
	} {
		if got, err := config.ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "s", "-1s", "1 s", "1mo", "300y", "1..5s", "5s5"} {
		if got, err := config.ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		}
	}
}

// The standard library is the oracle where it knows the units.
func TestParseDurationAgreesWithGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(t, "d")).Truncate(time.Microsecond)
		text := strings.ReplaceAll(d.String(), "µ", "u")
		got, err := config.ParseDuration(text)
		if err != nil || got-d > time.Microsecond || d-got > time.Microsecond {
			t.Fatalf("ParseDuration(%q) = %v, %v", text, got, err)
		}
	})
}

func TestFormatDuration(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "2y": 2 * 365 * 24 * time.Hour, "7d": 7 * 24 * time.Hour, "1h": time.Hour,
		"1h30m": 90 * time.Minute, "250ms": 250 * time.Millisecond, "10m": 10 * time.Minute,
	} {
		if got := config.FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestSecretNeverShows(t *testing.T) {
	secret := config.Secret("hush")
	holder := struct{ S config.Secret }{secret}
	var shown strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		fmt.Fprintf(&shown, verb+" "+verb+" "+verb+"\n", secret, holder, &holder)
	}
	fmt.Fprintln(&shown, secret, holder, []config.Secret{secret})
	text, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	shown.Write(text)
	slog.New(slog.NewJSONHandler(&shown, nil)).Info("x", "secret", secret, "holder", holder)
	if strings.Contains(shown.String(), "hush") || strings.Contains(shown.String(), "68757368") {
		t.Errorf("it shows:\n%s", shown.String())
	}
	if string(secret) != "hush" {
		t.Error("a conversion must give the text")
	}
}
