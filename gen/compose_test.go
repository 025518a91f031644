package gen

import (
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
