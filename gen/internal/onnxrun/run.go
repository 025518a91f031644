package onnxrun

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// Run computes the outputs of a graph, by name, from its inputs. It holds the file to what ONNX asks of one: names are
// given once and before they are read, and inputs and outputs are what the file says that they are.
func Run(g *Graph, inputs map[string]*Tensor) (out map[string]*Tensor, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("onnxrun: %v", r)
		}
	}()
	env := maps.Clone(g.Constants)
	for _, p := range g.Inputs {
		t := inputs[p.Name]
		if t == nil {
			return nil, fmt.Errorf("onnxrun: there is no input %s", p.Name)
		}
		give(env, p.Name, t)
		fits(p, t)
	}
	run(g, env)
	out = map[string]*Tensor{}
	for _, p := range g.Outputs {
		out[p.Name] = read(env, p.Name)
		fits(p, out[p.Name])
	}
	return out, nil
}

func fail(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func give(env map[string]*Tensor, name string, t *Tensor) {
	if env[name] != nil {
		fail("%s is given twice", name)
	}
	if len(t.F) != elems(t.Shape) {
		fail("%s has %d numbers for a shape %v", name, len(t.F), t.Shape)
	}
	env[name] = t
}

func read(env map[string]*Tensor, name string) *Tensor {
	if env[name] == nil {
		fail("%s is read before it is given", name)
	}
	return env[name]
}

func fits(p Port, t *Tensor) {
	ok := p.Element == t.Element && len(p.Shape) == len(t.Shape)
	for i := range p.Shape {
		ok = ok && (p.Shape[i] < 0 || p.Shape[i] == t.Shape[i])
	}
	if !ok {
		fail("%s is of type %d and shape %v, not %d and %v", p.Name, t.Element, t.Shape, p.Element, p.Shape)
	}
}

func run(g *Graph, env map[string]*Tensor) {
	for _, n := range g.Nodes {
		in := make([]*Tensor, len(n.In))
		for i, name := range n.In {
			in[i] = read(env, name)
		}
		var out []*Tensor
		func() {
			defer func() {
				if r := recover(); r != nil {
					fail("%s %s: %v", n.Operator, n.Name, r)
				}
			}()
			out = apply(n, in, env)
		}()
		if len(out) != len(n.Out) {
			fail("%s %s has %d results, not %d", n.Operator, n.Name, len(out), len(n.Out))
		}
		for i, name := range n.Out {
			give(env, name, out[i])
		}
	}
}

// one are operators on one tensor of floats, element by element.
var one = map[string]func(float64) float64{
	"Sqrt": math.Sqrt, "Tanh": math.Tanh, "Exp": math.Exp, "Log": math.Log, "Erf": math.Erf,
	"Sigmoid":  func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
	"Softplus": func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) },
	"Relu":     func(x float64) float64 { return max(x, 0) },
}

// two are operators on two tensors of one type, with broadcasting.
var two = map[string]func(a, b float64) float64{
	"Add": func(a, b float64) float64 { return a + b },
	"Sub": func(a, b float64) float64 { return a - b },
	"Mul": func(a, b float64) float64 { return a * b },
	"Div": func(a, b float64) float64 { return a / b },
	"Max": math.Max,
}

// relations are such whose result is true or false.
var relations = map[string]func(a, b float64) bool{
	"Greater":        func(a, b float64) bool { return a > b },
	"GreaterOrEqual": func(a, b float64) bool { return a >= b },
	"Less":           func(a, b float64) bool { return a < b },
	"LessOrEqual":    func(a, b float64) bool { return a <= b },
	"Equal":          func(a, b float64) bool { return a == b },
	"And":            func(a, b float64) bool { return a != 0 && b != 0 },
	"Or":             func(a, b float64) bool { return a != 0 || b != 0 },
}

func apply(n Node, in []*Tensor, env map[string]*Tensor) []*Tensor {
	if f := one[n.Operator]; f != nil {
		want(in, 1, Float)
		y := like(in[0], in[0].Shape)
		for i, x := range in[0].F {
			y.F[i] = f(x)
		}
		return []*Tensor{y}
	}
	if f := two[n.Operator]; f != nil {
		want(in, 2, in[0].Element)
		return []*Tensor{broadcast(in[0].Element, in, func(x []float64) float64 { return f(x[0], x[1]) })}
	}
	if f := relations[n.Operator]; f != nil {
		want(in, 2, in[0].Element)
		return []*Tensor{broadcast(Bool, in, func(x []float64) float64 {
			if f(x[0], x[1]) {
				return 1
			}
			return 0
		})}
	}
	switch n.Operator {
	case "Identity":
		return in
	case "Abs":
		y := like(in[0], in[0].Shape)
		for i, x := range in[0].F {
			y.F[i] = math.Abs(x)
		}
		return []*Tensor{y}
	case "Where":
		want(in[:1], 1, Bool)
		want(in[1:], 2, in[1].Element)
		return []*Tensor{broadcast(in[1].Element, in, func(x []float64) float64 {
			if x[0] != 0 {
				return x[1]
			}
			return x[2]
		})}
	case "Cast":
		y := &Tensor{Element: n.Attrs["to"].(int), Shape: in[0].Shape, F: slices.Clone(in[0].F)}
		return []*Tensor{y}
	case "Shape":
		start, end := n.Attrs["start"].(int), n.Attrs["end"].(int)
		return []*Tensor{vector(in[0].Shape[start:end])}
	case "Reshape":
		return []*Tensor{reshape(in[0], ints(in[1]))}
	case "Transpose":
		return []*Tensor{transpose(in[0], n.Attrs["perm"].([]int))}
	case "Concat":
		return []*Tensor{concat(in, n.Attrs["axis"].(int))}
	case "Split":
		return split(in, n.Attrs["axis"].(int), len(n.Out))
	case "Slice":
		return []*Tensor{slice(in)}
	case "Gather":
		return []*Tensor{gather(in[0], in[1], n.Attrs["axis"].(int))}
	case "Unsqueeze":
		return []*Tensor{unsqueeze(in[0], ints(in[1]))}
	case "Squeeze":
		return []*Tensor{squeeze(in)}
	case "Expand":
		to := ints(in[1])
		return []*Tensor{broadcast(in[0].Element, []*Tensor{in[0], {Element: in[0].Element, Shape: to,
			F: make([]float64, elems(to))}}, func(x []float64) float64 { return x[0] })}
	case "Range":
		want(in, 3, in[0].Element)
		y := &Tensor{Element: in[0].Element}
		for x := in[0].F[0]; x < in[1].F[0]; x += in[2].F[0] {
			y.F = append(y.F, x)
		}
		y.Shape = []int{len(y.F)}
		return []*Tensor{y}
	case "MatMul":
		want(in, 2, Float)
		return []*Tensor{matmul(in[0], in[1])}
	case "Softmax":
		want(in, 1, Float)
		return []*Tensor{softmax(in[0], n.Attrs["axis"].(int))}
	case "LayerNormalization":
		want(in, 3, Float)
		return []*Tensor{layerNorm(in, n.Attrs["epsilon"].(float64))}
	case "ReduceSum", "ReduceMean", "ReduceMax":
		return []*Tensor{reduce(n, in)}
	case "Pad":
		return []*Tensor{pad(in[0], ints(in[1]))}
	case "Scan":
		return scan(n, in, env)
	}
	fail("no such operator is known here")
	return nil
}

func want(in []*Tensor, count, element int) {
	if len(in) != count {
		fail("has %d arguments, not %d", len(in), count)
	}
	for _, t := range in {
		if t.Element != element {
			fail("has arguments of types %d and %d", element, t.Element)
		}
	}
}

func like(t *Tensor, shape []int) *Tensor {
	return &Tensor{Element: t.Element, Shape: shape, F: make([]float64, elems(shape))}
}

func vector(x []int) *Tensor {
	t := &Tensor{Element: Int64, Shape: []int{len(x)}}
	for _, v := range x {
		t.F = append(t.F, float64(v))
	}
	return t
}

func ints(t *Tensor) []int {
	if t.Element != Int64 || len(t.Shape) != 1 {
		fail("wants a vector of int64, not type %d of shape %v", t.Element, t.Shape)
	}
	x := make([]int, len(t.F))
	for i, v := range t.F {
		x[i] = int(v)
	}
	return x
}

// broadcast applies f to elements of tensors whose shapes are extended to a common one.
func broadcast(element int, in []*Tensor, f func(x []float64) float64) *Tensor {
	var shape []int
	for _, t := range in {
		for len(shape) < len(t.Shape) {
			shape = slices.Insert(shape, 0, 1)
		}
		for i, d := range t.Shape {
			switch at := &shape[len(shape)-len(t.Shape)+i]; {
			case *at == 1:
				*at = d
			case d != 1 && d != *at:
				fail("shapes do not go together: %v and %v", in[0].Shape, t.Shape)
			}
		}
	}
	y := &Tensor{Element: element, Shape: shape, F: make([]float64, elems(shape))}
	x := make([]float64, len(in))
	for i := range y.F {
		for j, t := range in {
			at, stride, rest := 0, 1, i
			for k := len(shape) - 1; k >= 0; k-- {
				place := rest % shape[k]
				rest /= shape[k]
				if own := k - (len(shape) - len(t.Shape)); own >= 0 {
					if t.Shape[own] > 1 {
						at += place * stride
					}
					stride *= t.Shape[own]
				}
			}
			x[j] = t.F[at]
		}
		y.F[i] = f(x)
	}
	return y
}

func reshape(t *Tensor, to []int) *Tensor {
	to = slices.Clone(to)
	free, n := -1, 1
	for i, d := range to {
		switch {
		case d == 0:
			to[i] = t.Shape[i]
			n *= to[i]
		case d == -1 && free < 0:
			free = i
		case d < 0:
			fail("reshapes to %v", to)
		default:
			n *= d
		}
	}
	if free >= 0 {
		to[free] = len(t.F) / n
	}
	if elems(to) != len(t.F) {
		fail("reshapes %v to %v", t.Shape, to)
	}
	return &Tensor{Element: t.Element, Shape: to, F: t.F}
}

func transpose(t *Tensor, perm []int) *Tensor {
	if len(perm) != len(t.Shape) {
		fail("permutes %v by %v", t.Shape, perm)
	}
	shape, strides := make([]int, len(perm)), make([]int, len(perm))
	own := make([]int, len(perm))
	for i, s := len(perm)-1, 1; i >= 0; i-- {
		own[i] = s
		s *= t.Shape[i]
	}
	for i, p := range perm {
		shape[i], strides[i] = t.Shape[p], own[p]
	}
	y := like(t, shape)
	for i := range y.F {
		at, rest := 0, i
		for k := len(shape) - 1; k >= 0; k-- {
			at += rest % shape[k] * strides[k]
			rest /= shape[k]
		}
		y.F[i] = t.F[at]
	}
	return y
}

// around splits a shape at an axis: how many elements stand before it, and in it behind.
func around(shape []int, axis int) (at, before, behind int) {
	if axis < 0 {
		axis += len(shape)
	}
	return axis, elems(shape[:axis]), elems(shape[axis+1:])
}

func concat(in []*Tensor, axis int) *Tensor {
	at, before, _ := around(in[0].Shape, axis)
	shape := slices.Clone(in[0].Shape)
	for _, t := range in[1:] {
		for i, d := range t.Shape {
			if len(t.Shape) != len(shape) || i != at && d != shape[i] || t.Element != in[0].Element {
				fail("joins %v and %v", in[0].Shape, t.Shape)
			}
		}
		shape[at] += t.Shape[at]
	}
	y := &Tensor{Element: in[0].Element, Shape: shape}
	for b := range before {
		for _, t := range in {
			n := len(t.F) / max(before, 1)
			y.F = append(y.F, t.F[b*n:(b+1)*n]...)
		}
	}
	return y
}

func split(in []*Tensor, axis, count int) []*Tensor {
	at, before, behind := around(in[0].Shape, axis)
	sizes := make([]int, count)
	for i := range sizes {
		sizes[i] = in[0].Shape[at] / count
	}
	if len(in) > 1 {
		sizes = ints(in[1])
	}
	sum := 0
	var out []*Tensor
	for _, n := range sizes {
		shape := slices.Clone(in[0].Shape)
		shape[at] = n
		y := &Tensor{Element: in[0].Element, Shape: shape}
		for b := range before {
			from := (b*in[0].Shape[at] + sum) * behind
			y.F = append(y.F, in[0].F[from:from+n*behind]...)
		}
		out = append(out, y)
		sum += n
	}
	if sum != in[0].Shape[at] || len(sizes) != count {
		fail("splits %v into %v", in[0].Shape, sizes)
	}
	return out
}

func slice(in []*Tensor) *Tensor {
	starts, ends, axes := ints(in[1]), ints(in[2]), ints(in[3])
	t := in[0]
	for i, axis := range axes {
		at, before, behind := around(t.Shape, axis)
		clamp := func(x int) int {
			if x < 0 {
				x += t.Shape[at]
			}
			return min(max(x, 0), t.Shape[at])
		}
		from, to := clamp(starts[i]), clamp(ends[i])
		shape := slices.Clone(t.Shape)
		shape[at] = max(0, to-from)
		y := &Tensor{Element: t.Element, Shape: shape}
		for b := range before {
			y.F = append(y.F, t.F[(b*t.Shape[at]+from)*behind:(b*t.Shape[at]+to)*behind]...)
		}
		t = y
	}
	return t
}

func gather(t, ids *Tensor, axis int) *Tensor {
	if ids.Element != Int32 && ids.Element != Int64 {
		fail("gathers by numbers of type %d", ids.Element)
	}
	at, before, behind := around(t.Shape, axis)
	shape := append(slices.Clone(t.Shape[:at]), ids.Shape...)
	y := &Tensor{Element: t.Element, Shape: append(shape, t.Shape[at+1:]...)}
	for b := range before {
		for _, id := range ids.F {
			i := int(id)
			if i < 0 {
				i += t.Shape[at]
			}
			if i < 0 || i >= t.Shape[at] {
				fail("gathers element %d of %v", i, t.Shape)
			}
			from := (b*t.Shape[at] + i) * behind
			y.F = append(y.F, t.F[from:from+behind]...)
		}
	}
	return y
}

func unsqueeze(t *Tensor, axes []int) *Tensor {
	rank := len(t.Shape) + len(axes)
	shape := make([]int, rank)
	for _, a := range axes {
		if a < 0 {
			a += rank
		}
		shape[a] = 1
	}
	own := t.Shape
	for i := range shape {
		if shape[i] == 0 {
			shape[i], own = own[0], own[1:]
		}
	}
	return &Tensor{Element: t.Element, Shape: shape, F: t.F}
}

func squeeze(in []*Tensor) *Tensor {
	t := in[0]
	gone := make([]bool, len(t.Shape))
	for i, d := range t.Shape {
		gone[i] = d == 1 && len(in) == 1
	}
	if len(in) > 1 {
		for _, a := range ints(in[1]) {
			if a < 0 {
				a += len(gone)
			}
			if gone[a] = true; t.Shape[a] != 1 {
				fail("takes axis %d out of %v", a, t.Shape)
			}
		}
	}
	shape := []int{}
	for i, d := range t.Shape {
		if !gone[i] {
			shape = append(shape, d)
		}
	}
	return &Tensor{Element: t.Element, Shape: shape, F: t.F}
}

func matmul(a, b *Tensor) *Tensor {
	x, y := a.Shape, b.Shape
	if len(x) == 1 {
		x = []int{1, x[0]}
	}
	if len(y) == 1 {
		y = []int{y[0], 1}
	}
	m, k, n := x[len(x)-2], x[len(x)-1], y[len(y)-1]
	if y[len(y)-2] != k {
		fail("multiplies %v by %v", a.Shape, b.Shape)
	}
	// numbers of the matrices, broadcast
	index := func(shape []int) *Tensor {
		t := &Tensor{Shape: shape, F: make([]float64, elems(shape))}
		for i := range t.F {
			t.F[i] = float64(i)
		}
		return t
	}
	ia, ib := index(x[:len(x)-2]), index(y[:len(y)-2])
	as := broadcast(Float, []*Tensor{ia, ib}, func(v []float64) float64 { return v[0] })
	bs := broadcast(Float, []*Tensor{ia, ib}, func(v []float64) float64 { return v[1] })
	shape := slices.Clone(as.Shape)
	out := &Tensor{Element: Float}
	for e := range as.F {
		left, right := a.F[int(as.F[e])*m*k:], b.F[int(bs.F[e])*k*n:]
		for i := range m {
			for j := range n {
				s := 0.0
				for c := range k {
					s += left[i*k+c] * right[c*n+j]
				}
				out.F = append(out.F, s)
			}
		}
	}
	if len(a.Shape) > 1 {
		shape = append(shape, m)
	}
	if len(b.Shape) > 1 {
		shape = append(shape, n)
	}
	out.Shape = shape
	return out
}

func softmax(t *Tensor, axis int) *Tensor {
	at, before, behind := around(t.Shape, axis)
	y := like(t, t.Shape)
	for b := range before {
		for c := range behind {
			place := func(i int) int { return (b*t.Shape[at]+i)*behind + c }
			top, sum := math.Inf(-1), 0.0
			for i := range t.Shape[at] {
				top = max(top, t.F[place(i)])
			}
			for i := range t.Shape[at] {
				y.F[place(i)] = math.Exp(t.F[place(i)] - top)
				sum += y.F[place(i)]
			}
			for i := range t.Shape[at] {
				y.F[place(i)] /= sum
			}
		}
	}
	return y
}

// layerNorm is that of the last axis.
func layerNorm(in []*Tensor, epsilon float64) *Tensor {
	w := len(in[1].F)
	y := like(in[0], in[0].Shape)
	for lo := 0; lo < len(y.F); lo += w {
		mean, variance := 0.0, 0.0
		for _, x := range in[0].F[lo : lo+w] {
			mean += x / float64(w)
		}
		for _, x := range in[0].F[lo : lo+w] {
			variance += (x - mean) * (x - mean) / float64(w)
		}
		for j, x := range in[0].F[lo : lo+w] {
			y.F[lo+j] = (x-mean)/math.Sqrt(variance+epsilon)*in[1].F[j] + in[2].F[j]
		}
	}
	return y
}

func reduce(n Node, in []*Tensor) *Tensor {
	t := in[0]
	var axes []int
	if len(in) > 1 {
		axes = ints(in[1])
	} else if a, ok := n.Attrs["axes"].([]int); ok {
		if n.Operator == "ReduceSum" {
			fail("has its axes as an attribute")
		}
		axes = a
	} else {
		for i := range t.Shape {
			axes = append(axes, i)
		}
	}
	keep := true
	if k, ok := n.Attrs["keepdims"].(int); ok {
		keep = k != 0
	}
	gone := make([]bool, len(t.Shape))
	count := 1
	for _, a := range axes {
		if a < 0 {
			a += len(gone)
		}
		gone[a] = true
		count *= t.Shape[a]
	}
	full, kept := slices.Clone(t.Shape), []int{}
	for i := range full {
		if gone[i] {
			full[i] = 1
		} else {
			kept = append(kept, full[i])
		}
	}
	y := like(t, full)
	if n.Operator == "ReduceMax" {
		for i := range y.F {
			y.F[i] = math.Inf(-1)
		}
	}
	for i, x := range t.F {
		at, stride, rest := 0, 1, i
		for k := len(full) - 1; k >= 0; k-- {
			if !gone[k] {
				at += rest % t.Shape[k] * stride
				stride *= t.Shape[k]
			}
			rest /= t.Shape[k]
		}
		switch n.Operator {
		case "ReduceMax":
			y.F[at] = max(y.F[at], x)
		case "ReduceMean":
			y.F[at] += x / float64(count)
		default:
			y.F[at] += x
		}
	}
	if !keep {
		y.Shape = kept
	}
	return y
}

// pad puts zeros around a tensor.
func pad(t *Tensor, pads []int) *Tensor {
	for axis := range t.Shape {
		zeros := func(n int) *Tensor {
			shape := slices.Clone(t.Shape)
			shape[axis] = n
			return like(t, shape)
		}
		t = concat([]*Tensor{zeros(pads[axis]), t, zeros(pads[len(t.Shape)+axis])}, axis)
	}
	return t
}

func scan(n Node, in []*Tensor, outer map[string]*Tensor) []*Tensor {
	body, seqs := n.Attrs["body"].(*Graph), n.Attrs["num_scan_inputs"].(int)
	states := len(in) - seqs
	backwards := func(key string, i int) bool {
		d, ok := n.Attrs[key].([]int)
		return ok && d[i] == 1
	}
	trip := in[states].Shape[0]
	carried := slices.Clone(in[:states])
	given := make([][]*Tensor, len(body.Outputs)-states)
	if len(body.Inputs) != len(in) {
		fail("its body has %d inputs for %d", len(body.Inputs), len(in))
	}
	for it := range trip {
		env := maps.Clone(outer)
		for i, p := range body.Inputs {
			t := in[i]
			if i < states {
				t = carried[i]
			} else {
				at := it
				if backwards("scan_input_directions", i-states) {
					at = trip - 1 - it
				}
				if t.Shape[0] != trip {
					fail("sequences are of %d and %d elements", trip, t.Shape[0])
				}
				size := len(t.F) / trip
				t = &Tensor{Element: t.Element, Shape: t.Shape[1:], F: t.F[at*size : (at+1)*size]}
			}
			fits(p, t)
			give(env, p.Name, t)
		}
		run(body, env)
		for i, p := range body.Outputs {
			t := read(env, p.Name)
			fits(p, t)
			if i < states {
				carried[i] = t
				continue
			}
			if t = unsqueeze(t, []int{0}); backwards("scan_output_directions", i-states) {
				given[i-states] = slices.Insert(given[i-states], 0, t)
			} else {
				given[i-states] = append(given[i-states], t)
			}
		}
	}
	out := carried
	for _, parts := range given {
		out = append(out, concat(parts, 0))
	}
	return out
}
