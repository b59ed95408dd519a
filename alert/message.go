package alert

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// typePrefix begins the CloudEvents type of every message.
const typePrefix = "com.reedbed.alert."

// Message is what webhooks are told of one change.
type Message struct {
	ID    string // the webhook-id, the same each time it is sent
	Key   string // of the alert
	Kind  Kind
	Body  []byte
	Hooks []string // the names of those that are told
}

// cloudEvent is CloudEvents 1.0 in its structured JSON form.
type cloudEvent struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            Alert     `json:"data"`
}

// Messages writes what is to be told of changes, and to which hooks. What nobody
// is to be told has no message.
func Messages(project string, hooks []Hook, changes []Change, at time.Time) ([]Message, error) {
	var out []Message
	for _, c := range changes {
		m := Message{ID: "msg_" + rand.Text(), Key: c.Known.Key, Kind: c.Kind}
		for _, h := range hooks {
			if c.Kind != Noted && (len(h.Owners) == 0 || slices.Contains(h.Owners, c.Known.Owner)) {
				m.Hooks = append(m.Hooks, h.Name())
			}
		}
		if len(m.Hooks) == 0 {
			continue
		}
		var err error
		m.Body, err = json.Marshal(cloudEvent{
			SpecVersion: "1.0", ID: m.ID, Source: project, Type: typePrefix + string(c.Kind), Subject: c.Known.Key,
			Time: at.UTC(), DataContentType: "application/json", Data: c.Known.Alert,
		})
		if err != nil {
			return nil, fmt.Errorf("write the message of alert %s: %w", c.Known.Key, err)
		}
		out = append(out, m)
	}
	return out, nil
}
