package build

import (
	"fmt"
	"math"
	"slices"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

// latentScope is the name of the parameters of the latent vector.
const latentScope = "latent"

const latentText = "numbers of a latent vector"

// Stages are the parts of an autoencoder's forward pass, in their order: the encoder and the heads of the latent
// vector, the sample, the decoder.
var Stages = []string{"encode", "draw", "decode"}

// Outputs of a training graph that generated code hands out.
const (
	MeanTarget   = "latent:mean"
	LogVarTarget = "latent:logvar"
	SampleTarget = "latent:z"
	RowsTarget   = "rowLoss" // −log p(x|z) of each row
	DimsTarget   = "klDims"  // divergence of each dimension, the mean over the rows
)

// vectors is the width of what a model of vectors reads and writes.
func (b *builder) vectors() graph.Dim {
	return b.named("vectorSize", b.m.Vectors.Size, "numbers of a vector")
}

// latentSize is the width of the latent vector.
func (b *builder) latentSize() graph.Dim {
	return b.named("latentSize", b.m.Latent.Size, "numbers of the latent vector")
}

// trainAutoencoder is a training step of a variational autoencoder (Kingma and Welling 2014): the loss is −log p(x|z)
// plus the divergence of the latent vector's distribution from its prior, times a weight that is another one in each
// step.
func (b *builder) trainAutoencoder() {
	b.r.Train = b.G
	ofText := b.m.Vectors == nil
	var x, targets *graph.Value
	if ofText {
		tb := graph.Shape{steps, batch}
		b.tokens = b.G.Input("tokens", graph.Data, graph.I32, tb)
		targets = b.G.Input("targets", graph.Data, graph.I32, tb)
	} else {
		x = b.G.Input("vectors", graph.Data, graph.F32, graph.Shape{batch, b.vectors()})
		targets = x
	}
	weight := b.G.Input("klWeight", graph.Scalar, graph.F32, nil)

	b.Stage = "encode"
	var h *graph.Value
	if ofText {
		h = b.pooled(b.encoder())
		h = b.labelled("encoder", "encoder_labels.x", "features of a sentence", h)
	} else {
		h = b.layers(b.m.Encoder, b.labelled("encoder", "encoder_labels.x", "numbers of a vector", x), false)
	}
	mean, logvar := b.heads(h)
	b.Stage = "draw"
	b.streams++
	z := b.Apply(op.GaussianSample, []string{latentScope + ".z"}, graph.Attrs{{Key: "stream", Val: b.streams}}, mean,
		logvar)[0]
	b.Stage = "decode"
	b.latent = b.labelled("decoder", latentScope+".zLabelled", latentText, z)
	var y, bag *graph.Value
	if b.m.Latent.BagOfWords > 0 {
		b.Scope, b.Origin = latentScope, b.at(b.m.Latent.Pos, latentScope)
		w, bias := b.bagParams()
		bag = b.Apply(op.MatMul, []string{latentScope + ".bag"}, nil, b.latent, w)[0]
		bag = b.Apply(op.AddBias, []string{latentScope + ".bag"}, nil, bag, bias)[0]
	}
	if ofText {
		y = b.layers(b.m.Layers, nil, true)
	} else {
		y = b.layers(b.m.Layers, b.latent, true)
	}
	b.Stage = ""

	b.Phase, b.Scope, b.Origin = graph.Loss, "", b.at(b.m.Likelihood.Pos, "likelihood")
	loss, attrs := op.BernoulliLoss, graph.Attrs(nil)
	switch l := b.m.Likelihood; l.Kind {
	case "gaussian":
		loss, attrs = op.GaussianLoss, graph.Attrs{{Key: "deviation", Val: l.Deviation}}
	case "categorical":
		loss, attrs = op.CrossEntropy, graph.Attrs{{Key: "smoothing", Val: 0.0}, {Key: "sequences", Val: true}}
	}
	reconstruction := b.Apply(loss, []string{"reconstruction", "rowLoss"}, attrs, y, targets)
	rows := reconstruction[1]
	if ofText { // of each sentence from those of its tokens
		rows = b.Apply(op.SumRows, []string{"sentenceLoss"}, nil, rows)[0]
	}
	written := reconstruction[0]
	if bag != nil {
		words := b.Apply(op.BagOfWords, []string{"bagOfWords", "bagLoss"},
			graph.Attrs{{Key: "weight", Val: b.m.Latent.BagOfWords}}, bag, targets)[0]
		written = b.Apply(op.Add, []string{"reconstructionAndBag"}, nil, written, words)[0]
	}
	b.bound(written, mean, logvar, weight)
	for _, o := range []struct {
		v      *graph.Value
		target string
	}{{mean, MeanTarget}, {logvar, LogVarTarget}, {z, SampleTarget}, {rows, RowsTarget}} {
		b.G.Output(o.v, o.target)
	}
}

// bound gives the loss: the reconstruction's plus the weighted divergence, the negative evidence lower bound where the
// weight is 1.
func (b *builder) bound(reconstruction, mean, logvar, weight *graph.Value) {
	l := b.m.Latent
	b.Origin = b.at(l.Pos, latentScope)
	divergences := b.Apply(op.GaussianKL, []string{"kl", "klDims"},
		graph.Attrs{{Key: "free", Val: l.FreeDimension}, {Key: "free_total", Val: l.FreeTotal}}, mean, logvar)
	kl := divergences[0]
	b.G.Output(divergences[1], DimsTarget)
	weighted := b.Apply(op.Mul, []string{"weightedKL"}, nil, weight, kl)[0]
	b.G.Output(b.Apply(op.Add, []string{"loss"}, nil, reconstruction, weighted)[0], "loss")
}

// heads gives the mean and the logarithm of the variance of the latent vector from the encoder's features h.
func (b *builder) heads(h *graph.Value) (mean, logvar *graph.Value) {
	l := b.m.Latent
	b.Scope, b.Origin = latentScope, b.at(l.Pos, latentScope)
	if b.training {
		b.r.Layers = append(b.r.Layers,
			Layer{Name: latentScope, Kind: "gaussian", Width: l.Size, Output: graph.Shape{batch, b.latentSize()},
				Line: l.Pos.Line})
	}
	head := func(name string) *graph.Value {
		y := b.latentProduct(h, "w_"+name, b.latentSize(), name)
		bias := b.param(latentScope, "b_"+name, graph.Shape{b.latentSize()}, 0, 0, latentScope,
			matrix(l.BiasInit, h.Shape.Last().N, l.Size))
		return b.Apply(op.AddBias, []string{latentScope + "." + name}, nil, y, bias)[0]
	}
	if l.Heads != nil {
		mean, logvar = b.headsByFormula(l.Heads, h)
	} else {
		mean, logvar = head("mean"), head("logvar")
	}
	b.Scope, b.Origin = latentScope, b.at(l.Pos, latentScope)
	// The parameters of a scope are defined together, but these are the decoder's.
	b.Stage = Stages[2]
	if l.BagOfWords > 0 {
		b.bagParams()
	}
	if first, width := b.firstAttending(); first != nil {
		b.latentParam(width)
	}
	b.Stage = Stages[0]
	return mean, logvar
}

// headsByFormula gives them as a formula does: the mean and the variance of N are its last equation.
func (b *builder) headsByFormula(l *spec.Defined, h *graph.Value) (mean, logvar *graph.Value) {
	b.Scope, b.Origin = l.Name, b.at(l.Pos, l.Name)
	if b.training {
		b.r.Layers = append(b.r.Layers,
			Layer{Name: l.Name, Kind: l.Kind, Width: l.Width, Output: graph.Shape{batch, b.latentSize()},
				Blocks: l.Blocks, Line: l.Line})
	}
	e := b.byFormula(b.Builder, l, h, func(part string) string { return b.called(l, part) },
		func(v *graph.Value) *graph.Value { return v })
	last := len(l.Formula.Equations) - 1
	normal := l.Formula.Equations[last].Expr
	e.run(last)
	e.equals = "mean"
	mean = e.row(normal.Args[0])
	e.equals = "logvar"
	switch v := normal.Args[1]; {
	case v.Op == "exp":
		logvar = e.row(v.Args[0])
	case v.Op == "*" && v.Args[0] == v.Args[1] && v.Args[0].Op == "exp": // the square of a deviation e^s
		logvar = e.one(op.Scale, graph.Attrs{{Key: "by", Val: 2.0}}, e.row(v.Args[0].Args[0]))
	case v.Op == "*" && v.Args[0] == v.Args[1]:
		logvar = e.one(op.Scale, graph.Attrs{{Key: "by", Val: 2.0}}, e.one(op.Log, nil, e.row(v.Args[0])))
	default:
		logvar = e.one(op.Log, nil, e.row(v))
	}
	return mean, logvar
}

// bagParams are the parameters with which the latent vector tells the words of a sentence.
func (b *builder) bagParams() (w, bias *graph.Value) {
	in := b.labelledWidth("decoder", latentText, b.latentSize())
	w = b.param(latentScope, "w_bag", graph.Shape{in, b.vocab()}, 0, 0, latentScope,
		matrix(b.m.Latent.Init, in.N, b.vocab().N))
	return w, b.param(latentScope, "b_bag", graph.Shape{b.vocab()}, 0, 0, latentScope, Init{Scheme: "zeros"})
}

// beginLatent is the graph of what a decoder needs of a latent vector before the first token.
func (b *builder) beginLatent() {
	b.r.Encode = b.G
	b.latent = b.labelled("decoder", latentScope+".zLabelled", latentText,
		b.G.Input("z", graph.Data, graph.F32, graph.Shape{batch, b.latentSize()}))
	if l, width := b.firstAttending(); l != nil {
		b.Scope, b.Origin = latentScope, b.at(b.m.Latent.Pos, latentScope)
		b.G.Output(b.latentToken(width), "cache:"+latentScope+".token")
	}
	first := true
	for l := range spec.Leaves(b.m.Layers) {
		if r, ok := l.(*spec.Recurrent); ok {
			b.Scope, b.Origin = l.LayerName(), b.at(l.LayerPos(), l.LayerName())
			b.begin(r)
			if first {
				c, scope := b.newCell(r), layerScope(r, 0)
				b.Scope = scope
				for _, f := range b.latentFields(c) {
					b.G.Output(b.latentInput(c, scope, layerNumber(r, 0), f), "cache:"+scope+"."+f.name)
				}
			}
			first = false
		}
	}
}

// pooled is one row of features a sentence [batch, width] of what the encoder gives for each of its tokens. A
// recurrent reader comes from the end: at the first token it has seen all. A Transformer sees all at every token, and
// none of them stands for the sentence: it is their mean (Reimers and Gurevych 2019, section 3), those that are
// missing left out.
func (b *builder) pooled(memory *graph.Value) *graph.Value {
	b.Scope = latentScope
	leaves := slices.Collect(spec.Leaves(b.m.Encoder))
	for _, l := range slices.Backward(leaves) {
		if attends(l) {
			return b.Apply(op.MeanSteps, []string{latentScope + ".pooled"}, nil, memory, b.source)[0]
		}
		if _, ok := l.(*spec.Recurrent); ok {
			return b.Apply(op.FirstStep, []string{latentScope + ".first"}, nil, memory)[0]
		}
	}
	panic("build: an encoder of text without a layer that reads it")
}

// firstAttending is the decoder's layer, or composite, that reads the latent vector added to every token, and the
// width of those; nil where the decoder is recurrent.
func (b *builder) firstAttending() (spec.Layer, graph.Dim) {
	if b.m.Latent == nil || b.m.Vectors != nil {
		return nil, graph.Dim{}
	}
	var before spec.Layer // which decides the width
	for _, l := range b.m.Layers {
		for leaf := range spec.Leaves([]spec.Layer{l}) {
			if !attends(leaf) {
				continue
			}
			switch before := before.(type) {
			case *spec.OneHot:
				return l, b.vocab()
			case *spec.Dense:
				return l, b.width(before, "units", "width of the dense layer")
			case *spec.Embedding:
				return l, b.width(before, "size", "width of the embedding")
			}
			return l, graph.Const(spec.Base(l).In, "")
		}
		switch l := l.(type) {
		case *spec.Embedding, *spec.OneHot, *spec.Dense:
			before = l
		case *spec.Branch, *spec.Recurrent:
			before = l
		default:
			if l.OutputWidth() != spec.Base(l).In {
				before = l
			}
		}
	}
	return nil, graph.Dim{}
}

// attends reports whether the tokens of a layer look at each other, in no order.
func attends(l spec.Layer) bool { return constructionOf(l).counts && l.LayerKind() != "positions" }

// latentParam is the matrix by which the latent vector is added to every token.
func (b *builder) latentParam(width graph.Dim) *graph.Value {
	in := b.labelledWidth("decoder", latentText, b.latentSize())
	// as the matrices of Transformers start
	return b.param(latentScope, "w_token", graph.Shape{in, width}, 0, 0, latentScope,
		Init{Scheme: "normal", Scale: 0.02})
}

// latentToken is what the latent vector adds to every token of a sentence, [batch, width].
func (b *builder) latentToken(width graph.Dim) *graph.Value {
	return b.Apply(op.MatMul, []string{latentScope + ".token"}, nil, b.latent, b.latentParam(width))[0]
}

// addLatent adds the latent vector to the features x of every token [steps, batch, width], through a matrix, in front
// of the decoder's first Transformer: the scheme "embedding" of Li et al. 2020. A decoder keeps the product while it
// writes.
func (b *builder) addLatent(l spec.Layer, x *graph.Value) *graph.Value {
	first, width := b.firstAttending()
	if first == nil || l != first || b.steps.Same(sourceSteps) {
		return x
	}
	defer func(scope, origin string) { b.Scope, b.Origin = scope, origin }(b.Scope, b.Origin)
	b.Scope, b.Origin = latentScope, b.at(b.m.Latent.Pos, latentScope)
	var z *graph.Value
	if b.training {
		z = b.latentToken(width)
	} else {
		z = b.cache(latentScope+".token", graph.Shape{batch, width})
	}
	// A row of all sequences side by side: what is added is the same at every step.
	row := graph.Mul(batch, width)
	flat := func(v *graph.Value, s graph.Shape) *graph.Value {
		return b.Apply(op.Reshape, []string{v.Base}, graph.Attrs{{Key: "shape", Val: s}}, v)[0]
	}
	y := b.Apply(op.AddBias, []string{latentScope + ".x"}, nil, flat(x, graph.Shape{b.steps, row}),
		flat(z, graph.Shape{row}))[0]
	return flat(y, x.Shape)
}

// latentField is a product of the latent vector that a cell adds to those of its input.
type latentField struct {
	name, suffix string // "latent", or "latentN" of the candidate of a GRU that resets before
	width        graph.Dim
}

func (b *builder) latentFields(c *cell) []latentField {
	var fs []latentField
	for _, w := range c.weights {
		if c.formula != nil {
			break // whose equations say all that a step reads
		}
		switch w.field {
		case "wx":
			fs = append(fs, latentField{"latent", "", w.shape(b.units(c.l))[1]})
		case "wxn":
			fs = append(fs, latentField{"latentN", "n", w.shape(b.units(c.l))[1]})
		}
	}
	return fs
}

// latentInput is what the latent vector adds to the gates of every step: z·W is the same as z beside the input of the
// step.
func (b *builder) latentInput(c *cell, scope string, number int, f latentField) *graph.Value {
	bound := spec.Init{Scheme: "uniform", Scale: 1 / math.Sqrt(float64(c.l.Units))} // as the matrices of the input
	in := b.latent.Shape.Last()
	w := b.param(scope, "w_latent"+f.suffix, graph.Shape{in, f.width}, 0, number, c.l.Name,
		matrix(bound, in.N, c.l.Units))
	return b.Apply(op.MatMul, []string{scope + "." + f.name}, nil, b.latent, w)[0]
}

// dropWords hides tokens from a decoder in training.
func (b *builder) dropWords(x *graph.Value, name string) *graph.Value {
	rate := 0.0
	if b.m.Latent != nil {
		rate = b.m.Latent.WordDropout
	}
	if rate == 0 || !b.training || !b.steps.Same(steps) {
		return x
	}
	b.streams++
	return b.Apply(op.DropRows, []string{name}, graph.Attrs{{Key: "rate", Val: rate}, {Key: "stream", Val: b.streams}},
		x)[0]
}

// latentProduct is x·w, with a matrix of the latent vector.
func (b *builder) latentProduct(x *graph.Value, field string, width graph.Dim, name string) *graph.Value {
	in := x.Shape.Last()
	w := b.param(latentScope, field, graph.Shape{in, width}, 0, 0, latentScope, matrix(b.m.Latent.Init, in.N, width.N))
	return b.Apply(op.MatMul, []string{latentScope + "." + name}, nil, x, w)[0]
}

// tellBound tells the loss of an autoencoder.
func tellBound(m *spec.Model) Account {
	var a Account
	l := m.Latent
	unit := "vector"
	if m.Vectors == nil {
		unit = "sentence"
	}
	a.say("The loss is the negative evidence lower bound on log p(x), in nats a %s, the mean over the batch: what is "+
		"lost of x in z, and how far the distribution of z is from its prior, N(0, 1), times a weight.", unit)
	weight := "w"
	if l.Annealing.Kind == "none" || l.Annealing.Kind == "" {
		weight = figure(l.Beta)
	}
	if weight += ` \cdot `; weight == `1 \cdot ` {
		weight = ""
	}
	divergence := `\text{KL}`
	if l.FreeTotal > 0 || l.FreeDimension > 0 {
		divergence = `\text{free}`
	}
	loss := `\mathcal{L} = -\log(p(x \mid z)) + ` + weight + divergence
	if l.BagOfWords > 0 {
		loss += " + " + figure(l.BagOfWords) + ` \cdot \mathcal{L}_{\text{bag}}`
	}
	a.show(loss)
	switch k := m.Likelihood; k.Kind {
	case "bernoulli":
		a.say("Each number of x is 1 with a probability whose logit the decoder gives, y.")
		a.show(`-\log(p(x \mid z)) = -\sum_i (x_i \cdot \log(\sigma(y_i)) + (1 - x_i) \cdot \log(1 - \sigma(y_i)))`)
	case "gaussian":
		a.say("Each number of x is normal around what the decoder gives, y, with a standard deviation of %g.",
			k.Deviation)
		a.show(fmt.Sprintf(`-\log(p(x \mid z)) = \sum_i (\frac{(x_i - y_i)^2}{2 s^2} + \log(s) + \frac{\log(2 `+
			`\pi)}{2}) \quad s = %s`,
			figure(k.Deviation)))
	case "categorical":
		a.say("Each token of the sentence, its end included, is one of the vocabulary, whose logits the decoder " +
			"gives, y.")
		a.show(`-\log(p(x \mid z)) = -\sum_t \log(\operatorname{softmax}(y_t)_{x_t})`)
	}
	a.show(`\text{KL} = \sum_d \text{KL}_d \quad \text{KL}_d = \frac{\mu_d^2 + e^{\ell_d} - 1 - \ell_d}{2}`)
	if l.FreeTotal > 0 || l.FreeDimension > 0 {
		a.say("In training divergence below the free bits costs nothing; evaluation counts all of it.")
		a.show(fmt.Sprintf(`\text{free} = \max(%s, \sum_d \max(%s, \text{KL}_d))`, figure(l.FreeTotal),
			figure(l.FreeDimension)))
	}
	if l.BagOfWords > 0 {
		a.say("The latent vector alone is asked for the tokens of the sentence, too (Zhao et al. 2017).")
		a.show(`\mathcal{L}_{\text{bag}} = -\sum_t \log(\operatorname{softmax}(` + affine("z", "w_bag", "b_bag", true) +
			`)_{x_t})`)
	}
	a.anneals(l)
	if e := l.EncoderFirst; e.Steps > 0 {
		a.say("Before each step the encoder is updated alone, up to %d times, while that helps (He et al. 2019).",
			e.Steps)
	}
	return a
}

// anneals tells how the weight of the divergence rises.
func (a *Account) anneals(l *spec.Latent) {
	n, beta := &l.Annealing, figure(l.Beta)
	rise := func(x string) string {
		if n.Start > 0 {
			x = fmt.Sprintf(`(%s + %s \cdot %s)`, figure(n.Start), figure(1-n.Start), x)
		}
		if l.Beta != 1 {
			x = beta + ` \cdot ` + x
		}
		return "w = " + x
	}
	switch n.Kind {
	case "linear":
		a.say("The weight rises to %g in the first %d steps, t.", l.Beta, n.Steps)
		a.show(rise(fmt.Sprintf(`\min(1, \frac{t}{%d})`, n.Steps)))
	case "cyclical":
		a.say("The weight rises to %g in each of %d cycles of %d steps, in the first %s of each, and stays behind the "+
			"last one (Fu et al. 2019).", l.Beta, n.Cycles, n.Steps, percent(n.Ramp))
		a.show(rise(fmt.Sprintf(`\min(1, \frac{t \bmod %d}{%s})`, n.Steps, figure(n.Ramp*float64(n.Steps)))))
	case "sigmoid":
		a.say("The weight rises to %g, half of it at step %d.", l.Beta, n.Middle)
		a.show(fmt.Sprintf(`w = \frac{%s}{1 + e^{-%s \cdot (t - %d)}}`, beta, figure(n.Slope), n.Middle))
	}
}

// Latent tells how the latent vector comes from what the encoder gives.
func Latent(m *spec.Model) Account {
	var a Account
	from := "what the encoder gives, h"
	if m.Vectors == nil {
		from = "what the encoder gives at the first token, h, which has seen all of them"
		for l := range spec.Leaves(m.Encoder) {
			if attends(l) {
				from = "the mean of what the encoder gives over the tokens, h"
			} else if _, ok := l.(*spec.Recurrent); ok {
				from = "what the encoder gives at the first token, h, which has seen all of them"
			}
		}
	}
	a.say("The latent vector z has %d numbers. Its distribution is normal, each number by itself, and follows from %s.",
		m.Latent.Size, from)
	if f := m.Latent.Heads; f != nil {
		a.show(f.Formula.Written...)
		a.say("μ is the mean of N, ℓ the logarithm of its variance.")
	} else {
		a.show(`\mu = `+affine("h", "w_mean", "b_mean", true), `\ell = `+affine("h", "w_logvar", "b_logvar", true))
	}
	a.show(`z = \mu + e^{\ell / 2} \odot \epsilon \quad \epsilon \sim \mathcal{N}(0, 1)`)
	return a
}
