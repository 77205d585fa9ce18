package executor

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/row"
	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/codec/value"
	"github.com/scree-db/scree/executor/expr"
)

// kvList is a range of pairs; its iterator reuses its memory, as an engine's does.
type kvList [][2][]byte

type kvIterator struct {
	list     kvList
	key, val []byte
	fail     error
}

func (l kvList) iterator() *kvIterator { return &kvIterator{list: l} }

func (it *kvIterator) Next() (key, val []byte, ok bool, err error) {
	if len(it.list) == 0 {
		return nil, nil, false, it.fail
	}
	it.key = append(it.key[:0], it.list[0][0]...)
	it.val = append(it.val[:0], it.list[0][1]...)
	it.list = it.list[1:]
	return it.key, it.val, true, nil
}

func info(id int64, ft *tipb.FieldType) *tipb.ColumnInfo {
	return &tipb.ColumnInfo{ColumnId: id, Tp: ft.Tp, Flag: int32(ft.Flag), ColumnLen: ft.Flen, Decimal: ft.Decimal, Collation: ft.Collate}
}

// A table with an integer handle, in more rows than one batch has.
func TestTableScan(t *testing.T) {
	var kvs kvList
	var want []string
	var e row.Encoder
	for i := range 5000 {
		e.AppendInt64(2, int64(i*i))
		e.AppendBytes(3, fmt.Appendf(nil, "row %d", i))
		val, err := e.Encode(nil)
		require.NoError(t, err)
		kvs = append(kvs, [2][]byte{tablekey.AppendRecordKey(nil, 44, tablekey.IntHandle(int64(i))), val})
		want = append(want, fmt.Sprintf("row %d,%d,%d,5,44", i, i, i*i))
	}
	def, err := datum.AppendValue(nil, datum.NewInt64(5), nil)
	require.NoError(t, err)
	added := info(9, bigint)
	added.DefaultVal = def
	pk := info(1, bigint)
	pk.PkHandle = true
	scan, err := NewTableScan(&tipb.TableScan{TableId: 44, Columns: []*tipb.ColumnInfo{info(3, varchar), pk, info(2, bigint), added,
		info(columnPhysicalTableID, bigint)}}, kvs.iterator(), &expr.Context{})
	require.NoError(t, err)
	got, err := drain(t, scan)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.NoError(t, scan.Close())
}

// A scan that was at its end goes on when it is told that there is more.
func TestTableScanResumes(t *testing.T) {
	pair := func(handle int64) [2][]byte {
		return [2][]byte{tablekey.AppendRecordKey(nil, 44, tablekey.IntHandle(handle)), []byte("\x80\x00\x00\x00\x00\x00")}
	}
	pk := info(1, bigint)
	pk.PkHandle = true
	kv := kvList{pair(1), pair(2)}.iterator()
	scan, err := NewTableScan(&tipb.TableScan{TableId: 44, Columns: []*tipb.ColumnInfo{pk}}, kv, &expr.Context{})
	require.NoError(t, err)
	got, err := drain(t, scan)
	require.NoError(t, err)
	require.Equal(t, []string{"1", "2"}, got)

	kv.list = kvList{pair(3)}
	got, err = drain(t, scan)
	require.NoError(t, err)
	require.Empty(t, got, "the end is one until somebody says otherwise")
	scan.Resume()
	got, err = drain(t, scan)
	require.NoError(t, err)
	require.Equal(t, []string{"3"}, got)
}

// A selection right above a scan gives the rows that one above any other operator gives; summaries count the same.
func TestSelectionOverScan(t *testing.T) {
	var kvs kvList
	var e row.Encoder
	for i := range 5000 {
		e.AppendInt64(2, int64(i%7))
		e.AppendBytes(3, fmt.Appendf(nil, "row %d", i))
		val, err := e.Encode(nil)
		require.NoError(t, err)
		kvs = append(kvs, [2][]byte{tablekey.AppendRecordKey(nil, 44, tablekey.IntHandle(int64(i))), val})
	}
	pk := info(1, bigint)
	pk.PkHandle = true
	ts := &tipb.TableScan{Columns: []*tipb.ColumnInfo{info(3, varchar), info(2, bigint), pk}}
	root := &tipb.Executor{Tp: tipb.ExecType_TypeSelection, Selection: &tipb.Selection{
		Child:      &tipb.Executor{Tp: tipb.ExecType_TypeTableScan, TblScan: ts},
		Conditions: exprs(call(tipb.ScalarFuncSig_EQInt, col(1, bigint), intConst(3)), call(tipb.ScalarFuncSig_LTInt, col(2, bigint), intConst(4000))),
	}}
	run := func(wrap func(Scan) Operator) ([]string, []*tipb.ExecutorExecutionSummary) {
		env := testEnv()
		env.Stats = NewStats(nil)
		op, err := Build(root, func(*tipb.Executor) (Operator, error) {
			s, err := NewTableScan(ts, kvs.iterator(), env.Expr)
			return wrap(s), err
		}, env)
		require.NoError(t, err)
		rows, err := drain(t, op)
		require.NoError(t, err)
		require.NoError(t, op.Close())
		return rows, env.Stats.Summaries(root)
	}
	late, lateStats := run(func(s Scan) Operator { return s })
	plain, plainStats := run(func(s Scan) Operator { return struct{ Operator }{s} })
	require.Len(t, late, 571)
	require.Equal(t, plain, late)
	require.Equal(t, plainStats, lateStats)
}

// The columns of a common handle come from the key, TIMESTAMPs in the session's zone.
func TestTableScanCommonHandle(t *testing.T) {
	stamp := &tipb.FieldType{Tp: column.TypeTimestamp, Decimal: 0}
	utc := datum.NewTime(value.MakeTime(2024, 5, 1, 22, 0, 0, 0))
	handle, err := datum.AppendKey(nil, datum.NewString("k"), nil)
	require.NoError(t, err)
	handle, err = datum.AppendKey(handle, utc, nil)
	require.NoError(t, err)
	var e row.Encoder
	require.NoError(t, e.AppendDatum(3, utc, stamp))
	val, err := e.Encode(nil)
	require.NoError(t, err)
	kvs := kvList{{tablekey.AppendRecordKey(nil, 1, handle), val}}
	scan, err := NewTableScan(&tipb.TableScan{PrimaryColumnIds: []int64{1, 2},
		Columns: []*tipb.ColumnInfo{info(1, varchar), info(2, stamp), info(3, stamp)}}, kvs.iterator(),
		&expr.Context{Location: time.FixedZone("", 3*3600)})
	require.NoError(t, err)
	got, err := drain(t, scan)
	require.NoError(t, err)
	require.Equal(t, []string{"k,2024-05-02 01:00:00,2024-05-02 01:00:00"}, got)
}

func TestIndexScan(t *testing.T) {
	var kvs kvList
	for i := range 3 {
		key, err := datum.AppendKey(tablekey.IndexPrefix(1, 2), datum.NewString(fmt.Sprint("v", i)), nil)
		require.NoError(t, err)
		kvs = append(kvs, [2][]byte{key, row.AppendIndexValue(nil, true, int64(10+i), nil)})
	}
	scan, err := NewIndexScan(&tipb.IndexScan{Columns: []*tipb.ColumnInfo{info(1, varchar), info(row.ColumnHandle, bigint)}},
		kvs.iterator(), &expr.Context{})
	require.NoError(t, err)
	got, err := drain(t, scan)
	require.NoError(t, err)
	require.Equal(t, []string{"v0,10", "v1,11", "v2,12"}, got)
}

func TestScanErrors(t *testing.T) {
	scan := func(it KVIterator) error {
		op, err := NewTableScan(&tipb.TableScan{Columns: []*tipb.ColumnInfo{info(row.ColumnHandle, bigint)}}, it, &expr.Context{})
		require.NoError(t, err)
		_, err = drain(t, op)
		return err
	}
	require.ErrorIs(t, scan(kvList{{[]byte("no key"), nil}}.iterator()), tablekey.ErrInvalid)
	broken := errors.New("broken disk")
	require.ErrorIs(t, scan(&kvIterator{fail: broken}), broken)
	_, err := NewTableScan(&tipb.TableScan{Columns: []*tipb.ColumnInfo{info(-5, bigint)}}, kvList(nil).iterator(), &expr.Context{})
	require.ErrorContains(t, err, "not supported")
}
