// Package engine runs SQL over dataset versions in worker processes: the same
// binary started as `reedbed worker`, confined by the kernel (Landlock on a
// private in/ and out/ folder, address space, file size, CPU time per job) and
// killed by the parent at the deadline.
//
// The parent never opens a DuckDB connection; only engine/duck does, and only
// worker processes call it. The package knows files and columns; it never
// knows the catalog, partitions, or why a job is run.
package engine

import (
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/fingerprint"
)

// Table is a relation a job's SQL can read by name.
type Table struct {
	Name string `json:"name"`
	// Columns gives the schema when Files is empty, so that SQL over an
	// absent partition still binds. With files it may be nil.
	Columns []dataset.Column `json:"columns,omitempty"`
	// Files are absolute paths of immutable objects; the pool hard-links them
	// into the worker's in/ folder for the time of the job.
	Files []string `json:"files,omitempty"`
	// Format is "parquet" (the default) or "csv".
	Format string `json:"format,omitempty"`
	// Rows are few rows given in place of files, a cell per column: text that is
	// cast to the column's type (JSON, where that is nested), or nil for NULL.
	Rows [][]*string `json:"rows,omitempty"`
}

// Limits bound one job. Zero fields take the pool's defaults.
type Limits struct {
	Wall   time.Duration `json:"wall"`   // the parent kills the worker after this
	CPU    time.Duration `json:"cpu"`    // RLIMIT_CPU for the job
	Memory int64         `json:"memory"` // bytes DuckDB may use; address space is set with head-room
	Output int64         `json:"output"` // bytes one output file may have (RLIMIT_FSIZE)
	Rows   int64         `json:"rows"`   // rows a query may return
}

// Parsed is what the parser alone says of a text: nothing is bound or run.
type Parsed struct {
	// AST is DuckDB's own serialisation with every position removed, so that it
	// is equal for texts that differ in comments, spacing or keyword case.
	AST string `json:"ast"`
}

// BuildJob computes one output (a stage's partition, or a segment of it).
type BuildJob struct {
	SQL    string  `json:"sql"` // exactly one SELECT
	Tables []Table `json:"tables"`
	// Rejects is a boolean SQL expression over the SELECT's columns; rows for
	// which it is true go to the Rejected output. "" rejects nothing.
	Rejects string `json:"rejects,omitempty"`
	// Start and End bound the output partition in time; the SQL sees them as
	// getvariable('partition_start') and getvariable('partition_end'), both
	// TIMESTAMP WITH TIME ZONE, NULL when zero.
	Start, End time.Time
	// OrderBy are the columns the output file is sorted by first; the engine
	// adds all others so that the order is total and the bytes are repeatable.
	OrderBy []string `json:"order_by,omitempty"`
	// Key are columns which, if each row has another value of them and none is
	// NULL, let the engine hash the output column by column.
	Key []string `json:"key,omitempty"`
	// Equal rounds DOUBLE columns to this many decimals before rows are written
	// and hashed: column name ("*" for all) to digits.
	Equal map[string]int `json:"equal,omitempty"`
	// Survey asks for the fingerprint of the output; nil for none.
	Survey *Survey `json:"survey,omitempty"`
	Limits Limits  `json:"limits"`
}

// Survey says what to find out about rows beside what every fingerprint has. Its
// SQL goes through the same admission as a stage's. What fails is reported in
// the fingerprint, in its place, and fails nothing else.
type Survey struct {
	// Name is the relation under which Queries see the rows: the stage's own name.
	// A job's table of that name is hidden from them.
	Name string `json:"name"`
	// Categories are columns whose entropy and most frequent values are of interest.
	Categories []string `json:"categories,omitempty"`
	Measures   []Expr   `json:"measures,omitempty"`   // aggregates that give one number over the rows
	Violations []Expr   `json:"violations,omitempty"` // boolean expressions over a row, the true ones counted
	Counts     []Expr   `json:"counts,omitempty"`     // aggregates that give one number: the rows that break a rule
	Queries    []Expr   `json:"queries,omitempty"`    // SELECTs that return one number: the rows that break a rule
	// Received is the column with the time a row was received, "" if there is none.
	Received string `json:"received,omitempty"`
	// Completeness is a SELECT of one row over the rows, as Queries are: how many events
	// were received, numbered, lost in flight and lost at clients, each as a BIGINT, and
	// the sources that have events without numbers, in order, as JSON. It is not a
	// person's: it is not admitted. "" if the rows do not say such a thing.
	Completeness string `json:"completeness,omitempty"`
}

// Expr is SQL whose result has a name.
type Expr struct {
	Name string `json:"name"`
	SQL  string `json:"sql"`
}

// SurveyJob takes the fingerprint of rows that are stored already.
type SurveyJob struct {
	// Tables are the rows, under Survey.Name, and whatever else Queries read.
	Tables []Table `json:"tables"`
	Survey Survey  `json:"survey"`
	// Start and End bound the partition in time, as in a BuildJob.
	Start, End time.Time
	Limits     Limits `json:"limits"`
}

// Output is one Parquet file a job wrote. The caller owns the file at Path and
// moves or removes it.
type Output struct {
	Path    string              `json:"path"`
	Rows    int64               `json:"rows"`
	Bytes   int64               `json:"bytes"`
	Hash    dataset.ContentHash `json:"hash"`
	Columns []dataset.Column    `json:"columns"`
	// Keyed is nil without a Key, or when it is not unique or is NULL somewhere.
	Keyed *dataset.ColumnHashes `json:"keyed,omitempty"`
	// Fingerprint is nil without a Survey, and for rejected rows.
	Fingerprint *fingerprint.Fingerprint `json:"fingerprint,omitempty"`
}

// ReasonColumn is the column that rows in a Rejected output have beside the
// SELECT's own: the rule that refused them.
const ReasonColumn = "rejected_because"

// Usage is what a job cost.
type Usage struct {
	CPU  time.Duration `json:"cpu"` // of the worker, from the request to the answer
	SQL  time.Duration `json:"sql"` // of that, in the statements of a build that compute, store and hash rows
	Wall time.Duration `json:"wall"`
}

// BuildResult is what a BuildJob made. Rejected is nil when the job had no
// Rejects rule.
type BuildResult struct {
	Output   Output  `json:"output"`
	Rejected *Output `json:"rejected,omitempty"`
	Usage    Usage   `json:"usage"`
}

// CompactJob rewrites many files of one partition into one, row for row.
type CompactJob struct {
	Files   []string `json:"files"`
	OrderBy []string `json:"order_by,omitempty"`
	Limits  Limits   `json:"limits"`
}

// QueryJob is one person's SELECT.
type QueryJob struct {
	SQL    string  `json:"sql"`
	Tables []Table `json:"tables"`
	Format string  `json:"format"` // table, csv, json, ndjson or parquet
	Limits Limits  `json:"limits"`
}

// QueryResult says what a query returned; the rows themselves were streamed.
type QueryResult struct {
	Columns   []dataset.Column `json:"columns"`
	Rows      int64            `json:"rows"`
	Truncated bool             `json:"truncated"` // the row or byte limit cut it
	Usage     Usage            `json:"usage"`
}
