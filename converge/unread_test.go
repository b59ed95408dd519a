package converge

import (
	"context"
	"database/sql"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
)

// What cannot be looked at comes after all else, and after pauses that grow.
func TestUnread(t *testing.T) {
	u, now := unread{}, time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	version := func(n int64) dataset.Judgement {
		return dataset.Judgement{Promoted: dataset.Promoted{Dataset: "raw", Version: n}}
	}
	found := []dataset.Judgement{version(1), version(2), version(3)}
	expect := func(by string, limit int, want ...int64) {
		t.Helper()
		var got []int64
		for _, j := range u.choose(found, map[string]storedGate{"raw": {by: []byte(by)}}, limit, now) {
			got = append(got, j.Version)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s, %d at most (-want +got):\n%s", by, limit, d)
		}
	}
	expect("a", 2, 1, 2)
	u.failed(version(1).Promoted, []byte("a"), now)
	expect("a", 2, 2, 3)
	expect("b", 2, 1, 2) // other contracts may ask for what can be told
	now = now.Add(unreadFirst)
	expect("a", 2, 2, 3)
	expect("a", 3, 2, 3, 1)
	u.failed(version(1).Promoted, []byte("a"), now)
	now = now.Add(2*unreadFirst - 1)
	expect("a", 3, 2, 3)
	now = now.Add(1)
	u.read(version(1).Promoted, []byte("a"))
	expect("a", 3, 1, 2, 3)

	for range 20 {
		u.failed(version(1).Promoted, nil, now)
	}
	for n := range int64(2 * unreadKept) {
		u.failed(version(n).Promoted, nil, now)
	}
	if len(u) != unreadKept {
		t.Errorf("%d are remembered", len(u))
	}
	now = now.Add(unreadMost)
	expect("", 9, 1, 2, 3)
	now = now.Add(unreadMost + 1)
	u.failed(version(2*unreadKept).Promoted, nil, now)
	if len(u) > 2 {
		t.Errorf("%d that moved on are remembered", len(u))
	}
}

// Versions that can never be read keep no later one from its statistics, however old
// and many they are.
func TestStoredThatCannotBeReadHoldsUpNoOther(t *testing.T) {
	w := newWorld(t, nil, newCatalog(t))
	t.Cleanup(w.close)
	w.start()
	var hours []int64
	for h := range int64(storedBatch + 2) {
		hours = append(hours, h)
	}
	w.load(hours...)
	w.must(w.ledger.each("SELECT object FROM segments", func(rows *sql.Rows) error {
		var object string
		if err := rows.Scan(&object); err != nil {
			return err
		}
		return os.Remove(w.store.Path(object))
	}))
	w.pass(time.Minute)
	w.load(100)
	w.closeTo(1000)
	for _, want := range []int{0, 1} {
		looked, err := w.converger.judgeStored(context.Background())
		if looked != want || err == nil {
			t.Fatalf("looked at %d, want %d: %v", looked, want, err)
		}
	}
	w.expectLooks(0) // and the others are left alone
}
