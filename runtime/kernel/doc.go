// Package kernel holds the heavy lines of generated models: matrix products, attention, rows (softmax, norms,
// cross-entropy), elementwise functions, positions, optimizers, indexing and random numbers, all over float32 slices.
//
// It knows nothing of models, graphs, arenas or specs: every kernel is one function over slices and sizes. Matrices
// are dense and row-major unless a comment says otherwise. A slice may be longer than the kernel needs (it is often
// the front of an arena); one that is shorter panics, naming the kernel, the argument, its length and the need, before
// any memory is written. A size of zero is a no-op. Nothing allocates once the package is warm.
//
// # Reproducibility
//
// Given the same arguments a kernel returns the same bits on every machine: for any number of threads, under AVX-512,
// AVX2 or generic Go. This holds by construction:
//
//   - a product adds along k in one order, from 0 to k-1, with fused multiply-adds, starting from the accumulated
//     value, the bias and the residual where there are any;
//   - a sum over a row runs over 64 virtual lanes, element i going to lane i mod 64, which are then added in one fixed
//     tree; a sum down a column adds blocks of 128 rows from the first to the last, and then the sums of the blocks;
//   - attention works on blocks of 512 keys, and within one a probability goes to the lane of its key;
//   - an elementwise function is one sequence of correctly rounded float32 operations, fused where the definition
//     says so, and the same sequence at every level;
//   - work is split over outputs, never over a sum.
//
// Which bits a NaN has is not part of the promise.
//
// # Levels
//
// The generic code is the definition of every kernel. On amd64, unless built with the tag purego, assembly for AVX2
// with FMA or for AVX-512 runs instead where the machine has it. The environment variable GRADSMITH_CPU, read once at
// start, forces generic, avx2 or avx512; [Environment] tells when that is a level that the machine lacks. [Level] tells
// which level runs.
package kernel

//go:generate go run ../../asm/kernels -dir .
