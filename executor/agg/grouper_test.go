package agg

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/scree-db/scree/codec/column"
	"github.com/scree-db/scree/codec/datum"
	"github.com/scree-db/scree/codec/value"
)

var (
	intType      = &tipb.FieldType{Tp: column.TypeLongLong, Flen: 20}
	unsignedType = &tipb.FieldType{Tp: column.TypeLongLong, Flen: 20, Flag: column.FlagUnsigned}
	realType     = &tipb.FieldType{Tp: column.TypeDouble}
	wideType     = &tipb.FieldType{Tp: column.TypeDecimal, Flen: 30, Decimal: 2}
	widestType   = &tipb.FieldType{Tp: column.TypeDecimal, Flen: 60, Decimal: 2}
	binType      = &tipb.FieldType{Tp: column.TypeVarchar, Collate: -46}
	foldedType   = &tipb.FieldType{Tp: column.TypeVarchar, Collate: -45}
)

// cells tells what values genCell makes.
type cells struct {
	long    bool // among them strings and numbers that need all of a word, or more
	letters bool // no NULLs, and all strings have one byte
}

// genCell makes a value, and the text that values share that are one group.
func genCell(t *rapid.T, ft *tipb.FieldType, c cells) (datum.Datum, string) {
	if !c.letters && rapid.IntRange(0, 4).Draw(t, "null") == 0 {
		return datum.Datum{}, "NULL"
	}
	n := rapid.Int64Range(-3, 3).Draw(t, "n")
	switch ft {
	case realType:
		return datum.NewFloat64(float64(n)), fmt.Sprint(n)
	case binType, foldedType:
		if c.letters {
			s := rapid.SampledFrom([]string{"a", "b", " ", "0"}).Draw(t, "s")
			return datum.NewString(s), "'" + strings.TrimRight(s, " ")
		}
		s := rapid.SampledFrom([]string{"", "a", "b", "ab", "abc", "\x00", "seven77"}).Draw(t, "s")
		if c.long && n > 1 {
			s += " and longer than seven"
		}
		padded := s
		if n < 0 {
			padded += " "
		}
		return datum.NewString(padded), "'" + s
	case unsignedType:
		n += 3
		if c.long && n > 4 {
			n <<= 40
		}
		return datum.NewUint64(uint64(n)), fmt.Sprint(n)
	case widestType:
		if !c.long {
			return datum.NewInt64(n), fmt.Sprint(n)
		}
		d, _, err := value.ParseDecimal(fmt.Appendf(nil, "%de50", n))
		require.NoError(t, err)
		if n == 0 {
			return datum.NewDecimal(d), "0"
		}
		return datum.NewDecimal(d), fmt.Sprintf("%de50", n)
	case intType:
		if c.long && n > 1 {
			n <<= 14 << uint(n)
		}
		return datum.NewInt64(n), fmt.Sprint(n)
	default:
		return datum.NewInt64(n), fmt.Sprint(n)
	}
}

// The numbers are those of a map from the texts of keys, whatever form the table has and however it changes on the way.
func TestGrouperAgainstMap(t *testing.T) {
	all := []*tipb.FieldType{intType, unsignedType, realType, wideType, widestType, binType, foldedType}
	small := []*tipb.FieldType{intType, unsignedType, binType}
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.SampledFrom([][]*tipb.FieldType{all, small}).Draw(t, "all types or those of small keys")
		types := rapid.SliceOfN(rapid.SampledFrom(from), 1, 5).Draw(t, "types")
		g, err := NewGrouper(types)
		require.NoError(t, err)
		hasher, err := NewHasher(types)
		require.NoError(t, err)
		numbers, hashes := map[string]uint32{}, map[string]uint64{}
		var first []string
		long := false
		for range rapid.IntRange(1, 4).Draw(t, "batches") {
			long = long || rapid.IntRange(0, 3).Draw(t, "long") == 0
			cols, texts := genBatch(t, types, cells{long, rapid.Bool().Draw(t, "letters")})
			got := g.Group(cols, len(texts), nil)
			require.Len(t, got, len(texts))
			for i, h := range hasher.Hash(cols, len(texts), nil) {
				if known, ok := hashes[texts[i]]; ok {
					require.Equal(t, known, h, "the same key has the same hash")
				}
				hashes[texts[i]] = h
			}
			for i, text := range texts {
				if _, ok := numbers[text]; !ok {
					numbers[text] = uint32(len(numbers))
					first = append(first, rowText(cols, types, i))
				}
				require.Equal(t, numbers[text], got[i], text)
			}
		}
		require.Equal(t, len(numbers), g.Len())
		for i, want := range first {
			require.Equal(t, want, rowText(g.Keys(i, i+1), types, 0))
		}
		var finding errgroup.Group
		for range 2 { // at the same time
			cols, texts := genBatch(t, types, cells{long: true})
			finding.Go(func() error { return checkFound(cols, texts, g.Finder().Find(cols, len(texts), nil), numbers) })
		}
		require.NoError(t, finding.Wait())
		cols, texts := genBatch(t, types, cells{long: true})
		require.NoError(t, checkFound(cols, texts, g.Find(cols, len(texts), nil), numbers))
	})
}

// checkFound tells what was found that a map of the keys' texts says otherwise of.
func checkFound(cols []arrow.Array, texts []string, found []int32, numbers map[string]uint32) error {
	for i, at := range found {
		want := int64(-1)
		if n, ok := numbers[texts[i]]; ok && !anyNullAt(cols, i) {
			want = int64(n)
		}
		if int64(at) != want {
			return fmt.Errorf("key %s has number %d, not %d", texts[i], want, at)
		}
	}
	return nil
}

func genBatch(t *rapid.T, types []*tipb.FieldType, c cells) (cols []arrow.Array, texts []string) {
	texts = make([]string, rapid.IntRange(0, 12).Draw(t, "rows"))
	for _, ft := range types {
		b := column.NewBuilder(ft, 0)
		for i := range texts {
			d, text := genCell(t, ft, c)
			require.NoError(t, d.AppendTo(b))
			texts[i] += text + "|"
		}
		cols = append(cols, b.Detach())
	}
	return cols, texts
}

func anyNullAt(cols []arrow.Array, i int) bool {
	for _, c := range cols {
		if c.IsNull(i) {
			return true
		}
	}
	return false
}

func rowText(cols []arrow.Array, types []*tipb.FieldType, row int) string {
	out := ""
	for c, ft := range types {
		d := datum.FromColumn(cols[c], row, ft)
		out += fmt.Sprint(d.IsNull(), " ") + string(d.AppendText(nil, ft)) + "|"
	}
	return out
}

// Many keys make the tables grow; a batch beyond the usual size reserves, and keys close together need no hash table.
func TestGrouperGrows(t *testing.T) {
	for _, step := range []int64{1, 1 << 33} {
		g, err := NewGrouper([]*tipb.FieldType{intType})
		require.NoError(t, err)
		const n = 3 * column.BatchSize
		b := column.NewBuilder(intType, n)
		for i := range int64(n) {
			b.AppendInt64((i - n/2) * step)
		}
		cols := []arrow.Array{b.Array()}
		ids, err := g.Index(cols, n, func() error { return nil })
		require.NoError(t, err)
		found := g.Finder().Find(cols, n, nil)
		for i := range ids {
			require.EqualValues(t, i, ids[i])
			require.EqualValues(t, i, found[i])
		}
		b.Reset()
		b.AppendInt64(n * step)
		b.AppendInt64(-n * step)
		require.Equal(t, []int32{-1, -1}, g.Find([]arrow.Array{b.Array()}, 2, nil))
	}
}

// A space is an empty string where trailing spaces do not count, and what no lane holds equals none of the keys there.
func TestGrouperLanes(t *testing.T) {
	types := []*tipb.FieldType{binType, unsignedType}
	g, err := NewGrouper(types)
	require.NoError(t, err)
	batch := func(names []string, numbers ...uint64) []arrow.Array {
		s, n := column.NewBuilder(binType, 0), column.NewBuilder(unsignedType, 0)
		for i, name := range names {
			s.AppendBytes([]byte(name))
			n.AppendUint64(numbers[i])
		}
		return []arrow.Array{s.Array(), n.Array()}
	}
	require.Equal(t, []uint32{0, 1, 0}, g.Group(batch([]string{" ", "a", " "}, 1, 1, 1), 3, nil))
	require.Equal(t, []uint32{0, 2, 1}, g.Group(batch([]string{"", "abc", "a  "}, 1, 5, 1), 3, nil))
	require.Equal(t, []int32{-1, -1, 1}, g.Find(batch([]string{"abcd", "abc", "a"}, 5, 1<<40, 1), 3, nil))
	require.Equal(t, formLanes, g.form)
	require.Equal(t, []uint32{1, 3, 2}, g.Group(batch([]string{"a", "abcd", "abc"}, 1, 5, 5), 3, nil))
	require.Equal(t, formTuple, g.form)
	require.Equal(t, []uint32{4, 1, 3}, g.Group(batch([]string{"12345678", "a", "abcd"}, 1, 1, 5), 3, nil))
	require.Equal(t, formBytes, g.form)
}

// Groups keep their numbers when there are more than the table remembers as the last ones.
func TestGrouperManySmallGroups(t *testing.T) {
	g, err := NewGrouper([]*tipb.FieldType{binType, intType})
	require.NoError(t, err)
	const groups, batches = 1000, 5
	names, numbers := column.NewBuilder(binType, 0), column.NewBuilder(intType, 0)
	for range batches {
		names.Reset()
		numbers.Reset()
		for i := range int64(column.BatchSize) {
			names.AppendBytes([]byte{"xy"[i%2]})
			numbers.AppendInt64(i % groups)
		}
		got := g.Group([]arrow.Array{names.Array(), numbers.Array()}, column.BatchSize, nil)
		for i, at := range got {
			require.EqualValues(t, i%groups, at)
		}
	}
	require.Equal(t, groups, g.Len())
}

// A damaged partial state is an error, not a wrong result.
func TestMergeDamagedMoments(t *testing.T) {
	f := &tipb.Expr{Tp: tipb.ExprType_VarPop, FieldType: realType}
	final := tipb.AggFunctionMode_FinalMode
	f.AggFuncMode = &final
	acc, err := New(f, []*tipb.FieldType{momentsType()}, nil)
	require.NoError(t, err)
	acc.Resize(1)
	b := column.NewBuilder(momentsType(), 1)
	b.AppendBytes([]byte("short"))
	require.Error(t, acc.Merge([]uint32{0}, []arrow.Array{b.Array()}))
}
