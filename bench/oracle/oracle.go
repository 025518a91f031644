package main

import (
	"fmt"
	"os"

	"github.com/gradsmith/gradsmith/generated/seqgan"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// oracle makes the model of the true distribution from a file of its weights: it has the layers of the generator of
// seqgan, so that it is one, with these parameters. The file has a matrix for each gate, and writes the candidate
// behind the output gate; the LSTM of a generated package has them side by side, the candidate before the output gate.
func oracle(path string) (*seqgan.Model, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, err := checkpoint.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	from := map[string][]float32{}
	for _, t := range file.Tensors {
		from[t.Name] = t.Value
	}
	m := seqgan.New()
	for _, t := range m.Tensors() {
		switch t.Name {
		case "numbers.table":
			err = take(t, from["embedding"])
		case "out.w":
			err = take(t, from["wo"])
		case "out.b":
			err = take(t, from["bo"])
		case "write.wx":
			err = gates(t, from["wi"], from["wf"], from["wc"], from["wog"])
		case "write.wh":
			err = gates(t, from["ui"], from["uf"], from["uc"], from["uog"])
		case "write.b":
			err = gates(t, from["bi"], from["bf"], from["bc"], from["bog"])
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return m, nil
}

func take(t model.Tensor, x []float32) error {
	if len(x) != len(t.Value) {
		return fmt.Errorf("the weights of %s are %d numbers, not %d", t.Name, len(x), len(t.Value))
	}
	copy(t.Value, x)
	return nil
}

// gates writes the matrices [in, units] of the gates side by side.
func gates(t model.Tensor, parts ...[]float32) error {
	width := t.Shape[len(t.Shape)-1]
	units := width / len(parts)
	for g, part := range parts {
		if len(part)*len(parts) != len(t.Value) {
			return fmt.Errorf("gate %d of %s has %d numbers, not %d", g+1, t.Name, len(part), len(t.Value)/len(parts))
		}
		for i, x := range part {
			t.Value[i/units*width+g*units+i%units] = x
		}
	}
	return nil
}
