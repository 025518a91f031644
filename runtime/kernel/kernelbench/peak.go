package kernelbench

import (
	"sync"
	"time"

	"github.com/klauspost/cpuid/v2"

	"github.com/gradsmith/gradsmith/runtime/kernel"
)

// Peak measures how many floating-point operations a second fused multiply-adds of the level that kernels run on make,
// on so many threads at once: what bounds the speed of products. It takes some 20 ms of each thread. The best of the
// rounds counts, which is what the machine can do where something else runs on it. It is 0 where there is no loop that
// measures it: without assembly.
func Peak(threads int) float64 {
	fma, flops := limits(kernel.Level())
	if fma == nil || threads < 1 {
		return 0
	}
	const rounds = 5000 // about 0.2 ms, so that a thread is not taken away in between
	best := 0.0
	for began := time.Now(); time.Since(began) < 20*time.Millisecond; {
		var start, done sync.WaitGroup
		start.Add(threads)
		done.Add(threads)
		times := make([]time.Duration, threads)
		for i := range threads {
			go func() {
				defer done.Done()
				start.Done()
				start.Wait()
				at := time.Now()
				fma(rounds)
				times[i] = time.Since(at)
			}()
		}
		done.Wait()
		sum := 0.0
		for _, t := range times {
			sum += rounds * flops / max(1e-9, t.Seconds())
		}
		best = max(best, sum)
	}
	return best
}

// Processor is the name of the processor, where it says one.
func Processor() string { return cpuid.CPU.BrandName }
