package spec

import "math"

func layerName() *key {
	return may("name", nameType, "the layer's kind, then with 2, 3, … behind it",
		"Name of the layer: of its parameters in code and checkpoints, and of its row in every summary.")
}

var activations = choice("activation", "The function that a layer applies to each feature.",
	word{name: "none", doc: "The value itself.", also: []string{"linear", "identity"}},
	word{name: "tanh", doc: "The hyperbolic tangent."},
	word{name: "relu", doc: "max(x, 0)."},
	word{name: "leaky_relu", doc: "x where it is above 0, slope·x elsewhere (Maas et al. 2013).",
		also: []string{"leaky", "lrelu", "leakyrelu"}, typ: object("",
			with("slope", share(), 0.2,
				"What negative values are multiplied with; 0.2 is that of Radford et al. 2016.").called("alpha",
				"negative_slope", "leak")).shortFor("slope")},
	word{name: "sigmoid", doc: "1/(1+e⁻ˣ).", also: []string{"logistic"}},
)

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
