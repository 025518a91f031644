package emit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/names"
	"github.com/gradsmith/gradsmith/spec"
)

func (e *emitter) decode(f *jen.File) {
	mp := e.modelPkg()
	w := e.decoding
	self := func() *jen.Statement { return jen.Func().Params(jen.Id("d").Op("*").Id("Decoder")) }
	caching, positional, ahead := len(e.Model.Caches) > 0, e.positional(), e.Model.Ahead()

	comment(f, "Decoder runs the model one token at a time, for a number of sequences side by side. It reads the "+
		"model's parameters and has all other memory to itself. A decoder serves one goroutine at a time, as the "+
		"model does.")
	f.Type().Id("Decoder").StructFunc(func(g *jen.Group) {
		g.Id("params").Op("*").Id("Params")
		g.Id("matrices").Op("*").Id("matrices")
		g.Id("acts").Id("decodeActs")
		if e.hasState() {
			g.Id("state").Id("state")
		}
		if caching {
			g.Id("kv").Id("kvCache")
		}
		if positional {
			g.Id("length").Index().Int32().Comment("[batch] tokens that each sequence has")
			g.Id("positions").Index().Int32().Comment("[chunk, batch] of the tokens that are read")
		}
		if e.encoding != nil {
			g.Id("encodeActs").Id("encodeActs")
		}
		if e.answers() {
			g.Id("source").Index().Int32().Comment("[sourceSteps, batch] tokens of the sources")
			g.Id("sourceSteps").Int()
		}
		if e.Model.Ahead() > 0 {
			g.Id("ends").Int().Comment("tokens of each sequence that the last call gave logits behind")
		}
		g.Id("batch").Int()
		g.Id("guard").Qual(mp, "Guard")
	})
	f.Line()
	comment(f, "NewDecoder makes a decoder for batch sequences, at the start of a text; a batch below 1 counts as 1. "+
		"It may be called from many goroutines.")
	f.Add(e.self()).Id("NewDecoder").Params(jen.Id("batch").Int()).Op("*").Id("Decoder").Block(
		jen.Id("d").Op(":=").Id("m").Dot("newDecoder").Call(jen.Max(jen.Lit(1), jen.Id("batch"))),
		jen.If(jen.Id("m").Dot("packed").Op("!=").Nil().Op("&&").Id("m").Dot("packedAt").Op("==").Id("m").Dot("Step").
			Call()).Block(
			jen.Id("d").Dot("matrices").Op("=").Id("m").Dot("packed"),
		),
		jen.Id("d").Dot("guard").Dot("Watch").Call(jen.Op("&").Id("m").Dot("guard")),
		jen.Return(jen.Id("d")),
	)
	f.Line()
	comment(f, "MakeDecoder is NewDecoder for the runtime: it makes a model a model.Writer.")
	f.Add(e.self()).Id("MakeDecoder").Params(jen.Id("batch").Int()).Qual(mp,
		"Decoder").Block(jen.Return(jen.Id("m").Dot("NewDecoder").Call(jen.Id("batch"))))
	f.Line()
	comment(f, "newDecoder makes a decoder that reads the parameters as they are at each step.")
	f.Add(e.self()).Id("newDecoder").Params(jen.Id("batch").Int()).Op("*").Id("Decoder").Block(
		jen.Return(jen.Op("&").Id("Decoder").ValuesFunc(func(g *jen.Group) {
			set := func(name string, v *jen.Statement) { g.Line().Id(name).Op(":").Add(v) }
			set("params", jen.Op("&").Id("m").Dot("weights"))
			set("matrices",
				jen.Id("newMatrices").Call(jen.Op("&").Id("m").Dot("weights"),
					jen.Op("&").Qual(e.path("weights"),
						"Layout").Values(jen.Id("Kind").Op(":").Qual(e.path("weights"), "Live"))))
			set("acts", jen.Id("newDecodeActs").Call(jen.Id("batch")))
			if e.hasState() {
				set("state", jen.Id("newState").Call(jen.Id("batch")))
			}
			if caching {
				if e.keeping() {
					set("kv", jen.Id("newKVCache").Call(jen.Id("m").Dot("cacheKind"), jen.Id("batch")))
				} else {
					set("kv", jen.Id("newKVCache").Call(jen.Id("batch")))
				}
			}
			if positional {
				set("length", jen.Make(jen.Index().Int32(), jen.Id("batch")))
				set("positions", jen.Make(jen.Index().Int32(), jen.Id("chunk").Op("*").Id("batch")))
			}
			if e.encoding != nil {
				set("encodeActs", jen.Id("newEncodeActs").Call(jen.Id("batch")))
			}
			if e.answers() {
				set("source", jen.Make(jen.Index().Int32(), jen.Lit(0), jen.Id("maxSourceSteps").Op("*").Id("batch")))
			}
			set("batch", jen.Id("batch"))
			g.Line()
		})))
	f.Line()
	comment(f, "Batch is the number of sequences.")
	f.Add(self()).Id("Batch").Params().Int().Block(jen.Return(jen.Id("d").Dot("batch")))
	f.Line()
	comment(f, "Tokenizer is what turns the text that the decoder reads and writes into tokens.")
	f.Add(self()).Id("Tokenizer").Params().Qual(mp, "Tokenizer").Block(jen.Return(jen.Id("Tokenizer")))
	f.Line()
	if e.hasState() {
		comment(f, "State is the recurrent state of all sequences: copy it to keep a prompt, write it to go on from "+
			"one.")
		f.Add(self()).Id("State").Params().Index().Float32().Block(jen.Return(jen.Id("d").Dot("state").Dot("flat")))
		f.Line()
	}
	if !e.answers() && e.spec.Latent == nil { // which begin from a source or a latent vector
		e.single(f)
	}
	comment(f, "Reset goes back to the start of a text.")
	f.Add(self()).Id("Reset").Params().BlockFunc(func(g *jen.Group) {
		if e.hasState() {
			g.Clear(jen.Id("d").Dot("state").Dot("flat"))
		}
		if positional {
			g.Clear(jen.Id("d").Dot("length"))
		}
	})
	f.Line()
	e.reorder(f)
	if e.answers() {
		e.encode(f)
	} else if e.encoding != nil {
		e.begin(f)
	}
	if positional {
		e.chunks(f)
	}

	fn := w.function()
	e.feeding = fn
	if positional {
		fn.used["steps"], fn.used["batch"] = true, true
		fn.add(jen.Line())
		fn.comment("Where the tokens stand in their sequences.")
		fn.add(jen.Id("positions").Op(":=").Id("d").Dot("positions").Index(jen.Empty(), jen.Len(jen.Id("tokens"))),
			fn.kernel("Positions", jen.Id("positions"), jen.Id("d").Dot("length"), jen.Id("tokens"), jen.Id("steps"),
				jen.Id("batch")))
	}
	var parts []method
	for _, group := range groups(e.Model.Decode.Nodes, graph.Forward) {
		fn.add(jen.Line())
		if o := group[0].Origin; o != "" {
			fn.comment(o)
		}
		if positional && weight(group) > 3 {
			part := w.function()
			part.nodes(group)
			id := e.ids.decoder.Fresh(names.Lower(group[0].Scope) + "Decode")
			parts = append(parts, method{name: id, doc: id + " runs " + e.scopeText(group[0].Scope) + ".", fn: part})
			fn.add(jen.Id("d").Dot(id).Call(jen.Id("tokens"), jen.Id("positions")))
			continue
		}
		fn.nodes(group)
	}
	fn.add(jen.Line())
	if ahead > 0 {
		logits := e.Model.Decode.Find("logits")
		fn.add(jen.Return(fn.mem(logits).Index(jen.Empty(), fn.dim(logits.Shape.Elems()))))
	} else if positional {
		fn.add(jen.Return(fn.mem(e.Model.Decode.Find("logits"))))
	} else {
		fn.add(jen.Return(fn.mem(e.Model.Decode.Find("logits")), jen.Nil()))
	}
	if v := e.Model.Decode.Find("alignment"); v != nil {
		mem := w.function().mem(v)
		comment(f, "Alignment gives the weights [batch, sourceSteps] by which the last step looked at each token of "+
			"the source. The slice is overwritten by the next step.")
		f.Add(self()).Id("Alignment").Params().Index().Float32().Block(
			jen.Id("a").Op(":=").Op("&").Id("d").Dot("acts"),
			jen.Return(mem.Clone().Index(jen.Empty(), jen.Id("d").Dot("batch").Op("*").Id("d").Dot("sourceSteps"))))
		f.Line()
	}
	e.hidden(f)
	if positional {
		comment(f, "Feed feeds up to chunk tokens to each sequence, time-major [steps, batch], and gives the logits "+
			"[batch, vocab] of what follows the last. A negative token is none: shorter prompts begin with them. The "+
			"slice is overwritten by the next call. Tokens that do not fit are an error, model.ErrFull where the "+
			"window is full, and leave the decoder as it was.")
		fault := jen.Qual(mp, "CheckFeed").Call(jen.Id("tokens"), jen.Id("d").Dot("batch"), jen.Id("chunk"),
			jen.Id("d").Dot("Room").Call(), jen.Id("vocab"))
		e.step(f, "Feed", append(e.enterReading("Feed", fault, "slice"), e.fed()...))
		e.ahead(f)
		doc, body := "feed is Feed of tokens that have been checked.", fn.block()
		params := []jen.Code{jen.Id("tokens").Index().Int32()}
		if ahead > 0 {
			doc = "feed is Feed of tokens that have been checked, which gives the logits behind the last of them, as " +
				"many of each sequence as ends says."
			params = append(params, jen.Id("ends").Int())
			body = append([]jen.Code{jen.Id("d").Dot("ends").Op("=").Id("ends")}, body...)
		}
		comment(f, "%s", doc)
		f.Add(self()).Id("feed").Params(params...).Index().Float32().Block(body...)
		f.Line()
	} else {
		comment(f, "%s", stepDoc)
		e.step(f, "Step", append(e.enterReading("Step", e.stepFault(), "slice"), fn.block()...))
	}
	for _, p := range parts {
		comment(f, "%s", p.doc)
		f.Add(self()).Id(p.name).Params(jen.List(jen.Id("tokens"),
			jen.Id("positions")).Index().Int32()).Block(p.fn.block()...)
		f.Line()
	}
	e.memory(f, "decodeActs", "what a decoding step computes. Fields share memory where the life of one ends before "+
		"that of the other begins.", w, true)
	e.matrices(f)
	if caching {
		e.cacheType(f)
	}
	if e.encoding != nil {
		what := "reading the sources"
		if !e.answers() {
			what = "beginning from latent vectors"
		}
		e.memory(f, "encodeActs", "what "+what+" computes. Fields share memory where the life of one ends before "+
			"that of the other begins.", e.encoding, true)
	}
}

// hidden emits the method that gives what the logits are made from.
func (e *emitter) hidden(f *jen.File) {
	x := e.Model.Decode.Find("hidden")
	if x == nil {
		return
	}
	mem := e.decoding.function().mem(x)
	width := x.Shape.Last()
	comment(f, "Hidden gives what the logits of the last step were made from, [batch, %s]: a representation of the "+
		"text so far. The slice is overwritten by the next step.", strconv.Itoa(width.N))
	if e.Model.Ahead() > 0 {
		f.Func().Params(jen.Id("d").Op("*").Id("Decoder")).Id("Hidden").Params().Index().Float32().Block(
			jen.Id("a").Op(":=").Op("&").Id("d").Dot("acts"),
			jen.Return(e.element(mem, jen.Max(jen.Lit(0), jen.Id("d").Dot("ends").Op("-").Lit(1)),
				jen.Id("d").Dot("batch").Op("*").Add(e.product(width)))))
		f.Line()
		return
	}
	f.Func().Params(jen.Id("d").Op("*").Id("Decoder")).Id("Hidden").Params().Index().Float32().Block(
		jen.List(jen.Id("a"), jen.Id("batch")).Op(":=").List(jen.Op("&").Id("d").Dot("acts"), jen.Id("d").Dot("batch")),
		jen.Return(mem.Clone().Index(jen.Empty(), jen.Id("batch").Op("*").Add(e.product(width)))))
	f.Line()
}

// encode emits the method that reads the sources.
func (e *emitter) encode(f *jen.File) {
	self := func() *jen.Statement { return jen.Func().Params(jen.Id("d").Op("*").Id("Decoder")) }
	fn := e.encoding.function()
	var parts []method
	for i, group := range groups(e.Model.Encode.Nodes, graph.Forward) {
		if i > 0 {
			fn.add(jen.Line())
		}
		if o := group[0].Origin; o != "" {
			fn.comment(o)
		}
		if weight(group) > 3 {
			part := e.encoding.function()
			part.nodes(group)
			id := e.ids.decoder.Fresh(names.Lower(group[0].Scope) + "Encode")
			parts = append(parts,
				method{name: id, doc: id + " runs " + e.scopeText(group[0].Scope) + " over the sources.", fn: part})
			fn.add(jen.Id("d").Dot(id).Call())
			continue
		}
		fn.nodes(group)
	}
	comment(f, "Encode reads the sources of all sequences, time-major [sourceSteps, batch], shorter ones with -1 "+
		"behind their end, and begins their answers. Sources that do not fit are an error, and leave the decoder as "+
		"it was.")
	f.Add(self()).Id("Encode").Params(jen.Id("source").Index().Int32()).Params(jen.Err().Error()).BlockFunc(func(
		g *jen.Group) {
		fault := jen.Qual(e.modelPkg(), "CheckSources").Call(jen.Id("source"), jen.Id("d").Dot("batch"),
			jen.Id("maxSourceSteps"), e.sourceVocab())
		add(g, e.enterReading("Encode", fault))
		g.Id("d").Dot("Reset").Call()
		g.Id("d").Dot("source").Op("=").Append(jen.Id("d").Dot("source").Index(jen.Empty(), jen.Lit(0)),
			jen.Id("source").Op("..."))
		g.Id("d").Dot("sourceSteps").Op("=").Len(jen.Id("source")).Op("/").Id("d").Dot("batch")
		g.Line()
		add(g, fn.block())
		g.Return(jen.Nil())
	})
	f.Line()
	for _, p := range parts {
		comment(f, "%s", p.doc)
		f.Add(self()).Id(p.name).Params().Block(p.fn.block()...)
		f.Line()
	}
}

// decodeSizes declares the run-time sizes of a decoding function.
func (e *emitter) decodeSizes(f *function) []jen.Code {
	var out []jen.Code
	if f.w == e.decoding && !e.positional() {
		if f.used["batch"] {
			out = append(out, jen.Id("batch").Op(":=").Len(jen.Id("tokens")))
		}
		if f.used["sourceSteps"] {
			out = append(out, jen.Id("sourceSteps").Op(":=").Id("d").Dot("sourceSteps"))
		}
		return out
	}
	if f.used["ends"] && f != e.feeding {
		out = append(out, jen.Id("ends").Op(":=").Id("d").Dot("ends"))
	}
	if f.used["batch"] || f.used["steps"] {
		out = append(out, jen.Id("batch").Op(":=").Id("d").Dot("batch"))
	}
	if f.used["steps"] {
		out = append(out, jen.Id("steps").Op(":=").Len(jen.Id("tokens")).Op("/").Id("batch"))
	}
	if f.used["sourceSteps"] {
		out = append(out, jen.Id("sourceSteps").Op(":=").Id("d").Dot("sourceSteps"))
	}
	if f.used["rows"] {
		out = append(out, jen.Id("rows").Op(":=").Len(jen.Id("tokens")))
	}
	return out
}

// stepDoc is the comment on Step.
const stepDoc = "Step feeds one token to each sequence and gives the logits [len(tokens), vocab] of what follows it. " +
	"The slice is overwritten by the next call. Tokens that do not fit are an error, and leave the decoder as it was."

// stepFault is the check of the tokens of a step.
func (e *emitter) stepFault() jen.Code {
	return jen.Qual(e.modelPkg(), "CheckStep").Call(jen.Id("tokens"), jen.Id("d").Dot("batch"), jen.Id("vocab"))
}

// step emits a method that feeds tokens.
func (e *emitter) step(f *jen.File, name string, body []jen.Code) {
	f.Func().Params(jen.Id("d").Op("*").Id("Decoder")).Id(name).Params(jen.Id("tokens").Index().Int32()).Params(
		jen.Id("_").Index().Float32(), jen.Err().Error()).Block(body...)
	f.Line()
}

// reorder emits the method by which beam search moves sequences.
func (e *emitter) reorder(f *jen.File) {
	mp := e.modelPkg()
	note := ""
	if e.answers() {
		note = " Their sources stay where they are: it is for sequences that answer the same one."
	}
	comment(f, "Reorder makes each sequence i go on from where sequence from[i] is.%s", note)
	f.Func().Params(jen.Id("d").Op("*").Id("Decoder")).Id("Reorder").Params(jen.Id("from").Index().Int()).Error().
		BlockFunc(func(g *jen.Group) {
			add(g, e.enterDecoder("Reorder", jen.Qual(mp, "CheckOrder").Call(jen.Id("from"), jen.Id("d").Dot("batch"))))
			move := func(g *jen.Group, field *jen.Statement, s *build.State) {
				if len(s.Shape) > 0 && s.Shape[0].IsConst() { // a stack
					layers := e.product(s.Shape[0])
					g.For(jen.Id("l").Op(":=").Range().Add(layers)).Block(
						jen.Qual(mp,
							"Reorder").Call(jen.Id("at").Call(field, jen.Id("l"),
							jen.Id("d").Dot("batch").Op("*").Add(e.product(perSequence(s.Shape[1:])))), jen.Id("from")))
					return
				}
				g.Qual(mp, "Reorder").Call(field.Index(jen.Empty(),
					jen.Id("d").Dot("batch").Op("*").Add(e.product(perSequence(s.Shape)))), jen.Id("from"))
			}
			for _, s := range e.Model.States {
				move(g, e.stateOf(jen.Id("d").Dot("state"), s.ID()), s)
			}
			e.eachKept(g, func(one func(of string) *jen.Statement, _ *build.State) jen.Code {
				return one("d").Dot("Reorder").Call(jen.Id("from"))
			})
			for _, s := range e.Model.Caches {
				if !s.Kept && !ofSource(s.Shape) {
					move(g, jen.Id("d").Dot("kv").Dot(e.cacheField(s.ID())), s)
				}
			}
			if e.positional() {
				g.Qual(mp, "Reorder").Call(jen.Id("d").Dot("length"), jen.Id("from"))
			}
			g.Return(jen.Nil())
		})
	f.Line()
}

// single emits the methods that move one sequence: to the start of a text, or to where one of another decoder is.
func (e *emitter) single(f *jen.File) {
	mp := e.modelPkg()
	self := func() *jen.Statement { return jen.Func().Params(jen.Id("d").Op("*").Id("Decoder")) }
	// each calls do for the rows of a sequence in every state and cache.
	each := func(g *jen.Group, do func(rows func(d, i string) *jen.Statement) *jen.Statement, caches bool) {
		visit := func(field func(d string) *jen.Statement, s *build.State) {
			if len(s.Shape) > 0 && s.Shape[0].IsConst() { // a stack
				n := e.product(perSequence(s.Shape[1:]))
				g.For(jen.Id("l").Op(":=").Range().Add(e.product(s.Shape[0]))).Block(do(func(d,
					i string) *jen.Statement {
					return e.element(e.element(field(d), jen.Id("l"), jen.Id(d).Dot("batch").Op("*").Add(n)), jen.Id(i),
						n)
				}))
				return
			}
			g.Add(do(func(d, i string) *jen.Statement {
				return e.element(field(d), jen.Id(i), e.product(perSequence(s.Shape)))
			}))
		}
		for _, s := range e.Model.States {
			visit(func(d string) *jen.Statement { return e.stateOf(jen.Id(d).Dot("state"), s.ID()) }, s)
		}
		if caches {
			e.eachKept(g, func(one func(of string) *jen.Statement, _ *build.State) jen.Code {
				return one("d").Dot("Adopt").Call(jen.Id("i"), one("o"), jen.Id("j"))
			})
			for _, s := range e.Model.Caches {
				if !s.Kept {
					visit(func(d string) *jen.Statement { return jen.Id(d).Dot("kv").Dot(e.cacheField(s.ID())) }, s)
				}
			}
		}
	}
	comment(f, "Restart makes sequence i begin a text, whatever the others do.")
	f.Add(self()).Id("Restart").Params(jen.Id("i").Int()).Error().BlockFunc(func(g *jen.Group) {
		add(g, e.enterDecoder("Restart", jen.Qual(mp, "CheckSequence").Call(jen.Id("i"), jen.Id("d").Dot("batch"))))
		each(g, func(rows func(d, i string) *jen.Statement) *jen.Statement { return jen.Clear(rows("d", "i")) }, false)
		if e.positional() {
			g.Id("d").Dot("length").Index(jen.Id("i")).Op("=").Lit(0)
		}
		g.Return(jen.Nil())
	})
	f.Line()
	comment(f, "Adopt makes sequence i go on from where sequence j of another decoder of the model is, which stays "+
		"as it is and must be at rest.")
	f.Add(self()).Id("Adopt").Params(jen.Id("i").Int(), jen.Id("from").Qual(mp, "Decoder"),
		jen.Id("j").Int()).Error().BlockFunc(func(g *jen.Group) {
		g.List(jen.Id("o"), jen.Id("ok")).Op(":=").Id("from").Assert(jen.Op("*").Id("Decoder"))
		check := jen.Qual(mp, "CheckAdoption").Call(jen.Id("i"), jen.Id("d").Dot("batch"), jen.Id("from"),
			jen.Id("ok").Op("&&").Id("o").Dot("params").Op("==").Id("d").Dot("params"), jen.Id("j"))
		var more []jen.Code
		if e.keeping() {
			more = append(more, jen.Qual(e.path("cache"), "Same").Call(jen.Id("d").Dot("kv").Dot("kind"),
				jen.Id("o").Dot("kv").Dot("kind")))
		}
		g.Id("fault").Op(":=").Add(e.first(check, more...))
		add(g, e.enterDecoder("Adopt", jen.Id("fault")))
		each(g, func(rows func(d, i string) *jen.Statement) *jen.Statement {
			return jen.Copy(rows("d", "i"), rows("o", "j"))
		}, true)
		if e.positional() {
			g.Id("d").Dot("length").Index(jen.Id("i")).Op("=").Id("o").Dot("length").Index(jen.Id("j"))
		}
		g.Return(jen.Nil())
	})
	f.Line()
}

// ofSource reports whether a cache holds something of every token of the source.
func ofSource(s graph.Shape) bool {
	for _, d := range s {
		if d.Run == "sourceSteps" {
			return true
		}
	}
	return false
}

// chunks emits what decoders with caches have besides.
func (e *emitter) chunks(f *jen.File) {
	self := func() *jen.Statement { return jen.Func().Params(jen.Id("d").Op("*").Id("Decoder")) }
	comment(f, "chunk is the number of tokens that Feed takes for each sequence, at the most.")
	f.Const().Id("chunk").Op("=").Lit(e.Model.Chunk())
	f.Line()
	comment(f, "Chunk is the number of tokens that Feed takes for each sequence, at the most.")
	f.Add(self()).Id("Chunk").Params().Int().Block(jen.Return(jen.Id("chunk")))
	f.Line()
	comment(f, "Room is the number of tokens that the longest sequence can still take. Beyond it the model has no "+
		"positions.")
	f.Add(self()).Id("Room").Params().Int().Block(
		jen.Return(jen.Id("maxSteps").Op("-").Int().Call(jen.Qual("slices", "Max").Call(jen.Id("d").Dot("length")))))
	f.Line()
	comment(f, "%s", stepDoc)
	fault := jen.Qual(e.modelPkg(), "CheckFeed").Call(jen.Id("tokens"), jen.Id("d").Dot("batch"), jen.Lit(1),
		jen.Id("d").Dot("Room").Call(), jen.Id("vocab"))
	e.step(f, "Step", append(e.enterReading("Step", fault, "slice"), e.fed()...))
}

// fed is the call that reads tokens which have been checked, and gives the logits behind the last.
func (e *emitter) fed() []jen.Code {
	args := []jen.Code{jen.Id("tokens")}
	if e.Model.Ahead() > 0 {
		args = append(args, jen.Lit(1))
	}
	return []jen.Code{jen.Return(jen.Id("d").Dot("feed").Call(args...), jen.Nil())}
}

// ahead emits the methods that ask about several tokens at once, and take tokens back.
func (e *emitter) ahead(f *jen.File) {
	if e.Model.Ahead() == 0 {
		return
	}
	comment(f, "ahead is the number of tokens that FeedEach takes for each sequence, at the most.")
	f.Const().Id("ahead").Op("=").Lit(e.Model.Ahead())
	f.Line()
	if e.hasState() {
		return // a recurrent state cannot be taken back
	}
	self := func() *jen.Statement { return jen.Func().Params(jen.Id("d").Op("*").Id("Decoder")) }
	mp := e.modelPkg()
	comment(f, "Ahead is the number of tokens that FeedEach takes for each sequence, at the most.")
	f.Add(self()).Id("Ahead").Params().Int().Block(jen.Return(jen.Id("ahead")))
	f.Line()
	comment(f, "FeedEach is Feed of up to Ahead tokens that gives the logits [steps, batch, vocab] of what follows each "+
		"of them: the same bits as Step after Step.")
	e.step(f, "FeedEach", append(e.enterReading("FeedEach", jen.Qual(mp, "CheckFeed").Call(jen.Id("tokens"),
		jen.Id("d").Dot("batch"), jen.Id("ahead"), jen.Id("d").Dot("Room").Call(), jen.Id("vocab")), "slice"),
		jen.Return(jen.Id("d").Dot("feed").Call(jen.Id("tokens"),
			jen.Len(jen.Id("tokens")).Op("/").Id("d").Dot("batch")), jen.Nil())))
	comment(f, "Rewind makes sequence i forget the last n tokens that it has read, at most Ahead.")
	f.Add(self()).Id("Rewind").Params(jen.List(jen.Id("i"), jen.Id("n")).Int()).Error().BlockFunc(func(g *jen.Group) {
		add(g, e.enterDecoder("Rewind", jen.Qual(mp, "CheckRewind").Call(jen.Id("i"), jen.Id("d").Dot("batch"),
			jen.Id("n"), jen.Id("ahead"), jen.Id("d").Dot("length"))))
		g.Id("d").Dot("length").Index(jen.Id("i")).Op("-=").Int32().Call(jen.Id("n"))
		g.Return(jen.Nil())
	})
	f.Line()
}

// cacheType emits the struct of the keys and values that a decoder keeps.
func (e *emitter) cacheType(f *jen.File) {
	what := "the keys and values of the tokens that a decoder has read"
	if e.spec.Latent != nil && e.positional() {
		what += ", and what it adds to each of them for the latent vector"
	} else if e.spec.Latent != nil {
		what = "what a decoder reads of the latent vector at every step"
	} else if !e.positional() {
		what = "what a decoder reads of the source at every step"
	}
	cp := e.path("cache")
	comment(f, "kvCache holds %s.", what)
	f.Type().Id("kvCache").StructFunc(func(g *jen.Group) {
		if e.keeping() {
			g.Id("kind").Qual(cp, "Kind").Comment("of keys and values")
		}
		for _, s := range e.Model.Caches {
			typ := jen.Index().Float32()
			if s.Kept {
				typ = jen.Op("*").Qual(cp, "Cache")
				if n, stacked := stackOf(s); stacked {
					typ = jen.Index(e.product(n)).Add(typ)
				}
			}
			g.Id(e.cacheField(s.ID())).Add(typ).Comment(shapeText(s.Shape))
		}
	})
	f.Line()
	plain := func(g *jen.Group) {
		for _, s := range e.Model.Caches {
			if s.Kept {
				continue
			}
			shape := append(graph.Shape{}, s.Shape...)
			for i, d := range shape {
				if d.Run == "sourceSteps" {
					shape[i] = graph.Const(e.spec.Source.Steps, "maxSourceSteps")
				}
			}
			g.Line().Id(e.cacheField(s.ID())).Op(":").Qual(e.modelPkg(),
				"Floats").Call(jen.Id("batch").Op("*").Add(e.product(perSequence(shape))))
		}
		g.Line()
	}
	if !e.keeping() {
		f.Func().Id("newKVCache").Params(jen.Id("batch").Int()).Id("kvCache").Block(
			jen.Return(jen.Id("kvCache").ValuesFunc(plain)))
		f.Line()
		return
	}
	comment(f, "newKVCache makes them for batch sequences, keys and values of a kind.")
	f.Func().Id("newKVCache").Params(jen.Id("kind").Qual(cp, "Kind"), jen.Id("batch").Int()).Id("kvCache").BlockFunc(
		func(g *jen.Group) {
			g.Id("kv").Op(":=").Id("kvCache").ValuesFunc(func(g *jen.Group) {
				g.Line().Id("kind").Op(":").Id("kind")
				plain(g)
			})
			e.eachKept(g, func(one func(of string) *jen.Statement, s *build.State) jen.Code {
				return one("").Op("=").Qual(cp, "New").Call(append([]jen.Code{jen.Id("kind"), jen.Id("batch")},
					e.keptDims(s)...)...)
			})
			g.Return(jen.Id("kv"))
		})
	f.Line()
	e.cacheKinds(f)
}

// cacheKinds emits the methods by which the numbers of keys and values are chosen.
func (e *emitter) cacheKinds(f *jen.File) {
	cp := e.path("cache")
	comment(f, "SetCache makes the decoders that are made from now on keep keys and values as numbers of a kind, "+
		"cache.F32 unless told otherwise. It may not run beside another call of the model.")
	f.Add(e.self()).Id("SetCache").Params(jen.Id("kind").Qual(cp, "Kind")).Error().Block(
		jen.If(jen.Err().Op(":=").Id("kind").Dot("Check").Call(), jen.Err().Op("!=").Nil()).Block(
			jen.Return(jen.Qual("fmt", "Errorf").Call(jen.Lit("%s: SetCache: %w"), jen.Id("info").Dot("Name"),
				jen.Err())),
		),
		jen.Id("m").Dot("cacheKind").Op("=").Id("kind"),
		jen.Return(jen.Nil()),
	)
	f.Line()
	comment(f, "CacheKind is the kind of the keys and values of decoders that are made now.")
	f.Add(e.self()).Id("CacheKind").Params().Qual(cp, "Kind").Block(jen.Return(jen.Id("m").Dot("cacheKind")))
	f.Line()
	comment(f, "CacheBytes is the number of bytes of the keys and values of a decoder for batch sequences, as numbers "+
		"of a kind.")
	f.Add(e.self()).Id("CacheBytes").Params(jen.Id("kind").Qual(cp, "Kind"), jen.Id("batch").Int()).Int64().BlockFunc(
		func(g *jen.Group) {
			sum := jen.Null()
			for i, group := range e.keptGroups() {
				if i > 0 {
					sum.Op("+")
				}
				sum.Lit(len(group)).Op("*")
				if n, stacked := stackOf(group[0]); stacked {
					sum.Add(e.product(n)).Op("*")
				}
				sum.Qual(cp, "Bytes").Call(append([]jen.Code{jen.Id("kind"), jen.Id("batch")},
					e.keptDims(group[0])...)...)
			}
			g.Return(sum)
		})
	f.Line()
}

// keeping reports whether decoders keep keys and values of their own tokens.
func (e *emitter) keeping() bool {
	return slices.ContainsFunc(e.Model.Caches, func(s *build.State) bool { return s.Kept })
}

// ofTokens reports whether a cache is one of those.
func (e *emitter) ofTokens(id graph.ID) bool {
	return slices.ContainsFunc(e.Model.Caches, func(s *build.State) bool { return s.Kept && s.ID() == id })
}

// stackOf is the number of layers that a state or cache is a stack of.
func stackOf(s *build.State) (n graph.Dim, stacked bool) {
	if len(s.Shape) > 0 && s.Shape[0].IsConst() {
		return s.Shape[0], true
	}
	return n, false
}

// keptDims are the heads, slots and features of a cache of keys or values.
func (e *emitter) keptDims(s *build.State) []jen.Code {
	var dims []jen.Code
	for _, d := range s.Shape[len(s.Shape)-3:] {
		dims = append(dims, e.product(d))
	}
	return dims
}

// keptGroups are the caches of keys and values, those of one layer or stack together: they have one shape.
func (e *emitter) keptGroups() (all [][]*build.State) {
	for _, s := range e.Model.Caches {
		if !s.Kept {
			continue
		}
		if n := len(all) - 1; n >= 0 && all[n][0].Shape.Same(s.Shape) {
			all[n] = append(all[n], s)
		} else {
			all = append(all, []*build.State{s})
		}
	}
	return all
}

// eachKept emits a statement for each cache of keys or values, in a loop for those of a stack. one is the cache of a
// decoder, or of kv where that has no name.
func (e *emitter) eachKept(g *jen.Group, do func(one func(of string) *jen.Statement, s *build.State) jen.Code) {
	for _, group := range e.keptGroups() {
		n, stacked := stackOf(group[0])
		var statements []jen.Code
		for _, s := range group {
			statements = append(statements, do(func(of string) *jen.Statement {
				kv := jen.Id("kv")
				if of != "" {
					kv = jen.Id(of).Dot("kv")
				}
				kv = kv.Dot(e.cacheField(s.ID()))
				if stacked {
					kv = kv.Index(jen.Id("l"))
				}
				return kv
			}, s))
		}
		if stacked {
			g.For(jen.Id("l").Op(":=").Range().Add(e.product(n))).Block(statements...)
			continue
		}
		for _, s := range statements {
			g.Add(s)
		}
	}
}

// uses emits what users call first.
func (e *emitter) uses(f *jen.File) {
	switch {
	case e.adversarial():
		e.sampling(f)
	default:
		e.text(f)
		if e.ofText() {
			e.judge(f)
		}
	}
}

// text emits the tokenizer and what users call to write text.
func (e *emitter) text(f *jen.File) {
	if e.spec.Vectors == nil {
		e.tokenizer(f, "Tokenizer", "the tokens that the model was made for", e.spec.Tokenizer)
	}
	if e.spec.EncoderDecoder() {
		e.tokenizer(f, "SourceTokenizer", "the tokens that the encoder was made for", e.spec.Source.Tokenizer)
	}
	e.loading(f)
	if e.spec.Vectors != nil || e.decoding == nil || e.encoding != nil {
		e.calls(f)
		e.program(f)
		return
	}
	if e.ofText() {
		comment(f, "Sample writes n lines, each token as likely as the model says, its logits divided by the "+
			"temperature, which is above 0. Line i of a seed is the same for any n. It may be called from many "+
			"goroutines, as long as no training runs.")
		f.Add(e.self()).Id("Sample").Params(jen.Id("ctx").Qual("context", "Context"), jen.Id("n").Int(),
			jen.Id("temperature").Float64(), jen.Id("seed").Uint64()).Params(jen.Index().String(), jen.Error()).Block(
			jen.List(jen.Id("all"), jen.Err()).Op(":=").Qual(e.path("policy"), "Sample").Call(jen.Id("ctx"),
				jen.Id("m"), jen.Id("n"), jen.Id("temperature"), jen.Id("seed")),
			jen.If(jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Err())),
			jen.Id("lines").Op(":=").Make(jen.Index().String(), jen.Len(jen.Id("all"))),
			jen.For(jen.List(jen.Id("i"), jen.Id("tokens")).Op(":=").Range().Id("all")).Block(
				jen.Id("lines").Index(jen.Id("i")).Op("=").Id("Tokenizer").Dot("Decode").Call(jen.Id("tokens")),
			),
			jen.Return(jen.Id("lines"), jen.Nil()),
		)
		f.Line()
		e.calls(f)
		e.program(f)
		return
	}
	comment(f, "Generate goes on with the prompt, token by token, until the options or the context end it. An error, "+
		"such as a character that the model does not know, comes as the last element. It may be called from many "+
		"goroutines, as long as no training runs.")
	f.Func().Params(jen.Id("m").Op("*").Id("Model")).Id("Generate").Params(jen.Id("ctx").Qual("context", "Context"),
		jen.Id("prompt").String(), jen.Id("opts").Op("...").Qual(e.path("sample"), "Option")).Qual("iter",
		"Seq2").Types(jen.String(), jen.Error()).Block(
		jen.Return(jen.Qual(e.path("sample"), "Generate").Call(jen.Id("ctx"),
			jen.Id("m").Dot("NewDecoder").Call(jen.Lit(1)), jen.Id("Tokenizer"), jen.Id("prompt"),
			jen.Id("opts").Op("..."))),
	)
	f.Line()
	e.calls(f)
	e.program(f)
}

// vocabulary is the name of the generated file with the words or merges of a tokenizer, which Package writes. Two
// tokenizers of one vocabulary share it.
func (e *emitter) vocabulary(t spec.Tokenizer) string {
	name := map[string]string{"words": "words.txt", "bpe": "merges.txt", "file": "tokenizer.txt"}[t.Kind]
	var b strings.Builder
	fmt.Fprintf(&b, "# Code generated by gradsmith from %s; DO NOT EDIT.\n", e.spec.File)
	for _, w := range t.Words {
		fmt.Fprintln(&b, strconv.Quote(w))
	}
	for _, m := range t.Merges {
		fmt.Fprintln(&b, m)
	}
	b.Write(t.Data)
	if other, ok := e.lists[name]; ok && other != b.String() {
		name = "source_" + name
	}
	e.lists[name] = b.String()
	return name
}

// tokenizer emits a variable with a tokenizer.
func (e *emitter) tokenizer(f *jen.File, name, what string, t spec.Tokenizer) {
	tp := e.path("text")
	var tok *jen.Statement
	var opts []jen.Code
	if t.OrBytes {
		opts = []jen.Code{jen.Qual(tp, "OrBytes").Call()}
	}
	if t.Unknown != 0 {
		opts = []jen.Code{jen.Qual(tp, "Unknown").Call(jen.LitRune(t.Unknown))}
	}
	switch t.Kind {
	case "numbers":
		tok = jen.Qual(tp, "Numbers").Call(jen.Lit(t.Vocab - len(t.Specials)))
	case "bytes":
		tok = jen.Qual(tp, "Bytes").Call()
	case "ascii":
		tok = jen.Qual(tp, "ASCII").Call(opts...)
	case "chars":
		// In a constant of its own, which go doc does not print.
		chars := lowerFirst(strings.TrimSuffix(name, "Tokenizer") + "Characters")
		comment(f, "%s are those of %s, in the order of their tokens.", chars, t.File)
		f.Const().Id(chars).Op("=").Lit(string(t.Chars))
		f.Line()
		tok = jen.Qual(tp, "Chars").Call(append([]jen.Code{jen.Id(chars)}, opts...)...)
	case "words", "bpe", "file":
		file := e.vocabulary(t)
		list := strings.TrimSuffix(strings.ReplaceAll(file, "_", ""), ".txt")
		if t.Kind == "file" {
			list += "File"
		}
		if !e.listed[file] {
			e.listed[file] = true
			f.Anon("embed")
			f.Comment("//go:embed " + file)
			f.Var().Id(list).String()
			f.Line()
		}
		switch {
		case t.Kind == "file":
			args := []jen.Code{jen.Id(list), e.reader(f, t)}
			for _, o := range []struct{ special, option string }{{spec.BeginToken, "Begin"}, {spec.EndToken, "End"}} {
				if own, ok := t.Own[o.special]; ok {
					args = append(args, jen.Qual(e.path("tokenizer"), o.option).Call(jen.Lit(own.Name)))
				}
			}
			tok = jen.Qual(e.path("tokenizer"), "Embedded").Call(args...)
		case t.OrBytes:
			tok = jen.Qual(tp, "WordsOrBytes").Call(jen.Id(list))
		default:
			tok = jen.Qual(tp, map[string]string{"words": "Words", "bpe": "BPE"}[t.Kind]).Call(jen.Id(list))
		}
	default:
		panic("emit: no tokenizer " + t.Kind)
	}
	of := map[string]string{"numbers": "whole numbers with blanks in between", "bytes": "bytes",
		"ascii": "newline and the printable ASCII characters", "chars": "the characters of " + t.File,
		"words": "the words of " + t.File, "bpe": "the byte-pair encoding of " + t.File,
		"file": "the tokens of " + t.File}[t.Kind]
	if t.OrBytes {
		of += ", and bytes where there is none"
	}
	if t.Normal != "" {
		tok = jen.Qual(e.path("normalize"), "Tokenizer").Call(jen.Qual(e.path("normalize"), strings.ToUpper(t.Normal)),
			tok)
		of += ", of texts in the normal form " + strings.ToUpper(t.Normal)
	}
	if len(t.Specials) > 0 {
		names := []jen.Code{tok}
		for _, s := range t.Specials {
			names = append(names, jen.Lit(s))
		}
		tok = jen.Qual(tp, "WithSpecials").Call(names...)
		of += ", and " + strings.Join(t.Specials, " and ")
	}
	comment(f, "%s turns text into %s: %s.", name, what, of)
	f.Var().Id(name).Op("=").Add(tok)
	f.Line()
}

// reader is the function that reads a tokenizer's file.
func (e *emitter) reader(f *jen.File, t spec.Tokenizer) jen.Code {
	if t.Ahead {
		f.Anon(e.path("tokenizer/lookahead"))
	}
	switch {
	case t.Form == "tiktoken" && t.Split != "":
		return jen.Func().Params(jen.Id("data").Index().Byte()).Params(jen.Op("*").Qual(e.path("tokenizer"),
			"Tokenizer"), jen.Error()).Block(
			jen.List(jen.Id("encoding"), jen.Err()).Op(":=").Qual(e.path("tokenizer/tiktoken"),
				"Named").Call(jen.Lit(t.Split)),
			jen.If(jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Err())),
			jen.Return(jen.Id("encoding").Dot("Parse").Call(jen.Id("data"))),
		)
	case t.Form == "tokenizer.json":
		return jen.Qual(e.path("tokenizer"), "Parse")
	}
	return jen.Qual(e.path("tokenizer/"+t.Form), "Parse")
}

func (e *emitter) program(f *jen.File) {
	comment(f, "Program is what the commands of the model's program need of it.")
	f.Func().Id("Program").Params().Qual(e.modelPkg(), "Program").Block(
		jen.Return(jen.Qual(e.modelPkg(), "Program").ValuesFunc(func(g *jen.Group) {
			g.Line().Id("Info").Op(":").Id("info").Dot("Clone").Call()
			g.Line().Id("New").Op(":").Func().Params(jen.Id("seed").Uint64()).Qual(e.modelPkg(),
				"LanguageModel").Block(jen.Return(jen.Id("NewSeeded").Call(jen.Id("seed"))))
			g.Line().Id("Empty").Op(":").Func().Params().Qual(e.modelPkg(), "LanguageModel").Block(
				jen.Return(jen.Id("empty").Call(jen.Id("defaultSeed"))))
			if e.spec.Vectors == nil {
				g.Line().Id("Tokenizer").Op(":").Id("Tokenizer")
			}
			if e.spec.EncoderDecoder() {
				g.Line().Id("SourceTokenizer").Op(":").Id("SourceTokenizer")
			}
			g.Line()
		})))
}

// faultsDoc is the comment on the test that every package has.
const faultsDoc = "Calls that do not fit the model, and the second of two calls at once, are errors that change " +
	"nothing."

func (e *emitter) tests(f *jen.File) {
	mt := e.path("modeltest")
	type test struct{ name, fn, typ, doc string }
	gradients := "The gradients agree with finite differences of the loss."
	both := "The gradients of both networks agree with finite differences of their losses."
	determinism := "Two trainings from one seed give the same bits, on one thread and on two."
	decoding := test{"TestDecoder", "Decoding", "Model",
		"The decoder gives the same logits, step by step, as the forward pass over the whole window."}
	var all []test
	switch {
	case e.adversarial():
		all = []test{
			{"TestGradients", "AdversarialGradients", "Adversaries", both},
			{"TestDeterminism", "AdversarialDeterminism", "Adversaries", determinism},
			{"TestAllocations", "AdversarialAllocations", "Adversaries", "A training step allocates nothing."},
			{"TestSamples", "AdversarialSamples", "Adversaries",
				"Samples and verdicts do not depend on how many are asked for at once."},
			{"TestFaults", "Faults", "Adversaries", faultsDoc},
		}
	case e.ofText():
		all = []test{
			{"TestGradients", "ImitationGradients", "Imitation", both},
			{"TestDeterminism", "ImitationDeterminism", "Imitation", determinism},
			{"TestAllocations", "ImitationAllocations", "Imitation",
				"A training step allocates nothing, whatever network moves."},
			{"TestSamples", "ImitationSamples", "Sampler", "Lines do not depend on how many are asked for at once."},
			{"TestFaults", "Faults", "Imitation", faultsDoc},
			decoding,
		}
		if e.relaxes() && !e.spec.GAN.Text.Hard { // where tokens are not relaxed the gradient is not that of the loss
			all[0].fn, all[0].typ = "RelaxedGradients", "Relaxers"
		}
	default:
		all = []test{
			{"TestGradients", "Gradients", "Model", gradients},
			{"TestDeterminism", "Determinism", "Model", determinism},
			{"TestAllocations", "Allocations", "Model", "A training step and a decoding step allocate nothing."},
		}
		if e.spec.Latent != nil {
			all = append(all, test{"TestLatent", "Latent", "Model",
				"Encoder, decoder and the loss of each row fit together, and allocate nothing."})
		}
		if e.Model.Steps[len(e.Model.Steps)-1].Asked {
			all = append(all, test{"TestEncoderFirst", "EncoderFirst", "Model", "An update of the encoder alone " +
				"moves the encoder's parameters and no others."})
		}
		all = append(all, test{"TestFaults", "Faults", "Model", faultsDoc})
		if e.decoding != nil {
			all = append(all, decoding, test{"TestWeights", "Weights", "Model", "Decoders of packed matrices give " +
				"the same bits, and of quantised ones about the same numbers."})
		}
		if e.decoding != nil && e.encoding == nil {
			all = append(all, test{"TestSequences", "Sequences", "Model", "What a decoder gives for a sequence does " +
				"not depend on the others, or on where it was begun."})
		}
	}
	for _, t := range all {
		comment(f, "%s", t.doc)
		f.Func().Id(t.name).Params(jen.Id("t").Op("*").Qual("testing", "T")).Block(
			jen.Qual(mt, t.fn).Call(jen.Id("t"),
				jen.Func().Params(jen.Id("seed").Uint64()).Qual(mt,
					t.typ).Block(jen.Return(jen.Id("NewSeeded").Call(jen.Id("seed"))))))
		f.Line()
	}
	e.elementsTest(f)
}
