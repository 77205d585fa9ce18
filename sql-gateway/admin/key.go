package admin

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/scree-db/scree/codec/tablekey"
	"github.com/scree-db/scree/sql-gateway/catalog"
	"github.com/scree-db/scree/sql-gateway/kvclient"
)

// ParseRange reads what a person types for a key, or for the keys that begin with it:
//
//	table:NAME, table:DB.NAME    all keys of a table, in the database test unless named
//	table:NAME/5                 the row whose integer key, or hidden row id, is 5
//	hex:7480                     bytes
//	t\200\x00abc                 bytes as text, with \ooo, \xhh and Go's other escapes
//
// key is nil where a whole table is named. The range of a row is the row's alone.
func (a *Admin) ParseRange(ctx context.Context, text string) (key []byte, r kvclient.KeyRange, err error) {
	if name, ok := strings.CutPrefix(text, "table:"); ok {
		return a.tableRange(ctx, name)
	}
	if key, err = parseBytes(text); err != nil {
		return nil, r, err
	}
	return key, kvclient.KeyRange{Start: key, End: tablekey.PrefixNext(key)}, nil
}

// ParseKey is ParseRange for a bound of a range: of a table its first key.
func (a *Admin) ParseKey(ctx context.Context, text string) ([]byte, error) {
	_, r, err := a.ParseRange(ctx, text)
	return r.Start, err
}

func parseBytes(text string) ([]byte, error) {
	if digits, ok := strings.CutPrefix(text, "hex:"); ok {
		key, err := hex.DecodeString(digits)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", text, err)
		}
		return key, nil
	}
	key, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
	if err != nil {
		return nil, fmt.Errorf("key %q has a bad escape; \\ooo, \\xhh, \\\\ and Go's others are known", text)
	}
	return []byte(key), nil
}

func (a *Admin) tableRange(ctx context.Context, text string) (key []byte, r kvclient.KeyRange, err error) {
	name, handle, row := strings.Cut(text, "/")
	db, table, ok := strings.Cut(name, ".")
	if !ok {
		db, table = "test", name
	}
	schema, err := catalog.Read(ctx, catalog.FromClient(a.kv))
	if err != nil {
		return nil, r, err
	}
	t, err := schema.Table(db, table)
	if err != nil {
		return nil, r, err
	}
	if !row {
		all := tablekey.TableRange(t.ID)
		return nil, kvclient.KeyRange{Start: all.Start, End: all.End}, nil
	}
	id, err := strconv.ParseInt(handle, 10, 64)
	if err != nil {
		return nil, r, errors.New("a row is named by an integer: table:NAME/5")
	}
	key = tablekey.AppendRecordKey(nil, t.ID, tablekey.IntHandle(id))
	return key, kvclient.KeyRange{Start: key, End: append(key[:len(key):len(key)], 0)}, nil
}

// FormatKey shows bytes in the form that ParseKey reads.
func FormatKey(b []byte) string {
	quoted := strconv.QuoteToASCII(string(b))
	text := strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	if isPrefixed(text) { // it would be taken for something else
		return "hex:" + hex.EncodeToString(b)
	}
	return text
}

func isPrefixed(text string) bool {
	return strings.HasPrefix(text, "hex:") || strings.HasPrefix(text, "table:")
}

// physicalShift makes milliseconds of a timestamp.
const physicalShift = 18

// FormatTS shows the time of a timestamp.
func FormatTS(ts uint64) string {
	if ts == 0 {
		return ""
	}
	return time.UnixMilli(int64(ts >> physicalShift)).UTC().Format("2006-01-02 15:04:05.000")
}

// names are the tables by id.
type names struct{ schema *catalog.Snapshot }

// tableNames reads the schema.
func (a *Admin) tableNames(ctx context.Context) (names, error) {
	schema, err := catalog.Read(ctx, catalog.FromClient(a.kv))
	return names{schema}, err
}

// place tells what a key belongs to.
func (n names) place(key []byte) string {
	switch {
	case len(key) == 0:
		return ""
	case key[0] == 'm':
		return "catalog"
	case key[0] != 't' || len(key) < tablekey.TablePrefixLen:
		return ""
	}
	id, err := tablekey.DecodeIntHandle(key[1:tablekey.TablePrefixLen])
	if err != nil {
		return ""
	}
	t := n.schema.ByID(id)
	name := fmt.Sprintf("table %d", id)
	if t != nil {
		name = t.DB + "." + t.Name
	}
	k, err := tablekey.Decode(key)
	switch {
	case err != nil:
		return name
	case k.Index:
		return name + " index " + indexName(t, k.IndexID)
	case len(k.Rest) == tablekey.IntHandleLen:
		if row, err := tablekey.DecodeIntHandle(k.Rest); err == nil {
			return name + "/" + strconv.FormatInt(row, 10)
		}
	}
	return name
}

// indexName is the name of an index of a table, if that is known, or its number.
func indexName(t *catalog.Table, id int64) string {
	if t != nil {
		for _, ix := range t.Indexes {
			if ix.ID == id {
				return ix.Name
			}
		}
	}
	return strconv.FormatInt(id, 10)
}
