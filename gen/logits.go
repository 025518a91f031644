package gen

import (
	"errors"
	"fmt"

	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/eval"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/spec"
)

// Logits evaluates a model of text, by the definitions of its operations in float64, on tokens: one row of logits for
// each, [len(tokens)·vocabulary]. numbers gives those of a parameter's tensor, which the next call may overwrite. A
// model that reads a source, a latent vector or labels has none of a text alone.
func Logits(m *spec.Model, tokens []int32, numbers func(name string) ([]float32, error)) (logits []float64, err error) {
	var refused error
	err = compile(m, "build", func(c *compilation) error {
		logits, refused = evaluated(c.model, tokens, numbers)
		return nil
	})
	if err == nil {
		err = refused
	}
	return logits, err
}

func evaluated(b *build.Model, tokens []int32, numbers func(name string) ([]float32, error)) ([]float64, error) {
	m := b.Spec
	if b.InferenceParts()[0] != "" || m.Source != nil || m.Vectors != nil {
		return nil, fmt.Errorf("model %s has no logits of a text alone", m.Name)
	}
	switch {
	case len(tokens) == 0:
		return nil, errors.New("the text has no tokens")
	case len(tokens) > m.Shape.Steps:
		return nil, fmt.Errorf("the text has %d tokens, the model reads %d", len(tokens), m.Shape.Steps)
	}
	g, err := b.Inference("")
	if err != nil {
		return nil, err
	}
	sizes := map[string]int{"steps": len(tokens), "batch": 1}
	in := map[string]*graph.Tensor{}
	for _, v := range g.Inputs {
		in[v.Name] = eval.New(v, sizes)
	}
	copy(in["tokens"].I, tokens)
	for _, t := range b.Tables {
		if x := in[t.Name]; x != nil {
			copy(x.F, t.Values())
		}
	}
	for _, p := range b.Params {
		x, at := in[p.Name()], 0
		if x == nil {
			continue
		}
		for _, name := range p.Tensors() {
			values, err := numbers(name)
			if err != nil {
				return nil, err
			}
			for _, v := range values {
				x.F[at] = float64(v)
				at++
			}
		}
	}
	out, err := eval.Run(g, in, sizes)
	if err != nil {
		return nil, err
	}
	return out["logits"].F, nil
}
