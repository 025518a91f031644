package build

import (
	"cmp"
	"fmt"

	"github.com/gradsmith/gradsmith/gen/grad"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

// adversarial makes the graphs of a generator and a discriminator: a step of each, and what samples and verdicts need.
func (m *Model) adversarial() error {
	d := newBuilder(m, "discriminate")
	d.training = true
	m.Discriminate = d.G
	if err := d.discriminate(); err != nil {
		return err
	}
	g := newBuilder(m, "generate")
	g.training = true
	g.streams = d.streams // masks of its own
	m.Train = g.G
	g.generate()

	s := newBuilder(m, "make")
	m.Make = s.G
	s.G.Output(s.generator(s.noise()), "made")

	j := newBuilder(m, "judge")
	m.Judge = j.G
	j.G.Output(j.verdict(j.data(), ""), "verdict")
	return nil
}

func (b *builder) data() *graph.Value {
	return b.G.Input("vectors", graph.Data, graph.F32, graph.Shape{batch, b.vectors()})
}

func (b *builder) noise() *graph.Value {
	return b.G.Input("noise", graph.Data, graph.F32,
		graph.Shape{batch, b.named("noiseSize", b.m.GAN.Noise.Size, "numbers that a vector is made of")})
}

// features is the width of a dense layer: that of the vectors or of the verdict, for the last of a network.
func (b *builder) features(l *spec.Dense) graph.Dim {
	switch {
	case l == b.m.Layers[len(b.m.Layers)-1]:
		return b.vectors()
	case l == b.m.GAN.Discriminator[len(b.m.GAN.Discriminator)-1]:
		return graph.Const(1, "")
	}
	return b.width(l, "units", "width of the dense layer")
}

// judged is the width of what the discriminator reads.
func (b *builder) judged() graph.Dim {
	return b.labelledWidth("discriminator", "numbers of a vector", b.vectors())
}

func (b *builder) generator(noise *graph.Value) *graph.Value {
	b.judging, b.pass, b.Pass = false, "", "made"
	return b.layers(b.m.Layers, b.labelled("generator", "noiseLabelled", "numbers of the noise", noise), false)
}

// verdict applies the discriminator to x, in the pass of that name.
func (b *builder) verdict(x *graph.Value, pass string) *graph.Value {
	return b.judge(b.observe(x, pass))
}

// observe applies all but the last layer of the discriminator: what that one reads are the features of x.
func (b *builder) observe(x *graph.Value, pass string) *graph.Value {
	b.judging = true
	b.spectralNorms()
	b.pass, b.Pass = pass, pass
	stack := b.m.GAN.Discriminator
	return b.layers(stack[:len(stack)-1],
		b.labelled("discriminator", ident(cmp.Or(pass, "vectors"))+"Labelled", "numbers of a vector", x), false)
}

// spectralNorms divides the matrices of the discriminator that want it, before the first pass over them.
func (b *builder) spectralNorms() {
	b.Pass = "spectral"
	var in graph.Dim // features before the layer
	if b.m.Vectors != nil {
		in = b.judged()
	}
	for l := range spec.Leaves(b.m.GAN.Discriminator) {
		d, ok := l.(*spec.Dense)
		if !ok {
			if _, drops := l.(*spec.Dropout); !drops {
				in = graph.Const(l.OutputWidth(), "")
			}
			continue
		}
		out := b.features(d)
		if w := spec.Base(d).In; in.N != w { // in a composite
			in = graph.Const(w, "")
		}
		if d.Spectral {
			b.enter(d)
			b.spectrally(d, b.param(d.Name, "w", graph.Shape{in, out}, 0, 0, d.Name, matrix(d.Init, in.N, d.Width)))
			if d.Bias { // the parameters of a layer are defined together
				b.param(d.Name, "b", graph.Shape{out}, 0, 0, d.Name, matrix(d.BiasInit, in.N, d.Width))
			}
		}
		in = out
	}
}

func (b *builder) judge(features *graph.Value) *graph.Value {
	stack := b.m.GAN.Discriminator
	return b.layers(stack[len(stack)-1:], features, false)
}

// spectrally divides the matrix w of a layer by an estimate of its largest singular value (Miyato et al. 2018,
// algorithm 1). In the discriminator's step one step of power iteration improves the estimate, and leaves the vector u
// from which the next goes on. With our matrices, which are [in, out], v = uᵀW/‖uᵀW‖, u = Wv/‖Wv‖ and the value is
// uᵀWv; elsewhere it is that with the u that there is. The vectors are constants to gradients.
func (b *builder) spectrally(l *spec.Dense, w *graph.Value) *graph.Value {
	if y := b.spectral[l.Name]; y != nil {
		return y
	}
	in, out := w.Shape[0], w.Shape[1]
	one := graph.Const(1, "")
	// with which the power iteration goes on
	last := b.param(l.Name, "u", graph.Shape{one, in}, 0, 0, l.Name, Init{Scheme: "normal", Scale: 1})
	for _, p := range b.r.Params {
		p.Fixed = p.Fixed || p.Name() == last.Name
	}
	apply := func(o *graph.Op, name string, attrs graph.Attrs, args ...*graph.Value) *graph.Value {
		return b.Apply(o, []string{l.Name + "." + name}, attrs, args...)[0]
	}
	u := apply(op.Normalize, "unit", nil, last)
	v := apply(op.Normalize, "v", nil, apply(op.MatMul, "uw", nil, u, w))
	if b.G == b.r.Discriminate {
		u = apply(op.Normalize, "uNext", nil, apply(op.MatMul, "wv", graph.Attrs{{Key: "tb", Val: true}}, v, w))
		b.G.Output(u, "keep:"+last.Name)
	}
	sigma := apply(op.DotRows, "sigma", nil, apply(op.MatMul, "uw", nil, u, w), v)
	inverse := apply(op.Div, "inverse", nil, apply(op.Ones, "one", graph.Attrs{{Key: "shape", Val: sigma.Shape}}),
		sigma)
	flat := apply(op.Reshape, "wFlat", graph.Attrs{{Key: "shape", Val: graph.Shape{one, graph.Mul(in, out)}}}, w)
	scaled := apply(op.ScaleRows, "wUnit", nil, flat, inverse)
	y := apply(op.Reshape, "wUnit", graph.Attrs{{Key: "shape", Val: w.Shape}}, scaled)
	b.spectral[l.Name] = y
	return y
}

// loss is a builder of terms of a loss, each a column of the batch.
type loss struct{ *builder }

func (b *builder) losses() loss {
	b.Phase, b.Scope, b.Pass, b.Origin = graph.Loss, "loss", "loss", b.at(b.m.Loss.Pos, "loss")
	return loss{b}
}

func (l loss) one(o *graph.Op, name string, attrs graph.Attrs, args ...*graph.Value) *graph.Value {
	return l.Apply(o, []string{name}, attrs, args...)[0]
}

func (l loss) scale(name string, by float64, x *graph.Value) *graph.Value {
	return l.one(op.Scale, name, graph.Attrs{{Key: "by", Val: by}}, x)
}

func (l loss) affine(name string, by float64, x *graph.Value, plus float64) *graph.Value {
	return l.one(op.Affine, name, graph.Attrs{{Key: "by", Val: by}, {Key: "plus", Val: plus}}, x)
}

// is is −log of the probability σ(x) that x is of the data, isNot that of 1 − σ(x).
func (l loss) is(name string, x *graph.Value) *graph.Value {
	return l.one(op.Softplus, name, nil, l.scale(name+"Logit", -1, x))
}
func (l loss) isNot(name string, x *graph.Value) *graph.Value {
	return l.one(op.Softplus, name, nil, x)
}

// square is ½(x − at)².
func (l loss) square(name string, x *graph.Value, at float64) *graph.Value {
	if at != 0 {
		x = l.affine(name+"Off", 1, x, -at)
	}
	return l.scale(name, 0.5, l.one(op.Mul, name+"Squared", nil, x, x))
}

// discriminator gives the discriminator's loss of each pair of verdicts.
func (l loss) discriminator(real, fake *graph.Value) *graph.Value {
	smoothing := l.m.Loss.LabelSmoothing
	sum := func(a, b *graph.Value) *graph.Value { return l.one(op.Add, "pairLoss", nil, a, b) }
	switch l.m.Loss.Kind {
	case "minimax", "non_saturating":
		onReal := l.is("realLoss", real)
		if smoothing > 0 { // −(1−s)·log σ − s·log(1−σ) = −log σ + s·x
			onReal = l.one(op.Add, "realLoss", nil, onReal, l.scale("smoothed", smoothing, real))
		}
		return sum(onReal, l.isNot("fakeLoss", fake))
	case "least_squares":
		return sum(l.square("realLoss", real, 1-smoothing), l.square("fakeLoss", fake, 0))
	case "hinge":
		return sum(l.one(op.ReLU, "realLoss", nil, l.affine("realGap", -1, real, 1)),
			l.one(op.ReLU, "fakeLoss", nil, l.affine("fakeGap", 1, fake, 1)))
	case "wasserstein":
		return l.one(op.Sub, "pairLoss", nil, fake, real)
	case "relativistic":
		return l.is("pairLoss", l.one(op.Sub, "lead", nil, real, fake))
	}
	panic("build: no adversarial loss " + l.m.Loss.Kind)
}

// generator gives the generator's loss of each verdict; real is read by the relativistic loss alone.
func (l loss) generator(real, fake *graph.Value) *graph.Value {
	switch l.m.Loss.Kind {
	case "minimax":
		return l.scale("fakeLoss", -1, l.isNot("caught", fake))
	case "non_saturating":
		return l.is("fakeLoss", fake)
	case "least_squares":
		return l.square("fakeLoss", fake, 1)
	case "hinge", "wasserstein":
		return l.scale("fakeLoss", -1, fake)
	case "relativistic":
		return l.is("fakeLoss", l.one(op.Sub, "lead", nil, fake, real))
	}
	panic("build: no adversarial loss " + l.m.Loss.Kind)
}

// discriminate is the discriminator's step.
func (b *builder) discriminate() error {
	data, noise := b.data(), b.noise()
	made := b.generator(noise)
	real, fake := b.verdict(data, "real"), b.verdict(made, "fake")
	b.G.Output(real, "real")
	b.G.Output(fake, "fake")
	slope, err := b.slope(data, made, real)
	if err != nil {
		return err
	}
	l := b.losses()
	rows := l.discriminator(real, fake)
	if slope != nil {
		p := b.m.GAN.Penalty
		b.Origin = b.at(p.Pos, "gradient_penalty")
		term := slope
		weight := p.Weight / 2
		if p.Kind == "wgan_gp" {
			// The root of a square of 0 has no gradient: far below what a float32 norm resolves, the square is taken
			// to be above it.
			off := l.affine("slopeOff", 1, l.one(op.Sqrt, "slopeNorm", nil, l.affine("slopeSquare", 1, slope, 1e-12)),
				-1)
			term, weight = l.one(op.Mul, "slopeOffSquared", nil, off, off), p.Weight
		}
		rows = l.one(op.Add, "penalized", nil, rows, l.scale("penalty", weight, term))
	}
	b.G.Output(l.one(op.Mean, "loss", nil, rows), "loss")
	return nil
}

// slope is the squared norm of the gradient of the verdict, at each vector where the penalty is taken; nil without a
// penalty.
func (b *builder) slope(data, made, real *graph.Value) (*graph.Value, error) {
	at, verdict := data, real
	switch b.m.GAN.Penalty.Kind {
	case "":
		return nil, nil
	case "wgan_gp":
		b.Scope, b.Pass, b.Origin = "gradient_penalty", "mixed", b.at(b.m.GAN.Penalty.Pos, "gradient_penalty")
		mix := b.G.Input("mix", graph.Data, graph.F32, graph.Shape{batch})
		toData := b.Apply(op.Sub, []string{"toData"}, nil, data, made)[0]
		at = b.Apply(op.Add, []string{"mixed"}, nil, made,
			b.Apply(op.ScaleRows, []string{"way"}, nil, toData, mix)[0])[0]
		verdict = b.verdict(at, "mixed")
	}
	b.Scope, b.Pass, b.Origin = "gradient_penalty", "slope", b.at(b.m.GAN.Penalty.Pos, "gradient_penalty")
	before := len(b.G.Nodes)
	ones := b.Apply(op.Ones, []string{"dverdict"}, graph.Attrs{{Key: "shape", Val: verdict.Shape}})[0]
	slopes, err := grad.From(b.Builder, verdict, ones, []*graph.Value{at})
	if err != nil {
		return nil, fmt.Errorf("build: gradient penalty: %w", err)
	}
	for _, n := range b.G.Nodes[before:] {
		n.Pass = b.Pass // not of the pass that is differentiated
	}
	return b.Apply(op.DotRows, []string{"slope"}, nil, slopes[0], slopes[0])[0], nil
}

// generate is the generator's step: it differentiates through the discriminator, whose parameters stay.
func (b *builder) generate() {
	made := b.generator(b.noise())
	matching := b.m.GAN.FeatureMatching
	var real, features *graph.Value
	if matching > 0 || b.m.Loss.Kind == "relativistic" {
		features = b.observe(b.data(), "real")
		if b.m.Loss.Kind == "relativistic" {
			real = b.judge(features)
		}
	}
	seen := b.observe(made, "fake")
	fake := b.judge(seen)
	l := b.losses()
	rows := l.generator(real, fake)
	if matching > 0 {
		apart := l.one(op.MeanRows, "apart", nil, l.one(op.Sub, "unlike", nil, seen, features))
		row := l.one(op.Reshape, "apart", graph.Attrs{{Key: "shape", Val: apart.Shape.Stack(graph.Const(1, ""))}},
			apart)
		term := l.scale("matching", matching, l.one(op.DotRows, "distance", nil, row, row))
		one := l.one(op.Reshape, "matching", graph.Attrs{{Key: "shape", Val: graph.Shape{graph.Const(1, "")}}}, term)
		rows = l.one(op.AddBias, "matched", nil, rows, one)
	}
	b.G.Output(l.one(op.Mean, "loss", nil, rows), "loss")
}

// adversarialFormulas are the losses of discriminator and generator, D(x) being the verdict on data, D(G) that on what
// the generator makes, and E the mean over the batch. They stand beside loss.discriminator and loss.generator.
var adversarialFormulas = map[string][2]string{
	"minimax": {`-\mathbb{E}[\log(\sigma(D(x)))] - \mathbb{E}[\log(1 - \sigma(D(G)))]`,
		`\mathbb{E}[\log(1 - \sigma(D(G)))]`},
	"non_saturating": {`-\mathbb{E}[\log(\sigma(D(x)))] - \mathbb{E}[\log(1 - \sigma(D(G)))]`,
		`-\mathbb{E}[\log(\sigma(D(G)))]`},
	"least_squares": {`\frac{\mathbb{E}[(D(x) - 1)^2] + \mathbb{E}[D(G)^2]}{2}`, `\frac{\mathbb{E}[(D(G) - 1)^2]}{2}`},
	"hinge":         {`\mathbb{E}[\max(0, 1 - D(x))] + \mathbb{E}[\max(0, 1 + D(G))]`, `-\mathbb{E}[D(G)]`},
	"wasserstein":   {`\mathbb{E}[D(G)] - \mathbb{E}[D(x)]`, `-\mathbb{E}[D(G)]`},
	"relativistic": {`-\mathbb{E}[\log(\sigma(D(x) - D(G)))]`,
		`-\mathbb{E}[\log(\sigma(D(G) - D(x)))]`},
}

// tellAdversarial tells what the two networks train for.
func tellAdversarial(m *spec.Model) Account {
	var a Account
	what := "vectors that it makes of noise"
	if m.GAN.Text != nil {
		what = "lines that it writes"
	} else {
		d := "the standard normal distribution"
		if m.GAN.Noise.Distribution == "uniform" {
			d = "[−1, 1)"
		}
		a.say("The generator begins with %d numbers drawn from %s.", m.GAN.Noise.Size, d)
	}
	a.say("The discriminator D gives a verdict, high for data x and low for G, %s from the generator; each network "+
		"makes its own loss small. E is the mean over the batch.", what)
	f := adversarialFormulas[m.Loss.Kind]
	d := f[0]
	if s := m.Loss.LabelSmoothing; s > 0 {
		a.say("The label of data is %g in place of 1.", 1-s)
		switch m.Loss.Kind {
		case "least_squares":
			d = `\frac{\mathbb{E}[(D(x) - ` + figure(1-s) + `)^2] + \mathbb{E}[D(G)^2]}{2}`
		default:
			d += " + " + figure(s) + ` \cdot \mathbb{E}[D(x)]`
		}
	}
	g := f[1]
	if w := m.GAN.FeatureMatching; w > 0 {
		a.say("The generator is also asked that the mean features f of the discriminator's last layer are those of " +
			"data (Salimans et al. 2016).")
		g += " + " + figure(w) + ` \cdot \lVert \mathbb{E}[f(G)] - \mathbb{E}[f(x)] \rVert^2`
	}
	if m.GAN.Penalty.Kind != "" {
		d += ` + \text{penalty}`
	}
	a.show(`\mathcal{L}_D = `+d, `\mathcal{L}_G = `+g)
	if n := m.GAN.CriticSteps; n > 1 {
		a.say("The discriminator makes %d steps for each of the generator.", n)
	}
	return a
}

// penaltyFormulas are the terms that bound the discriminator's gradient; the weight is in front of them.
var penaltyFormulas = map[string]string{
	"wgan_gp": `\mathbb{E}[(\lVert \nabla D(u) \rVert - 1)^2] \quad u = G + a \cdot (x - G)`,
	"r1":      `\frac{\mathbb{E}[\lVert \nabla D(x) \rVert^2]}{2}`,
}

func tellPenalty(m *spec.Model) Account {
	var a Account
	p := m.GAN.Penalty
	if p.Kind == "wgan_gp" {
		a.say("The gradient of the verdict is held to a length of 1 at points u drawn at random, with a from 0 to 1, " +
			"on lines between data and what is made (Gulrajani et al. 2017).")
	} else {
		a.say("The gradient of the verdict is held to 0 at the data (Mescheder et al. 2018).")
	}
	a.show(`\text{penalty} = ` + figure(p.Weight) + ` \cdot ` + penaltyFormulas[p.Kind])
	return a
}
