// Package hook lets benchmarks of kernels and tests of models choose the level that kernels run at, and see what they
// keep. It is not for programs: a program has GRADSMITH_CPU.
package hook

// SetLevel makes kernels run at a level by its name, if the machine has it, and reports whether it does. It must not be
// called while kernels run. Package kernel sets it.
var SetLevel func(name string) bool

// AttentionMemory gives the memory up that the kernels of attention have kept to work in, and returns how many bytes it
// was. Package kernel sets it.
var AttentionMemory func() int
