package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written as "512KiB", "64MiB" or "1.5GB".
type Size int64

// Binary sizes.
const (
	KiB Size = 1 << (10 * (iota + 1))
	MiB
	GiB
	TiB
)

// Calendar units have a fixed length here: settings are allowances, not dates.
const (
	day  = 24 * time.Hour
	week = 7 * day
	year = 365 * day
)

// sizeUnits is ordered so that String finds the largest unit first.
var sizeUnits = []struct {
	name  string
	bytes float64
}{
	{"TiB", float64(TiB)},
	{"GiB", float64(GiB)},
	{"MiB", float64(MiB)},
	{"KiB", float64(KiB)},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"kB", 1e3},
	{"KB", 1e3},
	{"B", 1},
	{"", 1},
}

// ParseSize reads a number of bytes with an optional unit.
func ParseSize(text string) (Size, error) {
	digits := strings.TrimRight(text, "KMGTiBk")
	unit := text[len(digits):]
	n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil || n < 0 || math.IsNaN(n) || math.IsInf(n, 0) {
		return 0, fmt.Errorf("%q is not a size", text)
	}
	for _, u := range sizeUnits {
		if u.name != unit {
			continue
		}
		if n*u.bytes >= math.MaxInt64 {
			return 0, fmt.Errorf("%q is more than a disk can hold", text)
		}
		return Size(n * u.bytes), nil
	}
	return 0, fmt.Errorf("%q has the unknown unit %q", text, unit)
}

// String writes the size in the largest unit that keeps it exact.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if n := Size(u.bytes); u.name != "" && s != 0 && s%n == 0 {
			return strconv.FormatInt(int64(s/n), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// UnmarshalText reads what ParseSize reads.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := ParseSize(string(text))
	if err != nil {
		return err
	}
	*s = n
	return nil
}

// MarshalText writes what String writes.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// durationUnits are the units beyond those of Go, none a suffix of another.
var durationUnits = map[string]time.Duration{
	"ns": time.Nanosecond, "us": time.Microsecond, "ms": time.Millisecond,
	"s": time.Second, "m": time.Minute, "h": time.Hour,
	"d": day, "w": week, "y": year,
}

// ParseDuration reads a duration such as "30s", "1h30m", "7d" or "2y". A day is
// 24 hours and a year 365 days.
func ParseDuration(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	if text == "" {
		return 0, errors.New("an empty text is not a duration")
	}
	var total float64
	for rest := text; rest != ""; {
		unitAt := indexOrEnd(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		n, err := strconv.ParseFloat(rest[:unitAt], 64)
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration", text)
		}
		rest = rest[unitAt:]
		nextAt := indexOrEnd(rest, func(r rune) bool { return (r >= '0' && r <= '9') || r == '.' })
		unit, ok := durationUnits[rest[:nextAt]]
		if !ok {
			return 0, fmt.Errorf("%q has the unknown unit %q", text, rest[:nextAt])
		}
		total += n * float64(unit)
		rest = rest[nextAt:]
	}
	if total >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is longer than 292 years", text)
	}
	return time.Duration(total), nil
}

// FormatDuration writes a duration so that ParseDuration reads it back: whole
// years and days as such, everything else as Go writes it, without zero parts.
func FormatDuration(d time.Duration) string {
	switch {
	case d > 0 && d%year == 0:
		return fmt.Sprintf("%dy", d/year)
	case d > 0 && d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func indexOrEnd(s string, f func(rune) bool) int {
	if i := strings.IndexFunc(s, f); i >= 0 {
		return i
	}
	return len(s)
}
