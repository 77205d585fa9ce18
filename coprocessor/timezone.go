package coprocessor

import (
	"fmt"
	"sync"
	"time"
	_ "time/tzdata" // a store must not depend on the files of its machine
)

// zones remembers what LoadLocation has parsed; names that do not exist are not kept, so it is bounded by the database.
var zones sync.Map

// timeZone is the session's zone: by name, else by its offset in seconds east of UTC.
func timeZone(name string, offset int64) (*time.Location, error) {
	switch name {
	case "":
		const day = 24 * 60 * 60
		if offset <= -day || offset >= day {
			return nil, fmt.Errorf("time zone offset %d is out of range", offset)
		}
		if offset == 0 {
			return time.UTC, nil
		}
		return time.FixedZone("", int(offset)), nil
	case "UTC":
		return time.UTC, nil
	}
	if l, ok := zones.Load(name); ok {
		return l.(*time.Location), nil
	}
	l, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone: %w", err)
	}
	zones.Store(name, l)
	return l, nil
}
