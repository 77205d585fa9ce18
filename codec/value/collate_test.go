package value

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func collator(t require.TestingT, name string) Collator {
	c, err := CollationByName(name)
	require.NoError(t, err)
	require.True(t, c.Supported(), name)
	byID, err := CollatorByID(c.FieldTypeID())
	require.NoError(t, err)
	return byID
}

// Pairs whose order tells collations apart: case, accents, trailing spaces, expansions, contractions.
func TestCollations(t *testing.T) {
	names := []string{"binary", "utf8mb4_bin", "utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_0900_ai_ci", "utf8mb4_0900_bin"}
	for _, c := range []struct {
		a, b string
		want [6]int
	}{
		{"a", "a", [6]int{0, 0, 0, 0, 0, 0}},
		{"a", "A", [6]int{1, 1, 0, 0, 0, 1}},
		{"a", "b", [6]int{-1, -1, -1, -1, -1, -1}},
		{"a ", "a", [6]int{1, 0, 0, 0, 1, 1}},
		{"é", "E", [6]int{1, 1, 0, 0, 0, 1}},
		{"ß", "ss", [6]int{1, 1, -1, 0, 0, 1}},
		{"ß", "s", [6]int{1, 1, 0, 1, 1, 1}},
		{"ﬃ", "ffi", [6]int{1, 1, 1, 0, 0, 1}},
		{"가", "\u1100\u1161", [6]int{1, 1, 1, 1, 0, 1}},
		{"и\u0306", "й", [6]int{-1, -1, -1, -1, 0, -1}},
		{"ab", "a", [6]int{1, 1, 1, 1, 1, 1}},
		{"", "a", [6]int{-1, -1, -1, -1, -1, -1}},
		{"\x00", "", [6]int{1, 1, 1, 0, 0, 1}},
		{"😀", "😁", [6]int{-1, -1, 0, 0, -1, -1}},
		{"中", "国", [6]int{-1, -1, -1, -1, -1, -1}},
		{"l·a", "lb", [6]int{1, 1, 1, -1, -1, 1}},
	} {
		for i, name := range names {
			col := collator(t, name)
			require.Equal(t, c.want[i], col.Compare([]byte(c.a), []byte(c.b)), "%s: %q %q", name, c.a, c.b)
			require.Equal(t, -c.want[i], col.Compare([]byte(c.b), []byte(c.a)), "%s: %q %q", name, c.b, c.a)
		}
	}
}

// GBK orders by code or by pronunciation; both differ from the order of Unicode.
func TestGBK(t *testing.T) {
	bin, chinese := collator(t, "gbk_bin"), collator(t, "gbk_chinese_ci")
	for _, c := range []struct {
		a, b         string
		bin, chinese int
	}{
		{"a", "A", 1, 0},
		{"a ", "a", 0, 0},
		{"中", "国", 1, 1},
		{"啊", "中", -1, -1},
		{"一", "丁", 1, 1},
		{"亞", "啊", -1, 1},
		{"😀", "?", 0, 0},
		{"中a", "中", 1, 1},
	} {
		require.Equal(t, c.bin, bin.Compare([]byte(c.a), []byte(c.b)), "gbk_bin: %q %q", c.a, c.b)
		require.Equal(t, c.chinese, chinese.Compare([]byte(c.a), []byte(c.b)), "gbk_chinese_ci: %q %q", c.a, c.b)
	}
	require.Equal(t, "\xd6\xd0a", string(bin.AppendKey(nil, []byte("中a "))))
	require.True(t, chinese.(RuneMatcher).SameRune('b', 'B'))
	require.False(t, bin.(RuneMatcher).SameRune('b', 'B'))
}

// Sort keys order as Compare does, whatever the bytes.
func TestSortKeysOrderAsCompare(t *testing.T) {
	text := rapid.OneOf(rapid.StringN(0, 8, -1), rapid.StringMatching(`[aAbBàßŁ l·и\x{306} ]{0,6}`), rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 6), func(b []byte) string { return string(b) }))
	rapid.Check(t, func(t *rapid.T) {
		a, b := []byte(text.Draw(t, "a")), []byte(text.Draw(t, "b"))
		for _, c := range Collations() {
			if !c.Supported() {
				continue
			}
			ka, kb := c.collator.AppendKey(nil, a), c.collator.AppendKey(nil, b)
			require.Equal(t, c.collator.Compare(a, b), bytes.Compare(ka, kb), c.Name)
			if c.collator.KeyIsIdentity() {
				require.True(t, bytes.Equal(a, ka))
			}
		}
	})
}

func TestCollationNames(t *testing.T) {
	c, err := DefaultCollation("UTF8MB4")
	require.NoError(t, err)
	require.Equal(t, "utf8mb4_bin", c.Name)
	require.Equal(t, "utf8mb4_0900_ai_ci", CollationName(-255))
	require.Equal(t, "utf8", CharsetOf(33))
	c, err = CollationByName("utf8mb3_General_CI")
	require.NoError(t, err)
	require.Equal(t, int32(33), c.ID)
	_, err = CollationByName("klingon_ci")
	require.ErrorContains(t, err, "Unknown collation: 'klingon_ci'")
	_, err = CollatorByID(-8)
	require.ErrorContains(t, err, "latin1_swedish_ci")
	_, err = CollatorByID(-99999)
	require.Error(t, err)
	same := collator(t, "utf8mb4_general_ci").(RuneMatcher)
	require.True(t, same.SameRune('É', 'e'))
	require.False(t, same.SameRune('x', 'e'))
}

func TestEnumAndSet(t *testing.T) {
	elems := []string{"red", "Green", "3", "blue"}
	ci := collator(t, "utf8mb4_general_ci")
	for _, c := range []struct {
		in   string
		want uint64
		ok   bool
	}{{"red", 1, true}, {"RED ", 1, true}, {"3", 3, true}, {"4", 4, true}, {"0", 0, false}, {"5", 5, false}, {"grey", 0, false}} {
		n, ok := ParseEnum(elems, []byte(c.in), ci)
		require.Equal(t, c.ok, ok, c.in)
		require.Equal(t, c.want, n, c.in)
	}
	require.Equal(t, "Green", EnumName(elems, 2))
	require.Equal(t, "", EnumName(elems, 0))
	require.Equal(t, "", EnumName(elems, 9))
	mask, ok := ParseSet(elems, []byte("blue,RED"), ci)
	require.True(t, ok)
	require.Equal(t, uint64(9), mask)
	require.Equal(t, "red,blue", string(AppendSetNames(nil, elems, mask)))
	mask, ok = ParseSet(elems, []byte("red,pink"), ci)
	require.False(t, ok)
	require.Equal(t, uint64(1), mask)
	mask, ok = ParseSet(elems, []byte("15"), ci)
	require.True(t, ok)
	require.Equal(t, uint64(15), mask)
	_, ok = ParseSet(elems, []byte("16"), ci)
	require.False(t, ok)
}

func BenchmarkCollate0900(b *testing.B) {
	c := collator(b, "utf8mb4_0900_ai_ci")
	x, y := []byte("the quick brown fox jumps"), []byte("The Quick Brown Fox Jumped")
	for b.Loop() {
		c.Compare(x, y)
	}
}
