// Package emit writes the Go package of a model from its optimized graphs and their memory plans, through jennifer. It
// decides how generated code reads: names, functions, comments.
//
// It must know nothing of how a spec is written.
package emit

import (
	"bytes"
	"fmt"
	"go/format"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/names"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/gen/plan"
	"github.com/gradsmith/gradsmith/gen/report"
	"github.com/gradsmith/gradsmith/spec"
)

// Module is the path of the module whose runtime generated code imports.
const Module = "github.com/gradsmith/gradsmith"

// RuntimeVersion is the version of package runtime/model that generated code is for.
const RuntimeVersion = 9

// Input is what a package is written from.
type Input struct {
	Model     *build.Model
	Plans     map[*graph.Graph]*plan.Plan
	Report    *report.Report
	Generator string // version of the generator

	// Poison makes code that fills memory with NaN before its first use and at the end of each life in it, to find
	// what reads memory that the plan gives to something else. It is for tests.
	Poison bool
}

// File is a generated file.
type File struct {
	Name string
	Data []byte
}

// part is a file and what writes it.
type part struct {
	name string
	make func(*jen.File)
}

type emitter struct {
	Input
	spec     *spec.Model
	runs     map[*build.Run]*writer
	alike    map[*build.Run]*likeness // runs whose functions are those of a pass of another
	training *writer                  // of the graph of that name
	encoding *writer                  // nil without an encoder
	decoding *writer                  // nil without a decoder
	feeding  *function                // that reads tokens, of a decoder that counts them

	ids      identifiers
	elements map[*graph.Node]*rowFunction // of operations on elements
	rows     []*rowFunction               // all of them, in the order in which they are written
	assembly []byte                       // of those that have some
	stacked  bool                         // whether code takes elements of stacked values
	shares   map[string]string            // layers that share functions, and the name that they share
	lists    map[string]string            // vocabulary files, by name
	listed   map[string]bool              // those that a variable embeds

	// What decoders read of parameters is known once their functions are written: of those that are laid out whether
	// products read them, and not only lookups; and those that are read as they are.
	multiplies map[laid]bool
	kept       map[graph.ID]bool
}

// Package writes all files of a package.
func Package(in Input) ([]File, error) {
	e := &emitter{Input: in, spec: in.Model.Spec, lists: map[string]string{}, listed: map[string]bool{},
		multiplies: map[laid]bool{}, kept: map[graph.ID]bool{}}
	e.identify()
	e.runs, e.alike = map[*build.Run]*writer{}, map[*build.Run]*likeness{}
	for _, r := range in.Model.Runs {
		w := newWriter(e, r.Graph, "m", r.Same...)
		w.acts, w.typ = r.Field, r.Type
		if r.Averaged {
			w.params = "averaged"
		}
		e.runs[r] = w
		if r.Graph == in.Model.Train {
			e.training = w
		}
	}
	for _, t := range in.Model.Tapped {
		w := newWriter(e, t.Graph, "m")
		w.acts, w.typ = t.Field, t.Type
		if t.Averaged {
			w.params = "averaged"
		}
		e.runs[t.Run] = w
	}
	if in.Model.Decode != nil {
		e.decoding = newWriter(e, in.Model.Decode, "d")
		e.decoding.typ = "decodeActs"
	}
	if in.Model.Encode != nil {
		e.encoding = newWriter(e, in.Model.Encode, "d")
		e.encoding.acts, e.encoding.typ = "encodeActs", "encodeActs"
	}
	parts := []part{{"doc.go", e.doc}}
	for _, r := range in.Model.Runs {
		parts = append(parts, e.runFiles(r)...)
	}
	if e.spec.Latent != nil {
		parts = append(parts, part{"latent.go", e.latent})
	}
	for _, t := range in.Model.Tapped {
		parts = append(parts, part{t.File + ".go", func(f *jen.File) { e.taps(f, t) }})
	}
	// the last after the files whose buffers it declares
	parts = append(parts, part{"train.go", e.train}, part{e.usesFile(), e.uses}, part{"model.go", e.model})
	if e.decoding != nil {
		parts = append(parts, part{"decode.go", e.decode})
	}
	if len(e.rows) > 0 {
		if err := e.assemble(); err != nil {
			return nil, err
		}
		parts = append(parts, part{"elements.go", e.elementsFile})
	}
	if e.assembly != nil {
		parts = append(parts, part{elementsAMD64, e.elementsAMD64}, part{elementsNoAsm, e.elementsNoAsm})
	}
	parts = append(parts, part{"model_test.go", e.tests})
	var files []File
	for _, p := range parts {
		f := jen.NewFile(e.spec.Name)
		for _, pkg := range []string{"kernel", "model", "optim", "param", "schedule", "initialize", "checkpoint",
			"sample", "text", "cache", "policy", "inference", "modeltest", "normalize", "tokenizer",
			"tokenizer/sentencepiece", "tokenizer/tiktoken", "weights"} {
			f.ImportName(e.path(pkg), path.Base(pkg))
		}
		f.HeaderComment(e.header())
		if p.name == "doc.go" {
			f.HeaderComment(Stamp(e.Generator, e.spec.Digest))
		}
		p.make(f)
		var b bytes.Buffer
		if err := f.Render(&b); err != nil {
			return nil, fmt.Errorf("emit: %s: %w", p.name, err)
		}
		data, err := format.Source(breakLines(groupImports(b.Bytes())))
		if err != nil {
			return nil, fmt.Errorf("emit: %s: %w", p.name, err)
		}
		files = append(files, File{p.name, data})
	}
	if err := e.known(files); err != nil {
		return nil, err
	}
	if e.assembly != nil {
		files = append(files, File{elementsAsm, e.assembly})
	}
	for _, name := range []string{"merges.txt", "source_merges.txt", "source_tokenizer.txt", "source_words.txt",
		"tokenizer.txt", "words.txt"} {
		if list, ok := e.lists[name]; ok {
			files = append(files, File{name, []byte(list)})
		}
	}
	return files, nil
}

// usesFile is the file with what users call first.
func (e *emitter) usesFile() string {
	switch {
	case e.adversarial():
		return "sample.go"
	case e.spec.Vectors != nil:
		return "load.go"
	}
	return "text.go"
}

// header is the first line of a file, without what makes it a comment.
func (e *emitter) header() string {
	return fmt.Sprintf("Code generated by gradsmith from %s; DO NOT EDIT.", e.spec.File)
}

// Stamp is the line by which stale code is told from fresh.
func Stamp(generator, digest string) string {
	return "gradsmith:generator " + generator + " spec " + digest
}

// poison is the statement that spoils memory.
func (e *emitter) poison(x jen.Code) jen.Code {
	return jen.Qual(e.path("modeltest"), "Poison").Call(x)
}

func (e *emitter) path(pkg string) string { return Module + "/runtime/" + pkg }
func (e *emitter) kernel() string         { return e.path("kernel") }

func (e *emitter) modelPkg() string { return e.path("model") }

func lines(f *jen.File, text string) {
	for _, l := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if l == "" {
			f.PackageComment("//")
			continue
		}
		f.PackageComment("// " + l)
	}
}

func (e *emitter) doc(f *jen.File) {
	s, r := e.spec, e.Report
	what := s.Description
	if what == "" {
		what = "a model of kind " + s.Kind + " that predicts the next token of a text."
		if s.Vectors != nil {
			what = fmt.Sprintf("a model of kind %s of vectors of %d numbers.", s.Kind, s.Vectors.Size)
		}
		switch {
		case e.ofText():
			what = "a generator of lines of text and a discriminator that trains it."
		case s.GAN != nil:
			what = "a generator of vectors and a discriminator that trains it."
		}
	}
	var b strings.Builder
	for _, l := range wrap("Package "+s.Name+" is "+strings.TrimSpace(lowerFirst(what)), 110) {
		fmt.Fprintln(&b, l)
	}
	fmt.Fprintf(&b, "\nIt is compiled from %s:\n\n", s.File)
	for _, l := range strings.Split(strings.TrimRight(r.Table(), "\n"), "\n") {
		fmt.Fprintln(&b, "\t"+strings.TrimRight(l, " "))
	}
	fmt.Fprintln(&b)
	for _, l := range wrap(e.cost(), 110) {
		fmt.Fprintln(&b, l)
	}
	lines(f, b.String())
	e.version(f)
}

// cost says what training and decoding take.
func (e *emitter) cost() string {
	s, r := e.spec, e.Report
	switch {
	case e.ofText():
		return e.imitationCost()
	case s.GAN != nil:
		return e.adversarialCost()
	}
	size := fmt.Sprintf("windows of up to %d sequences × %d steps", s.Shape.Batch, s.Shape.Steps)
	if s.Vectors != nil {
		size = fmt.Sprintf("batches of up to %d vectors", s.Shape.Batch)
	}
	gradients := "as much"
	if s.Adapter != nil {
		gradients = report.Bytes(r.GradBytes)
	}
	text := fmt.Sprintf("Training on %s takes %s floating-point operations a %s and %s: %s of parameters, %s of "+
		"gradients, %s of optimizer state and %s of activations, in one arena whose parts share memory where their "+
		"lives do not overlap.", size, report.Count(r.TrainFlops), r.Unit, report.Bytes(r.TrainBytes),
		report.Bytes(r.ParamBytes), gradients, report.Bytes(r.SlotBytes), report.Bytes(r.ArenaBytes))
	if s.Vectors == nil {
		text += fmt.Sprintf(" Decoding one sequence takes %s.", report.Bytes(r.DecodeBytes))
	}
	return text
}

// version emits what fails to compile beside another runtime.
func (e *emitter) version(f *jen.File) {
	f.Line()
	comment(f, "This line does not compile when the runtime is of another version than this code: run go generate "+
		"again.")
	f.Var().Id("_").Op("=").Index(jen.Lit(1)).Struct().Values().Index(jen.Qual(e.modelPkg(),
		"Version").Op("-").Lit(RuntimeVersion))
}

// comment writes a doc comment, broken at spaces.
func comment(f *jen.File, format string, args ...any) {
	for _, l := range wrap(fmt.Sprintf(format, args...), 110) {
		f.Comment(l)
	}
}

// lowerFirst makes "A model" "a model", but leaves "LSTM" as it is.
func lowerFirst(s string) string {
	r := []rune(s)
	if len(r) > 1 && !unicode.IsUpper(r[1]) {
		r[0] = unicode.ToLower(r[0])
	}
	return string(r)
}

// groupImports puts the standard library's imports first, and a blank line behind them.
func groupImports(src []byte) []byte {
	head, rest, ok := strings.Cut(string(src), "import (\n")
	if !ok {
		return src
	}
	block, tail, _ := strings.Cut(rest, ")\n")
	var std, other []string
	for _, l := range strings.Split(strings.TrimRight(block, "\n"), "\n") {
		if strings.Contains(l, ".") {
			other = append(other, l)
		} else {
			std = append(std, l)
		}
	}
	if len(std) > 0 && len(other) > 0 {
		std = append(std, "")
	}
	return []byte(head + "import (\n" + strings.Join(append(std, other...), "\n") + "\n)\n" + tail)
}

// scope is the parameters of one layer, or of a stack of equal layers.
type scope struct {
	name   string
	params []*build.Param
}

func (s scope) stack() int { return s.params[0].Stack }

func (e *emitter) scopes() []scope {
	var out []scope
	for _, p := range e.Model.Params {
		if k := len(out) - 1; k >= 0 && out[k].name == p.Scope {
			out[k].params = append(out[k].params, p)
			continue
		}
		out = append(out, scope{p.Scope, []*build.Param{p}})
	}
	return out
}

// shape is the shape of one layer's tensor.
func shape(p *build.Param) graph.Shape {
	if p.Stack > 0 {
		return p.Shape[1:]
	}
	return p.Shape
}

// element is element i of stacked values of n elements each.
func (e *emitter) element(x, i, n jen.Code) *jen.Statement {
	e.stacked = true
	return jen.Id("at").Call(x, i, n)
}

// at emits the function that takes elements of stacked values.
func (e *emitter) at(f *jen.File) {
	comment(f, "at is element i of stacked values of n elements each.")
	f.Func().Id("at").Types(jen.Id("T").Any()).Params(jen.Id("x").Index().Id("T"),
		jen.List(jen.Id("i"), jen.Id("n")).Int()).Index().Id("T").Block(
		jen.Return(jen.Id("x").Index(jen.Id("i").Op("*").Id("n"),
			jen.Parens(jen.Id("i").Op("+").Lit(1)).Op("*").Id("n"))))
}

func (e *emitter) constants(f *jen.File) {
	comment(f, "The sizes of %s.", e.spec.File)
	var defs []jen.Code
	for _, c := range e.Model.Names {
		defs = append(defs, jen.Id(e.constant(c.Name)).Op("=").Lit(c.Value).Comment(c.Comment))
	}
	side := "vectors"
	if e.spec.Vectors == nil {
		side = "sequences"
		defs = append(defs, jen.Id("maxSteps").Op("=").Lit(e.spec.Shape.Steps).Comment(
			"time steps in a window, at the most"))
	}
	defs = append(defs, jen.Id("maxBatch").Op("=").Lit(e.spec.Shape.Batch).Comment(side+" side by side, at the most"))
	if l := e.spec.Latent; l != nil {
		defs = append(defs, jen.Id("beta").Op("=").Lit(l.Beta).Comment("weight of the divergence in the loss of "+
			"training"))
	}
	if e.spec.Source != nil {
		defs = append(defs, jen.Id("maxSourceSteps").Op("=").Lit(e.spec.Source.Steps).Comment(
			"tokens of a source, at the most"))
	}
	defs = append(defs,
		jen.Id("defaultSeed").Op("=").Lit(int(e.spec.Seed)).Comment("of initial parameters and dropout masks"),
		jen.Id("paramCount").Op("=").Lit(e.Report.Params).Comment("learnt numbers"),
		jen.Id("flatParams").Op("=").Lit(e.Report.FlatParams).Comment("length of the flat arrays, in which every "+
			"tensor starts at a cache line"),
	)
	if len(e.Model.Parts) > 1 && e.spec.Latent != nil {
		defs = append(defs, jen.Id("encoderParams").Op("=").Lit(e.Report.Encoder).Comment("of these the encoder's, "+
			"which come first"))
	}
	if e.spec.Adapter != nil {
		defs = append(defs, jen.Id("adapterParams").Op("=").Lit(e.Report.Adapter).Comment("of these the adapter's, "+
			"which come first"))
	}
	if e.spec.GAN != nil {
		defs = append(defs,
			jen.Id("generatorParams").Op("=").Lit(e.Report.Generator).Comment("of these the generator's, which come "+
				"first"),
			jen.Id("criticSteps").Op("=").Lit(e.spec.GAN.CriticSteps).Comment("steps of the discriminator for each "+
				"of the generator"),
		)
	}
	if e.spec.GAN != nil {
		defs = append(defs, e.rates()...)
	}
	if e.ofText() {
		text := e.spec.GAN.Text
		defs = append(defs,
			jen.Id("pretrainingSteps").Op("=").Lit(text.Pretraining).Comment("in which the generator learns from the "+
				"text alone"),
			jen.Id("headStart").Op("=").Lit(text.Discriminator).Comment("steps after these in which the "+
				"discriminator alone learns"),
			jen.Id("beginToken").Op("=").Lit(max(0,
				int(e.spec.Tokenizer.Special(spec.BeginToken)))).Comment("before each line"),
		)
	}
	f.Const().Defs(defs...)
	f.Line()
}

func (e *emitter) params(f *jen.File) {
	comment(f, "Params names the parameters. All of them are views of one flat array; gradients have the same form.")
	f.Type().Id("Params").StructFunc(func(g *jen.Group) {
		for _, s := range e.scopes() {
			if s.stack() > 0 {
				first := s.params[0].First
				g.Id(e.layerField(s.name)).Index(e.product(s.params[0].Shape[0])).Id(e.layerType(s.name,
					paramsType)).Comment(fmt.Sprintf("layers %d to %d", first, first+s.stack()-1))
			} else {
				g.Id(e.layerField(s.name)).Id(e.layerType(s.name, paramsType))
			}
		}
	})
	f.Line()
	declared := map[string]bool{}
	for _, s := range e.scopes() {
		name := e.typeOf(s.name)
		if declared[name] {
			continue
		}
		declared[name] = true
		what := e.layerOf(s)
		if name != s.name {
			what = "one layer of " + s.params[0].Layer
		}
		typ := e.layerType(s.name, paramsType)
		comment(f, "%s are the parameters of %s.", typ, what)
		f.Type().Id(typ).StructFunc(func(g *jen.Group) {
			for i, p := range s.params {
				shapes := shapeText(shape(p))
				for _, o := range e.scopes() {
					if other := shapeText(shape(o.params[min(i, len(o.params)-1)])); e.typeOf(o.name) == name &&
						other != shapeText(shape(p)) {
						shapes += ", in " + e.layerField(o.name) + " " + other
					}
				}
				g.Id(e.paramField(p.ID())).Index().Float32().Comment(shapes)
			}
		})
		f.Line()
	}
	e.tensors(f)
}

func (e *emitter) layerOf(s scope) string {
	p := s.params[0]
	switch {
	case p.Stack > 0:
		return fmt.Sprintf("each of the layers %d to %d of %s", p.First, p.First+p.Stack-1, p.Layer)
	case p.First > 0:
		return fmt.Sprintf("layer %d of %s", p.First, p.Layer)
	}
	return p.Layer
}

// memory emits the struct of the arena's parts and the function that makes it. Sizes of the decoder are for one
// sequence and scale with its batch.
func (e *emitter) memory(f *jen.File, typ, what string, w *writer, perBatch bool) {
	values := w.byOffset()
	comment(f, "%s", typ+" is "+what)
	members := w.members()
	homes := e.homes(w, members)
	own := func(home string) string { return e.homeType(w, home, typ) }
	f.Type().Id(typ).StructFunc(func(g *jen.Group) {
		w.buffers(g, slices.DeleteFunc(slices.Clone(members), func(v *graph.Value) bool { return w.home[v] != "" }))
		done := map[string]bool{}
		for _, v := range members {
			if w.home[v] == "" {
				continue
			}
			home := w.home[v]
			if family := w.family(home); !done[family] {
				done[family] = true
				var all []jen.Code
				for _, h := range homes {
					if w.family(h) == family {
						all = append(all, jen.Id(w.homeField(h)))
					}
				}
				g.List(all...).Id(own(home))
			}
		}
	})
	f.Line()
	done := map[string]bool{}
	for _, h := range homes {
		if family := w.family(h); !done[family] {
			done[family] = true
			if w.passes[h] {
				comment(f, "%s is what one pass over the network has in %s.", own(h), typ)
			} else {
				comment(f, "%s is what one layer of %s has in %s.", own(h), family, typ)
			}
			f.Type().Id(own(h)).StructFunc(func(g *jen.Group) {
				w.buffers(g, slices.DeleteFunc(slices.Clone(members), func(v *graph.Value) bool {
					return w.home[v] == "" || w.family(w.home[v]) != family
				}))
			})
			f.Line()
		}
	}
	name := "new" + strings.ToUpper(typ[:1]) + typ[1:]
	if perBatch {
		comment(f, "%s makes the arena for batch sequences side by side: the numbers are for one.", name)
	} else {
		comment(f, "%s makes the arena, of %s instead of %s without sharing.", name, report.Bytes(4*w.plan.Arena),
			report.Bytes(4*w.plan.Naive))
	}
	var params []jen.Code
	times := jen.Lit(1)
	if perBatch {
		params = []jen.Code{jen.Id("batch").Int()}
		times = jen.Id("batch")
	}
	f.Func().Id(name).Params(params...).Id(typ).BlockFunc(func(g *jen.Group) {
		if len(values) == 0 {
			g.Return(jen.Id(typ).Values())
			return
		}
		g.Id("part").Op(":=").Qual(e.modelPkg(), "Arena").Call(jen.Lit(w.plan.Arena), times)
		if e.Poison {
			g.Add(e.poison(jen.Id("part").Call(jen.Lit(0), jen.Lit(w.plan.Arena))))
		}
		field := func(g *jen.Group, v *graph.Value) {
			g.Line().Id(w.fields[v]).Op(":").Id("part").Call(jen.Lit(w.plan.Of(v).Offset),
				e.capacity(w.shape(v).Elems(), perBatch, w.tapped != nil))
		}
		g.Return(jen.Id(typ).ValuesFunc(func(g *jen.Group) {
			for _, v := range values {
				if w.home[v] == "" {
					field(g, v)
				}
			}
			for _, h := range homes {
				g.Line().Id(w.homeField(h)).Op(":").Id(own(h)).ValuesFunc(func(g *jen.Group) {
					for _, v := range values {
						if w.home[v] == h {
							field(g, v)
						}
					}
					g.Line()
				})
			}
			g.Line()
		}))
	})
	f.Line()
}

// buffers emits the fields of values, those of one shape together. The shapes are in the order in which a step first
// computes a value of them.
func (w *writer) buffers(g *jen.Group, values []*graph.Value) {
	var shapes []string
	of := map[string][]string{}
	has := map[string]bool{}
	for _, v := range values {
		if has[w.fields[v]] {
			continue
		}
		has[w.fields[v]] = true
		shape := shapeText(w.shape(v))
		if of[shape] == nil {
			shapes = append(shapes, shape)
		}
		of[shape] = append(of[shape], w.fields[v])
	}
	most := 68 // columns of the names on a line, behind which types and shapes stand one below the other
	for _, shape := range shapes {
		most = min(most, columns-len("\t   ")-len(" []float32 // ")-utf8.RuneCountInString(shape))
	}
	for _, shape := range shapes {
		for names := of[shape]; len(names) > 0; {
			n, length := 1, len(names[0])
			for n < len(names) && length+2+len(names[n]) <= most {
				length += 2 + len(names[n])
				n++
			}
			var line []jen.Code
			for _, name := range names[:n] {
				line = append(line, jen.Id(name))
			}
			g.List(line...).Index().Float32().Comment(shape)
			names = names[n:]
		}
	}
}

// shape is that of the field of a value, which is longer by one than the value where a loop keeps its carry in it.
func (w *writer) shape(v *graph.Value) graph.Shape {
	if pl := w.plan.Of(v); len(pl.Shape) == len(v.Shape) && len(v.Shape) > 0 && !pl.Shape[0].Same(v.Shape[0]) {
		return pl.Shape
	}
	return v.Shape
}

// homeType is the type of the struct of buffers of a layer, or of a pass.
func (e *emitter) homeType(w *writer, home, typ string) string {
	if w.passes[home] {
		return strings.TrimSuffix(typ, "Acts") + "Pass"
	}
	return e.layerType(w.twins[home], names.UpperFirst(typ))
}

// capacity is the largest that a dimension can be: that of one sequence where a decoder has as many as it is told, or
// where there is just one.
func (e *emitter) capacity(d graph.Dim, perBatch, one bool) jen.Code {
	var terms []jen.Code
	for _, r := range d.Ordered() {
		switch {
		case r == "batch" && (perBatch || one):
		case r == "ends":
			terms = append(terms, jen.Id("ahead"))
		case r == "steps" && perBatch && !e.positional():
			terms = append(terms, jen.Lit(e.Model.Chunk()))
		case r == "steps" && perBatch:
			terms = append(terms, jen.Id("chunk"))
		default:
			terms = append(terms, jen.Id("max"+names.UpperFirst(r)))
		}
	}
	whole := graph.Const(d.N, d.Name)
	if d.N != 1 || len(terms) == 0 {
		terms = append(terms, e.product(whole))
	}
	s := jen.Add(terms[0])
	for _, t := range terms[1:] {
		s = s.Op("*").Add(t)
	}
	return s
}

// hasState reports whether a decoder has a recurrent state, carries whether training takes it from one window to the
// next.
func (e *emitter) hasState() bool { return len(e.Model.States) > 0 }
func (e *emitter) carries() bool  { return e.Model.Carries() }

// positional reports whether a decoder counts the tokens of its sequences.
func (e *emitter) positional() bool {
	for _, in := range e.Model.Decode.Inputs {
		if in.Name == "positions" {
			return true
		}
	}
	return false
}

// heads emits the variables that describe the heads of attentions.
func (e *emitter) heads(f *jen.File) {
	e.eachHeads(func(scope string, h graph.Heads) { e.head(f, scope, h) })
}

// eachHeads calls do for every description of heads, with the layer that it is of.
func (e *emitter) eachHeads(do func(scope string, h graph.Heads)) {
	seen := map[string]bool{}
	for _, g := range e.Model.Graphs() {
		g.Walk(func(g *graph.Graph) {
			for _, n := range g.Nodes {
				if n.Op.Emit == nil || n.Loop != nil {
					continue
				}
				for _, c := range n.Op.Emit(n) {
					for _, a := range c.Args {
						if h, ok := a.(graph.Heads); ok && !seen[h.Name] {
							seen[h.Name] = true
							do(n.Scope, h)
						}
					}
				}
			}
		})
	}
}

func (e *emitter) head(f *jen.File, scope string, h graph.Heads) {
	comment(f, "%s describes the heads of %s: their number and size, how their rows lie in memory, and which keys a "+
		"query sees.", e.variable(h.Name), e.scopeText(scope))
	f.Var().Id(e.variable(h.Name)).Op("=").Qual(e.kernel(), "Heads").ValuesFunc(func(g *jen.Group) {
		set := func(name string, v jen.Code) { g.Line().Id(name).Op(":").Add(v) }
		set("Count", jen.Lit(h.Count))
		set("KV", jen.Lit(h.KV))
		set("Size", jen.Lit(h.Size))
		set("LDQ", jen.Lit(h.LDQ))
		set("LDK", jen.Lit(h.LDK))
		set("Scale", jen.Lit(h.Scale))
		if h.Cap > 0 {
			set("Cap", jen.Lit(h.Cap))
		}
		if h.Causal {
			set("Causal", jen.True())
		}
		if h.Window > 0 {
			set("Window", jen.Lit(h.Window))
		}
		if h.Prefix > 0 {
			set("Prefix", jen.Lit(h.Prefix))
		}
		if h.ALiBi {
			set("Slopes", jen.Qual(e.kernel(), "ALiBiSlopes").Call(jen.Lit(h.Count)))
		}
		g.Line()
	})
	f.Line()
}

// tables emits the constants that are computed once.
func (e *emitter) tables(f *jen.File) {
	for _, t := range e.Model.Tables {
		name := e.variable(t.Name)
		comment(f, "%s is %s, computed when it is first asked for   [%s, %s].", name, t.Comment, t.Rows, t.Columns)
		f.Var().Id(name).Op("=").Qual("sync",
			"OnceValue").Call(jen.Func().Params().Index().Float32().BlockFunc(func(g *jen.Group) {
			g.Id("table").Op(":=").Qual(e.modelPkg(),
				"Floats").Call(jen.Add(e.product(t.Rows)).Op("*").Add(e.product(t.Columns)))
			if t.Scheme == "angles" && !t.Turns.Plain() {
				g.Qual(e.kernel(), "RopeTableOf").Call(jen.Id("table"), e.product(t.Rows), e.product(t.Columns),
					e.rotation(t.Turns))
			} else if t.Scheme == "angles" {
				g.Qual(e.kernel(), "RopeTable").Call(jen.Id("table"), e.product(t.Rows), e.product(t.Columns),
					jen.Lit(t.Turns.Base))
			} else {
				g.Qual(e.kernel(), "Sinusoids").Call(jen.Id("table"), e.product(t.Rows), e.product(t.Columns))
			}
			g.Return(jen.Id("table"))
		}))
		f.Line()
	}
}

// rotation is the literal of a rotation.
func (e *emitter) rotation(r op.Rotation) jen.Code {
	values := []jen.Code{jen.Id("Base").Op(":").Lit(r.Base)}
	if r.Features > 0 {
		values = append(values, jen.Id("Features").Op(":").Lit(r.Features))
	}
	field := func(name string, x any) jen.Code { return jen.Id(name).Op(":").Lit(x) }
	scaling := func(name string, fields ...jen.Code) {
		values = append(values, jen.Id(name).Op(":").Op("&").Qual(e.kernel(), name).Values(fields...))
	}
	switch factor, original := field("Factor", r.Factor), field("Original", r.Original); r.Scaling {
	case "linear":
		scaling("Linear", factor)
	case "llama3":
		scaling("Llama3", factor, field("Low", r.Low), field("High", r.High), original)
	case "yarn":
		fields := []jen.Code{factor, field("Slow", r.Low), field("Fast", r.High)}
		if r.Gain > 0 {
			fields = append(fields, field("Gain", r.Gain))
		}
		scaling("YaRN", append(fields, original)...)
	}
	return jen.Qual(e.kernel(), "Rotation").Values(values...)
}

// stateType emits the struct of the carried state.
func (e *emitter) stateType(f *jen.File) {
	what := "the recurrent state, which is carried from one window of a text to the next"
	if !e.carries() {
		what = "the recurrent state of a decoder"
	}
	comment(f, "%s", "state is "+what+". The fields are views of flat.")
	f.Type().Id("state").StructFunc(func(g *jen.Group) {
		g.Id("flat").Index().Float32()
		done := map[string]bool{}
		for _, s := range e.Model.States {
			layer, field := e.stateField(s.ID())
			if layer == "" {
				g.Id(field).Index().Float32().Comment(shapeText(s.Shape))
			} else if !done[layer] {
				done[layer] = true
				g.Id(layer).Id(e.layerType(s.ID().Layer, stateType))
			}
		}
	})
	f.Line()
	declared := map[string]bool{}
	for _, s := range e.Model.States {
		layer := s.ID().Layer
		family := e.twins()[layer]
		if family == "" || declared[family] {
			continue
		}
		declared[family] = true
		own := e.layerType(layer, stateType)
		comment(f, "%s is the state of one layer of %s.", own, family)
		f.Type().Id(own).StructFunc(func(g *jen.Group) {
			for _, o := range e.Model.States {
				if o.ID().Layer == layer {
					_, field := e.stateField(o.ID())
					g.Id(field).Index().Float32().Comment(shapeText(o.Shape))
				}
			}
		})
		f.Line()
	}
	comment(f, "newState makes a state of zeros: the start of a text.")
	f.Func().Id("newState").Params(jen.Id("batch").Int()).Id("state").BlockFunc(func(g *jen.Group) {
		total := jen.Id("batch").Op("*")
		var sizes []jen.Code
		for _, s := range e.Model.States {
			sizes = append(sizes, e.product(perSequence(s.Shape)))
		}
		sum := jen.Null()
		for i, s := range sizes {
			if i > 0 {
				sum = sum.Op("+")
			}
			sum = sum.Add(s)
		}
		if len(sizes) > 1 {
			total = total.Parens(sum)
		} else {
			total = total.Add(sum)
		}
		g.Id("flat").Op(":=").Qual(e.modelPkg(), "Floats").Call(total)
		g.Id("s").Op(":=").Id("state").Values(jen.Dict{jen.Id("flat"): jen.Id("flat")})
		for i, s := range e.Model.States {
			n := jen.Id("batch").Op("*").Add(e.product(perSequence(s.Shape)))
			field := e.stateOf(jen.Id("s"), s.ID())
			if i == len(e.Model.States)-1 {
				g.Add(field).Op("=").Id("flat")
				continue
			}
			g.List(field, jen.Id("flat")).Op("=").List(jen.Id("flat").Index(jen.Empty(), n),
				jen.Id("flat").Index(n, jen.Empty()))
		}
		g.Return(jen.Id("s"))
	})
	f.Line()
}

// stateOf is the field of a state in the struct of all states.
func (e *emitter) stateOf(all *jen.Statement, id graph.ID) *jen.Statement {
	layer, field := e.stateField(id)
	if layer != "" {
		all = all.Dot(layer)
	}
	return all.Dot(field)
}

func perSequence(s graph.Shape) graph.Dim {
	var keep []graph.Dim
	for _, d := range s {
		if d.Run != "batch" {
			keep = append(keep, d)
		}
	}
	return graph.Mul(keep...)
}

// method is a function of a layer.
type method struct {
	name, doc string
	fn        *function
	index     string // the argument that numbers the layer; empty for none
}

// partNames are the parts of blocks in words.
var partNames = map[string]string{"attention": "attention", "crossAttention": "attention to the source",
	"feedForward": "feed-forward part",
	"beginning":   "states and keys that the steps begin from", "steps": "time steps", "output": "output",
	"fromStart": "pass from the first token to the last", "fromEnd": "pass from the last token to the first"}

// partName is a part of a block in words.
func partName(part string) string {
	if width, ok := strings.CutPrefix(part, "windows"); ok {
		return "filters over windows of " + width + map[bool]string{true: " step", false: " steps"}[width == "1"]
	}
	return partNames[part]
}

// phaseWriter writes the functions of one phase of a graph.
type phaseWriter struct {
	e        *emitter
	w        *writer
	ph       graph.Phase
	name     string // of the phase: "forward"
	methods  []method
	shares   []*sharedFunction
	routines []*routine
	family   map[string]*sharedFunction // tried for the layers of a family
}

// phase emits a function for a phase, which calls one function a layer where a layer is more than a few lines.
func (e *emitter) phase(f *jen.File, w *writer, nodes []*graph.Node, ph graph.Phase, name, doc string) {
	p := e.newPhase(w, ph, name)
	top := w.function()
	p.layers(top, groups(nodes, ph))
	p.emit(f, method{name: name, doc: doc, fn: top})
}

func (e *emitter) newPhase(w *writer, ph graph.Phase, name string) *phaseWriter {
	return &phaseWriter{e: e, w: w, ph: ph, name: name, family: map[string]*sharedFunction{}}
}

// unique is the name of a method of the type that the functions belong to.
func (p *phaseWriter) unique(id string) string { return p.w.methods().Fresh(id) }

// layers adds to top the nodes of layers, group by group, or calls of their functions.
func (p *phaseWriter) layers(top *function, all [][]*graph.Node) {
	e, w, ph, name := p.e, p.w, p.ph, p.name
	origin := ""
	for i, piece := range parted(all, w.twins) {
		group := piece.nodes
		if o := group[0].Origin; o == "" || o != origin {
			if i > 0 {
				top.add(jen.Line())
			}
			if o != "" {
				top.comment(o)
			}
			origin = o
		}
		if weight(group) <= 3 {
			top.nodes(group)
			top.ready(group)
			continue
		}
		if family := w.twins[group[0].Scope]; family != "" {
			if _, tried := p.family[family]; !tried {
				p.family[family] = e.share(w, ph, family, name)
				if s := p.family[family]; s != nil {
					p.shares = append(p.shares, s)
				}
			}
			if s := p.family[family]; s != nil {
				top.add(s.call(top, group[0].Scope))
				top.ready(group)
				continue
			}
		}
		fn := w.function()
		id := names.Lower(group[0].Scope) + names.UpperFirst(name)
		if piece.part != "" {
			id = names.Lower(group[0].Scope) + names.UpperFirst(piece.part) + names.UpperFirst(name)
		}
		id = p.unique(id)
		doc := e.methodDoc(id, group, ph)
		if part := piece.part; part != "" {
			doc = fmt.Sprintf("%s %s the %s of %s.", id,
				map[bool]string{true: "computes the gradients of", false: "runs"}[ph == graph.Backward], partName(part),
				e.scopeText(group[0].Scope))
		}
		var parts []method
		fn.split = func(n *graph.Node, part string, pf *function) jen.Code {
			pid := p.unique(names.Lower(n.Scope) + names.UpperFirst(part) + names.UpperFirst(name))
			what := "runs"
			if ph == graph.Backward {
				what = "computes the gradients of"
			}
			parts = append(parts,
				method{name: pid,
					doc: fmt.Sprintf("%s %s the %s of layer %s of %s.", pid, what, partName(part), n.Loop.Index,
						n.Scope), fn: pf, index: n.Loop.Index})
			return jen.Id(w.receiver).Dot(pid).Call(jen.Id("b"), jen.Id(n.Loop.Index))
		}
		fn.nodes(group)
		p.methods = append(p.methods, method{name: id, doc: doc, fn: fn})
		p.methods = append(p.methods, parts...)
		top.add(jen.Id(w.receiver).Dot(id).Call(jen.Id("b")))
		top.ready(group)
	}
}

// emit writes the function of the phase and those that it calls.
func (p *phaseWriter) emit(f *jen.File, top method) {
	emit := func(m method) {
		comment(f, "%s", m.doc)
		params := []jen.Code{jen.Id("b").Op("*").Qual(p.e.modelPkg(), "Batch")}
		if m.index != "" {
			params = append(params, jen.Id(m.index).Int())
		}
		f.Func().Params(jen.Id("m").Op("*").Id("Model")).Id(m.name).Params(params...).Block(m.fn.block()...)
		f.Line()
	}
	if p.ph == graph.Backward {
		top.doc += p.w.readyDoc()
	}
	emit(top)
	for _, s := range p.shares {
		s.emit(f)
	}
	for _, r := range p.routines {
		r.emit(f)
	}
	for _, m := range p.methods {
		emit(m)
	}
}

// piece is the nodes of a layer, or of the part of one.
type piece struct {
	nodes []*graph.Node
	part  string // empty for a whole layer
}

// parted splits groups that are too large for one function by the parts of their layers.
func parted(groups [][]*graph.Node, twins map[string]string) []piece {
	var out []piece
	for _, g := range groups {
		if weight(g) <= inOne+5 || twins[g[0].Scope] != "" {
			out = append(out, piece{nodes: g})
			continue
		}
		first := len(out)
		for at := 0; at < len(g); {
			end := at + 1
			for end < len(g) && g[end].Part == g[at].Part {
				end++
			}
			out = append(out, piece{g[at:end], g[at].Part})
			at = end
		}
		if len(out) == first+1 {
			out[first].part = ""
		}
	}
	return out
}

// methodDoc describes the function of one layer.
func (e *emitter) methodDoc(id string, group []*graph.Node, ph graph.Phase) string {
	what := e.scopeText(group[0].Scope)
	if ph == graph.Backward {
		return id + " computes the gradients of " + what + " and of what it reads."
	}
	return id + " runs " + what + "."
}

// scopeText names a layer in a comment.
func (e *emitter) scopeText(name string) string {
	for _, s := range e.scopes() {
		if s.name == name {
			return e.layerOf(s)
		}
	}
	return name
}

// loss emits the method that computes the loss of a step from what its forward pass left. Where the gradient is
// computed with it, an argument says whether it is asked for.
func (e *emitter) loss(f *jen.File, w *writer, name, doc string) {
	fn := w.function()
	var nodes []*graph.Node
	for _, n := range w.g.Nodes {
		if n.Phase == graph.Loss {
			nodes = append(nodes, n)
		}
	}
	grads := withGradient(w.g)
	for _, v := range grads {
		fn.add(jen.Var().Add(fn.variable(v)).Index().Float32().Comment("not computed when only the loss is asked for"))
		fn.add(jen.If(jen.Id("train")).Block(fn.variable(v).Op("=").Add(fn.mem(v))))
		fn.add(jen.Line())
	}
	fn.nodes(nodes)
	fn.add(jen.Return())
	params := []jen.Code{jen.Id("b").Op("*").Qual(e.modelPkg(), "Batch")}
	if len(grads) > 0 {
		params = append(params, jen.Id("train").Bool())
	}
	comment(f, "%s", doc)
	f.Func().Params(jen.Id("m").Op("*").Id("Model")).Id(name).Params(params...).Params(jen.Id("loss").Float64()).Block(
		fn.block()...)
	f.Line()
}
