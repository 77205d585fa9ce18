package node

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/pingcap/tipb/go-tipb"
	"github.com/stretchr/testify/require"

	"github.com/scree-db/scree/codec/column"
)

// What a process left is gone when the next one opens the directory; what is not a run stays.
func TestOpenSpill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spill")
	dir, err := openSpill(path)
	require.NoError(t, err)
	bigint := &tipb.FieldType{Tp: column.TypeLongLong}
	b := column.NewBuilder(bigint, 1)
	b.AppendInt64(7)
	w := dir.NewWriter([]*tipb.FieldType{bigint})
	require.NoError(t, w.Write(column.Batch{Cols: []arrow.Array{b.Array()}, Rows: 1}))
	run, err := w.Finish()
	require.NoError(t, err)
	r, err := run.Open()
	require.NoError(t, err)
	got, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, 1, got.Rows)
	_, err = r.Next()
	require.Equal(t, io.EOF, err)
	require.NoError(t, r.Close())

	require.NoError(t, os.WriteFile(filepath.Join(path, "README"), nil, 0o600))
	_, err = openSpill(path)
	require.NoError(t, err)
	left, err := os.ReadDir(path)
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Equal(t, "README", left[0].Name())
	require.ErrorContains(t, run.Remove(), path)
}
