package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"

	"github.com/scree-db/scree/codec/memcmp"
	"github.com/scree-db/scree/storage"
)

// APIOptions choose the API version of a cluster.
type APIOptions struct {
	// Version is what all stores speak; the zero value is V1. With data in a store it can be changed as long as that is
	// data of the SQL gateway alone.
	Version kvrpcpb.APIVersion
	// SweepEvery is how often raw pairs that have expired are looked for, to delete them; default 1 h.
	SweepEvery time.Duration
}

const defaultSweepEvery = time.Hour

// errAPIVersion is in the chain of the error of a store with data of another API version.
var errAPIVersion = errors.New("the store has data of another API version")

// checkAPI holds the store's data, and what its raft log is about to add to it, against the API version that it shall speak,
// and notes a change.
func (s *Store) checkAPI(context.Context) error {
	if s.ident.API == s.opts.API.Version {
		return nil
	}
	if err := errors.Join(s.onlyTables(), s.raft.Unapplied(onlyTable)); err != nil {
		return fmt.Errorf("%s holds data of API version %s, cannot speak %s: %w", s.opts.Dir, s.ident.API, s.opts.API.Version, err)
	}
	s.ident.API = s.opts.API.Version
	return s.ident.save(s.opts.Dir)
}

// What is the same under every API version: the data of SQL tables and their catalog, whose keys begin with 'm' and 't'.
// Between these ranges of user keys, and in the families of raw data, is what belongs to one version.
var (
	betweenTables = [][2]string{{"", "m"}, {"n", "t"}, {"u", ""}}
	rawFamilies   = []storage.CF{storage.CFRaw, storage.CFRawLock, storage.CFRawWrite, storage.CFRawV2}
)

// onlyTables returns an error unless all data is of tables.
func (s *Store) onlyTables() error {
	for _, cf := range rawFamilies {
		if err := s.empty(cf, "", ""); err != nil {
			return err
		}
	}
	for _, cf := range []storage.CF{storage.CFLock, storage.CFWrite, storage.CFDefault} {
		for _, between := range betweenTables {
			if err := s.empty(cf, between[0], between[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// onlyTable returns an error if a change puts anything but a table's data.
func onlyTable(m storage.Modify) error {
	isTables := len(m.Key) > 0 && (m.Key[0] == 'm' || m.Key[0] == 't')
	if m.Op == storage.OpPut && (!isTables || slices.Contains(rawFamilies, m.CF)) {
		return fmt.Errorf("%w: family %q gets key %x", errAPIVersion, byte(m.CF), m.Key)
	}
	return nil
}

// empty returns an error if a family has keys in a range of user keys.
func (s *Store) empty(cf storage.CF, start, end string) (err error) {
	o := storage.IterOptions{CF: cf}
	if start != "" {
		o.Lower = memcmp.AppendBytes(nil, []byte(start))
	}
	if end != "" {
		o.Upper = memcmp.AppendBytes(nil, []byte(end))
	}
	it, err := s.data.NewIterator(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if it.First() {
		return fmt.Errorf("%w: family %q has key %x", errAPIVersion, byte(cf), it.Key())
	}
	return it.Error()
}

// sweep deletes what has expired until the store stops. The engine is closed only after that.
func (s *Store) sweep() {
	every := s.opts.API.SweepEvery
	if every <= 0 {
		every = defaultSweepEvery
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-s.ctx.Done():
				return
			case <-ticker.C:
				s.sweepOnce()
			}
		}
	}()
	s.opened(func() error { <-done; return nil })
}

// sweepOnce goes through the regions that the store leads. One that has just moved or split has its turn the next time.
func (s *Store) sweepOnce() {
	deleted := 0
	for _, r := range s.raft.Regions() {
		if !r.IsLeader || s.ctx.Err() != nil {
			continue
		}
		n, err := s.raw.Sweep(s.ctx, storage.Region{ID: r.Region.Id, Epoch: r.Region.RegionEpoch, Term: r.Term})
		var moved *storage.RegionError
		if deleted += n; err != nil && !errors.As(err, &moved) && s.ctx.Err() == nil {
			s.log.Warn("sweep of expired pairs", "region", r.Region.Id, "err", err)
		}
	}
	if deleted > 0 {
		s.log.Info("expired pairs were deleted", "pairs", deleted)
	}
}
