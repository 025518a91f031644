//go:build amd64 && !purego

package kernel

import (
	"os"

	"github.com/gradsmith/gradsmith/runtime/internal/hook"
	"github.com/klauspost/cpuid/v2"
)

// level is the level that kernels run at. Only tests and benchmarks change it after start.
var level int

// best is the highest level that this machine has.
var best int

func init() {
	switch {
	case cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.BMI2):
		best = avx512
	case cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3):
		best = avx2
	}
	blocking = blocksFor(cpuid.CPU.Cache.L2)
	hook.SetLevel = func(name string) bool {
		l, err := chooseLevel(best, name)
		if err == nil {
			level = l
		}
		return err == nil
	}
	level, environment = chooseLevel(best, os.Getenv("GRADSMITH_CPU"))
}
