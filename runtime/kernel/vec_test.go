package kernel

import (
	"fmt"
	"math"
	"testing"
)

// shapes says which pointers of an op are outputs; the rest, up to n, are inputs. outputs that are inputs too keep
// their old values in the arithmetic.
var vecShapes = map[op]struct {
	out, n  int
	inout   bool // the outputs are read too
	scalars []float32
}{
	opAdd: {1, 3, false, nil}, opSub: {1, 3, false, nil}, opMul: {1, 3, false, nil}, opDiv: {1, 3, false, nil},
	opScale: {1, 2, false, []float32{1.7}}, opAddScaled: {1, 3, false, []float32{-0.3}},
	opExp: {1, 2, false, nil}, opLog: {1, 2, false, nil}, opTanh: {1, 2, false, nil}, opSigmoid: {1, 2, false, nil},
	opGate: {1, 2, false, nil}, opMulAdd: {1, 4, false, nil}, opMulSub: {1, 4, false, nil},
	opSubMul: {1, 4, false, nil}, opMulTanhGrad: {1, 4, false, nil}, opMulSigmoidGrad: {1, 4, false, nil},
	opAddTanhGrad: {1, 4, false, nil}, opAddSigmoidGrad: {1, 4, false, nil},
	opReLU: {1, 2, false, nil}, opLeakyReLU: {1, 2, false, []float32{0.1}}, opGELU: {1, 2, false, nil},
	opGELUErf: {1, 2, false, nil}, opSiLU: {1, 2, false, nil}, opSoftplus: {1, 2, false, nil},
	opErf:      {1, 2, false, nil},
	opTanhGrad: {1, 3, false, nil}, opSigmoidGrad: {1, 3, false, nil}, opReLUGrad: {1, 3, false, nil},
	opLeakyReLUGrad: {1, 3, false, []float32{0.1}}, opGELUGrad: {1, 3, false, nil}, opGELUErfGrad: {1, 3, false, nil},
	opSiLUGrad: {1, 3, false, nil}, opSoftplusGrad: {1, 3, false, nil}, opErfGrad: {1, 3, false, nil},
	opClamp: {1, 2, false, []float32{-0.7, 0.7}}, opCopy: {1, 2, false, nil}, opClear: {1, 1, false, nil},
	opFill: {1, 1, false, []float32{3}}, opSqrt: {1, 2, false, nil},
	opSGD:      {1, 2, true, []float32{0.1, 0.01, 0.5}},
	opMomentum: {2, 3, true, []float32{0.1, 0.01, 0.5, 0.9, 0.8}},
	opNesterov: {2, 3, true, []float32{0.1, 0.01, 0.5, 0.9, 0.8}},
	opRMSprop:  {2, 3, true, []float32{0.1, 0.01, 0.5, 0.9, 0.1, 1e-8}},
	opAdagrad:  {2, 3, true, []float32{0.1, 0.01, 0.5, 1e-8}},
	opAdam:     {3, 4, true, []float32{0.1, 0.99, 0.5, 0.9, 0.1, 0.99, 0.01, 1.3, 1e-8}},
	opAdamL2:   {3, 4, true, []float32{0.1, 0.01, 0.5, 0.9, 0.1, 0.99, 0.01, 1.3, 1e-8}},
	opLion:     {2, 3, true, []float32{0.1, 0.99, 0.5, 0.9, 0.1, 0.99, 0.01}},
	opNorm:     {1, 4, false, []float32{0.2, 1.1}}, opNormGain: {1, 3, false, []float32{0, 1.1}},
	opAxpb:       {1, 2, false, []float32{0.3, 0.5}},
	opLogSoftmax: {1, 2, false, []float32{0.3, 0.5}}, opSoftmaxGrad: {1, 3, false, []float32{0.3}},
	opLogSoftmaxGrad: {1, 3, false, []float32{0.3}},
	opSwiGLU:         {1, 3, false, nil}, opSwiGLUGrad: {2, 5, false, nil}, opRotate: {2, 6, false, []float32{-1}},
	opDropout: {1, 2, false, []float32{1.25}}, opUniform: {1, 1, false, nil}, opNormal: {1, 1, false, nil},
	opGumbel: {1, 1, false, nil},
}

// Every elementwise kernel gives the bits of its definition at every level, for every length and alignment, and writes
// nothing else.
func TestVecBits(t *testing.T) {
	special := []float32{0, float32(math.Copysign(0, -1)), 1, -1, float32(math.Inf(1)), float32(math.Inf(-1)),
		float32(math.NaN()),
		math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, 1e-40, -1e-40, 88.7, 88.8, -87.4, -103.9, -104,
		9, -9, 0.625}
	r := rng(4)
	for o := op(0); o <= opUniform; o++ {
		shape, ok := vecShapes[o]
		if !ok {
			t.Errorf("op %d is not in the table of the test", o)
			continue
		}
		for _, n := range []int{1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 300} {
			in := make([][]float32, shape.n)
			for i := range in {
				in[i] = floats(r, n)
				for j := range in[i] {
					switch r.IntN(6) {
					case 0:
						in[i][j] = special[r.IntN(len(special))]
					case 1:
						in[i][j] *= 30
					}
				}
			}
			run := func(l int, alias bool) []*guarded {
				setLevel(t, l)
				var v vec
				g := make([]*guarded, shape.n)
				for i := range g {
					g[i] = guardOf(in[i], n+i)
					v.p[i] = ptr(g[i].x)
				}
				if alias {
					// Output i is input out+i.
					for i := range min(shape.out, shape.n-shape.out) {
						v.p[i] = v.p[shape.out+i]
					}
				}
				copy(v.s[:], shape.scalars)
				v.key, v.limit = 12345678901234567, 1<<22
				vecRange(o, &v, 0, n)
				return g
			}
			want := run(generic, false)
			for _, l := range levels() {
				got := run(l, false)
				for i := range got {
					what := fmt.Sprintf("%s op %d pointer %d n %d", levelNames[l], o, i, n)
					diff(t, what, got[i].x, want[i].x)
					got[i].check(t, what)
				}
				if shape.inout || shape.n == shape.out {
					continue
				}
				got = run(l, true)
				for i := range min(shape.out, shape.n-shape.out) {
					diff(t, fmt.Sprintf("%s op %d aliased output %d n %d", levelNames[l], o, i, n), got[shape.out+i].x,
						want[i].x)
				}
			}
		}
	}
}
