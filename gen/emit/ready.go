package emit

import (
	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/graph"
)

// Generated code says while it computes gradients which of them are complete, so that processes that train together can
// add them up meanwhile. The flat arrays have the parameters in the order of the layers, and a backward pass goes from
// the last layer to the first: so it says from which parameter on all gradients are complete, behind what has made one
// more of them so. Those that are complete at the end need no word.

// finish tells from which parameter on gradients are complete.
type finish struct {
	after map[*graph.Node]*build.Param // when a node of the graph has run
	// when an iteration of a loop over the layers of a stack has run, from that parameter of the layer on
	each map[*graph.Node]*build.Param
}

// unit is parameters that follow each other in the flat arrays: one of them, or all of a stack of layers.
type unit struct {
	first *build.Param // with a gradient
	at    int          // index of the node behind which all of their gradients are complete
	each  bool         // the gradients of each layer of the stack are complete when a loop has run for it
}

// finish finds that out for the graph of w.
func (w *writer) finish() *finish {
	f := &finish{after: map[*graph.Node]*build.Param{}, each: map[*graph.Node]*build.Param{}}
	if w.tapped != nil {
		return f
	}
	index, gradient := map[*graph.Node]int{}, map[graph.ID]*graph.Value{}
	for i, n := range w.g.Nodes {
		index[n] = i
	}
	for i, t := range w.g.Targets {
		if t.Ends == graph.Grad {
			gradient[t.ID] = w.g.Outputs[i]
		}
	}
	var units []unit
	for _, s := range w.e.scopes() {
		for i, p := range s.params {
			v := gradient[p.ID()]
			if v == nil || v.Def == nil {
				continue
			}
			n := unshaped(v).Def
			if n == nil {
				return f // an input: nothing is computed
			}
			l := n.Loop
			each := l != nil && l.Kind == graph.Repeat && l.Reverse && v.Out >= l.Carries && l.Trip.N == p.Stack
			if k := len(units) - 1; s.stack() > 0 && i > 0 && k >= 0 && units[k].first.Scope == p.Scope {
				units[k].each = units[k].each && each && index[n] == units[k].at
				units[k].at = max(units[k].at, index[n])
				continue
			}
			units = append(units, unit{p, index[n], each && s.stack() > 0})
		}
	}
	at := -1 // of what lies behind the unit
	for i := len(units) - 1; i > 0; i-- {
		u := units[i]
		if n := w.g.Nodes[u.at]; u.each && at < u.at {
			f.each[n] = u.first
		}
		at = max(at, u.at)
		if n := w.g.Nodes[at]; at < units[i-1].at && f.each[n] != u.first { // which the last iteration has said
			f.after[n] = u.first
		}
	}
	if len(units) > 0 && units[0].each && at < units[0].at {
		f.each[w.g.Nodes[units[0].at]] = units[0].first
	}
	return f
}

// ready adds to f what is to be said behind nodes of the graph.
func (f *function) ready(nodes []*graph.Node) {
	if f.shared != nil || nodes[0].Phase != graph.Backward {
		return
	}
	var p *build.Param
	for _, n := range nodes {
		if x := f.w.finished().after[n]; x != nil {
			p = x
		}
	}
	if p == nil {
		return
	}
	var index jen.Code
	if p.Stack > 0 {
		index = jen.Lit(0)
	}
	f.add(f.sayReady(p, index))
}

// readyEach adds to f what is to be said at the end of an iteration of loop n.
func (f *function) readyEach(n *graph.Node) {
	if p := f.w.finished().each[n]; p != nil && len(f.loops) == 1 && f.shared == nil {
		f.add(f.sayReady(p, f.loops[0].variable()))
	}
}

func (f *function) sayReady(p *build.Param, index jen.Code) jen.Code {
	f.used["g"] = true
	s := jen.Id("g").Dot(f.w.e.layerField(p.Scope))
	if index != nil {
		s = s.Index(index)
	}
	return jen.Id(f.w.receiver).Dot("train").Dot("Ready").Call(s.Dot(f.w.e.paramField(p.ID())))
}

// finished is what finish finds, once.
func (w *writer) finished() *finish {
	if w.done == nil {
		w.done = w.finish()
	}
	return w.done
}

// readyDoc is what the comment on a backward pass says of it.
func (w *writer) readyDoc() string {
	if f := w.finished(); len(f.after)+len(f.each) == 0 {
		return ""
	}
	return " Processes that train together are told by Ready which gradients are complete."
}
