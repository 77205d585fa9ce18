package catalog

import (
	"github.com/pingcap/tipb/go-tipb"
)

// Database is a schema.
type Database struct {
	ID      int64  `json:"id"`
	Name    string `json:"name"` // as created; look-ups ignore case
	Charset string `json:"charset"`
	Collate string `json:"collate"`
}

// Table is a table or view. Immutable once published.
type Table struct {
	ID      int64     `json:"id"`
	DBID    int64     `json:"db_id"`
	DB      string    `json:"db"`
	Name    string    `json:"name"`
	Charset string    `json:"charset"`
	Collate string    `json:"collate"`
	Comment string    `json:"comment"`
	Columns []*Column `json:"columns"` // public ones, in order; Column.Offset is the position here
	Indexes []*Index  `json:"indexes"` // a non-clustered primary key included, a clustered one too (Clustered set, no entries of its own)
	// IntHandle is the offset of the integer primary key column that is the handle, or -1.
	IntHandle int `json:"int_handle"`
	// CommonHandle: the clustered primary key (Primary index) is the handle. If neither, a hidden _tidb_rowid-like
	// integer handle is allocated.
	CommonHandle bool   `json:"common_handle"`
	MaxColumnID  int64  `json:"max_column_id"`
	MaxIndexID   int64  `json:"max_index_id"`
	AutoIncStart uint64 `json:"auto_inc_start"`
	View         *View  `json:"view,omitempty"`
	// Virtual tables (information_schema ...) have no keys; their rows come from the session.
	Virtual bool  `json:"-"`
	Created int64 `json:"created"` // unix seconds
	// SchemaTS is the timestamp from which on the table may be read in its present form: a new index has no entries for
	// older snapshots.
	SchemaTS uint64 `json:"schema_ts"`
}

// View is the definition of a view.
type View struct {
	Select                    string   `json:"select"` // SELECT text, names qualified with the database it was created in
	Columns                   []string `json:"columns,omitempty"`
	Charset, Collate, Definer string
}

// Column is a column of a table.
type Column struct {
	ID      int64           `json:"id"` // unique in the table for ever
	Name    string          `json:"name"`
	Offset  int             `json:"offset"`
	Type    *tipb.FieldType `json:"type"`
	Comment string          `json:"comment"`
	// HasDefault: DEFAULT was given. DefaultNull / Default (text) / DefaultExpr ("CURRENT_TIMESTAMP(n)") say which.
	HasDefault  bool   `json:"has_default"`
	DefaultNull bool   `json:"default_null"`
	Default     string `json:"default"`
	DefaultExpr string `json:"default_expr"`
	OnUpdateNow bool   `json:"on_update_now"`
	// OrigDefault is the encoded datum (datum.AppendValue) that rows written before ADD COLUMN read.
	OrigDefault []byte `json:"orig_default,omitempty"`
}

// Index is an index of a table.
type Index struct {
	ID        int64         `json:"id"`
	Name      string        `json:"name"`
	Unique    bool          `json:"unique"`
	Primary   bool          `json:"primary"`
	Clustered bool          `json:"clustered"` // the primary key that is the handle
	Columns   []IndexColumn `json:"columns"`
	Comment   string        `json:"comment"`
}

// IndexColumn is a key part.
type IndexColumn struct {
	Offset int `json:"offset"` // of the column in Table.Columns
	Length int `json:"length"` // prefix length in characters, -1 = whole
}

// HandleColumns are the offsets of the columns that make the handle; nil for a hidden row id.
func (t *Table) HandleColumns() []int {
	if t.IntHandle >= 0 {
		return []int{t.IntHandle}
	}
	if !t.CommonHandle {
		return nil
	}
	for _, ix := range t.Indexes {
		if ix.Clustered {
			offs := make([]int, len(ix.Columns))
			for i, c := range ix.Columns {
				offs[i] = c.Offset
			}
			return offs
		}
	}
	return nil
}
