package spec

import (
	"fmt"
	"strings"
)

func init() {
	register(record{name: "branch", group: composites, check: (*layers).branch,
		inner: func(v *value) []*value { return v.set.key("paths").list },
		word: func(in place) *word {
			paths := list(list(layerTypes[in], 0, maxStack), 2, 64)
			paths.like, paths.cell = "a list of 2 to 64 lists of layers, of which an empty one passes on what it reads",
				"a list of lists of layers; an empty one passes on what it reads"
			return &word{name: "branch",
				doc:  "Several paths of layers that read the same features, and what they give together.",
				also: []string{"parallel", "paths", "sum", "concat", "concatenate", "inception", "split"},
				typ: object("",
					layerName(),
					with("join", enum(
						word{name: "sum", doc: "The sum of what the paths give.", also: []string{"add", "plus"}},
						word{name: "product",
							doc:  "The product, element by element: with a path that ends in a sigmoid, a gate.",
							also: []string{"mul", "multiply", "hadamard"}},
						word{name: "concatenation", doc: "What the paths give side by side, which may differ in width.",
							also: []string{"concat", "join", "cat", "stack"}},
						word{name: "gate",
							doc:  "Of two paths a and b: g⊙a + (1−g)⊙b with g = σ(x·W + b), which is learnt.",
							also: []string{"mix", "mixture", "highway"}},
					), "sum", "What is made of what the paths give.").called("by", "how", "merge", "mode", "combine"),
					need("paths", paths, "The paths.").called("of", "branches", "layers", "path"),
					may("init", initType, "as a `dense`", "gate: how W starts.").called("kernel_init", "initializer"),
					may("init_bias", initType, "as a `dense`", "gate: how the bias starts.").called("bias_init"))}
		}})
}

// Branch is several paths of layers that read the same features.
type Branch struct {
	LayerBase
	Join  string    // "sum", "product", "concatenation" or "gate"
	Paths [][]Layer // an empty one passes on what it reads

	Init, BiasInit Init // gate
}

// Lists implements Composite.
func (l *Branch) Lists() [][]Layer { return l.Paths }

func (c *layers) branch(v *value, base LayerBase, in int, _ bool) Layer {
	l := &Branch{LayerBase: base, Join: v.set.key("join").word}
	first, known, total := 0, true, 0
	paths := v.set.key("paths")
	for i, path := range paths.list {
		p := c.sequence(path, in, false)
		l.Paths = append(l.Paths, p)
		w := width(p, in)
		switch {
		case w == 0:
			known = false
		case first == 0:
			first = w
		case w != first && l.Join != "concatenation":
			c.errorf(path.Pos, "branch: a %s needs as many features of every path, but path %d gives %d and path 1 "+
				"gives %d; end one of them with `- dense: {units: %d}`", l.Join, i+1, w, first, first)
			known = false
		}
		total += w
	}
	l.Width = first
	if l.Join == "concatenation" {
		l.Width = total
	}
	if !known {
		l.Width = 0
	}
	own, bias := v.set.key("init"), v.set.key("init_bias")
	switch {
	case paths.bad:
	case l.Join != "gate":
		for _, k := range []*value{own, bias} {
			if k.given {
				c.errorf(k.Pos, "branch: only a gate has parameters; a %s has none that could start", l.Join)
			}
		}
	case len(paths.list) != 2:
		c.errorf(paths.Pos, "branch: a gate mixes 2 paths, found %d; put a branch into a path for more",
			len(paths.list))
	default:
		l.Init, l.BiasInit = c.standard(v, in)
		c.count(v, int64(in+1)*int64(l.Width), 3*l.Width)
	}
	return l
}

func (l *Branch) architecture() string {
	s := "branch " + l.Join
	if l.Join == "gate" {
		s += " " + l.Name
	}
	for _, p := range l.Paths {
		s += "\n" + composed("path", "", p)
	}
	return s
}

// composed is the text of layers in a composite, for digests.
func composed(word, what string, layers []Layer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", word, what)
	architecture(&b, layers)
	b.WriteString("end")
	return b.String()
}
