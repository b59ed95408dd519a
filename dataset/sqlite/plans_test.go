package sqlite

import (
	"strings"
	"testing"
)

// A plan that looked at what is bound would search an index for this LIKE.
func TestPlansDoNotDependOnWhatIsBound(t *testing.T) {
	c, _ := openTest(t)
	for _, s := range []string{"CREATE TEMP TABLE words (word TEXT COLLATE NOCASE)", "CREATE INDEX temp.by_word ON words (word)"} {
		if _, err := c.write.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	var id, parent, unused int
	var plan string
	if err := c.write.QueryRowContext(t.Context(), "EXPLAIN QUERY PLAN SELECT word FROM words WHERE word LIKE ?", "reed%").Scan(&id, &parent, &unused, &plan); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(plan, "SCAN") {
		t.Fatalf("the plan is %q", plan)
	}
}
