package main

import (
	"fmt"

	"github.com/rudderlabs/analytics-go/v4"
)

func rudder(j job) (int, error) {
	all := rudderOutcomes{newOutcomes(len(j.marks))}
	client, err := analytics.NewWithConfig(j.key, analytics.Config{DataPlaneUrl: j.url, Callback: all})
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

type rudderOutcomes struct{ *outcomes }

// Success implements analytics.Callback.
func (o rudderOutcomes) Success(m analytics.Message) { o.tell(rudderMark(m), false) }

// Failure implements analytics.Callback.
func (o rudderOutcomes) Failure(m analytics.Message, _ error) { o.tell(rudderMark(m), true) }

func rudderMark(m analytics.Message) string {
	return fmt.Sprint(m.(analytics.Track).Properties["mark"])
}
