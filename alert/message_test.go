package alert

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMessagesAreCloudEvents(t *testing.T) {
	hooks := []Hook{
		{URL: "https://all.example/x"},
		{URL: "https://royalties.example/x", Owners: []string{"royalties"}},
		{URL: "https://web.example/x", Owners: []string{"web"}},
	}
	change := Change{Raised, Known{Alert: Alert{
		Key: "held/plays", Severity: Error, Owner: "royalties", Title: "plays is held", Detail: "3 % null",
		Count: 12, First: "2026-11-22T01", Last: "2026-11-22T12", Since: noon,
	}, Told: 12}}
	messages, err := Messages("radio", hooks, []Change{change, {Noted, change.Known}}, noon)
	if err != nil || len(messages) != 1 {
		t.Fatal(messages, err)
	}
	m := messages[0]
	if diff := cmp.Diff([]string{hooks[0].Name(), hooks[1].Name()}, m.Hooks); diff != "" {
		t.Error(diff)
	}
	var got map[string]any
	if err := json.Unmarshal(m.Body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"specversion": "1.0", "id": m.ID, "source": "radio", "type": "com.reedbed.alert.raised", "subject": "held/plays",
		"time": "2026-11-22T12:00:00Z", "datacontenttype": "application/json",
		"data": map[string]any{
			"key": "held/plays", "severity": "error", "owner": "royalties", "title": "plays is held", "detail": "3 % null",
			"count": 12.0, "first": "2026-11-22T01", "last": "2026-11-22T12", "since": "2026-11-22T12:00:00Z",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	again, err := Messages("radio", hooks, []Change{change}, noon)
	if err != nil || again[0].ID == m.ID || !strings.HasPrefix(m.ID, "msg_") {
		t.Errorf("ids %s and %s, %v", m.ID, again[0].ID, err)
	}
}
