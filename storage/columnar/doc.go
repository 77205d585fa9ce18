// Package columnar keeps copies of tables by columns, for scans that read many rows of few columns.
//
// A segment is a copy of the record keys in a range as of a timestamp, cut into blocks of column.BatchSize rows in key
// order. It is derived data: built in the background from an ordinary read, kept in files for as long as the process
// lives, and dropped at any time without harm. What was written since stays where it is, in the row store: a read at a
// later timestamp asks Plan, which finds the blocks whose key spans have seen no change and no lock. These come from
// columns, and all that lies between is left to the caller's row scanner. Both are in key order, and nothing is merged.
//
//	plan, ok, err := store.Plan(snap, start, end, cols, ts) // the snapshot is taken before
//	for _, span := range plan.Spans { ... }                 // blocks, or a range to be read as rows
//	plan.Close()
//
// # Why a plan is right
//
// A segment at T holds all versions committed at or below T: it was read at T by a reader that raised the region's highest read
// timestamp, so that none can be added. A plan at S ≥ T takes a block only if the snapshot has no record with a commit
// timestamp in (T, S] in its span, hence the block's rows are those visible at S.
//
// The search for such records cannot find what has been removed physically: garbage collection, for one, takes a delete
// mark away together with what it deletes. Whoever removes records says so before the removal becomes visible, and the
// segments that could need them are dropped; so are builds under way. A reader takes its snapshot first and looks for
// segments then: if the snapshot lacks a record, the segment is gone. See Erasing.
package columnar
