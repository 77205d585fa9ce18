package executor

import (
	"errors"
	"sync"

	"github.com/pingcap/tipb/go-tipb"
)

// Copy is what has been made of a Broadcast's rows for trees in another place.
type Copy interface{ Close() }

// copies are those of one Broadcast.
type copies struct {
	mu sync.Mutex
	at map[any]*copyAt
}

// copyAt is the copy in one place, or why there is none.
type copyAt struct {
	mu   sync.Mutex // held while the copy is made
	copy Copy
	err  error // is ErrNoRoom
}

// CopyAt is the copy in a place: the first call for a place has it made, and others wait for that. A place without room is not
// asked again. The copy is closed with b, or by DropCopy.
func (b *Broadcast) CopyAt(place any, make func(fields []*tipb.FieldType, rows []Batch) (Copy, error)) (Copy, error) {
	c := b.copies.of(place)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.copy != nil || c.err != nil {
		return c.copy, c.err
	}
	made, err := make(b.fields, b.batches)
	if errors.Is(err, ErrNoRoom) {
		c.err = err
	}
	if err == nil {
		c.copy = made
	}
	return c.copy, err
}

// DropCopy closes a copy that has turned out to be gone; the next CopyAt makes another.
func (b *Broadcast) DropCopy(place any, gone Copy) {
	c := b.copies.of(place)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.copy == gone {
		gone.Close()
		c.copy = nil
	}
}

func (c *copies) of(place any) *copyAt {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == nil {
		c.at = map[any]*copyAt{}
	}
	if c.at[place] == nil {
		c.at[place] = new(copyAt)
	}
	return c.at[place]
}

func (c *copies) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, at := range c.at {
		if at.copy != nil {
			at.copy.Close()
			at.copy = nil
		}
	}
}
