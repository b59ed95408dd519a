package event

import (
	"math"
	"strconv"
	"time"
)

// ParseTime reads an RFC 3339 time: 2026-11-22T03:14:15.926Z. Letters may be
// small, a space may stand for the T, the fraction may have any number of
// digits (those beyond nanoseconds are dropped), and second 60 is a leap
// second. The offset is required: without it a time is a guess.
func ParseTime(s string) (time.Time, bool) {
	if len(s) < len("2006-01-02T15:04:05Z") {
		return time.Time{}, false
	}
	year, ok1 := digits(s[0:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:10])
	hour, ok4 := digits(s[11:13])
	minute, ok5 := digits(s[14:16])
	second, ok6 := digits(s[17:19])
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 {
		return time.Time{}, false
	}
	separated := s[4] == '-' && s[7] == '-' && s[13] == ':' && s[16] == ':' &&
		(s[10] == 'T' || s[10] == 't' || s[10] == ' ')
	inRange := 1 <= month && month <= 12 && 1 <= day && day <= daysIn(year, month) &&
		hour <= 23 && minute <= 59 && second <= 60
	if !separated || !inRange {
		return time.Time{}, false
	}
	nanos, rest, ok := fraction(s[19:])
	if !ok {
		return time.Time{}, false
	}
	offset, ok := zone(rest)
	if !ok {
		return time.Time{}, false
	}
	seconds := daysSince1970(year, month, day)*86400 + int64(hour*3600+minute*60+second-offset)
	return time.Unix(seconds, nanos).UTC(), true
}

func digits(s string) (n int, ok bool) {
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int(c)
	}
	return n, true
}

// fraction reads an optional .123 and returns what follows it.
func fraction(s string) (nanos int64, rest string, ok bool) {
	if s[0] != '.' {
		return 0, s, true
	}
	unit := int64(1e8)
	i := 1
	for ; i < len(s) && s[i]-'0' <= 9; i++ {
		nanos += int64(s[i]-'0') * unit
		unit /= 10
	}
	return nanos, s[i:], i > 1
}

// zone reads Z or +hh:mm and returns seconds east.
func zone(s string) (offset int, ok bool) {
	if s == "Z" || s == "z" {
		return 0, true
	}
	if len(s) != 6 || s[3] != ':' || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	hours, ok1 := digits(s[1:3])
	minutes, ok2 := digits(s[4:6])
	if !ok1 || !ok2 || hours > 23 || minutes > 59 {
		return 0, false
	}
	offset = hours*3600 + minutes*60
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysSince1970 counts days in the Gregorian calendar, with years that begin
// in March so that the leap day is the last.
func daysSince1970(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	yearDay := (153*(month-3)+2)/5 + day - 1
	return int64(year)*365 + floorDiv(year, 4) - floorDiv(year, 100) + floorDiv(year, 400) + int64(yearDay) - 719468
}

func floorDiv(a, b int) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return int64(q)
}

// ParseUnix reads a JSON number as Unix time. Its size tells the unit: below
// 1e11 seconds, below 1e14 milliseconds, else microseconds (1e11 is the year
// 5138 in seconds and 1973 in milliseconds). Negative numbers and those beyond
// the year 9999 are refused.
func ParseUnix(number string) (time.Time, bool) {
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f < 0 || f >= 253402300800e6 {
		return time.Time{}, false
	}
	perSecond := 1.0
	switch {
	case f >= 1e14:
		perSecond = 1e6
	case f >= 1e11:
		perSecond = 1e3
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		return time.UnixMicro(n * int64(1e6/perSecond)).UTC(), true
	}
	return time.UnixMicro(int64(math.Round(f / perSecond * 1e6))).UTC(), true
}
