package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// client is a library of others and the program that calls it.
type client struct {
	name    string // also that of its driver
	module  string
	version string
	drops   string // why it gives events up after one refusal; "": it does not
	under   string // the fault under which it does; "": any
}

func clients() []client {
	return []client{
		{name: "segment-node", module: "@segment/analytics-node"},
		{name: "rudder-node", module: "@rudderstack/rudder-sdk-node"},
		{name: "snowplow-node", module: "@snowplow/node-tracker"},
		{name: "posthog-node", module: "posthog-node"},
		{name: "jitsu-node", module: "@jitsu/js", drops: "it sends nothing twice"},
		{name: "cloudevents-node", module: "cloudevents", drops: "it sends nothing twice"},
		{name: "segment-web", module: "@segment/analytics-next"},
		{name: "snowplow-web", module: "@snowplow/browser-tracker"},
		{name: "posthog-web", module: "posthog-js", drops: "it drops what is answered 429", under: "429"},
		{name: "jitsu-web", module: "@jitsu/js", drops: "it sends nothing twice"},
		{name: "plausible-web", module: "plausible-tracker", drops: "it sends nothing twice"},
		{name: "segment-go", module: "github.com/segmentio/analytics-go/v3"},
		{name: "rudder-go", module: "github.com/rudderlabs/analytics-go/v4"},
		{name: "snowplow-go", module: "github.com/snowplow/snowplow-golang-tracker/v3"},
		{name: "posthog-go", module: "github.com/posthog/posthog-go"},
		{name: "cloudevents-go", module: "github.com/cloudevents/sdk-go/v2"},
	}
}

// drivers are where the programs are, from the folder of the module.
const drivers = "acceptance/clients/drivers"

// programs are what is run.
type programs struct {
	reedbed  string
	goDriver string
	node     string   // folder of the programs for Node, and of all packages
	browser  *browser // nil if no client needs one
}

// missing says what of other people's programs is not there.
type missing struct{ err error }

func (m *missing) Error() string { return m.err.Error() }
func (m *missing) Unwrap() error { return m.err }

// build makes the server, and of the clients what the rows need.
func build(ctx context.Context, dir string, rows []*row) (programs, error) {
	p := programs{reedbed: filepath.Join(dir, "reedbed"), goDriver: filepath.Join(dir, "drive")}
	if err := output(exec.CommandContext(ctx, "go", "build", "-o", p.reedbed, "./cmd/reedbed")); err != nil {
		return p, err
	}
	needs := func(kind string) bool {
		return slices.ContainsFunc(rows, func(r *row) bool { return strings.HasSuffix(r.client.name, kind) })
	}
	var err error
	if needs("-go") {
		err = output(exec.CommandContext(ctx, "go", "-C", filepath.Join(drivers, "go"), "build", "-o", p.goDriver, "."))
	}
	if err == nil && (needs("-node") || needs("-web")) {
		p.node, err = install(ctx)
	}
	if err == nil && needs("-web") {
		p.browser, err = newBrowser(ctx, p.node, dir)
	}
	if err != nil {
		return p, &missing{err}
	}
	return p, nil
}

// output runs a program that says something only if it fails.
func output(c *exec.Cmd) error {
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", c, err, out)
	}
	return nil
}

// told is what a driver says of its client: how many events it was given, and
// how many of them it reported as failed.
type told struct{ Sent, Failed int }

// drive has a client send events and waits until it has nothing left to send.
func (p programs) drive(ctx context.Context, c client, url, key string, events int) (told, error) {
	args := []string{p.goDriver, c.name}
	if strings.HasSuffix(c.name, "-node") {
		args = []string{"node", filepath.Join(p.node, c.name+".mjs")}
	}
	args = append(args, url, key, strconv.Itoa(events))
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	var errs bytes.Buffer
	command.Stderr = &errs
	out, err := command.Output()
	var t told
	if err != nil {
		return t, fmt.Errorf("%w: %s", err, bytes.TrimSpace(errs.Bytes()))
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n")) // clients may talk; the last line is the driver's
	if err := json.Unmarshal(lines[len(lines)-1], &t); err != nil {
		return t, fmt.Errorf("the driver's last line: %w", err)
	}
	return t, nil
}

// pinned finds the version of a client where npm or Go are told it.
func (c client) pinned() (string, error) {
	for _, file := range []string{"node/package.json", "go/go.mod"} {
		text, err := os.ReadFile(filepath.Join(drivers, file))
		if err != nil {
			return "", err
		}
		if m := regexp.MustCompile(regexp.QuoteMeta(c.module) + `(?:": "| v)([0-9.]+)`).FindSubmatch(text); m != nil {
			return string(m[1]), nil
		}
	}
	return "", errors.New("no version of " + c.module + " is pinned")
}
