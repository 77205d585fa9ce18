package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"
)

type fixture struct {
	id    string // empty: without other gateways
	store *memStore
	*Catalog
	backfilled  []string
	backfillErr error
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{store: newMemStore()}
	f.reopen(t)
	return f
}

func (f *fixture) reopen(t *testing.T) {
	var err error
	f.Catalog, err = Open(context.Background(), f.store, Options{
		ID: f.id, Now: func() time.Time { return time.Unix(1_700_000_000, 0) },
		Backfill: func(_ context.Context, t *Table, ix *Index) error {
			f.backfilled = append(f.backfilled, t.Name+"."+ix.Name)
			return f.backfillErr
		},
	})
	require.NoError(t, err)
}

// exec runs one DDL statement in database test.
func (f *fixture) exec(sql string) (warnings []Warning, err error) {
	stmt, err := parser.New().ParseOneStmt(sql, "", "")
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	switch stmt := stmt.(type) {
	case *ast.CreateDatabaseStmt:
		return f.CreateDatabase(ctx, stmt)
	case *ast.DropDatabaseStmt:
		_, warnings, err = f.DropDatabase(ctx, stmt)
		return warnings, err
	case *ast.CreateTableStmt:
		return f.CreateTable(ctx, "test", stmt)
	case *ast.DropTableStmt:
		return f.DropTables(ctx, "test", stmt)
	case *ast.TruncateTableStmt:
		return f.Truncate(ctx, "test", stmt.Table)
	case *ast.RenameTableStmt:
		return nil, f.Rename(ctx, "test", stmt.TableToTables[0].OldTable, stmt.TableToTables[0].NewTable)
	case *ast.AlterTableStmt:
		return f.AlterTable(ctx, "test", stmt)
	default:
		return nil, fmt.Errorf("no DDL: %T", stmt)
	}
}

// TestScripts runs DDL statements and prints what became of them: SHOW CREATE TABLE, or the error. Every statement is
// followed by a look at a catalog that was opened anew, which must be the same.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		f := newFixture(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "ddl":
				return f.script(t, d.Input)
			case "show":
				return f.show(d.CmdArgs[0].Key)
			case "handle":
				tbl, err := f.Current().Table("test", d.CmdArgs[0].Key)
				require.NoError(t, err)
				return fmt.Sprintf("int %d, common %v, columns %v\n", tbl.IntHandle, tbl.CommonHandle, tbl.HandleColumns())
			default:
				t.Fatalf("no command %s", d.Cmd)
				return ""
			}
		})
	})
}

func (f *fixture) script(t *testing.T, text string) string {
	var out strings.Builder
	for _, sql := range strings.Split(text, ";") {
		if strings.TrimSpace(sql) == "" {
			continue
		}
		warnings, err := f.exec(sql)
		for _, w := range warnings {
			fmt.Fprintf(&out, "warning %d: %s\n", w.Code, w.Message)
		}
		var e *mysql.SQLError
		if errors.As(err, &e) {
			fmt.Fprintf(&out, "error %d: %s\n", e.Code, e.Message)
		} else {
			require.NoError(t, err)
		}
	}
	before := f.Current()
	f.reopen(t)
	require.Equal(t, before, f.Current())
	if out.Len() == 0 {
		return "ok\n"
	}
	return out.String()
}

func (f *fixture) show(name string) string {
	t, err := f.Current().Table("test", name)
	if err != nil {
		return err.Error() + "\n"
	}
	return CreateTableText(t, 0) + "\n"
}

func mustExec(t *testing.T, f *fixture, sql string) *Table {
	_, err := f.exec(sql)
	require.NoError(t, err)
	tbl, err := f.Current().Table("test", "t")
	require.NoError(t, err)
	return tbl
}

// TestIndexFailure: an index whose entries cannot be written is not published, and leaves no entries.
func TestIndexFailure(t *testing.T) {
	f := newFixture(t)
	before := mustExec(t, f, "create table t (a int, b int)")
	f.backfillErr = errors.New("disk full")
	_, err := f.exec("alter table t add index (a)")
	require.ErrorIs(t, err, f.backfillErr)
	after, err := f.Current().Table("test", "t")
	require.NoError(t, err)
	require.Same(t, before, after)
	require.Len(t, f.store.deleted, 2) // before, for leftovers of a crash, and after
	f.backfillErr = nil
	after = mustExec(t, f, "alter table t add index (a), add unique index u (b, a)")
	require.Equal(t, []string{"t.a", "t.a", "t.u"}, f.backfilled)
	require.Len(t, after.Indexes, 2)
	require.Positive(t, after.SchemaTS)
}

// TestSplitFailure: a table without a region of its own is a table.
func TestSplitFailure(t *testing.T) {
	f := newFixture(t)
	f.store.splitErr = errors.New("no leader")
	warnings, err := f.exec("create table t (a int)")
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Len(t, f.store.splits, 1)
}

// TestIDs: values of several gateways on one cluster, and of one before and after a restart, are all different, and
// explicit values are jumped over.
func TestIDs(t *testing.T) {
	f := newFixture(t)
	tbl := mustExec(t, f, "create table t (a int primary key auto_increment) auto_increment = 7")
	ctx := context.Background()
	first, err := f.NextAutoInc(ctx, tbl, 3)
	require.NoError(t, err)
	require.Equal(t, uint64(7), first)
	next, err := f.NextAutoInc(ctx, tbl, 1)
	require.NoError(t, err)
	require.Equal(t, uint64(10), next)
	require.NoError(t, f.BumpAutoInc(ctx, tbl, 5))
	require.NoError(t, f.BumpAutoInc(ctx, tbl, 1_000_000))
	next, err = f.NextAutoInc(ctx, tbl, 1)
	require.NoError(t, err)
	require.Equal(t, uint64(1_000_001), next)

	seen := make(map[uint64]bool)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 3 {
		other, err := Open(ctx, f.store, Options{})
		require.NoError(t, err)
		wg.Go(func() {
			for range 5 {
				v, err := other.NextAutoInc(ctx, tbl, idBatch/2)
				require.NoError(t, err)
				mu.Lock()
				for i := range uint64(idBatch / 2) {
					require.False(t, seen[v+i])
					seen[v+i] = true
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.NoError(t, f.BumpAutoInc(ctx, tbl, 1<<63))
	_, err = f.NextAutoInc(ctx, tbl, 1)
	require.Error(t, err)
}

func TestStats(t *testing.T) {
	f := newFixture(t)
	tbl := mustExec(t, f, "create table t (a int primary key, b int)")
	require.Equal(t, -1.0, f.RowCount(tbl))
	f.AddRows(map[int64]int64{tbl.ID: 10})
	f.AddRows(map[int64]int64{tbl.ID: -3})
	require.Equal(t, 7.0, f.RowCount(tbl))
	require.NoError(t, f.FlushStats(context.Background()))
	f.reopen(t)
	require.Equal(t, 7.0, f.RowCount(tbl))
	before, _ := f.Stats(tbl.ID)
	require.NoError(t, f.SetStats(context.Background(), &TableStats{TableID: tbl.ID, Rows: 8, Distinct: map[int64]float64{2: 4}}, before))
	f.reopen(t)
	require.Equal(t, 8.0, f.NDV(tbl, 0)) // unique by itself
	require.Equal(t, 4.0, f.NDV(tbl, 1))
	_, err := f.exec("drop table t")
	require.NoError(t, err)
	require.Equal(t, -1.0, f.RowCount(tbl))
}

// A table is stale once much of it changed and it was left alone, and is told once.
func TestStale(t *testing.T) {
	f := newFixture(t)
	tbl := mustExec(t, f, "create table t (a int primary key, b int)")
	_, err := f.exec("create table small (a int)")
	require.NoError(t, err)
	small, err := f.Current().Table("test", "small")
	require.NoError(t, err)
	stale := func(quiet time.Duration) (names []string) {
		for _, t := range f.Stale(quiet) {
			names = append(names, t.Name)
		}
		return names
	}
	f.AddRows(map[int64]int64{tbl.ID: 1000, small.ID: 7})
	require.Empty(t, stale(time.Hour))
	require.Equal(t, []string{"t"}, stale(0))
	require.Empty(t, stale(0))

	before, _ := f.Stats(tbl.ID)
	f.AddRows(map[int64]int64{tbl.ID: 200}) // while ANALYZE reads
	require.NoError(t, f.SetStats(context.Background(), &TableStats{TableID: tbl.ID, Rows: 1000}, before))
	st, _ := f.Stats(tbl.ID)
	require.EqualValues(t, 1200, st.Rows)
	require.EqualValues(t, 200, st.Changed)
	require.Empty(t, stale(0))
	f.AddRows(map[int64]int64{tbl.ID: -500})
	require.NoError(t, f.FlushStats(context.Background()))
	f.reopen(t)
	require.Equal(t, []string{"t"}, stale(time.Hour), "statistics that were stale before a restart")
}

// TestTwoGateways changes the schema from two catalogs in turn: each sees the other's changes before its own.
func TestTwoGateways(t *testing.T) {
	f := newFixture(t)
	other := &fixture{store: f.store}
	other.reopen(t)
	for i := range 4 {
		gw := []*fixture{f, other}[i%2]
		_, err := gw.exec(fmt.Sprintf("create table t%d (a int)", i))
		require.NoError(t, err)
	}
	_, err := f.exec("create table t3 (a int)")
	var e *mysql.SQLError
	require.ErrorAs(t, err, &e)
	require.Equal(t, uint16(mysql.ErrTableExists), e.Code)
	require.Len(t, other.Current().Tables("test"), 4)
}

// TestLocks: changes wait for those who share, newcomers wait for a waiting change, and both give up in time.
func TestLocks(t *testing.T) {
	l := newLocks(func() int64 { return 0 })
	ctx := context.Background()
	a, b := l.NewHolder(), l.NewHolder()
	require.NoError(t, l.Share(ctx, a, 1))
	require.NoError(t, l.Share(ctx, b, 1))
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	_, err := l.Exclude(short, 2, 1)
	var e *mysql.SQLError
	require.ErrorAs(t, err, &e)
	require.Equal(t, uint16(mysql.ErrLockWaitTimeout), e.Code)
	release, err := l.Exclude(ctx, 2) // given back by the attempt that failed
	require.NoError(t, err)
	release()

	got := make(chan func())
	go func() {
		release, err := l.Exclude(ctx, 1)
		if err == nil {
			got <- release
		}
	}()
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.tables[1].waiting == 1
	}, time.Minute, time.Millisecond)
	require.NoError(t, l.Share(ctx, a, 1)) // has it already
	late, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	require.Error(t, l.Share(late, l.NewHolder(), 1))
	l.Release(a)
	l.Release(b)
	release = <-got
	late, cancel = context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	require.Error(t, l.Share(late, a, 1))
	release()
	require.NoError(t, l.Share(ctx, a, 1))
	l.Release(a)
	require.Empty(t, l.tables)
}
