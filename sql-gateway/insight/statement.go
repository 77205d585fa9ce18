package insight

import "time"

// Statement is what is known of one that has ended.
type Statement struct {
	// Type is what kind of command it is: Select, Insert, CreateTable ...
	Type   string
	Text   string
	Digest *Digest
	DB     string
	// User is who ran it, from Host: an address without a port.
	User, Host string
	Connection uint64
	// StartTS is the timestamp of its transaction; 0: it had none.
	StartTS uint64

	Begin time.Time
	// Took is all of its time, Parse and Compile included.
	Took, Parse, Compile time.Duration
	Stores               Stores
	// MemoryMax is the most that its operators held at one time, in bytes.
	MemoryMax int64
	// Rows were returned, Affected changed.
	Rows, Affected uint64
	Warnings       int
	// Code is MySQL's of the error that it ended with; 0: it succeeded.
	Code     uint16
	Prepared bool
	// Plan renders the plan as EXPLAIN does. It is called for slow statements and samples alone; nil: there was no plan.
	Plan func() string
}

// Stores is the work of the stores' coprocessors for one statement.
type Stores struct {
	Tasks int
	// Process is the time that tasks took, Wait what they waited for a snapshot: both summed over tasks, which ran side by side.
	Process, Wait time.Duration
	// TotalKeys were walked over, ProcessedKeys of them made rows.
	TotalKeys, ProcessedKeys uint64
}
