package graph

// Op is one operation: everything that the compiler knows of it. The table of all operations is package gen/op.
type Op struct {
	Name string

	// Infer gives the types and shapes of the results, or says what is wrong with the arguments.
	Infer func(n *Node) ([]TypedShape, error)

	// Grad gives the gradients of the arguments (nil where c.Need is false or where there is none) from those of the
	// results (nil where nothing depends on a result). Without it the operation can't be differentiated, unless Stops.
	Grad func(c *Context, n *Node, d []*Value) []*Value

	// Stops means that no gradient passes: the results are constant almost everywhere, or stand for constants.
	Stops bool

	// Flops is the number of floating-point operations; nil counts none.
	Flops func(n *Node) Dim

	// Eval computes the results in float64, from the definition; out has its shapes and is zero.
	Eval func(n *Node, in, out []*Tensor) error

	// Emit gives the kernel calls that compute the results.
	Emit func(n *Node) []Call

	// Formula says what is computed, in the notation of the field, for a comment above the call.
	Formula func(n *Node, name func(*Value) string) string

	// ONNX adds to x the operators that compute the results of n from its arguments a, and gives them; "" stands for a
	// result that only a gradient reads. An operation of training alone has none.
	ONNX func(x Assembler, n *Node, a []string) []string

	// InPlace lists pairs (result, argument) that may share memory.
	InPlace [][2]int

	// Replaces gives such pairs of a node, where they depend on it.
	Replaces func(n *Node) [][2]int

	// Elements means that each element of the one result is made of the elements of the arguments at its place, all of
	// one shape.
	Elements bool

	// Alias means that the one result is the argument under another shape: no code, no memory.
	Alias bool

	// Rowwise reports whether the node, applied to stacked arguments where stacked[i] is set, gives its results
	// stacked: what moves work out of loops.
	Rowwise func(n *Node, stacked []bool) bool

	// Contracts means that the result sums over all rows of the arguments, so that a sum of results over time steps is
	// the result of the stacked arguments.
	Contracts bool

	// Heavy means that one large node is faster than many small ones.
	Heavy bool
}

// TypedShape is what Infer gives for each result.
type TypedShape struct {
	Type  Type
	Shape Shape
}

// Tensor is a value in float64 evaluation; F or I is set, by type.
type Tensor struct {
	Shape []int
	F     []float64
	I     []int32
}

// Elems is the number of elements.
func (t *Tensor) Elems() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Rows is the number of rows, Cols their length.
func (t *Tensor) Rows() int {
	n := 1
	for _, d := range t.Shape[:max(0, len(t.Shape)-1)] {
		n *= d
	}
	return n
}

// Cols is the last dimension; 1 for a scalar.
func (t *Tensor) Cols() int {
	if len(t.Shape) == 0 {
		return 1
	}
	return t.Shape[len(t.Shape)-1]
}

// Call is one statement of generated code: a call of the function Func of package runtime/kernel, or, on numbers, an
// expression of two operands.
type Call struct {
	Func   string
	Infix  string // "+": in place of Func
	Args   []Operand
	Result *Value // the number that the call returns, if any
}

// Operand is an argument of a Call: *Value (its memory), Dim, Float, Nil, Option, Onto, OneOver, Single, RowFunc,
// Columns, Last, Matrix, Bool, Heads, DropRate, DropKey, NoiseKey, LoopIndex, InTraining, InTraining32 or
// IfTraining.
type Operand any

type (
	// Float is a number of the spec.
	Float float64
	// Nil is an absent slice.
	Nil struct{}
	// Option is a call whose result is an option of the kernel: kernel.Bias(p.Out.B).
	Option struct {
		Func string
		Args []Operand
	}
	// DropRate is a dropout rate, which is 0 outside of training.
	DropRate float64
	// InTraining is a number that is 0 outside of training.
	InTraining float64
	// InTraining32 is the same in single precision.
	InTraining32 float64
	// NoiseKey is the key of random numbers: a stream of its own for each place, step and iteration of the loops
	// around it.
	NoiseKey struct {
		Stream int
		Index  *Value // loop index, or nil
	}
	// DropKey is the key of a dropout mask: a stream of its own for each place, step and iteration of the loops around
	// it.
	DropKey struct {
		Stream int
		Index  *Value // loop index, or nil
	}
)

// Onto is the option of a product that adds to V: where V lies in the memory of the result it is accumulated,
// elsewhere it is read.
type Onto struct{ V, Result *Value }

// LoopIndex is the number of the iteration of the loop whose index V is.
type LoopIndex struct{ V *Value }

// OneOver is 1 divided by a size.
type OneOver struct{ Size Dim }

// Single is the number V, which code has in double precision, in single precision.
type Single struct{ V *Value }

// RowFunc is the function that computes a row of the results of N, which is made of operations on elements.
type RowFunc struct{ N *Node }

// Columns is the memory of V from column From of its first row on.
type Columns struct {
	V    *Value
	From Dim
}

// Bool is a constant true or false.
type Bool bool

// Matrix is the parameter V, or its transpose, in the form in which decoders read matrices. Rows says that the rows of
// V are read, which the transpose has as columns.
type Matrix struct {
	V               *Value
	Transpose, Rows bool
}

// Last is the memory of the last element of V along its first dimension, or of as many as Of has.
type Last struct{ V, Of *Value }

// Heads describes the heads of an attention. Generated code has it in a variable of the given name.
type Heads struct {
	Name            string
	Count, KV, Size int
	LDQ, LDK        int
	Causal, ALiBi   bool
	Window, Prefix  int
	Scale           float64
	Cap             float64  // bound of the scores; 0 for none
	Bias            *Value   // what is added to them for each distance; nil for none
	Rate            DropRate // 0 without dropout
	Key             DropKey
}

// Context is what a gradient rule works with.
type Context struct {
	*Builder                       // adds nodes to the graph of the gradient
	Val      func(v *Value) *Value // the value, in that graph, of a value of the forward graph
	Need     func(arg int) bool    // whether the gradient of an argument is asked for
}

// IfTraining is the memory of V in a training step, and absent when only the loss is asked for.
type IfTraining struct{ V *Value }
