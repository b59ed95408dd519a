package journal

import "time"

// Load is how busy the journal is.
type Load struct {
	QueuedBytes   int64 // waiting for the disk, in flight included
	QueuedRecords int
	ExpectedWait  time.Duration // of a record appended now
	Fsyncs        uint64        // since Open
	Segments      int           // that hold records
	LastDurable   time.Time     // when the last record or mark became durable; zero since Open if none
	Full          bool          // no space for the next segment
}

// Load is a snapshot for readiness and metrics.
func (j *Journal) Load() Load {
	now := time.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.load
	l.ExpectedWait = j.expectedWait(now)
	l.Segments = len(j.segments)
	return l
}
