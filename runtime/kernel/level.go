package kernel

import (
	"cmp"
	"fmt"

	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// environment is what is wrong with GRADSMITH_CPU.
var environment error

// Environment reports what is wrong with the environment variables that the process began with, GRADSMITH_CPU and
// GRADSMITH_THREADS, or nil. A variable that is wrong counts as if it were not set; what loads a model or runs a
// program's commands returns the error, so that nobody takes one level for another.
func Environment() error {
	threads := parallel.Environment()
	if environment != nil && threads != nil {
		return fmt.Errorf("%w; %w", environment, threads)
	}
	return cmp.Or(environment, threads)
}

// Level returns the name of the instruction set that kernels run on: "generic", "avx2" or "avx512".
func Level() string { return levelNames[level] }

// An ISA is a set of instructions that kernels run on.
type ISA int

// The sets of instructions, of which each has those before it.
const (
	Generic ISA = generic
	AVX2    ISA = avx2
	AVX512  ISA = avx512
)

// Instructions returns the set that kernels run on, by which generated packages choose their own assembly.
func Instructions() ISA { return ISA(level) }

const (
	generic = iota
	avx2
	avx512
)

var levelNames = [...]string{generic: "generic", avx2: "avx2", avx512: "avx512"}

// chooseLevel is the level to run at, given the best that the machine has and the value of GRADSMITH_CPU. With an error
// it is the best.
func chooseLevel(best int, env string) (int, error) {
	if env == "" {
		return best, nil
	}
	for l, name := range levelNames {
		if name == env {
			if l > best {
				return best, fmt.Errorf("GRADSMITH_CPU=%q: this machine or build has %s at best", env, levelNames[best])
			}
			return l, nil
		}
	}
	return best, fmt.Errorf("GRADSMITH_CPU=%q: want generic, avx2 or avx512", env)
}
