package node

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/collect"
	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/event"
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
