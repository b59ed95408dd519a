package converge

import (
	"cmp"
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/reedbed/reedbed/dataset"
)

// TestSite goes through what happens to a project in its life, one thing after
// another on one history of six weeks. Each time exactly the partitions are
// computed of which an obvious computation from scratch says that what they read
// changed, and everything promoted is what it gives.
func TestSite(t *testing.T) {
	c := newSite(t)
	c.load(c.history(44)...)
	c.check()
	t.Log("computed at first:", summary(c.ran()))
	for _, s := range []struct {
		name string
		run  func(*site)
	}{
		{"an input changes in place", (*site).changeInPlace},
		{"a comment and a format", (*site).reformat},
		{"other words for the same", (*site).reword},
		{"a column nobody reads", (*site).addColumn},
		{"a late event", (*site).late},
		{"a late event at midnight", (*site).lateAtMidnight},
		{"break and heal", (*site).breakAndHeal},
		{"a failing partition", (*site).failAndHeal},
		{"a retroactive change", (*site).retroactive},
	} {
		ok := t.Run(s.name, func(t *testing.T) {
			c.t = t
			c.ran()
			s.run(c)
		})
		if c.t = t; !ok {
			return // what comes after would only repeat it
		}
	}
}

// ran returns what was computed since it was last asked, sorted.
func (c *site) ran() []place {
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	out := c.ledger.ran
	c.ledger.ran = nil
	slices.SortFunc(out, byPlace)
	return out
}

func byPlace(a, b place) int {
	return cmp.Or(cmp.Compare(a.dataset, b.dataset), cmp.Compare(a.partition, b.partition))
}

// summary counts places by dataset.
func summary(places []place) map[string]int {
	out := map[string]int{}
	for _, p := range places {
		out[p.dataset]++
	}
	return out
}

// expect compares the set of what was computed with what had to be. A partition
// may be computed more than once on the way, as its inputs come one by one.
func (c *site) expect(want []place) {
	c.t.Helper()
	slices.SortFunc(want, byPlace)
	want = slices.Compact(want)
	ran := c.ran()
	got := slices.Compact(slices.Clone(ran))
	if d := gocmp.Diff(want, got, gocmp.AllowUnexported(place{}), cmpopts.EquateEmpty()); d != "" {
		c.t.Errorf("what was computed is not what had to be: %s", d)
	}
	c.t.Log("computed", summary(ran), "of", summary(got))
}

// check compares all that is promoted with a computation from scratch.
func (c *site) check() {
	c.t.Helper()
	status, err := c.catalog.Status(c.t.Context())
	c.must(err)
	if len(status.Errors) > 0 {
		c.t.Fatal(status.Errors)
	}
	for name, partitions := range c.derive() {
		var want []string
		for _, rows := range partitions {
			want = append(want, rows...)
		}
		slices.Sort(want)
		if name == dataset.Raw {
			continue
		}
		if d := gocmp.Diff(want, c.content(name), cmpopts.EquateEmpty()); d != "" {
			c.t.Fatalf("%s is not what a computation from scratch gives: %s", name, d)
		}
	}
}

// at is a time so many days ago.
func (c *site) at(daysAgo int, clock string) time.Time {
	t, err := time.Parse(time.TimeOnly, clock)
	c.must(err)
	return c.today.AddDate(0, 0, -daysAgo).Add(t.Sub(t.Truncate(24 * time.Hour)))
}

// changeInPlace moves one click of a partition of raw by an hour half, which the
// loader never does: so it is done to the catalog's tables.
func (c *site) changeInPlace() {
	before := c.derive()
	hour := dataset.PartitionAt(dataset.Hour, c.at(42, "12:00:00"))
	i := slices.IndexFunc(c.raw[hour], func(r hit) bool { return r.ms >= 20 && r.agent != 9 })
	c.raw[hour][i].at = c.raw[hour][i].at.Add(7 * time.Second)
	c.replace(hour)
	c.settle()
	c.check()
	c.expect(affected(before, c.derive()))
	// A value that clean shows and sessions do not read goes no further.
	c.raw[hour][i].ms++
	c.replace(hour)
	c.settle()
	c.check()
	c.expect([]place{{"clean", hour}})
}

// replace puts c.raw's rows in the place of what raw has in an hour.
func (c *site) replace(hour dataset.Partition) {
	c.t.Helper()
	s := c.segment(hour, c.raw[hour])
	db, err := sql.Open("sqlite3", "file:"+c.ledger.path+"?_busy_timeout=10000&_txlock=immediate")
	c.must(err)
	tx, err := db.BeginTx(c.t.Context(), nil)
	c.must(err)
	now := time.Now().UnixMicro()
	for _, q := range []string{
		"UPDATE partitions SET last_version = last_version + 1 WHERE id = $p",
		"UPDATE segments SET removed_in = (SELECT last_version FROM partitions WHERE id = $p), removed_at = $now, removed_rev = 0 WHERE partition_id = $p AND removed_in IS NULL",
		`INSERT INTO segments (partition_id, object, rows, bytes, hash, origin, added_in) SELECT id, $object, $rows, $bytes, $hash, 'load', last_version FROM partitions WHERE id = $p`,
		`INSERT INTO versions (partition_id, number, rows, bytes, hash, origin, created_at) SELECT id, last_version, $rows, $bytes, $hash, 'load', $now FROM partitions WHERE id = $p`,
		"UPDATE pointers SET version = (SELECT last_version FROM partitions WHERE id = $p), generation = generation + 1 WHERE partition_id = $p",
		"INSERT INTO causes (kind, detail, at) VALUES ('load', 'changed in place', $now)",
		`INSERT INTO dirty (dataset_id, name, starts, ends, since, not_before, generation, cause_id)
			SELECT d.id, p.name, p.starts, p.ends, $now, $now, (SELECT MAX(id) FROM causes), (SELECT MAX(id) FROM causes)
			FROM datasets d, partitions p WHERE d.name = 'clean' AND p.id = $p`,
	} {
		var p int64
		c.must(tx.QueryRowContext(c.t.Context(), "SELECT p.id FROM partitions p JOIN datasets d ON d.id = p.dataset_id WHERE d.name = 'raw' AND p.name = ?", hour).Scan(&p))
		args := []any{sql.Named("p", p), sql.Named("now", now), sql.Named("object", s.Object), sql.Named("rows", s.Rows), sql.Named("bytes", s.Bytes), sql.Named("hash", s.Hash.Bytes())}
		_, err := tx.ExecContext(c.t.Context(), q, slices.DeleteFunc(args, func(a any) bool {
			return !strings.Contains(q, "$"+a.(sql.NamedArg).Name) //nolint:forcetypeassert // made above
		})...)
		c.must(err)
	}
	c.must(tx.Commit())
	c.must(db.Close())
	c.Wake()
}

// edit changes a stage's text and waits until nothing is due.
func (c *site) edit(name string, change ...string) {
	c.t.Helper()
	after := strings.NewReplacer(change...).Replace(c.stages[name])
	if after == c.stages[name] {
		c.t.Fatalf("%q does not change %s", change, name)
	}
	c.stages[name] = after
	c.deploy()
	c.settle()
}

// all lists all partitions of a dataset.
func (c *site) all(name string) (out []place) {
	for p := range c.derive()[name] {
		out = append(out, place{name, p})
	}
	return out
}

func (c *site) reformat() {
	c.edit("clean", "SELECT visitor", "-- what people did\nselect  visitor")
	c.edit("sessions", "/* @stage", "/* @stage\ndescription: visits")
	c.edit("daily", "COALESCE(sum(clicks), 0)::BIGINT", "coalesce( sum(clicks),0 ) :: bigint")
	c.expect(nil)
	c.check()
}

func (c *site) reword() {
	c.edit("clean", "good", "known")
	c.expect(c.all("clean"))
	c.edit("clean", "ms >= 20", "ms >= 10+10")
	c.expect(c.all("clean"))
	c.check()
}

func (c *site) addColumn() {
	c.edit("clean", "seen, ms FROM", "seen, ms, ms * 2 AS twice FROM")
	c.expect(c.all("clean"))
	c.check()
}

// lateness adds one click forty days late that joins what was a session of the
// next hour to this one.
func (c *site) lateness(clock string, sessions, days, windows int) {
	c.t.Helper()
	before := c.derive()
	at := c.at(40, clock)
	next := dataset.PartitionAt(dataset.Hour, at.Add(time.Hour))
	i := slices.IndexFunc(c.raw[next], func(r hit) bool {
		return r.ms >= 20 && r.agent != 9 && r.at.Sub(at) < 29*time.Minute
	})
	if i < 0 {
		c.t.Fatal("void: nobody clicked soon after", at)
	}
	c.load(hit{visitor: c.raw[next][i].visitor, agent: 1, ms: 100, at: at})
	c.check()
	after := c.derive()
	hour := dataset.PartitionAt(dataset.Hour, at)
	if slices.Equal(before["sessions"][hour], after["sessions"][hour]) || slices.Equal(before["sessions"][next], after["sessions"][next]) {
		c.t.Fatal("void: no session crosses the hour")
	}
	want := affected(before, after)
	if d := gocmp.Diff(map[string]int{"clean": 1, "sessions": sessions, "daily": days, "w28": windows, "report": 1}, summary(want)); d != "" {
		c.t.Errorf("the oracle is not as described: %s", d)
	}
	c.expect(want)
}

func (c *site) late() { c.lateness("11:59:58", 3, 1, 28) }

func (c *site) lateAtMidnight() { c.lateness("23:59:58", 2, 2, 29) }

// breakAndHeal loads an hour of which three in a hundred clicks are malformed.
// Nobody reads these; a rule that says what they mean heals them.
func (c *site) breakAndHeal() {
	before := c.derive()
	var rows []hit
	for i := range int64(100) {
		rows = append(rows, hit{visitor: 100 + i, agent: 1, ms: 50, at: c.at(1, "12:30:00").Add(time.Duration(i) * time.Second)})
		if i%33 == 32 {
			rows[i].ms = -50
		}
	}
	c.load(rows...)
	c.check()
	after := c.derive()
	if n := len(after["clean_rejected"][dataset.PartitionAt(dataset.Hour, rows[0].at)]); n != 3 {
		c.t.Fatalf("void: %d rejected rows", n)
	}
	c.expect(affected(before, after))
	c.rules.heal = true
	c.edit("clean", "seen, ms", "seen, abs(ms) AS ms", "ms >= 10+10", "abs(ms) >= 20", " OR ms < 0", "")
	c.check()
	healed := c.derive()
	c.expect(append(affected(after, healed), c.all("clean")...))
}

// failAndHeal has one hour fail. Everything else goes on, what depends on the
// hour stays as it was, and a change of the definition lets it go on.
func (c *site) failAndHeal() {
	c.edit("clean", "abs(ms) AS ms", "CASE WHEN ms = 666 THEN error('poison')::BIGINT ELSE abs(ms) END AS ms")
	c.expect(c.all("clean"))
	before := c.derive()
	bad := hit{visitor: 1, agent: 1, ms: 666, at: c.at(2, "12:45:00")}
	c.load(hit{visitor: 1, agent: 1, ms: 30, at: c.at(3, "12:45:01")}, bad)
	status, err := c.catalog.Status(c.t.Context())
	c.must(err)
	if len(status.Errors) != 1 {
		c.t.Fatalf("failures: %+v", status.Errors)
	}
	hour := dataset.PartitionAt(dataset.Hour, bad.at)
	poisoned := c.raw[hour]
	c.raw[hour] = slices.DeleteFunc(slices.Clone(poisoned), func(r hit) bool { return r == bad })
	meanwhile := c.derive()
	for _, name := range []string{"clean", "sessions", "daily", "w28", "report"} {
		var want []string
		for _, rows := range meanwhile[name] {
			want = append(want, rows...)
		}
		slices.Sort(want)
		if d := gocmp.Diff(want, c.content(name)); d != "" {
			c.t.Errorf("%s while an hour fails: %s", name, d)
		}
	}
	c.expect(affected(before, meanwhile))
	c.raw[hour] = poisoned
	c.edit("clean", "CASE WHEN ms = 666 THEN error('poison')::BIGINT ELSE abs(ms) END", "abs(ms)")
	c.check()
	// All others have been computed by this definition before.
	want := slices.DeleteFunc(affected(meanwhile, c.derive()), func(p place) bool { return p.dataset == "clean" && p.partition != hour })
	c.expect(append(want, place{"clean", dataset.PartitionAt(dataset.Hour, c.at(3, "12:00:00"))}))
}

// retroactive changes the spam model: all of clean follows, and of the rest what
// read a row that went or came.
func (c *site) retroactive() {
	before := c.derive()
	c.rules.spam = []int64{9, 4}
	c.deploy()
	c.settle()
	c.check()
	after := c.derive()
	c.expect(append(affected(before, after), c.all("clean")...))
	c.rules.spam = []int64{9}
	c.deploy()
	c.settle()
	c.check()
	c.expect([]place{{"report", dataset.Whole}}) // all else is closed, and on record
}
