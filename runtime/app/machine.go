package app

import (
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/kernel/kernelbench"
	"github.com/gradsmith/gradsmith/runtime/parallel"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// machine is what a training runs on. Of several processes it is taken that all run on machines like this one.
func (a *program) machine() train.Machine {
	threads, processes := parallel.Threads(), max(1, a.group.Size())
	return train.Machine{Processor: kernelbench.Processor(), Kernels: kernel.Level(), Threads: threads * processes,
		Peak: kernelbench.Peak(threads) * float64(processes)}
}
