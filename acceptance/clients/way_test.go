package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Six events one by one: the first and the fourth meet the fault.
func TestWay(t *testing.T) {
	for _, test := range []struct {
		fault             string
		answered, dropped int
		arrived           int
	}{
		{"ok", 6, 0, 6},
		{"503", 4, 2, 4},
		{"reset", 4, 2, 4},
		{"ackloss", 4, 0, 6},
		{"429", 4, 2, 4},
	} {
		t.Run(test.fault, func(t *testing.T) {
			stored := 0
			server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stored++ }))
			defer server.Close()
			var l ledger
			way := startWay(t, server.URL, test.fault, &l)
			answered := 0
			for i := range 6 {
				if post(t, way, "row_"+test.fault+"#"+string(rune('0'+i))+";") {
					answered++
				}
			}
			if answered != test.answered || stored != test.arrived || l.arrived() != test.arrived || l.dropped() != test.dropped {
				t.Errorf("answered %d, stored %d, arrived %d, dropped %d; want %+v", answered, stored, l.arrived(), l.dropped(), test)
			}
		})
	}
}

func startWay(t *testing.T, server, name string, l *ledger) string {
	t.Helper()
	at, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults() {
		if f.name == name {
			way, err := newWay(t.Context(), at, f, l)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(way.Close)
			return way.URL
		}
	}
	t.Fatalf("no fault %q", name)
	return ""
}

// post says whether a body was answered with success.
func post(t *testing.T, to, body string) bool {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err == nil && answer.StatusCode == http.StatusOK
}

func TestJudge(t *testing.T) {
	whole := stored{Rows: 2, Marks: 2}
	gone := map[string]bool{"row#1;": true}
	for _, test := range []struct {
		name string
		row  *row
		has  stored
		want bool
	}{
		{"all stored", &row{told: told{Sent: 2}}, whole, true},
		{"one missing", &row{told: told{Sent: 3}}, whole, false},
		{"nothing sent", &row{}, stored{}, false},
		{"one twice", &row{told: told{Sent: 2}}, stored{Rows: 3, Marks: 2}, false},
		{"one quarantined", &row{told: told{Sent: 2}}, stored{Rows: 2, Marks: 2, Quarantined: 1}, false},
		{"given up, as documented", &row{client: client{drops: "so"}, told: told{Sent: 3}, passed: ledger{refused: gone}}, whole, true},
		{"given up, not documented", &row{told: told{Sent: 3}, passed: ledger{refused: gone}}, whole, false},
		{
			"given up under another fault",
			&row{client: client{drops: "so", under: "429"}, fault: fault{name: "503"}, told: told{Sent: 3}, passed: ledger{refused: gone, requests: 1}},
			whole, false,
		},
		{"never met the fault", &row{fault: fault{name: "503"}, told: told{Sent: 2}}, whole, false},
	} {
		if test.row.fault.name == "" {
			test.row.fault.name = "ok"
		}
		if verdict, ok := test.row.judge(test.has); ok != test.want {
			t.Errorf("%s: %s", test.name, verdict)
		}
	}
}
