package alert

import "time"

// Log is what is wrong and what was, with what webhooks were told.
type Log struct {
	Open     []Logged `json:"open"`
	Resolved []Logged `json:"resolved"`
}

// Logged is an alert and its deliveries, the oldest first.
type Logged struct {
	Alert
	Deliveries []Sent `json:"deliveries"`
}

// Sent is a delivery as people see it.
type Sent struct {
	Hook    string    `json:"hook"`
	Message string    `json:"id"`
	Kind    Kind      `json:"kind"`
	Result  Result    `json:"result"`
	Tries   int       `json:"tries"`
	Created time.Time `json:"created"`
	Next    time.Time `json:"next,omitzero"` // the next try, while it waits
	Ended   time.Time `json:"ended,omitzero"`
	Error   string    `json:"error,omitempty"` // of the last try
}
