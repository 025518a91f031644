package param

import (
	"math"
	"slices"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Extents are counted from the beginning of a part, and those of layers that are named stand apart.
func TestExtents(t *testing.T) {
	var a, b, c, d []float32
	var l List
	l.Add("tok.w", &a, Constant(0), 3, 5)
	l.Add("token.b", &b, Constant(0), 4)
	l.Add("conv.w", &c, Constant(0), 2, 3, 3)
	l.Add("tok.b", &d, Constant(0), 4, 2)
	want := []Extent{{0, 3, 5, true}, {16, 1, 4, false}, {32, 6, 3, false}, {64, 4, 2, true}}
	if got := l.Extents(0, 80, "tok"); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	want = []Extent{{0, 1, 4, false}, {16, 6, 3, false}}
	if got := l.Extents(16, 64); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if e := want[0]; e.Matrix() || e.Len() != 4 || !want[1].Matrix() || want[1].Len() != 18 {
		t.Errorf("a vector %v, a matrix %v", want[0], want[1])
	}
}

// Tensors begin at cache lines of the flat array, in the order of the list; each that is drawn has a stream of its
// own, whatever stands between them.
func TestList(t *testing.T) {
	var a, b, c, d []float32
	var l List
	l.Add("a", &a, Normal(2), 3, 5)
	l.Add("b", &b, Constant(0.5).Plus(1, 1, 3), 4)
	l.Add("c", &c, Uniform(0.1), 17)
	l.Add("d", &d, Orthogonal(1, 1), 4, 2)
	flat := model.Floats(16 + 16 + 32 + 16)
	l.Bind(flat)
	l.Initialize(7)
	for i, at := range []int{0, 16, 32, 64} {
		if v := *l[i].Values; &v[0] != &flat[at] || len(v) != l[i].size() || cap(v) != len(v) {
			t.Errorf("%s does not lie at %d", l[i].Name, at)
		}
	}
	if !slices.Equal(b, []float32{0.5, 1.5, 1.5, 0.5}) {
		t.Errorf("b is %v", b)
	}
	if dot := float64(d[0]*d[1] + d[2]*d[3] + d[4]*d[5] + d[6]*d[7]); math.Abs(dot) > 1e-6 {
		t.Errorf("the columns of d are not orthogonal: %v", dot)
	}
	var without List
	x, y := make([]float32, 15), make([]float32, 17)
	without.Add("a", &x, Normal(2), 3, 5)
	without.Add("c", &y, Uniform(0.1), 17)
	without.Initialize(7)
	if !slices.Equal(x, a) || !slices.Equal(y, c) {
		t.Error("a constant in between changes what is drawn")
	}
	for n, want := range map[int]int{0: 0, 16: 1, 32: 2, 64: 3, 80: 4} {
		if got := len(l.First(n)); got != want {
			t.Errorf("the first %d elements have %d tensors, want %d", n, got, want)
		}
	}
	ts := l.Tensors("average.", nil)
	if ts[2].Name != "average.c" || &ts[2].Value[0] != &c[0] || ts[2].Grad != nil ||
		!slices.Equal(ts[0].Shape, []int{3, 5}) {
		t.Errorf("the tensors are %v", ts)
	}
}
