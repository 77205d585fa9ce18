package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"
)

// result is what a load was answered with.
type result struct {
	rate     float64 // operations a second
	p50, p99 time.Duration
	cpu      time.Duration // of this process, an operation
}

func (r result) String() string {
	return fmt.Sprintf("%.0f/s, p50 %v, p99 %v", r.rate, r.p50.Round(time.Microsecond), r.p99.Round(time.Microsecond))
}

// warmUp precedes each measurement: connections, caches, the runtime's memory.
const warmUp = 500 * time.Millisecond

// load has clients call op one after another for a while. Each call of op gets the number of its client and a number to
// choose a key by. The first error ends the load.
func load(clients int, during time.Duration, op func(ctx context.Context, client int, pick uint64) error) (result, error) {
	return pacedLoad(clients, during, 0, op)
}

// pacedLoad is load with a pause of each client before each operation.
func pacedLoad(clients int, during, pause time.Duration, op func(ctx context.Context, client int, pick uint64) error) (result, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	from := time.Now().Add(warmUp)
	until := from.Add(during)
	latencies := make([][]time.Duration, clients)
	var wg sync.WaitGroup
	cpu := cpuTime()
	for c := range clients {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(c), 1))
			for begin := time.Now(); begin.Before(until) && ctx.Err() == nil; begin = time.Now() {
				if err := op(ctx, c, rng.Uint64()); err != nil {
					cancel(err)
					return
				}
				if begin.After(from) {
					latencies[c] = append(latencies[c], time.Since(begin))
				}
				if pause > 0 {
					time.Sleep(pause)
				}
			}
		})
	}
	wg.Wait()
	cpu = cpuTime() - cpu
	if err := context.Cause(ctx); err != nil {
		return result{}, err
	}
	all := slices.Concat(latencies...)
	if len(all) == 0 {
		return result{}, fmt.Errorf("no operation ended within %v", during)
	}
	slices.Sort(all)
	warm := float64(len(all)) * float64(during+warmUp) / float64(during) // operations, those of the warm-up included
	return result{
		rate: float64(len(all)) / during.Seconds(), p50: all[len(all)/2], p99: all[len(all)*99/100],
		cpu: time.Duration(float64(cpu) / warm),
	}, nil
}

// cpuTime is what this process has used of the processors so far, 0 if the system does not tell.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
