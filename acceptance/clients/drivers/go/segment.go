package main

import (
	"fmt"

	"github.com/segmentio/analytics-go/v3"
)

func segment(j job) (int, error) {
	all := segmentOutcomes{newOutcomes(len(j.marks))}
	client, err := analytics.NewWithConfig(j.key, analytics.Config{Endpoint: j.url, Callback: all})
	if err != nil {
		return 0, err
	}
	for _, mark := range j.marks {
		if err := client.Enqueue(analytics.Track{
			UserId: "ada", Event: "Acceptance", Properties: analytics.NewProperties().Set("mark", mark),
		}); err != nil {
			return 0, err
		}
	}
	failed := all.wait()
	return failed, client.Close()
}

type segmentOutcomes struct{ *outcomes }

// Success implements analytics.Callback.
func (o segmentOutcomes) Success(m analytics.Message) { o.tell(segmentMark(m), false) }

// Failure implements analytics.Callback.
func (o segmentOutcomes) Failure(m analytics.Message, _ error) { o.tell(segmentMark(m), true) }

func segmentMark(m analytics.Message) string {
	return fmt.Sprint(m.(analytics.Track).Properties["mark"])
}
