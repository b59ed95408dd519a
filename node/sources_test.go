package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/collect"
	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/journal"
)

// Every setting of a source reaches the door.
func TestSources(t *testing.T) {
	const secret = config.Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	key, ok := secret.SigningKey()
	if !ok {
		t.Fatal("it is no secret")
	}
	got := sources(config.Config{Sources: []config.Source{{
		Name: "web", Keys: []config.Secret{"a", "b"}, Signing: []config.Secret{secret}, Origins: []string{"https://example.org"},
		IP: config.IPDrop, Rate: 5, Burst: 9, AddressRate: 2, Owner: "web team",
	}}})
	want := []collect.Source{{
		Name: "web", Keys: []string{"a", "b"}, SigningKeys: [][]byte{key}, Origins: []string{"https://example.org"},
		ClientIP: event.IPDrop, Rate: 5, Burst: 9, AddressRate: 2,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A file that cannot be read for longer than it takes to replace it is a problem that
// is told, once, and is looked at again when it is there.
func TestSourcesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		looked := 0
		n := &Node{project: config.Project{Dir: dir}, log: slog.New(slog.DiscardHandler), reload: func() (config.Project, error) {
			looked++
			return config.Project{}, errors.New("it cannot be read")
		}}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = n.watchSources(ctx) }()
		after := func(seconds time.Duration, want, problems int) {
			t.Helper()
			time.Sleep(seconds*time.Second + time.Millisecond)
			synctest.Wait()
			if looked != want || len(n.Problems()) != problems {
				t.Errorf("looked at %d times, want %d; problems are %v", looked, want, n.Problems())
			}
		}
		after(1, 0, 0)
		after(9, 1, 1)
		if err := os.WriteFile(filepath.Join(dir, config.FileName), []byte("name: x"), 0o600); err != nil {
			t.Fatal(err)
		}
		after(5, 2, 1)
		cancel()
	})
}

type noJournal struct{}

func (noJournal) Append(context.Context, journal.Record) (journal.Position, error) {
	return journal.Position{}, nil
}

// The tracker is not served where clients of others send, which would take its events.
func TestTrackerApart(t *testing.T) {
	door, err := collect.New(collect.Options{Journal: noJournal{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for folder, apart := range map[string]bool{"/t/": true, "/assets/x/": true, "/i/v0/": false, "/e/": false, "/batch/": false} {
		n := &Node{door: door}
		n.project.Config.Tracker.Path = folder
		if err := n.trackerApart(); (err == nil) != apart {
			t.Errorf("%s: %v", folder, err)
		}
	}
}
