package raw

import (
	"context"

	"github.com/scree-db/scree/storage"
)

// sweepKeys is how many expired pairs go in one write. The stripes of their keys are held meanwhile.
const sweepKeys = 128

// Sweep deletes the pairs of a region that have expired, and returns how many. It reads all pairs of the region, and
// writes only where there is something to delete. The store must lead the region; errors are those of storage.Store.
func (s *Service) Sweep(ctx context.Context, at storage.Region) (deleted int, err error) {
	if !s.expires() {
		return 0, nil
	}
	for _, cf := range s.families() {
		for from, more := []byte(nil), true; more; {
			var keys [][]byte
			if keys, err = s.expired(ctx, at, cf, from); err != nil {
				return deleted, err
			}
			n, err := s.deleteExpired(ctx, at, cf, keys)
			if deleted += n; err != nil {
				return deleted, err
			}
			if more = len(keys) == sweepKeys; more {
				from = append(keys[len(keys)-1], 0)
			}
		}
	}
	return deleted, nil
}

// expired finds the first pairs from a stored key on that have expired.
func (s *Service) expired(ctx context.Context, at storage.Region, cf storage.CF, from []byte) (keys [][]byte, err error) {
	now := s.now()
	o := storage.IterOptions{CF: cf, Lower: from, NoFillCache: true}
	err = s.walkStored(ctx, at, o, false, func(key, stored []byte) (more bool, err error) {
		_, _, live, err := s.userValue(stored, now)
		if !live && err == nil {
			keys = append(keys, append([]byte{}, key...))
		}
		return len(keys) < sweepKeys, err
	})
	return keys, err
}

// deleteExpired deletes those of the pairs that are still expired when nobody else can write them.
func (s *Service) deleteExpired(ctx context.Context, at storage.Region, cf storage.CF, keys [][]byte) (int, error) {
	if len(keys) == 0 {
		return 0, nil
	}
	defer s.lock(keys...)()
	snap, err := s.snapshot(ctx, at, keys...)
	if err != nil {
		return 0, err
	}
	at = fixed(at, snap)
	mods, err := s.stillExpired(snap, cf, keys)
	if err := join(err, snap.Close()); err != nil || len(mods) == 0 {
		return 0, err
	}
	if err := s.store.Write(context.WithoutCancel(ctx), at, mods); err != nil {
		return 0, err
	}
	return len(mods), nil
}

func (s *Service) stillExpired(snap storage.Snapshot, cf storage.CF, keys [][]byte) (mods []storage.Modify, err error) {
	now := s.now()
	for _, key := range keys {
		stored, err := snap.Get(cf, key)
		if err != nil {
			return nil, err
		}
		if stored == nil {
			continue
		}
		_, _, live, err := s.userValue(stored, now)
		if err != nil {
			return nil, err
		}
		if !live {
			mods = append(mods, storage.Modify{Op: storage.OpDelete, CF: cf, Key: key})
		}
	}
	return mods, nil
}
