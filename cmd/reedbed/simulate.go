package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/reedbed/reedbed/simulate"
)

type simulateCmd struct {
	URL    string        `default:"http://127.0.0.1:8080" help:"Where the front door is."`
	Key    string        `default:"demo" help:"Write key."`
	Rate   float64       `default:"500" help:"Events per second."`
	Events int           `help:"Stop after this many events."`
	For    time.Duration `help:"Stop after this long."`
	Seed   uint64        `default:"1" help:"The same seed sends the same events."`
}

// Run sends simulated listeners to a front door.
func (c simulateCmd) Run(ctx context.Context, g *globals, term terminal) error {
	s := simulate.Default()
	s.Key, s.Rate, s.Events, s.For, s.Seed = c.Key, c.Rate, c.Events, c.For, c.Seed
	report, err := simulate.Run(ctx, simulationClient(), c.URL, s, nil)
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	if g.JSON {
		return json.NewEncoder(term.out).Encode(report)
	}
	_, err = fmt.Fprintf(term.out, "%d events sent in %d requests: %d acknowledged, %d refused, %d given up; %d retries\n",
		report.Sent, report.Requests, report.Delivered, report.Refused, report.Abandoned, report.Retries)
	return err
}

func simulationClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}}
}
