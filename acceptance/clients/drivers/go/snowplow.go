package main

import (
	"strings"

	"github.com/snowplow/snowplow-golang-tracker/v3/pkg/common"
	"github.com/snowplow/snowplow-golang-tracker/v3/pkg/storage/memory"
	"github.com/snowplow/snowplow-golang-tracker/v3/tracker"
)

// flushes and pause, in milliseconds, are how often what failed is sent again,
// which this client does when it is told to.
const flushes, pause = 100, 100

func snowplow(j job) (int, error) {
	emitter := tracker.InitEmitter(tracker.RequireCollectorUri(strings.TrimPrefix(j.url, "http://")),
		tracker.RequireStorage(*memory.Init()), tracker.OptionRequestType("POST"), tracker.OptionProtocol("http"))
	t := tracker.InitTracker(tracker.RequireEmitter(emitter), tracker.OptionAppId(j.key))
	for _, mark := range j.marks {
		t.TrackStructEvent(tracker.StructuredEvent{
			Category: common.NewString("acceptance"), Action: common.NewString("sent"), Property: common.NewString(mark),
		})
	}
	kept := t.BlockingFlush(flushes, pause)
	return kept, nil
}
