package engine

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/scree-db/scree/storage"
)

// NewIterator iterates a view of what is committed now. Bounds that are nil are the family's ends.
func (e *Engine) NewIterator(o storage.IterOptions) (storage.Iterator, error) {
	return newIterator(e.db, o)
}

func get(r pebble.Reader, cf storage.CF, key []byte) ([]byte, error) {
	var buf [128]byte
	val, closer, err := r.Get(familyKey(buf[:0], cf, key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read family %q: %w", byte(cf), err)
	}
	return append([]byte{}, val...), closer.Close()
}

// newIterator ignores NoFillCache: Pebble offers no such choice, but its cache keeps blocks read repeatedly through a scan.
func newIterator(r pebble.Reader, o storage.IterOptions) (storage.Iterator, error) {
	po := &pebble.IterOptions{UseL6Filters: o.Prefix}
	po.LowerBound, po.UpperBound = familyBounds(o.CF, o.Lower, o.Upper)
	if o.MinTS > 0 && o.CF == storage.CFWrite {
		po.PointKeyFilters = append(make([]pebble.BlockPropertyFilter, 0, 2), newCommitTSFilter(o.MinTS))
	}
	it, err := r.NewIter(po)
	if err != nil {
		return nil, fmt.Errorf("iterate family %q: %w", byte(o.CF), err)
	}
	return &iterator{it: it, cf: o.CF, prefix: o.Prefix}, nil
}

// iterator adds and strips the family byte. A value that cannot be loaded invalidates it.
type iterator struct {
	it     *pebble.Iterator
	cf     storage.CF
	prefix bool
	key    []byte // scratch of the seeks
	upper  []byte // and of SetBounds
	err    error
}

var _ storage.Iterator = (*iterator)(nil)

func (i *iterator) First() bool { return i.it.First() }
func (i *iterator) Last() bool  { return i.it.Last() }
func (i *iterator) Next() bool  { return i.it.Next() }
func (i *iterator) Prev() bool  { return i.it.Prev() }
func (i *iterator) Valid() bool { return i.err == nil && i.it.Valid() }
func (i *iterator) Key() []byte { return i.it.Key()[1:] }

func (i *iterator) SeekGE(key []byte) bool {
	i.key = familyKey(i.key[:0], i.cf, key)
	if i.prefix {
		return i.it.SeekPrefixGE(i.key)
	}
	return i.it.SeekGE(i.key)
}

func (i *iterator) SeekLT(key []byte) bool {
	i.key = familyKey(i.key[:0], i.cf, key)
	return i.it.SeekLT(i.key)
}

func (i *iterator) SetBounds(lower, upper []byte) {
	i.key, i.upper = familyKey(i.key[:0], i.cf, lower), familyKey(i.upper[:0], i.cf, upper)
	i.it.SetBounds(i.key, i.upper) // copies them
}

func (i *iterator) Value() []byte {
	v, err := i.it.ValueAndErr()
	if err != nil {
		i.err = fmt.Errorf("load value: %w", err)
	}
	return v
}

func (i *iterator) NextEntry() (key, value []byte, ok bool) {
	if !i.it.Next() {
		return nil, nil, false
	}
	return i.it.Key()[1:], i.Value(), true
}

func (i *iterator) Error() error { return errors.Join(i.err, i.it.Error()) }
func (i *iterator) Close() error { return i.it.Close() }
