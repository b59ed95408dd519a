package sqlite

import (
	"encoding/json"

	"github.com/reedbed/reedbed/dataset"
)

// chain lists a cause and what led to it, back to what began it. It is empty
// for a cause that is no longer on record.
func (t *tx) chain(id int64) ([]dataset.Cause, error) {
	out := []dataset.Cause{}
	err := t.each(`WITH RECURSIVE up AS (
			SELECT * FROM causes WHERE id = ?
			UNION ALL SELECT c.* FROM up JOIN causes c ON c.id = up.parent)
		SELECT up.id, up.kind, up.detail, up.at, up.facts, COALESCE(a.id, 0), COALESCE(a.action, ''), COALESCE(a.actor, '')
		FROM up LEFT JOIN applies a ON a.id = up.apply_id AND up.parent IS NULL ORDER BY up.id DESC`, []any{id}, func(scan func(...any) error) error {
		var c dataset.Cause
		var at int64
		var facts string
		var by dataset.AppliedBy
		if err := scan(&c.ID, &c.Kind, &c.Detail, &at, &facts, &by.Apply, &by.Action, &by.Actor); err != nil {
			return err
		}
		if by.Apply != 0 {
			c.By = &by
		}
		c.At = fromMicros(at)
		err := json.Unmarshal([]byte(facts), &c.Facts)
		out = append(out, c)
		return err
	})
	return out, err
}
