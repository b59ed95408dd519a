package main

import (
	"context"
	"net/url"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
)

// tries and wait are how the program has this client repeat itself; it does not
// unless it is told to.
const tries, wait = 5, 50 * time.Millisecond

func cloudEvents(j job) (failed int, err error) {
	client, err := cloudevents.NewClientHTTP()
	if err != nil {
		return 0, err
	}
	ctx := cloudevents.ContextWithTarget(context.Background(), j.url+"/ce?key="+url.QueryEscape(j.key))
	ctx = cloudevents.ContextWithRetriesConstantBackoff(ctx, wait, tries)
	for _, mark := range j.marks {
		event := cloudevents.NewEvent()
		event.SetSource("/acceptance")
		event.SetType("acceptance.sent")
		if err := event.SetData(cloudevents.ApplicationJSON, map[string]string{"mark": mark}); err != nil {
			return 0, err
		}
		if result := client.Send(ctx, event); !cloudevents.IsACK(result) {
			failed++
		}
	}
	return failed, nil
}
