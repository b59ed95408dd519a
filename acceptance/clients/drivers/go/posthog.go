package main

import (
	"fmt"

	"github.com/posthog/posthog-go"
)

func postHog(j job) (int, error) {
	all := postHogOutcomes{newOutcomes(len(j.marks))}
	client, err := posthog.NewWithConfig(j.key, posthog.Config{Endpoint: j.url, Callback: all})
	if err != nil {
		return 0, err
	}
	for _, mark := range j.marks {
		if err := client.Enqueue(posthog.Capture{
			DistinctId: "ada", Event: "Acceptance", Properties: posthog.NewProperties().Set("mark", mark),
		}); err != nil {
			return 0, err
		}
	}
	failed := all.wait()
	return failed, client.Close()
}

type postHogOutcomes struct{ *outcomes }

// Success implements posthog.Callback.
func (o postHogOutcomes) Success(m posthog.APIMessage) { o.tell(postHogMark(m), false) }

// Failure implements posthog.Callback.
func (o postHogOutcomes) Failure(m posthog.APIMessage, _ error) { o.tell(postHogMark(m), true) }

func postHogMark(m posthog.APIMessage) string {
	return fmt.Sprint(m.(posthog.CaptureInApi).Properties["mark"])
}
