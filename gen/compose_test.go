package gen

import (
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/spec"
)

// composed are the cases whose layers are made of others.
var composed = []string{"gptj", "llama", "qwen", "gemma", "t5", "albert", "attentive", "mixture", "residualgan", "unet",
	"peephole", "mingru", "elman", "textbookgan"}

// TestComposed compares the gradients of composed models with central differences, and their optimized graphs with the
// plain ones.
func TestComposed(t *testing.T) {
	for _, name := range composed {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := spec.Load("cases/" + name + "/model.yaml")
			if err != nil {
				t.Fatal(err)
			}
			checkOptimized(t, m)
			steps := map[string]func(*build.Model) *graph.Graph{"train": func(m *build.Model) *graph.Graph {
				return m.Train
			}}
			if m.GAN != nil {
				steps["discriminate"] = func(m *build.Model) *graph.Graph { return m.Discriminate }
			}
			for _, of := range steps {
				checkGradients(t, m, of, nil)
			}
		})
	}
}

// TestUnreadStack holds that a stack of layers in front of one that does not read its input gets gradients of zero,
// layer by layer, as its parameters stand.
func TestUnreadStack(t *testing.T) {
	m, err := spec.Parse("model.yaml", []byte(`
kind: attention
source: {steps: 4}
shape: {batch: 2, steps: 5}
define:
  deaf:
    reads: [h, x]
    parameters: [v]
    formula: |
      s(a, b) = vᵀ·tanh(b)
      e_{i,j} = softmax_j(s(h_i, x_j))
      c_i = Σ_j e_{i,j}·x_j
encoder:
  - embedding: {size: 8}
  - gru: {units: 8}
decoder:
  - embedding: {name: written, size: 8}
  - positions
  - transformer: {heads: 2, layers: 3}
  - deaf
  - dense
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	files, err := Generate(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := typeCheck(files); err != nil {
		t.Error(err)
	}
	for _, f := range files {
		if f.Name == "backward.go" && !strings.Contains(string(f.Data), "kernel.Clear(g.Transformer[l].Wqkv") {
			t.Errorf("no loop clears the gradients of the stack:\n%s", f.Data)
		}
	}
}
