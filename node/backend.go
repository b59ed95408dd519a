package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/web"
)

// backend is the node as pages, API and the control socket see it.
type backend struct{ n *Node }

var _ web.Backend = backend{}

// Status says what is on record now, with what runs at this moment.
func (b backend) Status(ctx context.Context) (web.Status, error) {
	n := b.n
	out, err := status(ctx, n.catalog, n.journal.Durable().Event)
	if err != nil {
		return out, err
	}
	out.Problems = append(n.Problems(), out.Problems...)
	out.Converged = out.Converged && n.deployed.Load() // until then nobody knows what is stale
	running := n.converger.Running()
	for i := range out.Datasets {
		markRunning(&out.Datasets[i], running[out.Datasets[i].Name])
	}
	if out.Late, err = n.converger.Late(ctx, time.Now()); err != nil {
		return out, err
	}
	out.Watermark, err = n.watermark(ctx)
	return out, err
}

// markRunning counts running tasks as such, and no longer as what they wait
// for: a retry was failed, one that Settle brought forward deferred.
func markRunning(d *sqlite.DatasetStatus, running int64) {
	for _, state := range []*int64{&d.Stale, &d.Deferred, &d.Failed} {
		n := min(running, *state)
		*state, d.Running, running = *state-n, d.Running+n, running-n
	}
}

// status is what the catalog says, beside a journal that ends after journalEnd
// events.
func status(ctx context.Context, catalog *sqlite.Catalog, journalEnd uint64) (web.Status, error) {
	s, err := catalog.Status(ctx)
	if err != nil {
		return web.Status{}, err
	}
	end := max(int64(journalEnd), s.Load.Events)
	out := web.Status{
		Journal: web.JournalStatus{End: end, Loaded: s.Load.Events}, Datasets: s.Datasets, Failures: s.Errors, Holds: s.Holds,
		Totals:    web.Totals{Acknowledged: end, Loaded: s.Load.Loaded, Quarantined: s.Load.Quarantined, DuplicatesRemoved: s.Load.Repeats},
		Watermark: s.ReceivedTo, Revision: s.Revision, Version: Version(), Converged: end == s.Load.Events,
	}
	if out.Problems, err = unstable(ctx, catalog); err != nil {
		return out, err
	}
	if out.Warnings, err = catalog.Warnings(ctx); err != nil {
		return out, err
	}
	if out.Anomalies, err = catalog.Anomalies(ctx, time.Now()); err != nil {
		return out, err
	}
	if out.Completeness, err = completeness(ctx, catalog); err != nil {
		return out, err
	}
	for _, d := range s.Datasets {
		if d.Stale+d.Deferred+d.Failed > 0 {
			out.Converged = false
		}
		if d.Name == dataset.Quarantine {
			out.Quarantine.Rows = d.Rows
		}
	}
	return out, nil
}

// Query answers one person's SELECT under a lease.
func (b backend) Query(ctx context.Context, sql, format string, w io.Writer) (web.QueryInfo, error) {
	done, err := b.n.leases.read(ctx)
	if err != nil {
		return web.QueryInfo{}, err
	}
	defer done()
	res, err := b.n.query.Run(ctx, sql, format, w)
	return web.QueryInfo{Rows: res.Rows, Truncated: res.Truncated, Revision: res.Revision}, err
}

// Card runs the project's own SQL and gives its rows as values.
func (b backend) Card(ctx context.Context, sql string) (web.CardData, error) {
	done, err := b.n.leases.read(ctx)
	if err != nil {
		return web.CardData{}, err
	}
	defer done()
	var answer bytes.Buffer
	res, err := b.n.query.Report(ctx, sql, &answer)
	if err != nil {
		return web.CardData{}, err
	}
	out := web.CardData{Revision: res.Revision, AsOf: time.Now().UTC()}
	for _, c := range res.Columns {
		out.Columns = append(out.Columns, c.Name)
	}
	d := json.NewDecoder(&answer)
	d.UseNumber()
	for {
		var row map[string]any
		if err := d.Decode(&row); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return web.CardData{}, fmt.Errorf("read card: %w", err)
		}
		values := make([]any, len(out.Columns))
		for i, name := range out.Columns {
			values[i] = row[name]
		}
		out.Rows = append(out.Rows, values)
	}
}

// tailBuffer is how far a reader of the tail may fall behind before it misses events.
const tailBuffer = 1024

// Tail sends what becomes durable from now on, until ctx or the node ends.
func (b backend) Tail(ctx context.Context) (<-chan web.TailEvent, error) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(b.n.stopping, cancel)
	out := make(chan web.TailEvent, tailBuffer)
	go func() {
		defer close(out)
		defer stop()
		defer cancel()
		missed := int64(0)
		for e, info := range b.n.tail(ctx) {
			t := tailEvent(e, info)
			t.Missed = missed
			select {
			case out <- t:
				missed = 0
			default:
				missed++
			}
		}
	}()
	return out, nil
}

func tailEvent(e event.Envelope, info TailInfo) web.TailEvent {
	t := web.TailEvent{
		ReceivedAt: info.Batch.ReceivedAt, Source: info.Batch.Source, ID: e.ID, Type: e.Type, Name: e.Name,
		Protocol: info.Batch.Protocol, AppVersion: appVersion(e.Context), StreamID: e.StreamID,
	}
	if e.Seq >= 0 && e.StreamID != "" {
		t.Seq = &e.Seq
	}
	if info.Refusal != (event.Refusal{}) {
		t.Reason = info.Refusal.Error()
	}
	if json.Valid(info.Raw) {
		t.Event = bytes.Clone(info.Raw)
	} else {
		t.Text = string(bytes.ToValidUTF8(info.Raw, []byte("\uFFFD")))
	}
	return t
}

// Ready says why load balancers should send nobody here, or nil.
func (b backend) Ready() error {
	select {
	case <-b.n.journal.Failed():
		return errors.New("the journal's disk failed")
	default:
	}
	return b.n.door.Ready()
}

// Version is the program's version, as built.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// trackerApart refuses a folder for the tracker in which the clients of others send.
func (n *Node) trackerApart() error {
	folder := n.project.Config.Tracker.Path
	for _, file := range []string{"", "e", "t.js"} {
		if n.door.Takes(&http.Request{URL: &url.URL{Path: folder + file}}) {
			return fmt.Errorf("tracker.path: %s is where clients of another protocol send; use another folder, such as /t/", folder)
		}
	}
	return nil
}

// pages is everything the listener answers.
func (n *Node) pages() (http.Handler, error) {
	if err := n.trackerApart(); err != nil {
		return nil, err
	}
	dashboards, problems := web.ReadDashboards(os.DirFS(n.project.DashboardsDir()), "dashboards")
	n.problems.set("dashboards", problems)
	addr, _ := n.listener.Addr().(*net.TCPAddr)
	o := web.Options{
		Backend: backend{n}, Collect: n.door.Handler(), Takes: n.door.Takes, Dashboards: dashboards, Project: n.project.Config.Name,
		Metrics: promhttp.HandlerFor(n.registry, promhttp.HandlerOpts{}), Plan: n.planOwn, Alerts: n.catalog.AlertLog, Arrivals: n.arriving,
		URL: "http://" + n.listener.Addr().String(), WriteKey: n.firstKey, Tracker: n.project.Config.Tracker.Path,
		Loopback: addr != nil && addr.IP.IsLoopback(), Token: string(n.project.Config.Token), Log: n.log.With("part", "web"),
	}
	return web.New(o)
}
