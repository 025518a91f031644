// Package optimize rewrites a graph into a faster one that computes the same. Each pass has a file of its own; the
// table below says in which order they run, and the constraints beside it why.
//
// The package must know nothing of specs or Go code.
package optimize

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
)

type pass struct {
	name     string
	required bool // later stages rely on its result
	decoding bool // for the graphs of decoders alone, whose parameters do not change
	run      func(g *graph.Graph)
	doc      string
}

// passes run in this order; some run again on what others leave.
var passes = []pass{
	{"simplify", false, false, simplify, "algebra: sums with zero, products with one-hot rows"},
	{"cse", false, false, cse, "equal nodes become one"},
	{"dce", false, false, dce, "nodes, carries and results that nothing reads go"},
	{"hoist", false, false, hoist, "products of loop inputs move in front of the loop, as one product over all steps"},
	{"unstack", false, false, unstack, "what a loop gives of what it reads is read where it was"},
	{"hoist", false, false, hoist, "what depends on invariants alone since then"},
	{"sink", false, false, sink, "products that only leave the loop, and sums of products, move behind it"},
	{"simplify", false, false, simplify, "sums that sink left with a zero"},
	{"cse", false, false, cse, "products that became equal"},
	{"dce", false, false, dce, "what hoist and sink left"},
	{"absorb", false, false, absorb, "sums with what a loop over layers gives move into it"},
	{"fuse-loss", true, false, fuseLoss, "the loss and its gradient in one pass over the logits"},
	{"fuse-epilogue", false, false, fuseEpilogue,
		"sums, biases and activations become part of the product before them"},
	{"accumulate", false, false, accumulate,
		"gradients to which several passes add start from zero, so that each pass does the same"},
	{"lay-out", false, true, layOut, "matrices that are parameters are laid out for the product once in the life of " +
		"a decoder"},
	{"prepack", false, false, prepack, "matrices that a loop reads in every step are laid out for the product once"},
	{"dce", true, false, dce, "what fusion left"},
	{"contract", false, false, contract, "a product and the sum that it goes into round once, as one operation"},
	{"dce", false, false, dce, "terms that contract left"},
	{"give-once", true, false, giveOnce, "what a loop gives is computed in its body, each value once"},
	{"aim-once", true, false, aimOnce, "what goes to two places outside is computed for each"},
	{"fuse-elements", false, false, fuseElements, "operations on elements become one pass over memory"},
	{"keep-together", false, false, keepTogether, "what a loop keeps lies side by side where it was computed from"},
	{"fuse-gradients", false, false, fuseGradients, "gradients of elements take in the products that they alone read"},
	{"names", false, false, tidyNames, "numbers that told names apart go where the other is gone"},
}

// order lists what must stand before what, and why. It is checked at start.
var order = []struct{ before, after, why string }{
	{"simplify", "hoist", "a one-hot product becomes a lookup, which is not worth moving"},
	{"hoist", "sink", "a product in front of the loop needs no memory of its own behind it"},
	{"hoist", "fuse-epilogue", "a product that has the carried sum in it can't leave the loop"},
	{"hoist", "unstack", "what a loop gives is an element of what it reads when that was moved in front of it"},
	{"sink", "fuse-epilogue", "a gradient's sum over steps is recognised as sum and product"},
	{"sink", "prepack", "a product that leaves the loop needs no packed matrix"},
	{"fuse-epilogue", "lay-out", "what is fused with a product adds to it, whatever form the matrix has"},
	{"lay-out", "prepack", "a matrix that is laid out already needs no packing"},
	{"fuse-loss", "fuse-epilogue", "the loss reads the logits, whatever computes them"},
	{"absorb", "fuse-epilogue", "a sum inside of the loop becomes part of a product"},
	{"fuse-epilogue", "accumulate", "what a pass adds to is part of the product"},
	{"fuse-epilogue", "fuse-elements", "what a product does by itself needs no pass over memory"},
	{"fuse-epilogue", "contract", "a sum that becomes part of a product of matrices stays a sum"},
	{"absorb", "contract", "a sum moves into a loop as a sum"},
	{"contract", "fuse-elements", "what is contracted then depends on products and sums alone"},
	{"aim-once", "fuse-elements", "what is written to two places is copied from one"},
	{"keep-together", "fuse-gradients", "which values are parts of rows is then known"},
	{"fuse-elements", "keep-together", "only nodes of elements read parts of rows"},
	{"fuse-epilogue", "give-once", "fusion changes which node computes a value"},
}

func init() {
	at := func(name string, last bool) int {
		found := -1
		for i, p := range passes {
			if p.name == name && (found < 0 || last) {
				found = i
			}
		}
		return found
	}
	for _, c := range order {
		if a, b := at(c.before, false), at(c.after, true); a < 0 || b < 0 || a > b {
			panic(fmt.Sprintf("optimize: pass %s must run before %s: %s", c.before, c.after, c.why))
		}
	}
}

// Run applies all passes to g, which a decoder runs or else a model that may be in training, and verifies it after
// each.
func Run(g *graph.Graph, decoding bool) error {
	for _, p := range passes {
		if p.decoding && !decoding {
			continue
		}
		p.run(g)
		if err := g.Verify(); err != nil {
			return fmt.Errorf("optimize: after %s: %w", p.name, err)
		}
	}
	return nil
}

// portable are the passes that leave the operations of gen/build: what other programs run has none that were fused for
// the kernels of this project.
var portable = []func(g *graph.Graph){simplify, cse, dce, hoist, unstack, hoist, cse, dce}

// Portable applies the passes that a graph for another program gains by: nothing is computed that no output reads, and
// products of all time steps stand in front of loops.
func Portable(g *graph.Graph) error {
	for _, run := range portable {
		run(g)
		if err := g.Verify(); err != nil {
			return fmt.Errorf("optimize: %w", err)
		}
	}
	return nil
}

// Describe lists the passes, for -help and the documentation.
func Describe() []string {
	var lines []string
	for i, p := range passes {
		lines = append(lines, fmt.Sprintf("%2d. %-14s %s", i+1, p.name, p.doc))
	}
	return lines
}

// bodies calls f for every loop under g, inner loops first, with the graph that the loop is a node of.
func bodies(g *graph.Graph, top bool, f func(g *graph.Graph, n *graph.Node, top bool)) {
	for _, n := range append([]*graph.Node{}, g.Nodes...) {
		if n.Loop != nil {
			bodies(n.Loop.Body, false, f)
			f(g, n, top)
		}
	}
}

// insert adds nodes to g in front of (or behind) the node at.
func insert(g *graph.Graph, at *graph.Node, behind bool, nodes ...*graph.Node) {
	for i, n := range g.Nodes {
		if n == at {
			if behind {
				i++
			}
			rest := append(nodes, g.Nodes[i:]...)
			g.Nodes = append(g.Nodes[:i:i], rest...)
			return
		}
	}
	panic("optimize: a node is not in its graph")
}

func remove(g *graph.Graph, gone map[*graph.Node]bool) {
	kept := g.Nodes[:0:0]
	for _, n := range g.Nodes {
		if !gone[n] {
			kept = append(kept, n)
		}
	}
	g.Nodes = kept
}

// uses counts how often each value of g is read by nodes or is an output.
func uses(g *graph.Graph) map[*graph.Value]int {
	u := map[*graph.Value]int{}
	for _, n := range g.Nodes {
		for _, a := range n.Args {
			u[a]++
		}
	}
	for _, o := range g.Outputs {
		u[o]++
	}
	return u
}

func outerName(n *graph.Node, v *graph.Value, top bool) string {
	if top && n.Scope != "" {
		return n.Scope + "." + v.Base
	}
	return v.Base
}

func outNames(n *graph.Node, m *graph.Node, top bool) []string {
	var names []string
	for _, o := range m.Outs {
		names = append(names, outerName(n, o, top))
	}
	return names
}
