package spec

import "math"

// latentName is the name of the latent vector's parameters, which no layer can have.
const latentName = "latent"

// checkVAE makes the Model of a spec of kind vae.
func checkVAE(c *checker, root *value) *Model {
	if root.bad {
		return nil
	}
	m := c.model(root)
	m.Shape.Steps = 1
	if s := root.key("shape").key("steps"); s.given {
		c.errorf(s.Pos, "shape.steps: vectors have no time steps; leave it out")
	}
	vectors := root.key("vectors")
	m.Vectors = &Vectors{Pos: vectors.Pos, Size: int(vectors.key("size").integer)}
	m.Likelihood = c.likelihood(root.key("likelihood"))

	encoder, decoder, latent := root.key("encoder"), root.key("decoder"), root.key("latent")
	size := int(latent.key("size").integer)
	names := c.names(append(append([]*value{}, encoder.list...), decoder.list...))
	c.notLatent(append(append([]*value{}, encoder.list...), decoder.list...), names)
	split := min(len(encoder.list), len(names))
	e := layers{checker: c, path: "encoder", role: vectorReader, in: m.Vectors.Size, shape: m.Shape, init: root.key("init")}
	m.Encoder = e.check(encoder, names[:split])
	width := 0
	if n := len(m.Encoder); n > 0 && !e.unknown {
		width = m.Encoder[n-1].OutputWidth()
	}
	e.count(latent, 2*int64(size)*int64(width+1), 2*size)
	m.Latent = c.latent(latent, size, width, root.key("init"))
	d := layers{checker: c, path: "decoder", role: vectorWriter, in: size, vocab: m.Vectors.Size, shape: m.Shape, init: root.key("init"),
		params: e.params, tooMany: e.tooMany}
	m.Layers = d.check(decoder, names[split:])
	c.training(root, m)
	if s := root.key("train").key("separator"); s.given {
		c.errorf(s.Pos, "train.separator: vectors are not text; leave it out")
	}
	c.annealing(latent.key("annealing"), m)
	return m
}

// notLatent refuses layers whose name is that of the latent vector.
func (c *checker) notLatent(layers []*value, names []string) {
	for i, v := range layers {
		if n := v.set.key("name"); names[i] == latentName {
			c.errorf(n.Pos, "%s.name: %q is the name of the latent vector's own parameters; choose another", v.word, latentName)
		}
	}
}

func (c *checker) likelihood(v *value) *Likelihood {
	return &Likelihood{Pos: v.Pos, Kind: v.word, Deviation: v.set.key("deviation").number}
}

// latent checks the latent vector, whose heads read width features.
func (c *checker) latent(v *value, size, width int, init *value) *Latent {
	free, own := v.key("free_bits"), v.key("init")
	l := &Latent{
		Pos: v.Pos, Size: size, Beta: v.key("beta").number,
		FreeTotal: free.key("total").number, FreeDimension: free.key("dimension").number,
	}
	uniform := func(in int) Init {
		return Init{Pos: v.Pos, Scheme: "uniform", Scale: 1 / math.Sqrt(float64(max(in, 1)))}
	}
	l.Init = c.initial(own, c.initial(init, uniform(width)))
	l.BiasInit = uniform(width)
	if own.given || init.given {
		l.BiasInit = Init{Pos: v.Pos, Scheme: "zeros"}
	}
	a := v.key("annealing")
	l.Annealing = Annealing{
		Pos: a.Pos, Kind: a.word, Steps: int(a.set.key("steps").integer), Cycles: int(a.set.key("cycles").integer),
		Ramp: a.set.key("ramp").number, Start: a.set.key("start").number,
		Middle: int(a.set.key("middle").integer), Slope: a.set.key("slope").number,
	}
	return l
}

// annealing checks that the weight of the divergence has risen before the training ends.
func (c *checker) annealing(v *value, m *Model) {
	end := m.Latent.Annealing.End()
	if v.bad || m.Train.Steps == 0 || end <= m.Train.Steps {
		return
	}
	c.errorf(v.Pos, "latent.annealing.%s: the weight of the divergence has risen after %d steps, but the training has %d; shorten the one or lengthen the other", v.word, end, m.Train.Steps)
}

// End is the number of steps after which the weight stays at beta; for a sigmoid, after which it is above 99 % of it.
func (a *Annealing) End() int {
	switch a.Kind {
	case "linear":
		return a.Steps
	case "cyclical":
		return a.Steps * max(a.Cycles, 1)
	case "sigmoid":
		if a.Slope > 0 {
			return a.Middle + int(math.Ceil(math.Log(99)/a.Slope))
		}
	}
	return 0
}
