package sqlite

import (
	"context"
	"strings"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// Trouble is one cause for which partitions of a dataset are not as they should
// be: a rule that they break, or an error that their runs end with.
type Trouble struct {
	Kind    TroubleKind `json:"kind"`
	Dataset string      `json:"dataset"`
	Owner   string      `json:"owner,omitempty"` // of the contract, or else of the dataset
	// For is the stage for which alone they are held.
	For      string            `json:"for,omitempty"`
	Contract string            `json:"contract,omitempty"`
	Rule     string            `json:"rule,omitempty"`
	What     string            `json:"what"` // of the last partition
	Count    int64             `json:"count"`
	First    dataset.Partition `json:"first"`
	Last     dataset.Partition `json:"last"`
	Since    time.Time         `json:"since"`
}

// TroubleKind says what a cause brings about.
type TroubleKind string

// The kinds.
const (
	HeldBack  TroubleKind = "held"   // readers are kept from versions
	HeldApart TroubleKind = "apart"  // one reader is
	Warned    TroubleKind = "warned" // readers see versions that break the rule
	Fails     TroubleKind = "failed" // runs end with an error
)

// The queries find the text of the last partition as the greatest one that begins
// with a partition's name.
const (
	heldTroubles = `SELECT 'held', d.name, COALESCE(b.value ->> '$.owner', d.owner), '', b.value ->> '$.contract', b.value ->> '$.rule',
		COUNT(*), MIN(p.name), MAX(p.name), MIN(h.promoted_at), MAX(p.name || ' ' || (b.value ->> '$.what'))
		FROM pointers h INDEXED BY pointers_held JOIN partitions p ON p.id = h.partition_id JOIN datasets d ON d.id = p.dataset_id
		JOIN verdicts w ON w.partition_id = h.partition_id AND w.version = h.version JOIN json_each(w.detail, '$.broken') b
		WHERE ` + holding + ` AND h.version <> 0
		AND b.key = (SELECT MIN(x.key) FROM json_each(w.detail, '$.broken') x WHERE x.value ->> '$.warning' IS NULL) GROUP BY 1, 2, 3, 4, 5, 6`
	apartTroubles = `SELECT 'apart', i.name, COALESCE(b ->> '$.owner', s.owner), s.name, n.actor, COALESCE(b ->> '$.rule', ''),
		COUNT(*), MIN(n.name), MAX(n.name), MIN(n.created_at), MAX(n.name || ' ' || COALESCE(b ->> '$.what', n.reason))
		FROM (SELECT n.*, (SELECT w.detail -> ('$.for.' || s.name || '[0]') FROM partitions p JOIN pointers x ON x.partition_id = p.id AND x.view = 'main'
			JOIN verdicts w ON w.partition_id = p.id AND w.version = x.version JOIN datasets s ON s.id = n.stage_id
			WHERE p.dataset_id = n.input_id AND p.name = n.name) AS b FROM pins n WHERE n.automatic = 1) n
		JOIN datasets s ON s.id = n.stage_id JOIN datasets i ON i.id = n.input_id GROUP BY 1, 2, 3, 4, 5, 6`
	warned = `SELECT 'warned', d.name, COALESCE(b.value ->> '$.owner', d.owner), '', b.value ->> '$.contract', b.value ->> '$.rule',
		COUNT(*), MIN(p.name), MAX(p.name), MIN(w.judged_at), MAX(p.name || ' ' || (b.value ->> '$.what'))
		FROM verdicts w INDEXED BY `
	warnedOf = ` JOIN pointers x ON x.partition_id = w.partition_id AND x.view = 'main' AND x.version = w.version
		JOIN partitions p ON p.id = w.partition_id JOIN datasets d ON d.id = p.dataset_id `
	warnedTroubles = warned + "verdicts_told" + warnedOf + `JOIN json_each(w.detail, '$.broken') b
		WHERE ` + spoke + ` AND d.retired_at IS NULL AND b.value ->> '$.warning'
		AND (b.value ->> '$.rule' <> '` + dataset.Statistics + `' OR w.judged_at > ?1) GROUP BY 1, 2, 3, 4, 5, 6`
	movedTroubles = warned + "verdicts_moved" + warnedOf + `JOIN json_each(json_array(w.detail -> '$.moved')) b
		WHERE instr(w.detail, '"moved":{') > 0 AND w.judged_at > ?1 AND d.retired_at IS NULL GROUP BY 1, 2, 3, 4, 5, 6`
	failedTroubles = `SELECT 'failed', d.name, d.owner, '', '', '', COUNT(*), MIN(w.name), MAX(w.name), MIN(w.since), MAX(w.name || ' ' || w.error)
		FROM dirty w JOIN datasets d ON d.id = w.dataset_id WHERE w.failed_key IS NOT NULL GROUP BY d.id, w.error LIMIT 1000`
)

// spoke is a condition on verdicts w that said what a version does not keep.
const spoke = `(instr(w.detail, '"broken":[') > 0 OR instr(w.detail, '"for":{') > 0)`

// warnedFor is how long people are told that a version which readers see is not as
// others let one expect: nothing can end that but time.
const warnedFor = 24 * time.Hour

// Warnings lists every cause once for which readers see versions that they are warned
// of.
func (c *Catalog) Warnings(ctx context.Context) (out []Trouble, err error) {
	return c.troubles(ctx, warnedTroubles, movedTroubles)
}

// Troubles lists every cause once, of failed runs at most a thousand errors. A version that breaks several rules is held
// for the first; what waits for held inputs is held for none of its own.
func (c *Catalog) Troubles(ctx context.Context) (out []Trouble, err error) {
	return c.troubles(ctx, heldTroubles, apartTroubles, warnedTroubles, movedTroubles, failedTroubles)
}

func (c *Catalog) troubles(ctx context.Context, queries ...string) (out []Trouble, err error) {
	err = c.view(ctx, func(t *tx) error {
		for _, query := range queries {
			var args []any
			if strings.Contains(query, "?1") {
				args = []any{t.now - warnedFor.Microseconds()}
			}
			if err := t.each(query, args, func(scan func(...any) error) error {
				x, err := scanTrouble(scan)
				out = append(out, x)
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func scanTrouble(scan func(...any) error) (x Trouble, err error) {
	var since int64
	err = scan(&x.Kind, &x.Dataset, &x.Owner, &x.For, &x.Contract, &x.Rule, &x.Count, &x.First, &x.Last, &since, &x.What)
	x.What = strings.TrimPrefix(x.What, string(x.Last)+" ")
	x.Since = fromMicros(since)
	return x, err
}
