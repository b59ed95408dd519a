// Package config knows reedbed.yaml: one documented struct with its defaults,
// where values come from (a flag wins over the environment, which wins over the
// file), and every rule a value must keep. It also knows where things lie in a
// project folder.
//
// It never starts anything, never opens the journal, the store or the catalog,
// and never knows how a setting is used.
package config

import (
	"net/netip"
	"time"
)

// FileName is the name of the configuration file in a project folder.
const FileName = "reedbed.yaml"

// Config is everything a person can set. Default gives the values that hold
// for what is left out. Sizes are bytes (written "64MiB"), durations are
// written "30s", "1h30m" or "2y".
type Config struct {
	// Name of the project: [a-z0-9_]{1,63}.
	Name string `yaml:"name"`
	// Listen is the address of the one HTTP listener, host:port. Port 0 takes
	// any free port. Pages and the API need a token unless this is loopback.
	Listen string `yaml:"listen"`
	// Data is the folder of journal, store and catalog: absolute, or relative
	// to the project folder.
	Data string `yaml:"data"`
	// Token is what reads and administration present when Listen is not
	// loopback; empty refuses them there. Better set by REEDBED_TOKEN.
	Token Secret `yaml:"token"`
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies"`
	// StopDelay is how long a node that is told to stop goes on taking events
	// while /readyz says that it stops.
	StopDelay time.Duration `yaml:"stop_delay"`
	// Sources are where events come from. With none, nothing is accepted.
	Sources []Source `yaml:"sources"`

	Limits    Limits    `yaml:"limits"`
	Journal   Journal   `yaml:"journal"`
	Load      Loading   `yaml:"load"`
	Stages    Stages    `yaml:"stages"`
	Query     Query     `yaml:"query"`
	Retention Retention `yaml:"retention"`
	Tracker   Tracker   `yaml:"tracker"`
	Alerts    Alerts    `yaml:"alerts"`
}

// Source is one origin of events.
type Source struct {
	// Name is what the column `source` says: [a-z0-9_]{1,63}.
	Name string `yaml:"name"`
	// Keys are the write keys that belong to this source. Several allow a key
	// to be exchanged without a gap.
	Keys []Secret `yaml:"keys"`
	// Signing are secrets, in the form of Standard Webhooks. With any, only
	// requests that are signed with one of them are taken.
	Signing []Secret `yaml:"signing"`
	// Origins are the browser origins that may send (https://example.org), or
	// "*" for all. Requests without an Origin header are not affected.
	Origins []string `yaml:"origins"`
	// IP says what is kept of the client's address.
	IP IPPolicy `yaml:"ip"`
	// Rate is how many events per second the source may send on average, and
	// Burst how many at once. Zero rate means no limit.
	Rate  int `yaml:"rate"`
	Burst int `yaml:"burst"`
	// AddressRate is how many events per second one client's address may send
	// to the source on average, ten seconds' worth at once. Zero means no limit.
	AddressRate int `yaml:"address_rate"`
	// Owner is the team to ask about this source.
	Owner string `yaml:"owner"`
}

// IPPolicy says what is kept of a client's address.
type IPPolicy string

// The policies for addresses.
const (
	IPFull     IPPolicy = "full"     // the whole address
	IPTruncate IPPolicy = "truncate" // the network: /24 for IPv4, /48 for IPv6
	IPDrop     IPPolicy = "drop"     // nothing
)

// Limits bound what the front door takes.
type Limits struct {
	// Compressed is the most bytes a compressed request may have as sent.
	Compressed Size `yaml:"compressed"`
	// Expanded is the most bytes a request may have after decompression, or
	// when it never was compressed.
	Expanded Size `yaml:"expanded"`
	// Event is the most bytes one event may have.
	Event Size `yaml:"event"`
	// BatchEvents is the most events one request may carry.
	BatchEvents int `yaml:"batch_events"`
	// Inflight is the most bytes of requests held in memory at once, over all
	// sources; beyond it requests are told to come back later.
	Inflight Size `yaml:"inflight"`
	// SignatureWindow is how far the time of a request's signature may be from
	// the node's clock.
	SignatureWindow time.Duration `yaml:"signature_window"`
	// MaxLateness is how far before its receipt an event may claim to have
	// happened; an older claim is filed under the hour of receipt and flagged.
	MaxLateness time.Duration `yaml:"max_lateness"`
}

// Journal sets the durable log.
type Journal struct {
	// Segment is the size of one journal file.
	Segment Size `yaml:"segment"`
	// Grace is how long a segment is kept after all of it was loaded.
	Grace time.Duration `yaml:"grace"`
	// Reserve is the disk space that is left to the rest of the system: with
	// less than that free, no events are accepted.
	Reserve Size `yaml:"reserve"`
	// Queue is the most bytes that wait for one fsync.
	Queue Size `yaml:"queue"`
}

// Loading sets how the journal becomes partitions.
type Loading struct {
	// Cycle is the pause between two loads while little is waiting.
	Cycle time.Duration `yaml:"cycle"`
	// Batch is the most journal bytes one load takes.
	Batch Size `yaml:"batch"`
}

// Stages sets the workers that compute datasets.
type Stages struct {
	// Workers is how many stages run at once.
	Workers int `yaml:"workers"`
	// Memory is what one stage's worker may use.
	Memory Size `yaml:"memory"`
	// Deadline ends a stage's run that takes longer.
	Deadline time.Duration `yaml:"deadline"`
}

// Query sets the workers that answer people.
type Query struct {
	// Workers is how many queries run at once; others wait.
	Workers int `yaml:"workers"`
	// Memory is what one query's worker may use.
	Memory Size `yaml:"memory"`
	// Deadline ends a query that takes longer.
	Deadline time.Duration `yaml:"deadline"`
	// Rows and Bytes cut an answer that is longer.
	Rows  int  `yaml:"rows"`
	Bytes Size `yaml:"bytes"`
}

// Retention sets how long what was superseded is kept.
type Retention struct {
	// Versions is how many superseded versions of each closed partition keep their
	// files, to go back to without computing anything.
	Versions int `yaml:"versions"`
}

// Tracker sets how pages get the tracker.
type Tracker struct {
	// Path is the folder under which the scripts are served and the events of
	// pages are taken; it begins and ends with a slash.
	Path string `yaml:"path"`
}

// Alerts sets who is told of what goes wrong.
type Alerts struct {
	// Webhooks are posted to. With none, alerts are on record only.
	Webhooks []Webhook `yaml:"webhooks"`
}

// Webhook is an address that is told of alerts, in signed messages.
type Webhook struct {
	// URL is where to post: https, unless AllowPrivate. It is secret, for many
	// addresses are.
	URL Secret `yaml:"url"`
	// Secret is what messages are signed with: whsec_ and 24 to 64 bytes in base64.
	Secret Secret `yaml:"secret"`
	// AllowPrivate allows plain http, and addresses of this machine and of private
	// networks.
	AllowPrivate bool `yaml:"allow_private"`
	// Owners are the teams whose alerts it is told; none: everybody's.
	Owners []string `yaml:"owners"`
}

// Default returns the values that hold for what nobody set.
func Default() Config {
	return Config{
		Listen: "127.0.0.1:8080",
		Data:   ".reedbed",
		Limits: Limits{
			Compressed:      5 * MiB,
			Expanded:        20 * MiB,
			Event:           1 * MiB,
			BatchEvents:     10_000,
			Inflight:        64 * MiB,
			MaxLateness:     2 * year,
			SignatureWindow: 5 * time.Minute,
		},
		Journal: Journal{
			Segment: 64 * MiB,
			Grace:   10 * time.Minute,
			Reserve: 64 * MiB,
			Queue:   64 * MiB,
		},
		Load:   Loading{Cycle: time.Second, Batch: 16 * MiB},
		Stages: Stages{Workers: 2, Memory: 512 * MiB, Deadline: 10 * time.Minute},
		Query: Query{
			Workers: 2, Memory: 512 * MiB, Deadline: 30 * time.Second,
			Rows: 100_000, Bytes: 64 * MiB,
		},
		Retention: Retention{Versions: 3},
		Tracker:   Tracker{Path: "/t/"},
	}
}

// defaultSource returns the values that hold for what a source leaves out.
func defaultSource() Source {
	return Source{IP: IPTruncate}
}
