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
	Loss   simulate.Loss `placeholder:"VERSION=SHARE[,SHARE]" help:"Events of an application that never arrive: lost in flight, and dropped by clients. Such as 2026.11=2%,1%."`
}

// Run sends simulated listeners to a front door.
func (c simulateCmd) Run(ctx context.Context, g *globals, term terminal) error {
	s := simulate.Default()
	s.Key, s.Rate, s.Events, s.For, s.Seed = c.Key, c.Rate, c.Events, c.For, c.Seed
	s.Loss = c.Loss
	report, err := simulate.Run(ctx, simulationClient(), c.URL, s, nil)
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	if g.JSON {
		err = json.NewEncoder(term.out).Encode(simulated(report))
	} else {
		_, err = fmt.Fprintf(term.out, "%d events sent in %d requests: %d acknowledged, %d refused, %d given up; %d retries\n",
			report.Sent, report.Requests, report.Delivered, report.Refused, report.Abandoned, report.Retries)
	}
	if err == nil && report.Refused+report.Abandoned > 0 {
		return &failure{
			Code: "not_delivered", What: fmt.Sprintf("%d events were not acknowledged", report.Refused+report.Abandoned), At: c.URL,
			Fix: "check --url and --key; the front door's answers and its log say more", exit: exitFailed,
		}
	}
	return err
}

// simulated is a report as --json prints it; all but requests and retries
// count events.
type simulated struct {
	Requests    int `json:"requests"`
	Retries     int `json:"retries"`
	Sent        int `json:"sent"`
	Delivered   int `json:"delivered"`
	Quarantined int `json:"quarantined"`
	Malformed   int `json:"malformed"`
	Refused     int `json:"refused"`
	Abandoned   int `json:"abandoned"`
}

func simulationClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}}
}
