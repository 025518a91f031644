package op

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// AddPositions adds row t of a table [capacity, width] to every sequence at time step t of x [steps, batch, width].
var AddPositions = &graph.Op{
	Name: "add_positions",
	ONNX: func(x asm, n *node, a []string) []string {
		rows := x.Op("Slice", nil, a[1], x.Ints(0), x.Sizes(n.Args[0].Shape[0]), x.Ints(0))
		return []string{x.Op("Add", nil, a[0], x.Op("Unsqueeze", nil, rows, x.Ints(1)))}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32); err != nil {
			return nil, err
		}
		x, t := n.Args[0].Shape, n.Args[1].Shape
		if len(x) != 3 || len(t) != 2 || !t[1].Same(x[2]) {
			return nil, fmt.Errorf("the table %s does not fit %s", t, x)
		}
		return f32(x), nil
	},
	Grad: func(c *graph.Context, n *node, g []*value) []*value {
		r := []*value{g[0], nil}
		if c.Need(1) {
			r[1] = c.Apply(AddPositionsGrad, []string{d(n.Args[1])},
				graph.Attrs{{Key: "capacity", Val: n.Args[1].Shape[0]}}, g[0])[0]
		}
		return r
	},
	Flops: perElement(1), InPlace: [][2]int{{0, 0}},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		batch, w := in[0].Shape[1], in[0].Shape[2]
		for i, x := range in[0].F {
			out[0].F[i] = x + in[1].F[i/(batch*w)*w+i%w]
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "AddPositions", Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], x[0], x[1], x[2]}}}
	},
	Formula: func(n *node, name names) string {
		return name(n.Outs[0]) + " = " + name(n.Args[0]) + " + " + name(n.Args[1]) + "[t] at time step t"
	},
}

// AddPositionsGrad is the gradient of the table: the sum over the sequences, and 0 behind the last time step.
var AddPositionsGrad = &graph.Op{
	Name: "add_positions_grad",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32); err != nil {
			return nil, err
		}
		capacity, ok := n.Attrs.Get("capacity").(dim)
		if !ok || len(n.Args[0].Shape) != 3 {
			return nil, fmt.Errorf("wants [steps, batch, width] and the attribute capacity")
		}
		return f32(graph.Shape{capacity, n.Args[0].Shape[2]}), nil
	},
	Flops: func(n *node) dim { return n.Args[0].Shape.Elems() },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		batch, w := in[0].Shape[1], in[0].Shape[2]
		for i, x := range in[0].F {
			out[0].F[i/(batch*w)*w+i%w] += x
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "AddPositionsGrad",
			Args: []graph.Operand{n.Outs[0], n.Args[0], x[0], x[1], x[2], n.Outs[0].Shape[0]}}}
	},
	Formula: func(n *node, name names) string {
		return name(n.Outs[0]) + "[t] = Σ sequences of " + name(n.Args[0])
	},
}

// Rope turns the first heads of each row by an angle that grows with the row's position (Su et al. 2021, equation 34):
// feature i of a head and feature i + size/2 are the coordinates of a point that turns by position·base^(−2i/size).
// Arguments are x, the table of cosines and sines [positions, size], and, in decoding, the positions of the rows; in
// training row r has position r/batch. Attributes: heads, size; inverse turns back, which is the gradient.
var Rope = &graph.Op{
	Name: "rope",
	ONNX: ropeONNX,
	Infer: func(n *node) ([]graph.TypedShape, error) {
		types := []graph.Type{graph.F32, graph.F32, graph.I32}[:max(2, min(3, len(n.Args)))]
		if err := wantArgs(n, types...); err != nil {
			return nil, err
		}
		x, t := n.Args[0].Shape, n.Args[1].Shape
		heads, size := n.Attrs.Int("heads"), n.Attrs.Int("size")
		if len(x) != 3 || heads*size > x[2].N || size%2 != 0 || len(t) != 2 || t[1].N != size {
			return nil, fmt.Errorf("turns %d heads of %d features of rows %s by a table %s", heads, size, x, t)
		}
		return f32(x), nil
	},
	Flops: perElement(3), InPlace: [][2]int{{0, 0}},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		x, y := in[0], out[0]
		copy(y.F, x.F)
		heads, size, batch, w := n.Attrs.Int("heads"), n.Attrs.Int("size"), x.Shape[1], x.Cols()
		half := size / 2
		for r := range x.Rows() {
			at := r / batch
			if len(in) > 2 {
				at = int(in[2].I[r])
			}
			if at < 0 {
				continue
			}
			for h := range heads {
				for i := range half {
					cos, sin := in[1].F[at*size+i], in[1].F[at*size+half+i]
					if n.Attrs.Bool("inverse") {
						sin = -sin
					}
					a, b := x.F[r*w+h*size+i], x.F[r*w+h*size+half+i]
					y.F[r*w+h*size+i], y.F[r*w+h*size+half+i] = a*cos-b*sin, b*cos+a*sin
				}
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		positions := graph.Operand(graph.Nil{})
		if len(n.Args) > 2 {
			positions = n.Args[2]
		}
		return []call{
			{Func: "Place", Args: []graph.Operand{n.Outs[0], n.Args[0], x.Elems()}},
			{Func: "Rope",
				Args: []graph.Operand{n.Outs[0], n.Outs[0], n.Args[1], positions, x.Rows(), x[1],
					graph.Const(n.Attrs.Int("heads"), ""), graph.Const(n.Attrs.Int("size"), ""), x[2],
					graph.Bool(n.Attrs.Bool("inverse"))}},
		}
	},
	Formula: func(n *node, name names) string {
		how := "turned by the angles of its position"
		if n.Attrs.Bool("inverse") {
			how = "turned back"
		}
		return fmt.Sprintf("%s = %s, the first %d heads %s", name(n.Outs[0]), name(n.Args[0]), n.Attrs.Int("heads"),
			how)
	},
}

// Rotation says how far each pair of features turns from one place to the next: a base, how many features of a head are
// turned, and how longer texts are fitted in ("linear", "llama3", "yarn"), as spec.Rotation has it.
type Rotation struct {
	Base      float64
	Features  int
	Scaling   string
	Factor    float64
	Original  int
	Low, High float64
	Gain      float64
}

// Plain tells whether the base says all.
func (r Rotation) Plain() bool { return r == Rotation{Base: r.Base} }

// RopeAngles is the definition of the table that Rope reads: [positions, size], half of each row cosines, half sines. A
// pair that does not turn has an angle of 0.
func RopeAngles(positions, size int, r Rotation) []float64 {
	turned := size
	if r.Features > 0 {
		turned = r.Features
	}
	t := make([]float64, positions*size)
	for i := range size / 2 {
		frequency, gain := 0.0, 1.0
		if i < turned/2 {
			frequency, gain = r.scaled(math.Pow(r.Base, -2*float64(i)/float64(turned)), i, turned)
		}
		for p := range positions {
			a := float64(p) * frequency
			t[p*size+i], t[p*size+size/2+i] = gain*math.Cos(a), gain*math.Sin(a)
		}
	}
	return t
}

// scaled is the frequency f of pair i, of d features that are turned, for longer texts, and what cosines and sines are
// multiplied with.
func (r Rotation) scaled(f float64, i, d int) (frequency, gain float64) {
	mix := func(share float64) float64 { return share*f + (1-share)*f/r.Factor } // share of the frequency as it was
	turns := float64(r.Original) * f / (2 * math.Pi)                             // in a text of the training
	switch r.Scaling {
	case "linear":
		return f / r.Factor, 1
	case "llama3": // in a text of Original tokens
		return mix(min(1, max(0, (turns-r.Low)/(r.High-r.Low)))), 1
	case "yarn": // Peng et al. 2024, equations 17 to 23, the ends of the ramp rounded outwards, as they publish it
		pair := func(turns float64) float64 {
			return float64(d) * math.Log(float64(r.Original)/(turns*2*math.Pi)) / (2 * math.Log(r.Base))
		}
		first := max(0, math.Floor(pair(r.High)))
		last := min(float64(d-1), math.Ceil(pair(r.Low)))
		if first == last {
			last += 0.001
		}
		gain := r.Gain
		if gain == 0 {
			gain = 1 + 0.1*math.Log(max(1, r.Factor))
		}
		return mix(1 - min(1, max(0, (float64(i)-first)/(last-first)))), gain
	}
	return f, 1
}

// Waves is the definition of the table of sinusoidal positions (Vaswani et al. 2017, section 3.5): sines in even
// columns, cosines in odd ones.
func Waves(positions, width int) []float64 {
	t := make([]float64, positions*width)
	for p := range positions {
		for i := range width {
			a := float64(p) * math.Pow(10000, -float64(i-i%2)/float64(width))
			if t[p*width+i] = math.Sin(a); i%2 == 1 {
				t[p*width+i] = math.Cos(a)
			}
		}
	}
	return t
}

// LastStep is the last time step of x [steps, batch, width].
var LastStep = &graph.Op{
	Name: "last_step",
	ONNX: func(x asm, _ *node, a []string) []string { return []string{x.Op("Gather", axis(0), a[0], x.ID(-1))} },
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32); err != nil {
			return nil, err
		}
		if len(n.Args[0].Shape) < 2 {
			return nil, fmt.Errorf("%s has no time steps", n.Args[0].Shape)
		}
		return f32(n.Args[0].Shape[1:]), nil
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		copy(out[0].F, in[0].F[len(in[0].F)-len(out[0].F):])
		return nil
	},
	Emit: func(n *node) []call {
		return []call{{Func: "Copy",
			Args: []graph.Operand{n.Outs[0], graph.Last{V: n.Args[0]}, n.Outs[0].Shape.Elems()}}}
	},
	Formula: func(n *node, name names) string {
		return name(n.Outs[0]) + " = the last time step of " + name(n.Args[0])
	},
}

// LastSteps is the last of the time steps of x [steps, batch, width]: as many as the run-time size ends says.
var LastSteps = &graph.Op{
	Name: "last_steps",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32); err != nil {
			return nil, err
		}
		if len(n.Args[0].Shape) < 2 {
			return nil, fmt.Errorf("%s has no time steps", n.Args[0].Shape)
		}
		return f32(n.Args[0].Shape[1:].Stack(graph.Sym("ends"))), nil
	},
	Eval: LastStep.Eval,
	Emit: func(n *node) []call {
		return []call{{Func: "Copy",
			Args: []graph.Operand{n.Outs[0], graph.Last{V: n.Args[0], Of: n.Outs[0]}, n.Outs[0].Shape.Elems()}}}
	},
	Formula: func(n *node, name names) string {
		return name(n.Outs[0]) + " = the last time steps of " + name(n.Args[0])
	},
}

func init() {
	Rope.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		args := []*value{g[0], c.Val(n.Args[1])}
		for _, x := range n.Args[2:] {
			args = append(args, c.Val(x))
		}
		return append(c.Apply(Rope, []string{d(n.Args[0])}, n.Attrs.Set("inverse", !n.Attrs.Bool("inverse")), args...),
			make([]*value, len(n.Args)-1)...)
	}
}
