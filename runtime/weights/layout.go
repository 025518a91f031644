package weights

import "fmt"

// Form is how a matrix is made of a parameter.
type Form uint8

const (
	Straight   Form = iota // the parameter [k, n] as it is
	Transposed             // the transpose of the parameter [n, k]
	Table                  // a parameter [n, k] of which only rows are read; as Transposed, of a kind of its own
)

// String is what is added to the name of a parameter to have the name of the matrix.
func (f Form) String() string { return [...]string{"matrix", "transposed", "rows"}[f] }

// Source is where the matrices of a model are that were stored before.
type Source interface {
	// Matrix is the matrix [k, n] that was made of the parameter of a name. Of a Table of float32, which no matrix is
	// made of, it is the parameter.
	Matrix(kind Kind, name string, form Form, k, n int) (*Matrix, error)
	// Numbers is the parameter of a name that is read as it is.
	Numbers(name string) ([]float32, error)
	// Done is called when all has been asked for that the model reads.
	Done() error
}

// Layout makes the matrices of a model, all of one kind. Its first error ends it: what it makes then is nil.
type Layout struct {
	Kind    Kind
	Measure bool // only add up how large the matrices would be

	// KindOf says of which kind the matrix is that is made of a parameter; nil for Kind.
	KindOf func(name string) Kind
	// Source has the matrices, and what is read as it is: then nothing is made, and parameters are not read.
	Source Source
	// Made is told of each matrix, and Kept of each parameter that is read as it is; both may be nil.
	Made func(name string, form Form, m *Matrix)
	Kept func(name string, x []float32)

	bytes int
	err   error
}

// Matrix is the matrix b [k, n], which an error calls by its name, a format for the numbers that follow.
func (l *Layout) Matrix(b []float32, k, n int, name string, numbers ...any) *Matrix {
	return l.make(Straight, b, k, n, name, numbers)
}

// Transpose is the transpose of the matrix b [n, k]; otherwise as [Layout.Matrix].
func (l *Layout) Transpose(b []float32, n, k int, name string, numbers ...any) *Matrix {
	return l.make(Transposed, b, k, n, name, numbers)
}

// Rows is the table b [n, k] for a model that reads rows of it and multiplies by none; otherwise as
// [Layout.Transpose]. A step reads little of it, so that it has at least 8 bits, and stays what it is in float32.
func (l *Layout) Rows(b []float32, n, k int, name string, numbers ...any) *Matrix {
	return l.make(Table, b, k, n, name, numbers)
}

// Keep says that x, a parameter, is read as it is. Where there is a source x becomes what that has.
func (l *Layout) Keep(x *[]float32, name string, numbers ...any) {
	if l.err != nil || l.Source == nil && l.Kept == nil {
		return
	}
	name = fmt.Sprintf(name, numbers...)
	if l.Source != nil {
		*x, l.err = l.Source.Numbers(name)
	}
	if l.err == nil && l.Kept != nil {
		l.Kept(name, *x)
	}
}

func (l *Layout) make(form Form, b []float32, k, n int, name string, numbers []any) *Matrix {
	if l.err != nil {
		return nil
	}
	named := func() string { return fmt.Sprintf(name, numbers...) }
	kind := l.Kind
	if l.KindOf != nil {
		kind = l.KindOf(named())
	}
	if form == Table {
		kind = tableKind(kind)
	}
	var m *Matrix
	var err error
	switch {
	case l.Measure:
		l.bytes += measure(kind, form, k, n)
		return nil
	case l.Source != nil:
		m, err = l.Source.Matrix(kind, named(), form, k, n)
	case form == Straight:
		m, err = New(kind, b, k, n)
	default:
		m, err = NewT(kind, b, k, n)
	}
	if err != nil {
		if l.Source == nil {
			err = fmt.Errorf("%s: %w", named(), err)
		}
		l.err = err
		return nil
	}
	if form != Table {
		l.bytes += m.Bytes()
	}
	if l.Made != nil {
		l.Made(named(), form, m)
	}
	return m
}

// tableKind is the kind of a table of which rows are read, in a model whose matrices are of some kind.
func tableKind(kind Kind) Kind {
	switch kind {
	case F32:
		return Live
	case Q4:
		return Q8
	}
	return kind
}

// measure is how many bytes a step of one row reads of a matrix.
func measure(kind Kind, form Form, k, n int) int {
	switch {
	case form == Table:
		return 0
	case kind == Live:
		return 4 * k * n
	}
	size, err := DataLen(kind, k, n)
	if err != nil {
		return 0 // which is said when the matrix is made
	}
	return size
}

// Bytes is how many bytes a step of one row reads of all matrices that have been made.
func (l *Layout) Bytes() int { return l.bytes }

// Err ends the layout. It is what was wrong with the first matrix that could not be made.
func (l *Layout) Err() error {
	if l.err == nil && l.Source != nil {
		l.err = l.Source.Done()
	}
	return l.err
}
