package main

import (
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
)

// report prints a row for each client and fault, and fails if one does not add
// up.
func report(rows []*row, counted map[string]stored) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "client\tversion\tfault\trequests\tsent\tstored\tdropped\ttold\tverdict")
	wrong := 0
	var failed error
	for _, r := range rows {
		s := counted[r.name()]
		verdict, ok := r.judge(s)
		if !ok {
			wrong++
		}
		if r.err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", r.name(), r.err))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\n",
			r.client.name, r.client.version, r.fault.name, r.passed.requests, r.told.Sent, s.Marks, r.passed.dropped(), r.told.Failed, verdict)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if wrong > 0 {
		return errors.Join(failed, fmt.Errorf("%d of %d rows do not add up", wrong, len(rows)))
	}
	return nil
}

// judge says whether sent = stored once + drops, where a drop is an event that
// the way refused, that never came again, and that the client is documented to
// give up.
func (r *row) judge(s stored) (verdict string, ok bool) {
	dropped := r.passed.dropped()
	switch {
	case r.err != nil:
		return "FAILED", false
	case s.Quarantined > 0:
		return fmt.Sprintf("UNEQUAL: %d quarantined", s.Quarantined), false
	case s.Rows != s.Marks:
		return fmt.Sprintf("UNEQUAL: %d rows of %d events", s.Rows, s.Marks), false
	case r.told.Sent == 0 || r.told.Sent != s.Marks+dropped:
		return fmt.Sprintf("UNEQUAL: %d are missing", r.told.Sent-s.Marks-dropped), false
	case r.fault.name != "ok" && r.passed.requests == 0:
		return "VOID: no request met the fault", false
	case dropped > 0 && (r.client.drops == "" || r.client.under != "" && r.client.under != r.fault.name):
		return "UNEQUAL: it is not documented to drop these", false
	case dropped > 0:
		return "equal; " + r.client.drops, true
	}
	return "equal", true
}
