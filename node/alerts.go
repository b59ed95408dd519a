package node

import (
	"context"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/zeebo/xxh3"

	"github.com/reedbed/reedbed/alert"
	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/stage"
)

const (
	// lookEvery is the pause between two looks at what is wrong, or lookShare of what
	// a look takes, if that is more.
	lookEvery = 3 * time.Second
	lookShare = 20
)

// watch holds what is wrong against the alerts on record, and has webhooks told.
// One goroutine owns it.
type watch struct {
	node   *Node
	sender *alert.Sender
	ready  func() error // why no events are taken in, or nil
	known  []alert.Known
	failed bool // the last look did
	open   *prometheus.GaugeVec
	loads  loading
}

func hooks(c config.Alerts) []alert.Hook {
	var out []alert.Hook
	for _, w := range c.Webhooks {
		key, _ := w.Secret.SigningKey() // it was validated
		out = append(out, alert.Hook{URL: string(w.URL), Key: key, AllowPrivate: w.AllowPrivate, Owners: w.Owners})
	}
	return out
}

// newWatch begins with what is on record. What waits for hooks that are no longer
// configured is dropped.
func (n *Node) newWatch(ctx context.Context) (*watch, error) {
	log := n.log.With("part", "alerts")
	sender, err := alert.New(alert.Options{Hooks: hooks(n.project.Config.Alerts), Outbox: n.catalog, Log: log, Registry: n.registry})
	if err != nil {
		return nil, err
	}
	w := &watch{node: n, sender: sender, ready: backend{n}.Ready, open: prometheus.NewGaugeVec(
		prometheus.GaugeOpts{Name: "reedbed_alerts", Help: "Open alerts: one for each cause."}, []string{"severity"})}
	n.registry.MustRegister(w.open)
	names := []string{}
	for _, h := range sender.Hooks() {
		names = append(names, h.Name())
	}
	dropped, err := n.catalog.ForgetHooks(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("read the outbox of alerts: %w", err)
	}
	sender.Wake(dropped)
	if w.known, err = n.catalog.OpenAlerts(ctx); err != nil {
		return nil, fmt.Errorf("read the alerts on record: %w", err)
	}
	return w, nil
}

// watchAlerts has those told who are to know what goes wrong, until ctx ends.
func (n *Node) watchAlerts(ctx context.Context) error {
	w, err := n.newWatch(ctx)
	if err != nil {
		return err
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() { w.sender.Run(ctx) })
	return w.run(ctx)
}

// run looks until ctx ends. A look that fails, as on a full disk, is repeated:
// events must still be taken in.
func (w *watch) run(ctx context.Context) error {
	for ctx.Err() == nil {
		began := time.Now()
		err := w.look(ctx, began)
		if failed := err != nil && ctx.Err() == nil; failed != w.failed {
			if w.failed = failed; failed {
				w.node.log.Error("what is wrong cannot be looked at; alerts stay as they are until it can", "err", err)
			}
		}
		timer := time.NewTimer(max(lookEvery, lookShare*time.Since(began)))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// look records what changed, and the messages about it, in one transaction.
func (w *watch) look(ctx context.Context, at time.Time) error {
	found, err := w.wrong(ctx, at)
	if err != nil {
		return err
	}
	known, changes := alert.Compare(w.known, found, at)
	if len(changes) > 0 {
		messages, err := alert.Messages(w.node.project.Config.Name, w.sender.Hooks(), changes, at)
		if err != nil {
			return err
		}
		dropped, err := w.node.catalog.RecordAlerts(ctx, changes, messages)
		if err != nil {
			return err
		}
		w.sender.Wake(dropped)
	}
	w.known = known
	count := map[alert.Severity]int{alert.Error: 0, alert.Warning: 0}
	for _, k := range known {
		if k.Told > 0 {
			count[k.Severity]++
		}
	}
	for severity, n := range count {
		w.open.WithLabelValues(string(severity)).Set(float64(n))
	}
	return nil
}

// wrong lists the causes of what is wrong now.
func (w *watch) wrong(ctx context.Context, at time.Time) ([]alert.Alert, error) {
	n := w.node
	found, err := n.catalog.Troubles(ctx)
	if err != nil {
		return nil, err
	}
	unstable, err := unstable(ctx, n.catalog)
	if err != nil {
		return nil, err
	}
	late, err := n.converger.Late(ctx, at)
	if err != nil {
		return nil, err
	}
	var causes causes
	if err := w.ready(); err != nil {
		causes.add(alert.Alert{Key: "door", Severity: alert.Error, Title: "no events are taken in", Detail: err.Error(), Since: at})
	}
	cursor, err := n.catalog.LoadCursor(ctx)
	if err != nil {
		return nil, err
	}
	if a, stuck := w.loads.stuck(n.journal.Durable().Event, cursor.Event, at); stuck {
		causes.add(a)
	}
	for _, x := range found {
		causes.add(ofTrouble(x))
	}
	for _, l := range late {
		causes.add(ofLate(l))
	}
	for _, p := range append(n.Problems(), unstable...) {
		causes.add(ofProblem(p, at))
	}
	unusual, err := n.anomalies(ctx, at)
	for _, a := range unusual {
		causes.add(ofAnomaly(a, n.configured(), at))
	}
	return causes.list, err
}

// causes are alerts by key, in the order they were found.
type causes struct {
	list  []alert.Alert
	index map[string]int
}

// add joins an alert to one with the same key: partitions of one dataset fail with
// errors that differ in a value only, and a file has several problems.
func (c *causes) add(a alert.Alert) {
	i, known := c.index[a.Key]
	if !known {
		if c.index == nil {
			c.index = map[string]int{}
		}
		c.index[a.Key] = len(c.list)
		c.list = append(c.list, a)
		return
	}
	have := &c.list[i]
	if a.Count == 0 {
		have.Detail += "\n" + a.Detail
		return
	}
	have.Count += a.Count
	have.First = min(have.First, a.First)
	if a.Last > have.Last {
		have.Last, have.Detail = a.Last, a.Detail
	}
	if a.Since.Before(have.Since) {
		have.Since = a.Since
	}
}

func ofTrouble(x sqlite.Trouble) alert.Alert {
	a := alert.Alert{
		Key: keyOf(x, x.For, x.Contract, x.Rule), Severity: alert.Error, Owner: x.Owner,
		Detail: x.What, Count: x.Count, First: string(x.First), Last: string(x.Last), Since: x.Since,
	}
	rule := ruleInWords(x)
	switch x.Kind {
	case sqlite.HeldBack:
		a.Title = fmt.Sprintf("%s is held: %s", x.Dataset, rule)
		if x.Rule == dataset.Statistics {
			a.Title = fmt.Sprintf("%s is held: it is far from %s", x.Dataset, rule)
		}
	case sqlite.HeldApart:
		a.Severity, a.Title = alert.Warning, fmt.Sprintf("%s is held for %s: %s", x.Dataset, x.For, rule)
	case sqlite.Warned:
		a.Severity, a.Title = alert.Warning, fmt.Sprintf("%s breaks %s", x.Dataset, rule)
		if x.Rule == dataset.Statistics || x.Rule == dataset.Difference {
			a.Title = fmt.Sprintf("%s is far from %s", x.Dataset, rule)
		}
	case sqlite.Fails:
		a.Key = keyOf(x, kindOfError(x.What))
		a.Title = x.Dataset + " cannot be computed"
	}
	return a
}

// ruleInWords says what a version does not keep.
func ruleInWords(x sqlite.Trouble) string {
	switch x.Rule {
	case dataset.Statistics:
		return "what other partitions let one expect"
	case dataset.Difference:
		return "what it was before a change was applied"
	}
	return fmt.Sprintf("%s of contract %s", x.Rule, x.Contract)
}

// keyOf names a cause by its dataset, what tells it from others of its kind, and
// its owner.
func keyOf(x sqlite.Trouble, parts ...string) string {
	parts = slices.Concat([]string{string(x.Kind), x.Dataset}, parts, []string{x.Owner})
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "/")
}

// particular matches what differs between the errors of one cause: quoted values
// and numbers.
var particular = regexp.MustCompile(`'[^']*'|"[^"]*"|[0-9]+`)

// kindOfError is equal for errors that differ in particulars only.
func kindOfError(text string) string {
	sum := xxh3.HashString128(particular.ReplaceAllString(text, "…")).Bytes()
	return hex.EncodeToString(sum[:4])
}

// ofProblem is about a file; its key leaves out what is wrong with it, so that
// somebody who edits it is told once.
func ofProblem(p stage.Problem, at time.Time) alert.Alert {
	return alert.Alert{
		Key: "file/" + p.File, Severity: alert.Warning, Title: p.File + " needs attention", Detail: p.Error(), Since: at,
	}
}
