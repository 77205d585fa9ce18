package catalog

import (
	"maps"
	"slices"
	"strings"
)

// Snapshot is a schema as it was at one moment. Immutable.
type Snapshot struct {
	Version int64
	dbs     map[string]*database // by lower-case name
	byID    map[int64]*Table
}

type database struct {
	*Database
	tables map[string]*Table // by lower-case name
}

func newSnapshot() *Snapshot {
	return &Snapshot{dbs: make(map[string]*database), byID: make(map[int64]*Table)}
}

// Database finds a database; the error is 1049.
func (s *Snapshot) Database(name string) (*Database, error) {
	if db := s.dbs[strings.ToLower(name)]; db != nil {
		return db.Database, nil
	}
	return nil, errNoDatabase(name)
}

// Databases lists all databases by name.
func (s *Snapshot) Databases() []*Database {
	out := make([]*Database, 0, len(s.dbs))
	for _, db := range s.dbs {
		out = append(out, db.Database)
	}
	slices.SortFunc(out, func(a, b *Database) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return out
}

// Table finds a table or view; the error is 1146, or 1049 where even the database does not exist.
func (s *Snapshot) Table(db, name string) (*Table, error) {
	d := s.dbs[strings.ToLower(db)]
	if d == nil {
		return nil, errNoDatabase(db)
	}
	if t := d.tables[strings.ToLower(name)]; t != nil {
		return t, nil
	}
	return nil, errNoTable(d.Name, name)
}

// Tables lists the tables and views of a database by name; nil for an unknown one.
func (s *Snapshot) Tables(db string) []*Table {
	d := s.dbs[strings.ToLower(db)]
	if d == nil {
		return nil
	}
	return slices.SortedFunc(maps.Values(d.tables), func(a, b *Table) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
}

// ByID finds a table by its id, or nil.
func (s *Snapshot) ByID(id int64) *Table { return s.byID[id] }

// clone copies the maps; databases and tables are shared until edited.
func (s *Snapshot) clone() *Snapshot {
	out := &Snapshot{Version: s.Version, dbs: maps.Clone(s.dbs), byID: maps.Clone(s.byID)}
	return out
}

func (s *Snapshot) putDatabase(db *Database) {
	old := s.dbs[strings.ToLower(db.Name)]
	d := &database{Database: db, tables: make(map[string]*Table)}
	if old != nil {
		d.tables = old.tables
	}
	s.dbs[strings.ToLower(db.Name)] = d
}

func (s *Snapshot) dropDatabase(name string) {
	key := strings.ToLower(name)
	for _, t := range s.dbs[key].tables {
		delete(s.byID, t.ID)
	}
	delete(s.dbs, key)
}

// editable gives the database a table map of its own, so that older snapshots keep theirs.
func (s *Snapshot) editable(db string) *database {
	key := strings.ToLower(db)
	d := &database{Database: s.dbs[key].Database, tables: maps.Clone(s.dbs[key].tables)}
	s.dbs[key] = d
	return d
}

func (s *Snapshot) putTable(t *Table) {
	s.editable(t.DB).tables[strings.ToLower(t.Name)] = t
	s.byID[t.ID] = t
}

func (s *Snapshot) dropTable(t *Table) {
	delete(s.editable(t.DB).tables, strings.ToLower(t.Name))
	delete(s.byID, t.ID)
}

// Column finds a column by name.
func (t *Table) Column(name string) *Column {
	for _, c := range t.Columns {
		if strings.EqualFold(c.Name, name) {
			return c
		}
	}
	return nil
}

// Index finds an index by name.
func (t *Table) Index(name string) *Index {
	for _, ix := range t.Indexes {
		if strings.EqualFold(ix.Name, name) {
			return ix
		}
	}
	return nil
}

// clone copies a table deeply enough to edit columns and indexes.
func (t *Table) clone() *Table {
	out := *t
	out.Columns = make([]*Column, len(t.Columns))
	for i, c := range t.Columns {
		col, ft := *c, *c.Type
		col.Type = &ft
		out.Columns[i] = &col
	}
	out.Indexes = make([]*Index, len(t.Indexes))
	for i, ix := range t.Indexes {
		index := *ix
		index.Columns = slices.Clone(ix.Columns)
		out.Indexes[i] = &index
	}
	return &out
}
