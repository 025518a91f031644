package graph

import (
	"fmt"
	"sort"
	"strings"
)

// Type is the type of a value's elements.
type Type uint8

// Element types.
const (
	F32 Type = iota
	I32
)

func (t Type) String() string {
	if t == I32 {
		return "i32"
	}
	return "f32"
}

// Size is the number of bytes of one element.
func (t Type) Size() int { return 4 }

// Dim is one dimension of a shape: a constant, times run-time sizes such as steps and batch.
//
// Two dimensions are the same when N and Run are; Name only says how a person would write N.
type Dim struct {
	N   int    // the constant factor
	Run string // run-time factors, sorted and joined by '·': "", "batch", "batch·steps"
	// Go expression for N, a product of numbers, names, and names and 1: "4*lstmUnits", "layers+1"; empty for the
	// number itself
	Name string
}

// Const is a constant dimension; name may be empty.
func Const(n int, name string) Dim { return Dim{N: n, Name: name} }

// Sym is a run-time dimension.
func Sym(name string) Dim { return Dim{N: 1, Run: name} }

// Same reports whether a and b have the same size.
func (d Dim) Same(b Dim) bool { return d.N == b.N && d.Run == b.Run }

// IsConst reports whether d has no run-time factor.
func (d Dim) IsConst() bool { return d.Run == "" }

// Runs lists the run-time factors.
func (d Dim) Runs() []string {
	if d.Run == "" {
		return nil
	}
	return strings.Split(d.Run, "·")
}

// Mul is the product of dimensions.
func Mul(dims ...Dim) Dim {
	r := Dim{N: 1}
	var runs, names []string
	coef := 1 // of the factors without a name
	for _, d := range dims {
		r.N *= d.N
		runs = append(runs, d.Runs()...)
		if d.Name != "" {
			names = append(names, d.Name)
		} else {
			coef *= d.N
		}
	}
	sort.Strings(runs)
	r.Run = strings.Join(runs, "·")
	if len(names) > 0 {
		if coef != 1 {
			names = append([]string{fmt.Sprint(coef)}, names...)
		}
		r.Name = strings.Join(names, "*")
	}
	return r
}

// At is the size of d when the run-time sizes are env's.
func (d Dim) At(env map[string]int) int {
	n := d.N
	for _, s := range d.Runs() {
		v, ok := env[s]
		if !ok {
			panic("graph: no size for " + s)
		}
		n *= v
	}
	return n
}

// runOrder is the order in which run-time sizes are written: the order of memory.
var runOrder = map[string]int{"steps": 0, "sourceSteps": 0, "ends": 0, "batch": 1}

// Ordered lists the run-time factors in the order in which a person writes them.
func (d Dim) Ordered() []string {
	runs := d.Runs()
	sort.SliceStable(runs, func(i, j int) bool { return runOrder[runs[i]] < runOrder[runs[j]] })
	return runs
}

func (d Dim) String() string {
	parts := d.Ordered()
	if d.N != 1 || len(parts) == 0 {
		parts = append(parts, fmt.Sprint(d.N))
	}
	return strings.Join(parts, "·")
}

// Shape is row-major; the empty shape is a scalar.
type Shape []Dim

func (s Shape) String() string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = d.String()
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// Same reports whether two shapes agree in every dimension.
func (s Shape) Same(b Shape) bool {
	if len(s) != len(b) {
		return false
	}
	for i := range s {
		if !s[i].Same(b[i]) {
			return false
		}
	}
	return true
}

// Elems is the number of elements.
func (s Shape) Elems() Dim { return Mul(s...) }

// Rows is the product of all dimensions but the last: how many rows a kernel that works on rows sees.
func (s Shape) Rows() Dim {
	if len(s) == 0 {
		return Const(1, "")
	}
	return Mul(s[:len(s)-1]...)
}

// Last is the last dimension.
func (s Shape) Last() Dim {
	if len(s) == 0 {
		return Const(1, "")
	}
	return s[len(s)-1]
}

// With is s with its last dimension replaced.
func (s Shape) With(last Dim) Shape {
	r := append(Shape{}, s...)
	r[len(r)-1] = last
	return r
}

// Stack is the shape of d values of shape s, one after the other.
func (s Shape) Stack(d Dim) Shape { return append(Shape{d}, s...) }

// At is the shape in numbers.
func (s Shape) At(env map[string]int) []int {
	r := make([]int, len(s))
	for i, d := range s {
		r[i] = d.At(env)
	}
	return r
}
