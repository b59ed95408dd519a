package dataset

import (
	"encoding/json"
	"time"
)

// Refusal says why something a person asked for was not done, and what they can
// do instead. Nothing was changed. Code is a stable word.
type Refusal struct {
	Code   string          `json:"code"`
	What   string          `json:"what"`
	Fix    string          `json:"fix"`
	Detail json.RawMessage `json:"detail,omitempty"` // for programs
}

func (r *Refusal) Error() string { return r.What + "; " + r.Fix }

// Waiver is recorded consent that partitions of a stage stay as they are although
// they are stale.
type Waiver struct {
	ID      int64  `json:"id"`
	Dataset string `json:"dataset"`
	// First and Last bound the partitions, both included. Whoever asks for a waiver
	// may name coarser or finer ones, and leave out either: from the beginning, and
	// up to the newest partition on record.
	First Partition `json:"first,omitempty"`
	Last  Partition `json:"last"`
	// Version is where `promote` sent the readers of the one partition; 0 for other
	// waivers.
	Version int64     `json:"version,omitempty"`
	Reason  string    `json:"reason"`
	Actor   string    `json:"actor"`
	At      time.Time `json:"at"`
	// Holding counts the partitions that would be looked at without it.
	Holding int64 `json:"holding"`
}

// Promotion asks that readers of a partition are sent to an older version.
type Promotion struct {
	Dataset   string    `json:"dataset"`
	Partition Partition `json:"partition"`
	Version   int64     `json:"version"`
	Reason    string    `json:"reason"`
	Actor     string    `json:"actor"`
}

// Pin makes one stage read an input as it was: a partition in a certain version,
// or, without a partition, the whole input as it was at the moment At. A pinned
// input has nothing that came later: that is ABSENT to the stage.
type Pin struct {
	ID        int64     `json:"id"`
	Stage     string    `json:"stage"`
	Input     string    `json:"input"`
	Partition Partition `json:"partition,omitempty"`
	// Version is what is read of the partition, 0 for ABSENT; asked for as 0 it is
	// what is promoted now.
	Version int64     `json:"version,omitempty"`
	Reason  string    `json:"reason"`
	Actor   string    `json:"actor"`
	At      time.Time `json:"at"`
	// Apart counts the partitions that the stage reads otherwise than everybody.
	Apart int64 `json:"apart"`
}
