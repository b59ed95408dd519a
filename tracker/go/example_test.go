package tracker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	tracker "github.com/reedbed/reedbed/tracker/go"
)

// A collector, for examples that run without one.
func collector() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusOK)
	}))
}

func Example() {
	server := collector()
	defer server.Close()
	c, err := tracker.Open(tracker.Options{
		Endpoint: server.URL, // https://collect.example.com
		Key:      "wk_server",
		OnError:  func(err error) { log.Print(err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	err = c.Track(tracker.Event{Name: "track_played", UserID: "u42", Properties: map[string]any{"track": "t7", "seconds": 213}})
	if err != nil {
		log.Print(err) // the event is not queued, and this says why
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		log.Print(err) // how many were not answered in time
	}
	fmt.Println(c.Stats().Sent)
	// Output: 1
}

// With a folder for the queue nothing is lost when the process is killed: the next
// one that opens the folder sends what is left.
func ExampleOpen_folder() {
	server := collector()
	defer server.Close()
	dir, err := os.MkdirTemp("", "events") // /var/lib/shop/events
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	c, err := tracker.Open(tracker.Options{Endpoint: server.URL, Key: "wk_server", Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	switch err := c.Track(tracker.Event{Name: "order_paid"}); {
	case errors.Is(err, tracker.ErrFull):
		// The collector has not been there for long. The event is counted as dropped,
		// and reported with the next that gets through.
	case err != nil:
		log.Print(err)
	}
	if err := c.Close(context.Background()); err != nil {
		log.Print(err)
	}
	fmt.Println(c.Stats().Queued)
	// Output: 0
}
