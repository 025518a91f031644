package interchange

import (
	"io"
	"slices"

	"github.com/gradsmith/gradsmith/gen"
	"github.com/gradsmith/gradsmith/gen/onnx"
	"github.com/gradsmith/gradsmith/spec"
)

// ONNX is a part of a model that is written as a file of ONNX.
type ONNX struct {
	*onnx.Model
	source *source
}

// Close closes the checkpoint.
func (o *ONNX) Close() { o.source.r.Close() }

// Write writes the file, a tensor at a time.
func (o *ONNX) Write(w io.Writer) error {
	return o.Model.Write(w, func(name string) ([]float32, error) {
		n := 1
		for _, d := range o.source.shapes[name] {
			n *= d
		}
		o.source.data = slices.Grow(o.source.data[:0], n)[:n]
		return o.source.data, o.source.r.Read(name, 0, o.source.data)
	})
}

// NewONNX makes a file of a part of a model, "" being the one that makes something or all of it, and opens its
// checkpoint. An operation that ONNX has no form for is an error that names it and its layer.
func NewONNX(m *spec.Model, checkpoint, part string) (*ONNX, error) {
	file, err := gen.ONNX(m, part)
	if err != nil {
		return nil, err
	}
	s, err := openSource(checkpoint, m)
	if err != nil {
		return nil, err
	}
	return &ONNX{Model: file, source: s}, nil
}
