package graph

// Assembler adds operators of ONNX to a file that is being made. A value is named by a string; the empty one is a
// result that the file does not have. Rules of operations (Op.ONNX) are written against it, package gen/onnx implements
// it.
//
// A file has the operators of opset 17 of the default domain. Shapes are those of the graph: time-major, row by row.
type Assembler interface {
	// Op adds an operator and gives its first result. Attributes are of type int, float64, string or []int.
	Op(operator string, attrs Attrs, args ...string) string
	// Ops adds an operator of several results.
	Ops(operator string, results int, attrs Attrs, args ...string) []string
	// Float is a number (float32), a scalar.
	Float(x float64) string
	// Floats is a constant of a shape (float32).
	Floats(x []float64, shape ...int) string
	// Ints is a vector of constants (int64), as shapes and axes are.
	Ints(x ...int) string
	// ID is a constant of the type of tokens (int32), a scalar.
	ID(x int) string
	// Sizes is a vector of what the dimensions are when the file runs (int64).
	Sizes(dims ...Dim) string
	// Iteration is the number of the iteration of the innermost loop around what is added (int32), a scalar.
	Iteration() string
}
