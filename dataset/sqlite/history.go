package sqlite

import (
	"encoding/json"

	"github.com/reedbed/reedbed/dataset"
)

// chain lists a cause and what led to it, back to what began it. It is empty
// for a cause that is no longer on record.
func (t *tx) chain(id int64) ([]dataset.Cause, error) {
	var out []dataset.Cause
	err := t.each(`WITH RECURSIVE up AS (
			SELECT * FROM causes WHERE id = ?
			UNION ALL SELECT c.* FROM up JOIN causes c ON c.id = up.parent)
		SELECT id, kind, detail, at, facts FROM up ORDER BY id DESC`, []any{id}, func(scan func(...any) error) error {
		var c dataset.Cause
		var at int64
		var facts string
		if err := scan(&c.ID, &c.Kind, &c.Detail, &at, &facts); err != nil {
			return err
		}
		c.At = fromMicros(at)
		err := json.Unmarshal([]byte(facts), &c.Facts)
		out = append(out, c)
		return err
	})
	return out, err
}
