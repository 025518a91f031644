package optimize

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// cse makes one of nodes that apply the same operation to the same values, in the same stage of a forward pass, as a
// stage can run without the others. Loops are left as they are, their bodies are not. Nodes that read nothing, such as
// zeros, stay as many as they are: one for all would be kept alive from the first reader to the last, and copied by
// each that changes it, which costs more than to make it anew.
func cse(g *graph.Graph) {
	seen := map[string]*graph.Node{}
	gone := map[*graph.Node]bool{}
	for _, n := range g.Nodes {
		if n.Loop != nil {
			cse(n.Loop.Body)
			continue
		}
		if len(n.Args) == 0 {
			continue
		}
		key := fmt.Sprintf("%s %s%v", n.Stage, n.Op.Name, n.Attrs)
		for _, a := range n.Args {
			key += " " + a.Name
		}
		first := seen[key]
		if first == nil {
			seen[key] = n
			continue
		}
		for i, o := range n.Outs {
			g.Replace(o, first.Outs[i])
		}
		gone[n] = true
	}
	remove(g, gone)
}
