package main

import (
	"testing"
	"testing/fstest"
	"time"
)

func TestParseStat(t *testing.T) {
	s, err := parseStat("42 (a) b (c)) S 7 42 42 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 5 0 100 0 0")
	if err != nil || s != (status{parent: 7, cpu: 1100 * time.Millisecond}) {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{"", "42 (x) S", "42 (x) S p 42 42 0 -1 4194560 100 200 0 0 11 22 33 44"} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

func TestSumTree(t *testing.T) {
	all := map[int]status{1: {0, 1}, 2: {1, 10}, 3: {2, 100}, 4: {1, 1000}, 5: {9, 10000}}
	for root, want := range map[int]time.Duration{1: 1111, 2: 110, 5: 10000, 7: 0} {
		if got := sumTree(all, root); got != want {
			t.Errorf("tree of %d: %v, want %v", root, got, want)
		}
	}
}

func TestOthers(t *testing.T) {
	start := clock{at: time.Unix(0, 0), busy: 5 * time.Second, flushes: 10}
	end := clock{at: time.Unix(10, 0), busy: 5*time.Second + 100*time.Hour, flushes: 30}
	if got := end.flushRate(start); got != 2 {
		t.Errorf("%v flushes per second", got)
	}
	if got := end.others(start, 101*time.Hour); got != 0 {
		t.Errorf("others used %v", got)
	}
	if got := (clock{flushes: -1}).flushRate(start); got >= 0 {
		t.Errorf("unknown flushes as %v", got)
	}
}

func TestParseBlockStat(t *testing.T) {
	root := fstest.MapFS{
		"disk/stat": {Data: []byte(" 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n")},
		"old/stat":  {Data: []byte(" 1 2 3 4 5 6 7 8 9 10 11\n")},
	}
	if n, err := parseBlockStat(root, "disk/part/../stat"); n != 16 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := parseBlockStat(root, "old/stat"); err == nil {
		t.Error("no error for a kernel that does not count flushes")
	}
}
