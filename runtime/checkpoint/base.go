package checkpoint

import (
	"fmt"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// Base is what decoders read of a model, without its adapter. Models with adapters of their own share it, so that each
// of them takes the memory of its adapter alone. It does not change, and any number of goroutines may read it.
type Base struct {
	kind         weights.Kind
	spec         string
	architecture string
	matrices     map[string]*weights.Matrix // by the names that files of matrices have for them
	numbers      map[string][]float32
}

// NewBase lays out the matrices of m, of one kind. It keeps nothing of m, which may be dropped with its parameters.
func NewBase(m model.Packer, kind weights.Kind) (*Base, error) {
	info := m.Info()
	b := &Base{kind: kind, spec: info.Spec, architecture: info.Architecture,
		matrices: map[string]*weights.Matrix{}, numbers: map[string][]float32{}}
	err := m.Lay(&weights.Layout{
		Kind: kind,
		Made: func(name string, form weights.Form, x *weights.Matrix) {
			if numbers, _ := x.Live(); numbers != nil { // a table, which is a part of the parameters
				k, n := x.Dims()
				x = weights.LiveT(slices.Clone(numbers), k, n)
			}
			b.matrices[name+"/"+form.String()] = x
		},
		Kept: func(name string, x []float32) { b.numbers[name] = copied(x) },
	})
	if err != nil {
		return nil, err
	}
	for _, x := range model.Adaptions(m) {
		for _, name := range []string{x.A.Name, x.B.Name} {
			delete(b.matrices, name+"/"+weights.Straight.String())
		}
	}
	return b, nil
}

// copied is a copy that begins at a cache line, as parameters do.
func copied(x []float32) []float32 {
	c := model.Floats(len(x))
	copy(c, x)
	return c
}

// Adapt makes decoders of m, whose parameters are zero, read the base with the adapter of a file; without a path with
// none. m can write from then on, and no more, as [model.Packer.Mount] says.
func (b *Base) Adapt(path string, m model.Packer) error {
	if info := m.Info(); info.Architecture != b.architecture {
		return fmt.Errorf("the model %s is of another spec than what it is to share, of %s", info.Name, b.spec)
	}
	if path != "" {
		if err := LoadAdapter(path, m); err != nil {
			return err
		}
	}
	s := &sharing{Base: b, own: map[string]model.Tensor{}}
	for _, x := range model.Adaptions(m) {
		s.own[x.A.Name], s.own[x.B.Name] = x.A, x.B
	}
	return m.Mount(&weights.Layout{Kind: b.kind, Source: s})
}

// sharing is a base with the adapter of a model.
type sharing struct {
	*Base
	own map[string]model.Tensor
}

// Matrix implements weights.Source.
func (s *sharing) Matrix(kind weights.Kind, name string, form weights.Form, k, n int) (*weights.Matrix, error) {
	if t, ok := s.own[name]; ok {
		x, err := weights.New(kind, t.Value, k, n)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return x, nil
	}
	x := s.matrices[name+"/"+form.String()]
	if x == nil {
		return nil, fmt.Errorf("the model has no matrix %s", name)
	}
	return x, nil
}

// Numbers implements weights.Source.
func (s *sharing) Numbers(name string) ([]float32, error) {
	x, ok := s.numbers[name]
	if !ok {
		return nil, fmt.Errorf("the model has no tensor %s", name)
	}
	return x, nil
}

// Done implements weights.Source.
func (s *sharing) Done() error { return nil }
