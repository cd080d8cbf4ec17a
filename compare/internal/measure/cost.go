package measure

import (
	"runtime"
	"time"
)

// Names of figures that goals refer to.
const (
	Time        = "time"
	CPU         = "CPU"
	Allocated   = "allocated"
	Allocations = "allocations"
	Throughput  = "throughput"
)

// Cost does some work that consists of n like parts, and returns what one part
// costs: time, processor time of the whole process, bytes and allocations.
func Cost(n int, work func() error) ([]Figure, error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, start := processorTime(), time.Now()
	err := work()
	elapsed := time.Since(start)
	cpu = processorTime() - cpu
	runtime.ReadMemStats(&after)
	each := func(total float64) float64 { return total / float64(n) }
	return []Figure{
		{Name: Time, Unit: "ns", Value: each(float64(elapsed))},
		{Name: CPU, Unit: "ns", Value: each(float64(cpu))},
		{Name: Allocated, Unit: "B", Value: each(float64(after.TotalAlloc - before.TotalAlloc))},
		{Name: Allocations, Unit: "", Value: each(float64(after.Mallocs - before.Mallocs))},
	}, err
}

// Heap returns how many bytes of the heap are in use.
func Heap() uint64 {
	// The first collection runs finalizers that free more.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
