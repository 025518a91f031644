package gen_test

import (
	"fmt"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/optim"
	"github.com/gradsmith/gradsmith/runtime/param"
	"github.com/gradsmith/gradsmith/spec"
)

// TestOptimizerMemory holds what the language says that rules keep of matrices to what they do keep.
func TestOptimizerMemory(t *testing.T) {
	sizes := []spec.TensorSize{{Rows: 5, Columns: 3}, {Rows: 1, Columns: 9}, {Rows: 70, Columns: 4}, {Rows: 40,
		Columns: 48}, {Rows: 90, Columns: 80}, {Rows: 3, Columns: 3, Apart: true}}
	var tensors []param.Extent
	n := 0
	for _, x := range sizes {
		tensors = append(tensors, param.Extent{From: n, Rows: x.Rows, Columns: x.Columns, Apart: x.Apart})
		n += param.Stride(x.Rows * x.Columns)
	}
	number := func(x any) float64 { return x.(float64) }
	soap := func(a []any) optim.Rule {
		return optim.NewSOAP(n, tensors, number(a[0]), number(a[1]), number(a[2]), number(a[3]), a[4].(int), a[5].(int))
	}
	for _, x := range []struct {
		settings string
		rule     func(a []any) optim.Rule
	}{
		{"adafactor: 0.1", func(a []any) optim.Rule {
			return optim.NewAdafactor(n, tensors, number(a[0]), number(a[1]), number(a[2]), number(a[3]))
		}},
		{"muon: 0.1", func(a []any) optim.Rule {
			return optim.NewMuon(n, tensors, number(a[0]), number(a[1]), number(a[2]), number(a[3]), number(a[4]))
		}},
		{"soap: {limit: 48}", soap},
		{"soap: {limit: 2}", soap},
	} {
		text := fmt.Sprintf("kind: rnn\ntokenizer: ascii\nshape: {batch: 2, steps: 3}\nlayers:\n  - embedding: 8\n"+
			"  - lstm: 8\n  - dense\noptimizer: {%s}\n", x.settings)
		m, err := spec.Parse("m.yaml", []byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		kept, scratch := m.Optimizer.Numbers(n, sizes)
		got := 0
		for _, s := range x.rule(m.Optimizer.Arguments).Slots() {
			got += len(s.Value)
		}
		if got != kept || scratch < 0 {
			t.Errorf("%s: it keeps %d numbers, the language says %d", x.settings, got, kept)
		}
	}
}
