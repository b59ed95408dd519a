package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// ApplyRecord is one change of what is deployed.
type ApplyRecord struct {
	ID          int64                `json:"apply"`
	At          time.Time            `json:"at"`
	Action      dataset.Action       `json:"action"`
	Actor       string               `json:"actor"`
	GitRevision string               `json:"git_revision,omitempty"`
	Restores    int64                `json:"restores,omitempty"`
	Changes     []dataset.FileChange `json:"changes"`
}

// Score sets what was predicted of an apply against what has come of it so far.
type Score struct {
	ApplyRecord
	Datasets []DatasetScore `json:"datasets"`
	// Predicted and Actual are the sums; Actual.Partitions counts what was looked
	// at, of which Executions were computed.
	Predicted  dataset.Cost `json:"predicted"`
	Actual     dataset.Cost `json:"actual"`
	Executions int64        `json:"executions"`
}

// DatasetScore is the score of one dataset.
type DatasetScore struct {
	Dataset    string       `json:"dataset"`
	Predicted  dataset.Cost `json:"predicted"`
	Actual     dataset.Cost `json:"actual"`
	Executions int64        `json:"executions"`
}

// score counts a task towards the apply that is at the root of it, if one is.
func (t *tx) score(d Dataset, b dataset.Build) error {
	var executions, rows, bytes int64
	if c := b.Content; c != nil {
		executions = 1
		if c.Segment != nil {
			rows, bytes = c.Segment.Rows, c.Segment.Bytes
		}
	}
	return t.exec(`INSERT INTO outcomes (apply_id, dataset_id, answered, executions, rows, bytes, cpu, wall)
		SELECT a.id, ?, 1, ?, ?, ?, ?, ? FROM causes c JOIN applies a ON a.id = c.apply_id WHERE c.id = ?
		ON CONFLICT (apply_id, dataset_id) DO UPDATE SET answered = answered + 1, executions = executions + excluded.executions,
		rows = rows + excluded.rows, bytes = bytes + excluded.bytes, cpu = cpu + excluded.cpu, wall = wall + excluded.wall`,
		d.ID, executions, rows, bytes, b.CPU.Microseconds(), b.Wall.Microseconds(), b.Task.Generation)
}

const applyColumns = "id, at, action, actor, git_revision, COALESCE(restores, 0), changes"

func scanApply(scan func(...any) error, more ...any) (a ApplyRecord, err error) {
	var at int64
	var changes string
	if err := scan(append([]any{&a.ID, &at, &a.Action, &a.Actor, &a.GitRevision, &a.Restores, &changes}, more...)...); err != nil {
		return a, err
	}
	a.At = fromMicros(at)
	return a, json.Unmarshal([]byte(changes), &a.Changes)
}

// Applies lists the latest changes of what is deployed, the newest first.
func (c *Catalog) Applies(ctx context.Context, limit int) (out []ApplyRecord, err error) {
	err = c.view(ctx, func(t *tx) error {
		return t.each("SELECT "+applyColumns+" FROM applies ORDER BY id DESC LIMIT ?", []any{limit}, func(scan func(...any) error) error {
			a, err := scanApply(scan)
			out = append(out, a)
			return err
		})
	})
	return out, err
}

// Score returns what has come of an apply, of the last one if id is 0.
func (c *Catalog) Score(ctx context.Context, id int64) (out Score, err error) {
	err = c.view(ctx, func(t *tx) error {
		var predicted string
		row := t.QueryRowContext(ctx, "SELECT "+applyColumns+", predicted FROM applies WHERE id = COALESCE(NULLIF(?, 0), (SELECT MAX(id) FROM applies))", id)
		if out.ApplyRecord, err = scanApply(row.Scan, &predicted); err != nil {
			return fmt.Errorf("%w: %w", ErrNoApply, err)
		}
		costs := map[string]dataset.Cost{}
		if err := json.Unmarshal([]byte(predicted), &costs); err != nil {
			return err
		}
		return t.each(`SELECT d.name, COALESCE(o.answered, 0), COALESCE(o.executions, 0), COALESCE(o.rows, 0), COALESCE(o.bytes, 0), COALESCE(o.cpu, 0) / 1e6, COALESCE(o.wall, 0) / 1e6
			FROM datasets d LEFT JOIN outcomes o ON o.dataset_id = d.id AND o.apply_id = ? ORDER BY d.depth, d.name`, []any{out.ID},
			func(scan func(...any) error) error {
				var s DatasetScore
				err := scan(&s.Dataset, &s.Actual.Partitions, &s.Executions, &s.Actual.Rows, &s.Actual.Bytes, &s.Actual.CPU, &s.Actual.Wall)
				s.Predicted = costs[s.Dataset]
				if s.Predicted == (dataset.Cost{}) && s.Actual.Partitions == 0 {
					return err
				}
				out.Datasets = append(out.Datasets, s)
				out.Predicted, out.Actual = out.Predicted.Add(s.Predicted), out.Actual.Add(s.Actual)
				out.Executions += s.Executions
				return err
			})
	})
	return out, err
}
