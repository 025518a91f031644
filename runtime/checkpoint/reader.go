package checkpoint

import (
	"errors"
	"fmt"

	"github.com/gradsmith/gradsmith/runtime/files"
)

// Entry is what a safetensors file says of a tensor.
type Entry struct {
	Name  string
	Type  string // as the format has it: "F32", "BF16", "I64"
	Shape []int
}

// Numbers is how many elements the tensor has.
func (e Entry) Numbers() int {
	n := 1
	for _, d := range e.Shape {
		n *= d
	}
	return n
}

// Float tells whether the elements are of a type that is read as float32: F32, F64, F16 or BF16.
func (e Entry) Float() bool { return widths[e.Type] > 0 }

// Reader reads the tensors of a safetensors file one by one, or parts of them: of this program's files and of others'.
type Reader struct {
	path string
	file files.File
	s    *source
}

// Open opens the file at path and checks its header. Tensors of types that are not read as numbers are not an error.
func Open(path string) (*Reader, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s can't be read: %w", path, files.Cause(err))
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a file")
	}
	var s *source
	if err == nil {
		if s, err = open(f, info.Size()); err == nil {
			err = s.parameters()
		}
	}
	if err != nil {
		f.Close()
		return nil, wrap(path, err)
	}
	return &Reader{path, f, s}, nil
}

// Close closes the file.
func (r *Reader) Close() error { return r.file.Close() }

// Path is that of the file.
func (r *Reader) Path() string { return r.path }

// Entries lists the tensors in the order of their bytes.
func (r *Reader) Entries() []Entry {
	all := make([]Entry, len(r.s.entries))
	for i, e := range r.s.entries {
		all[i] = Entry{e.name, e.DType, append([]int{}, e.Shape...)}
	}
	return all
}

// Read reads as many numbers of a tensor as dst has, from number from on.
func (r *Reader) Read(name string, from int, dst []float32) error {
	e := r.s.entry(name)
	switch {
	case e == nil:
		return wrap(r.path, fmt.Errorf("has no tensor %s", name))
	case from < 0 || from > e.numbers() || len(dst) > e.numbers()-from:
		return wrap(r.path, fmt.Errorf("tensor %s has %d numbers: %d from number %d on were asked for", name, e.numbers(),
			len(dst), from))
	}
	return wrap(r.path, r.s.readFrom(e, from, dst))
}

// Verify compares the bytes of a tensor with the digest that the file gives, where it gives one.
func (r *Reader) Verify(name string) error {
	e := r.s.entry(name)
	if e == nil {
		return wrap(r.path, fmt.Errorf("has no tensor %s", name))
	}
	return wrap(r.path, r.s.verify(e))
}
