package catalog

import "github.com/scree-db/scree/codec/memcmp"

// The meta key space. Table data lives under 't'; all of this under 'm', with a short name of what follows:
//
//	m_v                    schema version, decimal
//	m_id                   greatest database or table id given out, decimal
//	m_d  i64cmp(id)        Database as JSON
//	m_t  i64cmp(id)        Table as JSON
//	m_a  i64cmp(table id)  first AUTO_INCREMENT value not yet reserved, u64be
//	m_r  i64cmp(table id)  first hidden row id not yet reserved, u64be
//	m_s  i64cmp(table id)  TableStats as JSON
//	m_n  gateway id        member as JSON
//	m_x  i64cmp(table id)  exclusion as JSON
var (
	versionKey  = []byte("m_v")
	globalIDKey = []byte("m_id")
)

const (
	databasePrefix = "m_d"
	tablePrefix    = "m_t"
	autoIncPrefix  = "m_a"
	rowIDPrefix    = "m_r"
	statsPrefix    = "m_s"

	memberPrefix    = "m_n"
	exclusionPrefix = "m_x"
)

func metaKey(prefix string, id int64) []byte { return memcmp.AppendInt64([]byte(prefix), id) }

// prefixRange holds all keys of a kind: ids are positive, and gateways have no
// 0xff in their names, so that no key has it after the prefix.
func prefixRange(prefix string) (start, end []byte) {
	return []byte(prefix), append([]byte(prefix), 0xff)
}
