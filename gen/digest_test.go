package gen

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
	"gopkg.in/yaml.v3"
)

var digestEvery = flag.Int("digest.every", 5, "TestDigest makes every so many-th of its changes")

// scalarsOf lists the scalars of a YAML document that are values, with the keys that lead to each.
func scalarsOf(n *yaml.Node, path string, do func(path string, n *yaml.Node)) {
	switch n.Kind {
	case yaml.ScalarNode:
		do(path, n)
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			scalarsOf(n.Content[i+1], path+"."+n.Content[i].Value, do)
		}
	default:
		for _, c := range n.Content {
			scalarsOf(c, path, do)
		}
	}
}

// words that stand in the place of others; where one does not belong, the spec is refused and does not count.
var otherWords = []string{"tanh", "relu", "gelu", "sigmoid", "silu", "leaky_relu", "none", "identity", "swiglu",
	"rmsnorm", "layernorm", "pre", "post", "sinusoidal", "learned", "uniform", "normal", "bytes", "ascii", "sum",
	"product", "concat", "before", "after", "bernoulli", "gaussian"}

// mutants are values for a scalar beside the one that it has.
func mutants(n *yaml.Node) []string {
	switch n.Tag {
	case "!!int":
		var x int
		fmt.Sscan(n.Value, &x)
		return []string{fmt.Sprint(x + 1), fmt.Sprint(2 * x), fmt.Sprint(x - 1)}
	case "!!float":
		var x float64
		fmt.Sscan(n.Value, &x)
		return []string{fmt.Sprint(x / 2), fmt.Sprint(x * 1.25)}
	case "!!bool":
		return []string{map[string]string{"true": "false", "false": "true"}[n.Value]}
	}
	return otherWords
}

// meaning is what a trained model computes and of what: the nodes of its graphs outside of training, with the
// parameters that they read, and the tensors of a checkpoint. Dropout, streams of random numbers and the capacity for
// steps and sequences are no part of it.
func meaning(m *build.Model) (tensors, computes string) {
	var b strings.Builder
	for _, p := range m.Params {
		tensors += fmt.Sprintln(p.Tensors(), p.Shape)
	}
	for _, t := range m.Tables {
		fmt.Fprintln(&b, t.Name, t.Scheme, t.Columns, t.Turns)
	}
	m.Tapped = nil // which look at what the other graphs compute
	for _, g := range m.Graphs() {
		ids := map[*graph.Value]string{}
		var walk func(g *graph.Graph)
		id := func(v *graph.Value) string { return ids[v] }
		walk = func(g *graph.Graph) {
			for _, in := range g.Inputs {
				name := in.ID.String()
				if in.Role == graph.Local {
					name = fmt.Sprint("in", len(ids))
				}
				ids[in] = name
			}
			for _, n := range g.Nodes {
				if n.Phase != graph.Forward {
					continue
				}
				if n.Op == op.Dropout || n.Op == op.DropRows {
					ids[n.Outs[0]] = id(n.Args[0])
					continue
				}
				var args []string
				for _, a := range n.Args {
					args = append(args, id(a))
				}
				for _, o := range n.Outs {
					ids[o] = fmt.Sprint("v", len(ids))
				}
				var attrs graph.Attrs
				for _, a := range n.Attrs {
					if !slices.Contains([]string{"stream", "rate", "key", "hard"}, a.Key) {
						attrs = append(attrs, a)
					}
				}
				fmt.Fprintln(&b, n.Op.Name, args, attrs)
				if n.Loop != nil {
					fmt.Fprintln(&b, n.Loop.Kind, n.Loop.Trip.N, n.Loop.Reverse)
					walk(n.Loop.Body)
				}
			}
		}
		fmt.Fprintln(&b, g.Name)
		walk(g)
	}
	return tensors, b.String()
}

// Two specs of one digest compute the same of the same tensors, so that a checkpoint of one never means something else
// in the other; and two that compute the same have one digest, so that none is refused without need, but for names of
// layers that have no tensors. Every scalar of every golden case is changed in turn.
func TestDigest(t *testing.T) {
	dirs, err := filepath.Glob("cases/*/model.yaml")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	// What is not in the graphs outside of training, but is what a parameter means: the text behind tokens, what
	// vectors are, the noise, and whether there is an average.
	meant := []string{"tokenizer", "likelihood", "noise", "ema", "source", "labels"}
	tried, changed, count := 0, 0, 0
	for _, path := range dirs {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(src, &doc); err != nil {
			t.Fatal(err)
		}
		load := func() (m *spec.Model, tensors, computes string) {
			text, err := yaml.Marshal(&doc)
			if err != nil {
				t.Fatal(err)
			}
			m, err = spec.Parse(path, text,
				func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(filepath.Dir(path), name)) })
			if err != nil {
				return nil, "", ""
			}
			b, err := build.Build(m)
			if err != nil {
				return nil, "", ""
			}
			tensors, computes = meaning(b)
			return m, tensors, computes
		}
		m, has, is := load()
		if m == nil {
			t.Fatalf("%s does not build", path)
		}
		digest := m.Architecture()
		scalarsOf(&doc, "", func(key string, n *yaml.Node) {
			kept := *n
			for _, value := range mutants(&kept) {
				if count++; count%*digestEvery != 0 {
					continue
				}
				*n = kept
				n.Value = value
				if n.Tag != "!!str" {
					n.Tag = ""
				}
				o, of, other := load()
				if o == nil || value == kept.Value {
					continue
				}
				tried++
				same := o.Architecture() == digest
				if !same {
					changed++
				}
				if strings.HasPrefix(key, ".adapter") { // whose files say themselves what they are of
					if !same {
						t.Errorf("%s: %s decides the digest, so that no checkpoint from before it fits", path, key)
					}
					continue
				}
				capacity := strings.HasSuffix(key, ".steps") // which some operations are told
				switch {
				case same && (of != has || other != is && !capacity):
					t.Errorf("%s: %s %s in place of %s computes something else, and has the same digest", path, key,
						value, kept.Value)
				case !same && other == is && of == has && kept.Tag != "!!str" && !slices.ContainsFunc(meant,
					func(x string) bool { return strings.Contains(key, "."+x) }):
					t.Errorf("%s: %s %s in place of %s computes the same, and has another digest", path, key, value,
						kept.Value)
				}
			}
			*n = kept
		})
	}
	t.Logf("%d changes, of which %d change the digest", tried, changed)
	if changed < 100 || tried-changed < 100 {
		t.Errorf("of %d changes %d change the digest: too few to say anything", tried, changed)
	}
}
