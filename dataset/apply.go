package dataset

// Application is a whole set of definitions as it is put to work in one step.
// Stages come upstream first. A stage that is neither listed nor paused is
// retired, and so is a side input that is not listed.
type Application struct {
	Stages []Deployment
	Paused []string // readable, not computed
	Sides  []SideInput
	// Contracts are what consumers hold datasets to: texts by file.
	Contracts map[string]string

	Action      Action
	Actor       string
	GitRevision string
	Restores    int64 // the apply whose set this one puts back, 0 for none
	Changes     []FileChange
	Predicted   map[string]Cost // by dataset
}

// Action says how a set of definitions came to be deployed.
type Action string

// The actions.
const (
	First    Action = "first"    // the first start of a project
	Apply    Action = "apply"    // somebody deployed files
	Rollback Action = "rollback" // somebody put earlier revisions back
	Upgrade  Action = "upgrade"  // a release computes the same text otherwise
)

// SideInput is a small file of the project as it is put to work, or several that
// are one table.
type SideInput struct {
	Spec   Spec
	File   string
	Digest string // SHA-256 of the file's bytes, in hex
	// Files are the digests of several files, by path.
	Files map[string]string
	// Segment is new content; nil keeps what is promoted, or puts back the
	// content of Version if that is not 0.
	Segment *NewSegment
	Version int64
}

// FileChange says in words what changed in one file.
type FileChange struct {
	File    string   `json:"file"`
	Changes []string `json:"changes"`
}

// Cost is what computing partitions takes: sums over the partitions, in rows and
// bytes of output and seconds of one worker.
type Cost struct {
	Partitions int64   `json:"partitions"`
	Rows       int64   `json:"rows"`
	Bytes      int64   `json:"bytes"`
	CPU        float64 `json:"cpu_seconds"`
	Wall       float64 `json:"wall_seconds"`
}

// Add sums two costs.
func (c Cost) Add(o Cost) Cost {
	return Cost{c.Partitions + o.Partitions, c.Rows + o.Rows, c.Bytes + o.Bytes, c.CPU + o.CPU, c.Wall + o.Wall}
}
