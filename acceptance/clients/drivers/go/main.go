// Command drive has one of the Go clients of others send events and says how
// many it was given and how many it reported as failed.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
)

// job is what a client is to send, and where to.
type job struct {
	url, key string
	marks    []string // one for each event
}

// report is what is said at the end.
type report struct {
	Sent   int `json:"sent"`
	Failed int `json:"failed"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "drive:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("usage: drive CLIENT URL KEY EVENTS")
	}
	events, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	drive, ok := drivers()[args[0]]
	if !ok {
		return fmt.Errorf("no client %q", args[0])
	}
	j := job{url: args[1], key: args[2]}
	for i := range events {
		j.marks = append(j.marks, fmt.Sprintf("%s#%d;", j.key, i))
	}
	failed, err := drive(j)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report{len(j.marks), failed})
}

func drivers() map[string]func(job) (failed int, err error) {
	return map[string]func(job) (int, error){
		"segment-go":     segment,
		"rudder-go":      rudder,
		"snowplow-go":    snowplow,
		"posthog-go":     postHog,
		"cloudevents-go": cloudEvents,
	}
}

// outcomes waits until a client has said of each event what became of it. A
// client that is closed earlier drops what is in its queue.
type outcomes struct {
	mu     sync.Mutex
	open   sync.WaitGroup
	failed map[string]bool // by event; absent: not told
}

func newOutcomes(events int) *outcomes {
	o := &outcomes{failed: map[string]bool{}}
	o.open.Add(events)
	return o
}

// tell notes what became of an event; of one told twice the first counts.
func (o *outcomes) tell(event string, failed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, again := o.failed[event]; again {
		return
	}
	o.failed[event] = failed
	o.open.Done()
}

// wait returns how many failed, once all are told.
func (o *outcomes) wait() int {
	o.open.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, failed := range o.failed {
		if failed {
			n++
		}
	}
	return n
}
