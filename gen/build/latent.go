package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// latentScope is the name of the parameters of the latent vector.
const latentScope = "latent"

// Stages are the parts of an autoencoder's forward pass, in their order: the encoder and the heads of the latent vector, the sample, the decoder.
var Stages = []string{"encode", "draw", "decode"}

// Outputs of a training graph that generated code hands out.
const (
	MeanTarget   = "latent:mean"
	LogVarTarget = "latent:logvar"
	SampleTarget = "latent:z"
	RowsTarget   = "rowLoss" // −log p(x|z) of each row
)

// vectors is the width of what a model of vectors reads and writes.
func (b *builder) vectors() graph.Dim {
	return b.named("vectorSize", b.m.Vectors.Size, "numbers of a vector")
}

// latentSize is the width of the latent vector.
func (b *builder) latentSize() graph.Dim {
	return b.named("latentSize", b.m.Latent.Size, "numbers of the latent vector")
}

// trainAutoencoder is a training step of a variational autoencoder (Kingma and Welling 2014): the loss is −log p(x|z) plus the divergence of the latent
// vector's distribution from its prior, times a weight that is another one in each step.
func (b *builder) trainAutoencoder() {
	b.r.Train = b.G
	x := b.G.Input("vectors", graph.Data, graph.F32, graph.Shape{batch, b.vectors()})
	weight := b.G.Input("klWeight", graph.Scalar, graph.F32, nil)

	b.Stage = "encode"
	mean, logvar := b.heads(b.layers(b.m.Encoder, x, false))
	b.Stage = "draw"
	b.streams++
	z := b.Apply(op.GaussianSample, []string{latentScope + ".z"}, graph.Attrs{{Key: "stream", Val: b.streams}}, mean, logvar)[0]
	b.Stage = "decode"
	y := b.layers(b.m.Layers, z, true)
	b.Stage = ""

	b.Phase, b.Scope, b.Origin = graph.Loss, "", b.at(b.m.Likelihood.Pos, "likelihood")
	loss, attrs := op.BernoulliLoss, graph.Attrs(nil)
	if l := b.m.Likelihood; l.Kind == "gaussian" {
		loss, attrs = op.GaussianLoss, graph.Attrs{{Key: "deviation", Val: l.Deviation}}
	}
	reconstruction := b.Apply(loss, []string{"reconstruction", "rowLoss"}, attrs, y, x)
	b.bound(reconstruction[0], mean, logvar, weight)
	for _, o := range []struct {
		v      *graph.Value
		target string
	}{{mean, MeanTarget}, {logvar, LogVarTarget}, {z, SampleTarget}, {reconstruction[1], RowsTarget}} {
		b.G.Output(o.v, o.target)
	}
}

// bound gives the loss: the reconstruction's plus the weighted divergence, the negative evidence lower bound where the weight is 1.
func (b *builder) bound(reconstruction, mean, logvar, weight *graph.Value) {
	l := b.m.Latent
	b.Origin = b.at(l.Pos, latentScope)
	kl := b.Apply(op.GaussianKL, []string{"kl", "klDims"}, graph.Attrs{{Key: "free", Val: l.FreeDimension}, {Key: "free_total", Val: l.FreeTotal}}, mean, logvar)[0]
	weighted := b.Apply(op.Mul, []string{"weightedKL"}, nil, weight, kl)[0]
	b.G.Output(b.Apply(op.Add, []string{"loss"}, nil, reconstruction, weighted)[0], "loss")
}

// heads gives the mean and the logarithm of the variance of the latent vector from the encoder's features h.
func (b *builder) heads(h *graph.Value) (mean, logvar *graph.Value) {
	l := b.m.Latent
	b.Scope, b.Origin = latentScope, b.at(l.Pos, latentScope)
	if b.training {
		b.r.Layers = append(b.r.Layers, Layer{Name: latentScope, Kind: "gaussian", Width: l.Size})
	}
	head := func(name string) *graph.Value {
		y := b.latentProduct(h, "w_"+name, b.latentSize(), name)
		bias := b.param(latentScope, "b_"+name, graph.Shape{b.latentSize()}, 0, 0, latentScope, matrix(l.BiasInit, h.Shape.Last().N, l.Size))
		return b.Apply(op.AddBias, []string{latentScope + "." + name}, nil, y, bias)[0]
	}
	return head("mean"), head("logvar")
}

// latentProduct is x·w, with a matrix of the latent vector.
func (b *builder) latentProduct(x *graph.Value, field string, width graph.Dim, name string) *graph.Value {
	in := x.Shape.Last()
	w := b.param(latentScope, field, graph.Shape{in, width}, 0, 0, latentScope, matrix(b.m.Latent.Init, in.N, width.N))
	return b.Apply(op.MatMul, []string{latentScope + "." + name}, nil, x, w)[0]
}
