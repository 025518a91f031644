package spec

import "math"

func layerName() *key {
	return may("name", nameType, "the layer's kind, then with 2, 3, … behind it",
		"Name of the layer: of its parameters in code and checkpoints, and of its row in every summary.")
}

// standard is how a layer's matrix and bias start that reads in features, where neither layer nor model says otherwise.
func (c *layers) standard(v *value, in int) (matrix, bias Init) {
	uniform := Init{Pos: v.Pos, Scheme: "uniform", Scale: 1}
	if in > 0 {
		uniform.Scale = 1 / math.Sqrt(float64(in))
	}
	own := v.set.key("init")
	matrix, bias = c.initial(own, c.initial(c.init, uniform)), uniform
	if own.given || c.init.given {
		bias = Init{Pos: v.Pos, Scheme: "zeros"}
	}
	return matrix, c.initial(v.set.key("init_bias"), bias)
}
