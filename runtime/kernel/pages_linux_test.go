package kernel

import (
	"os"
	"syscall"
	"testing"
	"unsafe"

	"github.com/gradsmith/gradsmith/runtime/cache"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// A fence is memory between two pages that cannot be touched.
type fence struct{ data []byte }

func newFence(t *testing.T, bytes int) *fence {
	page := os.Getpagesize()
	size := (bytes+page-1)/page*page + 2*page
	m, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(m) })
	for _, edge := range [][]byte{m[:page], m[size-page:]} {
		if err := syscall.Mprotect(edge, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return &fence{m[page : size-page]}
}

// slice is n elements at the end of the fence, or at its beginning.
func (f *fence) slice(n int, atEnd bool) []float32 {
	x := unsafe.Slice((*float32)(unsafe.Pointer(&f.data[0])), len(f.data)/4)
	if atEnd {
		return x[len(x)-n:]
	}
	return x[:n:n]
}

// Kernels touch nothing before or after their slices: neither writes nor reads go beyond them, or this test would
// crash.
func TestFences(t *testing.T) {
	const most = 1 << 16
	var f []*fence
	for range 16 {
		f = append(f, newFence(t, 4*most))
	}
	eachLevel(t, func(t *testing.T) {
		r := rng(10)
		for _, atEnd := range []bool{true, false} {
			for o, shape := range vecShapes {
				for n := 1; n < 150; n += 1 + n/20 {
					var v vec
					for i := range shape.n {
						v.p[i] = ptr(f[i].slice(n, atEnd))
					}
					copy(v.s[:], shape.scalars)
					vecRange(o, &v, 0, n)
				}
			}
			for _, k := range rowCases {
				for _, cols := range rowSizes {
					const rows = 3
					var out, in [][]float32
					for i, n := range k.outs(rows, cols) {
						out = append(out, f[i].slice(n, atEnd))
					}
					for i, n := range k.ins(rows, cols) {
						in = append(in, f[8+i].slice(n, atEnd))
						copy(in[i], floats(r, n))
					}
					k.run(out, in, rows, cols)
				}
			}
			for _, size := range []int{1, 5, 8, 16, 31, 32, 33, 64, 70} {
				for _, steps := range []int{1, 3, 17, 40} {
					h := Heads{Count: 2, KV: 1, Size: size, LDQ: 2 * size, LDK: size, Scale: 1, Causal: steps != 17}
					n := steps * size
					y, lse, q, k, v := f[0].slice(2*n, atEnd), f[1].slice(2*steps, atEnd), f[2].slice(2*n,
						atEnd), f[3].slice(n, atEnd), f[4].slice(n, atEnd)
					dq, dk, dv := f[5].slice(2*n, atEnd), f[6].slice(n, atEnd), f[7].slice(n, atEnd)
					for _, x := range [][]float32{q, k, v} {
						copy(x, floats(r, len(x)))
					}
					Attention(y, lse, q, k, v, nil, steps, steps, 1, h)
					AttentionGrad(dq, dk, dv, y, q, k, v, y, lse, nil, steps, steps, 1, h)
					positions := make([]int32, steps)
					for i := range positions {
						positions[i] = int32(i)
					}
					keys, values := cache.Of(k, 1, 1, steps, size), cache.Of(v, 1, 1, steps, size)
					AttentionCached(y, q, keys, values, positions, steps, 1, h)
					AttentionCached(y, q, keys, values, positions[steps-1:], 1, 1, h)
					halves := unsafe.Slice((*uint16)(ptr(f[5].slice((n+1)/2, atEnd))), n)
					narrow(halves, k)
					widenHalves(f[6].slice(n, atEnd), halves)
					blocks := (n + cache.Block - 1) / cache.Block
					whole := unsafe.Slice((*int8)(ptr(f[5].slice(blocks*cache.Block/4, atEnd))), blocks*cache.Block)
					widenBlocks(f[6].slice(blocks*cache.Block, atEnd), whole, f[7].slice(blocks, atEnd))
					SwiGLU(dk, q, steps, size)
					SwiGLUGrad(dq, q, dk, steps, size)
				}
			}
			for _, m := range []int{1, 2, 3, 4, 6, 7, 13, 14, 15, 50} {
				for _, n := range []int{1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 64, 65, 100, 130} {
					for _, k := range []int{1, 3, 4, 9, 300} {
						a, b, c := f[0].slice(m*k, atEnd), f[1].slice(k*n, atEnd), f[2].slice(m*n, atEnd)
						p := f[3].slice(PackedLen(k, n), atEnd)
						bias, res := f[4].slice(n, atEnd), f[5].slice(m*n, atEnd)
						ep := []Epilogue{Bias(bias), Residual(res)}
						GemmNN(c, a, b, m, n, k, ep...)
						GemmNT(c, a, b, m, n, k, Accumulate())
						GemmTN(c, a, b, m, n, k, ep...)
						Pack(p, b, k, n)
						PackT(p, b, k, n)
						GemmPacked(c, a, p, m, n, k, ep...)
					}
				}
			}
		}
	})
}

// Products with weights neither, whose matrix may be a file that is mapped to its last byte.
func TestWeightFences(t *testing.T) {
	const most = 1 << 16
	var f []*fence
	for range 5 {
		f = append(f, newFence(t, 4*most))
	}
	bytes := func(x []float32) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x)) }
	r := rng(48)
	for _, l := range weightLevels() {
		setWeightLevel(t, l)
		for _, atEnd := range []bool{true, false} {
			for _, kind := range weights.Kinds() {
				for _, m := range []int{1, 2, 3, 4, 5, 6, 7, 13, 30} {
					for _, n := range []int{1, 31, 32, 33, 64, 70} {
						for _, k := range []int{1, 4, 9, 32, 40, 100} {
							made := newWeights(t, kind, floats(r, k*n), k, n)
							data := bytes(f[0].slice(made.Bytes()/4, atEnd))
							copy(data, made.Data())
							b, err := weights.FromData(kind, k, n, data)
							if err != nil {
								t.Fatal(err)
							}
							a, c := f[1].slice(m*k, atEnd), f[2].slice(m*n, atEnd)
							copy(a, floats(r, m*k))
							bias, res := f[3].slice(n, atEnd), f[4].slice(m*n, atEnd)
							GemmWeights(c, a, b, m, Bias(bias), Residual(res))
						}
					}
				}
			}
		}
	}
}
