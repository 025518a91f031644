package weights

import "fmt"

// Layout makes the matrices of a model, all of one kind. Its first error ends it: what it makes then is nil.
type Layout struct {
	Kind    Kind
	Measure bool // only add up how large the matrices would be

	bytes int
	err   error
}

// Matrix is the matrix b [k, n], which an error calls by its name, a format for the numbers that follow.
func (l *Layout) Matrix(b []float32, k, n int, name string, numbers ...any) *Matrix {
	return l.make(New, b, k, n, k, n, name, numbers)
}

// Transpose is the transpose of the matrix b [n, k]; otherwise as [Layout.Matrix].
func (l *Layout) Transpose(b []float32, n, k int, name string, numbers ...any) *Matrix {
	return l.make(NewT, b, n, k, k, n, name, numbers)
}

func (l *Layout) make(make func(Kind, []float32, int, int) (*Matrix, error), b []float32, rows, cols, k, n int,
	name string, numbers []any) *Matrix {
	if l.err != nil {
		return nil
	}
	var m *Matrix
	var err error
	size := 0
	if l.Measure && l.Kind == Live {
		size = 4 * k * n
	} else if l.Measure {
		size, err = DataLen(l.Kind, k, n)
	} else if m, err = make(l.Kind, b, k, n); err == nil {
		size = m.Bytes()
	}
	if err != nil {
		l.err = fmt.Errorf(name+": %w", append(numbers, err)...)
		return nil
	}
	l.bytes += size
	return m
}

// Bytes is how many bytes a step of one row reads of all matrices that have been made.
func (l *Layout) Bytes() int { return l.bytes }

// Err is what was wrong with the first matrix that could not be made.
func (l *Layout) Err() error { return l.err }
