package emit

import (
	"fmt"
	"strings"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/names"
)

// Layers of one stack that are not in a loop, because the first has an input of another width, come out as calls of
// one function. It is written once for each of them, with what differs as an argument: the buffers of other layers,
// and sizes. If the texts are then the same, one of them is emitted.

// twins are the layers that may share functions: layers of one stack, outside of loops, with the same parameters. The
// name that they share is that of the stack in the spec.
func (e *emitter) twins() map[string]string {
	if e.shares == nil {
		e.shares = e.findTwins()
	}
	return e.shares
}

func (e *emitter) findTwins() map[string]string {
	t := map[string]string{}
	for _, l := range e.Model.Layers {
		var members []string
		form := map[string]string{}
		for _, s := range e.scopes() {
			if s.params[0].Layer != l.Name || s.params[0].First == 0 || s.stack() > 0 {
				continue
			}
			members = append(members, s.name)
			for _, p := range s.params {
				form[s.name] += p.Field + " "
			}
		}
		same := len(members) > 1
		for _, m := range members {
			same = same && form[m] == form[members[0]]
		}
		for _, m := range members {
			if same {
				t[m] = l.Name
			}
		}
	}
	return t
}

// typeOf is the name by which the types of a layer's structs go.
func (e *emitter) typeOf(layer string) string {
	if family := e.twins()[layer]; family != "" {
		return family
	}
	return layer
}

// homes lists the layers that have a struct of buffers of their own.
func (e *emitter) homes(w *writer, values []*graph.Value) []string {
	var hs []string
	seen := map[string]bool{}
	add := func(home string) {
		for _, v := range values {
			if w.home[v] == home && home != "" && !seen[home] {
				seen[home] = true
				hs = append(hs, home)
			}
		}
	}
	for _, s := range e.scopes() {
		add(s.name)
	}
	for _, v := range values {
		add(w.home[v])
	}
	return hs
}

// shared is what a function that several layers share has as arguments, while it is written for one of them.
type shared struct {
	layer  string         // or the pass
	pass   bool           // whether passes share the function, and not layers
	values []*graph.Value // buffers of other layers, or of what is no pass; of a pass also data
	names  []string       // what they are called; empty while they are collected
	dims   []graph.Dim    // all sizes, in the order in which they are written
	shapes []graph.Dim    // all dimensions in comments
	given  map[int]string // sizes that are arguments, by their place in dims
	shown  map[int]string // the same for shapes
	reason string         // why the layer can't share

	streams []int                 // of random numbers, in the order in which they are written
	masks   bool                  // whether they are arguments
	offset  int                   // of the streams from those of the first pass
	direct  map[*graph.Value]bool // data that is the same in all passes
}

// stream is the number of a stream of random numbers.
func (s *shared) stream(n int) jen.Code {
	s.streams = append(s.streams, n)
	if s.masks {
		return jen.Id("masks").Op("+").Lit(n - s.offset)
	}
	return jen.Lit(n)
}

func (s *shared) fail(reason string) { s.reason = reason }

// argument is the name of a buffer of another layer.
func (s *shared) argument(v *graph.Value) *jen.Statement {
	for i, x := range s.values {
		if x == v {
			return jen.Id(s.called(i))
		}
	}
	s.values = append(s.values, v)
	return jen.Id(s.called(len(s.values) - 1))
}

func (s *shared) called(i int) string {
	if i < len(s.names) {
		return s.names[i]
	}
	return local(s.values[i].Base)
}

// nameOf is the name of v where it is an argument, or "".
func (s *shared) nameOf(v *graph.Value) string {
	for i, x := range s.values {
		if x == v {
			return s.called(i)
		}
	}
	return ""
}

func (s *shared) dim(d graph.Dim) graph.Dim {
	name := s.given[len(s.dims)]
	s.dims = append(s.dims, d)
	if name != "" {
		d.Name = name
	}
	return d
}

func (s *shared) shape(sh graph.Shape) graph.Shape {
	out := append(graph.Shape{}, sh...)
	for i, d := range sh {
		name := s.shown[len(s.shapes)]
		s.shapes = append(s.shapes, d)
		if name != "" {
			out[i] = graph.Dim{Name: name}
		}
	}
	return out
}

// sharedFunction is a function that all layers of a family call.
type sharedFunction struct {
	e      *emitter
	w      *writer
	family string
	name   string // of the method
	phase  graph.Phase
	fn     *function
	layers map[string]*shared // by layer
	sizes  []sizeArgument
}

type sizeArgument struct {
	name string
	of   map[string]graph.Dim // by layer
}

// share writes the function of a family for each of its layers, and gives nil if they do not come out the same.
func (e *emitter) share(w *writer, ph graph.Phase, family, verb string) *sharedFunction {
	var parts [][]*graph.Node
	for _, g := range groups(w.g.Nodes, ph) {
		if w.twins[g[0].Scope] == family {
			parts = append(parts, g)
		}
	}
	sf := &sharedFunction{e: e, w: w, family: family,
		name: e.ids.model.For([2]string{family, verb}, names.Lower(family)+names.UpperFirst(verb)), phase: ph,
		layers: map[string]*shared{}}
	if len(parts) != len(membersInOrder(sf)) {
		return nil
	}
	write := func(g []*graph.Node, s *shared) *function {
		fn := w.function()
		fn.shared = s
		fn.scope.Reserve(s.names...)
		fn.nodes(g)
		return fn
	}
	// First to see what differs: the sizes, by their place.
	var first []*shared
	for _, g := range parts {
		s := &shared{layer: g[0].Scope}
		write(g, s)
		if s.reason != "" {
			return nil
		}
		first = append(first, s)
	}
	a := first[0]
	for _, s := range first[1:] {
		if len(s.dims) != len(a.dims) || len(s.shapes) != len(a.shapes) || len(s.values) != len(a.values) {
			return nil
		}
	}
	// Names are those of the first layer, whose input is not called after another layer's output.
	lowest := first[0]
	for _, s := range first {
		if s.layer == membersInOrder(sf)[0] {
			lowest = s
		}
	}
	var called []string
	scope := e.ids.functions.Inner()
	for v, home := range w.home {
		if home == lowest.layer {
			scope.Reserve(w.fields[v]) // a local variable may have the name
		}
	}
	for _, v := range lowest.values {
		name := local(v.Base)
		if scope.Given(name) { // the output of the layer below, which is this one's input
			name = map[bool]string{true: "dx", false: "x"}[strings.HasPrefix(name, "d")]
		}
		called = append(called, scope.Fresh(name))
	}
	argument := func(at func(s *shared) graph.Dim) string {
		key := func(of map[string]graph.Dim) string {
			k := ""
			for _, s := range first {
				k += fmt.Sprint(of[s.layer].N, " ")
			}
			return k
		}
		of := map[string]graph.Dim{}
		differ := false
		for _, s := range first {
			d := at(s)
			of[s.layer] = graph.Const(d.N, d.Name)
			differ = differ || d.N != at(a).N
		}
		if !differ {
			return ""
		}
		for _, x := range sf.sizes {
			if key(x.of) == key(of) {
				return x.name
			}
		}
		name := "in"
		if len(sf.sizes) > 0 {
			name = fmt.Sprintf("in%d", len(sf.sizes)+1)
		}
		sf.sizes = append(sf.sizes, sizeArgument{name, of})
		return name
	}
	given, shown := map[int]string{}, map[int]string{}
	for i := range a.dims {
		if name := argument(func(s *shared) graph.Dim { return s.dims[i] }); name != "" {
			given[i] = name
		}
	}
	for i := range a.shapes {
		if name := argument(func(s *shared) graph.Dim { return s.shapes[i] }); name != "" {
			shown[i] = name
		}
	}
	// Then for good: the texts must be the same.
	text := ""
	for _, g := range parts {
		s := &shared{layer: g[0].Scope, names: called, given: given, shown: shown}
		fn := write(g, s)
		sf.layers[s.layer] = s
		t := fmt.Sprintf("%#v", jen.Func().Id("f").Params().Block(fn.body...))
		if text == "" {
			text, sf.fn = t, fn
		} else if t != text {
			return nil
		}
	}
	return sf
}

// call is the call of the function for one layer.
func (sf *sharedFunction) call(f *function, layer string) jen.Code {
	s := sf.layers[layer]
	args := []jen.Code{jen.Id("b")}
	for _, x := range sf.structs() {
		f.used[x.short] = true
		args = append(args, jen.Op("&").Id(x.short).Dot(x.field(layer)))
	}
	for _, v := range s.values {
		args = append(args, f.mem(v))
	}
	for _, x := range sf.sizes {
		args = append(args, sf.e.product(x.of[layer]))
	}
	return jen.Id(sf.w.receiver).Dot(sf.name).Call(args...)
}

type structArgument struct {
	short, typ string
	field      func(layer string) string // of a layer, in the struct of all layers
}

// structs are the structs of a layer that the function uses.
func (sf *sharedFunction) structs() []structArgument {
	var out []structArgument
	e := sf.e
	params, state := e.layerType(sf.family, paramsType), e.layerType(sf.family, stateType)
	for _, x := range []structArgument{
		{"p", params, e.layerField}, {"g", params, e.layerField},
		{"a", e.layerType(sf.family, names.UpperFirst(sf.w.typ)), sf.w.homeField},
		{"s", state, func(layer string) string { return e.ids.state.For(layer, names.Lower(layer)) }},
	} {
		if sf.fn.used[x.short] {
			out = append(out, x)
		}
	}
	return out
}

// emit writes the function.
func (sf *sharedFunction) emit(f *jen.File) {
	params := []jen.Code{jen.Id("b").Op("*").Qual(sf.e.modelPkg(), "Batch")}
	for i, structs := 0, sf.structs(); i < len(structs); i++ {
		x := structs[i]
		if i+1 < len(structs) && structs[i+1].typ == x.typ {
			params = append(params, jen.List(jen.Id(x.short), jen.Id(structs[i+1].short)).Op("*").Id(x.typ))
			i++
			continue
		}
		params = append(params, jen.Id(x.short).Op("*").Id(x.typ))
	}
	s := sf.layers[membersInOrder(sf)[0]]
	var buffers, sizes []jen.Code
	for i := range s.values {
		buffers = append(buffers, jen.Id(s.called(i)))
	}
	if len(buffers) > 0 {
		params = append(params, jen.List(buffers...).Index().Float32())
	}
	for _, x := range sf.sizes {
		sizes = append(sizes, jen.Id(x.name))
	}
	if len(sizes) > 0 {
		params = append(params, jen.List(sizes...).Int())
	}
	what := "runs one layer of " + sf.family + " over a window"
	if sf.phase == graph.Backward {
		what = "computes the gradients of one layer of " + sf.family + " and of what it reads"
	}
	var notes []string
	for i, v := range s.values {
		sh := append(graph.Shape{}, v.Shape...)
		for k, d := range sh {
			for _, x := range sf.sizes {
				if x.of[s.layer].N == d.N && differs(sf, i, k) {
					sh[k] = graph.Dim{Name: x.name}
				}
			}
		}
		notes = append(notes, s.called(i)+" is "+shapeText(sh))
	}
	if len(notes) > 0 {
		what += "; " + strings.Join(notes, ", ")
	}
	comment(f, "%s %s.", sf.name, what)
	f.Func().Params(jen.Id("m").Op("*").Id("Model")).Id(sf.name).Params(params...).Block(sf.fn.block()...)
	f.Line()
}

// differs reports whether dimension k of buffer i is not the same in all layers.
func differs(sf *sharedFunction, i, k int) bool {
	order := membersInOrder(sf)
	for _, l := range order[1:] {
		if sf.layers[l].values[i].Shape[k].N != sf.layers[order[0]].values[i].Shape[k].N {
			return true
		}
	}
	return false
}

// membersInOrder lists the layers of the family, the first of the stack first.
func membersInOrder(sf *sharedFunction) []string {
	var out []string
	for _, s := range sf.e.scopes() {
		if sf.w.twins[s.name] == sf.family {
			out = append(out, s.name)
		}
	}
	return out
}
