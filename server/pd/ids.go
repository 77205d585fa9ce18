package pd

import (
	"context"
	"fmt"
	"strconv"
	"sync"
)

// idBlock is how many ids one durable write reserves. A restart loses the rest of a block, which costs nothing.
const idBlock = 1000

// idAllocator hands out unique ids, increasing, from 1.
type idAllocator struct {
	state State

	mu    sync.Mutex // held during writes too: ids are rarely asked for
	last  uint64
	bound uint64 // the last id that may be handed out before the next write
}

func newIDAllocator(ctx context.Context, state State) (*idAllocator, error) {
	bound, err := loadInt(ctx, state, keyIDs)
	return &idAllocator{state: state, last: bound, bound: bound}, err
}

// next reserves count ids and returns the last of them.
func (a *idAllocator) next(ctx context.Context, count uint32) (uint64, error) {
	count = max(count, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	last := a.last + uint64(count)
	if last > a.bound {
		bound := last + idBlock
		if err := a.state.Save(ctx, Pair{keyIDs, strconv.AppendUint(nil, bound, 10)}); err != nil {
			return 0, fmt.Errorf("save the bound of ids: %w", err)
		}
		a.bound = bound
	}
	a.last = last
	return last, nil
}
