package coprocessor

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"time"
)

// breather lets the goroutines go on whose network connections have something for them. The Go runtime looks at the
// network when no goroutine is ready to run, or else every 10 ms: while queries compute on all processors, a point read
// that takes a fraction of a millisecond by itself would wait so long at each of its steps. runtime.Gosched alone does not
// help, as the goroutine that calls it is ready to run.
//
// So the query waits for the network itself: for a byte in a pipe that another goroutine puts there right away. With the
// query parked and nothing else ready, the runtime polls, and finds the byte together with all else. What became ready last
// it runs first, which is the query; Gosched then puts it behind the others and behind all that these set going: with two
// queries on two processors that takes a point read's median from one breath to less than a fifth of it. A breath takes some
// 5 µs, once in breathEvery, which also is how long the operating system's other threads wait for a processor.
type breather struct {
	read, write *os.File
	last        time.Time
}

// breathEvery is how long a query computes at a time.
const breathEvery = 500 * time.Microsecond

// breathers are for requests that hold slots. Pipes that are not used any more are closed by the garbage collector.
var breathers = sync.Pool{New: func() any {
	b := new(breather)
	var err error
	if b.read, b.write, err = os.Pipe(); err != nil {
		return (*breather)(nil) // out of descriptors: others will have to wait
	}
	return b
}}

// pause lets others go first if the last time was long ago. now is the time of the call.
func (b *breather) pause(now time.Time) error {
	if b == nil || now.Sub(b.last) < breathEvery {
		return nil
	}
	b.last = now
	put := make(chan error, 1)
	go func() {
		_, err := b.write.Write([]byte{0})
		put <- err
	}()
	var got [1]byte
	_, err := b.read.Read(got[:])
	runtime.Gosched()
	return errors.Join(err, <-put)
}
