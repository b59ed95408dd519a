package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/reedbed/reedbed/alert"
)

// Alerts and what webhooks are told of them are on record together: a change and
// its messages are one transaction, so that after a crash neither is without the
// other. A delivery waits until ended_at is set.

const (
	mostWaiting = 1000 // deliveries of one hook; beyond it the oldest are dropped
	keptAlerts  = 100  // resolved ones
	keptTold    = 100  // deliveries of one alert that are done with
)

// OpenAlerts lists the alerts that were raised and not resolved. Whether their
// causes are still there is as if it had just been looked at.
func (c *Catalog) OpenAlerts(ctx context.Context) (out []alert.Known, err error) {
	err = c.view(ctx, func(t *tx) error {
		return t.each("SELECT said, told FROM alerts WHERE resolved_at IS NULL ORDER BY id", nil, func(scan func(...any) error) error {
			var said string
			k := alert.Known{Seen: c.now()}
			if err := scan(&said, &k.Told); err != nil {
				return err
			}
			err := json.Unmarshal([]byte(said), &k.Alert)
			k.Begun = k.Since
			out = append(out, k)
			return err
		})
	})
	return out, err
}

// RecordAlerts records changes and the messages about them, and returns how many
// older deliveries were dropped to make room.
func (c *Catalog) RecordAlerts(ctx context.Context, changes []alert.Change, messages []alert.Message) (dropped int64, err error) {
	err = c.update(ctx, func(t *tx) error {
		ended := false
		for _, x := range changes {
			if err := t.recordAlert(x); err != nil {
				return err
			}
			ended = ended || x.Kind == alert.Resolved
		}
		for _, m := range messages {
			if err := t.post(m); err != nil {
				return err
			}
		}
		if dropped, err = t.makeRoom(messages); err != nil || !ended {
			return err
		}
		return t.forgetResolved()
	})
	return dropped, err
}

// makeRoom drops what is too much for the hooks of messages.
func (t *tx) makeRoom(messages []alert.Message) (dropped int64, err error) {
	hooks := map[string]bool{}
	for _, m := range messages {
		for _, h := range m.Hooks {
			hooks[h] = true
		}
	}
	for h := range hooks {
		n, err := t.drop(`hook = ?2 AND id <= (SELECT id FROM deliveries WHERE hook = ?2 AND ended_at IS NULL ORDER BY id DESC LIMIT 1 OFFSET ?3)`,
			"too many wait for this webhook", h, mostWaiting)
		if err != nil {
			return dropped, err
		}
		dropped += n
	}
	return dropped, nil
}

func (t *tx) recordAlert(x alert.Change) error {
	said, err := json.Marshal(x.Known.Alert)
	if err != nil {
		return err
	}
	if x.Kind == alert.Raised {
		return t.exec("INSERT INTO alerts (key, said, told) VALUES (?,?,?)", x.Known.Key, string(said), x.Known.Told)
	}
	ok, err := t.execOne("UPDATE alerts SET said = ?2, told = ?3, resolved_at = ?4 WHERE key = ?1 AND resolved_at IS NULL",
		x.Known.Key, string(said), x.Known.Told, sql.NullInt64{Int64: micros(x.Known.Resolved), Valid: !x.Known.Resolved.IsZero()})
	if err == nil && !ok {
		err = fmt.Errorf("alert %s is not open", x.Known.Key)
	}
	return err
}

// post puts a message into the outbox of its hooks.
func (t *tx) post(m alert.Message) error {
	var alertID int64
	if err := t.QueryRowContext(t.ctx, "SELECT id FROM alerts WHERE key = ? ORDER BY id DESC LIMIT 1", m.Key).Scan(&alertID); err != nil {
		return err
	}
	for _, h := range m.Hooks {
		err := t.exec("INSERT INTO deliveries (alert_id, hook, message, kind, body, created_at, next_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
			alertID, h, m.ID, m.Kind, m.Body, t.now)
		if err != nil {
			return err
		}
	}
	return t.forgetTold(alertID)
}

// drop gives up what waits and fulfils a condition, whose parameters begin at ?2.
func (t *tx) drop(where, why string, args ...any) (int64, error) {
	res, err := t.ExecContext(t.ctx, "UPDATE deliveries SET ended_at = ?1, result = 'dropped', error = '"+why+"' WHERE ended_at IS NULL AND "+where,
		append([]any{t.now}, args...)...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// forgetTold removes what an alert's hooks were told long ago.
func (t *tx) forgetTold(alertID int64) error {
	return t.exec(`DELETE FROM deliveries WHERE alert_id = ?1 AND ended_at IS NOT NULL AND id <= (SELECT id FROM deliveries
		WHERE alert_id = ?1 AND ended_at IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?2)`, alertID, keptTold)
}

// forgetResolved removes alerts that nobody asks for any more.
func (t *tx) forgetResolved() error {
	const old = `SELECT id FROM alerts a WHERE resolved_at IS NOT NULL AND resolved_at < (SELECT resolved_at FROM alerts WHERE resolved_at IS NOT NULL
		ORDER BY resolved_at DESC LIMIT 1 OFFSET ?) AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.alert_id = a.id AND d.ended_at IS NULL)`
	if err := t.exec("DELETE FROM deliveries WHERE alert_id IN ("+old+")", keptAlerts-1); err != nil {
		return err
	}
	return t.exec("DELETE FROM alerts WHERE id IN ("+old+")", keptAlerts-1)
}

// ForgetHooks drops what waits for hooks other than these.
func (c *Catalog) ForgetHooks(ctx context.Context, known []string) (dropped int64, err error) {
	names, err := json.Marshal(known)
	if err != nil {
		return 0, err
	}
	err = c.update(ctx, func(t *tx) error {
		dropped, err = t.drop("hook NOT IN (SELECT value FROM json_each(?2))", "this webhook is not configured any more", string(names))
		return err
	})
	return dropped, err
}

// NextDelivery is alert.Outbox's.
func (c *Catalog) NextDelivery(ctx context.Context, hook string) (d alert.Delivery, ok bool, err error) {
	err = c.view(ctx, func(t *tx) error {
		d = alert.Delivery{Hook: hook, Result: alert.Waiting}
		var created, next int64
		err := t.QueryRowContext(ctx, `SELECT id, message, body, created_at, tries, next_at FROM deliveries d WHERE hook = ? AND ended_at IS NULL
			AND NOT EXISTS (SELECT 1 FROM deliveries e WHERE e.hook = d.hook AND e.alert_id = d.alert_id AND e.id < d.id AND e.ended_at IS NULL)
			ORDER BY next_at, id LIMIT 1`, hook).Scan(&d.ID, &d.Message, &d.Body, &created, &d.Tries, &next)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		ok = err == nil
		d.Created, d.Next = fromMicros(created), fromMicros(next)
		return err
	})
	return d, ok, err
}

// Tried is alert.Outbox's.
func (c *Catalog) Tried(ctx context.Context, d alert.Delivery) error {
	return c.update(ctx, func(t *tx) error {
		ended := sql.NullInt64{Int64: t.now, Valid: d.Result != alert.Waiting}
		return t.exec("UPDATE deliveries SET tries = ?2, next_at = ?3, ended_at = ?4, result = ?5, error = ?6 WHERE id = ?1 AND ended_at IS NULL",
			d.ID, d.Tries, micros(d.Next), ended, d.Result, d.Error)
	})
}

// AlertLog returns the open alerts and those resolved last, the newest first, with
// what webhooks were told.
func (c *Catalog) AlertLog(ctx context.Context) (l alert.Log, err error) {
	err = c.view(ctx, func(t *tx) error {
		if l.Open, err = t.logged("resolved_at IS NULL ORDER BY id DESC"); err != nil {
			return err
		}
		l.Resolved, err = t.logged(fmt.Sprintf("resolved_at IS NOT NULL ORDER BY resolved_at DESC, id DESC LIMIT %d", keptAlerts))
		return err
	})
	return l, err
}

func (t *tx) logged(which string) ([]alert.Logged, error) {
	out := []alert.Logged{}
	var ids []int64
	err := t.each("SELECT id, said FROM alerts WHERE "+which, nil, func(scan func(...any) error) error {
		var id int64
		var said string
		if err := scan(&id, &said); err != nil {
			return err
		}
		x := alert.Logged{Deliveries: []alert.Sent{}}
		err := json.Unmarshal([]byte(said), &x.Alert)
		out, ids = append(out, x), append(ids, id)
		return err
	})
	for i := 0; i < len(ids) && err == nil; i++ {
		out[i].Deliveries, err = t.sent(ids[i])
	}
	return out, err
}

func (t *tx) sent(alertID int64) ([]alert.Sent, error) {
	out := []alert.Sent{}
	err := t.each("SELECT hook, message, kind, result, tries, created_at, next_at, COALESCE(ended_at, 0), error FROM deliveries WHERE alert_id = ? ORDER BY id", []any{alertID},
		func(scan func(...any) error) error {
			var x alert.Sent
			var created, next, ended int64
			err := scan(&x.Hook, &x.Message, &x.Kind, &x.Result, &x.Tries, &created, &next, &ended, &x.Error)
			x.Created, x.Next, x.Ended = fromMicros(created), fromMicros(next), fromMicros(ended)
			if !x.Ended.IsZero() {
				x.Next = time.Time{}
			}
			out = append(out, x)
			return err
		})
	return out, err
}
