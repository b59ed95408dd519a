package web

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/reedbed/reedbed/anomaly"
	"github.com/reedbed/reedbed/arrival"
	"github.com/reedbed/reedbed/compare"
	"github.com/reedbed/reedbed/converge"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/stage"
)

// Backend is the running program as pages and API see it. All methods are
// called by many goroutines at once; each ends soon after its context does.
type Backend interface {
	// Status says what is on record now. It is asked at most once a second for
	// all readers of the page together.
	Status(ctx context.Context) (Status, error)
	// Query streams the answer of one person's SELECT to w, from a sandboxed
	// worker. It writes nothing before it knows that there is an answer, so that
	// an error can still be told. The errors are those of query.Service.Run.
	Query(ctx context.Context, sql, format string, w io.Writer) (QueryInfo, error)
	// Card runs the SQL of one card of a dashboard in the warm pool.
	Card(ctx context.Context, sql string) (CardData, error)
	Versions
	// Tail sends what the front door accepts from now on, and closes the
	// channel after ctx ended or when the program stops. It never waits for a
	// slow reader: what such a reader misses is counted in the next event.
	Tail(ctx context.Context) (<-chan TailEvent, error)
	// Ready returns why the program should not be sent events, or nil.
	Ready() error
}

// Versions answers questions about single versions.
type Versions interface {
	// Why accounts for a partition and one of its versions. What does not exist
	// is a *dataset.Refusal.
	Why(ctx context.Context, r dataset.Reference) (sqlite.Account, error)
	// Diff says how two versions differ, from a worker made for it. The errors are
	// those of compare.Service.Run.
	Diff(ctx context.Context, r compare.Request) (compare.Result, error)
}

// Status is what `reedbed status --json` and /api/v1/status print.
type Status struct {
	Converged  bool                   `json:"converged"`
	Journal    JournalStatus          `json:"journal"`
	Datasets   []sqlite.DatasetStatus `json:"datasets"`
	Quarantine QuarantineStatus       `json:"quarantine"`
	Totals     Totals                 `json:"totals"`
	// Watermark is the received time up to which every event is loaded; zero
	// before the first load.
	Watermark time.Time `json:"watermark,omitzero"`
	// Completeness is nil if no stage measures it.
	Completeness *Completeness    `json:"completeness,omitempty"`
	Failures     []sqlite.Failure `json:"failures"`
	Holds        []dataset.Hold   `json:"holds"` // the oldest, 100 at most
	// Warnings are causes for which readers see versions that they are warned of.
	Warnings []sqlite.Trouble `json:"warnings"`
	// Anomalies are what is unusual of the events of the last hours.
	Anomalies []anomaly.Anomaly `json:"anomalies"`
	Late      []converge.Late   `json:"late"`     // datasets that are older than contracts allow; none while nothing runs
	Problems  []stage.Problem   `json:"problems"` // of files of the project
	Revision  int64             `json:"revision"` // of the catalog
	Version   string            `json:"version"`  // of the program
}

// MarshalJSON writes empty lists as [], so that readers need no case for null.
func (s Status) MarshalJSON() ([]byte, error) {
	type plain Status
	if s.Datasets == nil {
		s.Datasets = []sqlite.DatasetStatus{}
	}
	if s.Failures == nil {
		s.Failures = []sqlite.Failure{}
	}
	if s.Holds == nil {
		s.Holds = []dataset.Hold{}
	}
	if s.Anomalies == nil {
		s.Anomalies = []anomaly.Anomaly{}
	}
	if s.Late == nil {
		s.Late = []converge.Late{}
	}
	if s.Warnings == nil {
		s.Warnings = []sqlite.Trouble{}
	}
	if s.Problems == nil {
		s.Problems = []stage.Problem{}
	}
	return json.Marshal(plain(s))
}

// Arrivals is what came in of late, by source, protocol and application version.
type Arrivals struct {
	Since  time.Time       `json:"since"`  // when the counting began, 15 minutes ago at most
	Groups []arrival.Group `json:"groups"` // the busiest first
}

// JournalStatus counts events: in the journal, and of those the loaded ones,
// whatever became of them.
type JournalStatus struct {
	End    int64 `json:"end"`
	Loaded int64 `json:"loaded"`
}

// QuarantineStatus counts what was received but could not be decoded.
type QuarantineStatus struct {
	Rows int64 `json:"rows"`
}

// Totals account for every event since the project began. Once the journal is
// loaded, Acknowledged is the sum of the other three.
type Totals struct {
	Acknowledged      int64 `json:"acknowledged"`
	Loaded            int64 `json:"loaded"`
	Quarantined       int64 `json:"quarantined"`
	DuplicatesRemoved int64 `json:"duplicates_removed"`
}

// QueryInfo says what an answer that was streamed held.
type QueryInfo struct {
	Rows      int64
	Truncated bool  // the limit on rows or bytes cut it
	Revision  int64 // of the catalog that was read
}

// CardData is what a card's SQL gave. The values are of Go's basic types,
// json.Number or time.Time, nil for NULL. The caller owns it.
type CardData struct {
	Columns  []string
	Rows     [][]any
	Revision int64     // of the catalog that was read
	AsOf     time.Time // when it was read
}

// TailEvent is one event as the front door accepted it.
type TailEvent struct {
	ReceivedAt time.Time `json:"received_at"`
	Source     string    `json:"source"`
	ID         string    `json:"id"`
	Type       string    `json:"type,omitempty"`
	Name       string    `json:"name,omitempty"`
	Protocol   string    `json:"protocol"`
	AppVersion string    `json:"app_version,omitempty"`
	StreamID   string    `json:"stream_id,omitempty"`
	Seq        *int64    `json:"seq,omitempty"` // nil if it has no number
	// Reason says why the event is in quarantine; empty when it is not.
	Reason string `json:"reason,omitempty"`
	// Event is what was sent, if that is JSON; Text if it is not.
	Event json.RawMessage `json:"event,omitempty"`
	Text  string          `json:"text,omitempty"`
	// Missed counts the events left out before this one, because the reader
	// was too slow for them.
	Missed int64 `json:"missed,omitempty"`
}
