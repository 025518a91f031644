package spec

import "fmt"

func init() {
	word := word{name: "feedforward", doc: "f(x·W + b)·V + c of each token: what a Transformer has beside its " +
		"attention, with nothing added or normalised around it.", also: []string{"feed_forward", "ffn", "mlp", "ff"},
		typ: object("",
			layerName(),
			may("hidden", integer(1, maxWidth),
				"4·width; for swiglu, geglu and geglu_tanh 8/3·width, rounded up to a multiple of 32",
				"Width between the two products.").called("ffn", "ff", "d_ff", "hidden_size", "dim_feedforward",
				"intermediate_size", "size", "units"),
			with("activation", hiddenActivations, "gelu", "The function f.").called("act", "nonlinearity",
				"activation_function"),
			with("bias", boolean(), true, "Whether the products add a bias.").called("use_bias", "biases"),
			with("dropout", share(), 0.0,
				"Probability with which a feature between the two products is dropped in training.").called("rate",
				"hidden_dropout"),
			may("init", initType, "the model's `init`; else normal 0.02 in a stack with attention, uniform "+
				"±1/√inputs in others", "How the matrices start.").called("initializer", "kernel_init"),
			may("init_out", initType, "the layer's `init`; where that is normal, its scale is divided by the root of "+
				"the number of `attention` and `feedforward` layers in the stack",
				"How the last matrix starts.").called("init_residual", "residual_init"),
			may("init_bias", initType, "zeros", "How the biases start.").called("bias_init"))}
	register(record{name: "feedforward", group: rows, shares: true, parts: 1, word: word.in(everywhere...),
		check: (*layers).feedforward})
}

// Feedforward is f(x·W + b)·V + c, without norms or sums around it.
type Feedforward struct {
	LayerBase
	Hidden     int
	Activation string
	Bias       bool
	Dropout    float64 // between the products
	Init       Init
	InitOut    Init
	BiasInit   Init
}

// Gated tells whether the first product is two, one of which is the gate of the other.
func (l *Feedforward) Gated() bool { return Gated(l.Activation) }

func (c *layers) feedforward(v *value, base LayerBase, in int, _ bool) Layer {
	set := v.set
	l := &Feedforward{LayerBase: base, Hidden: int(set.key("hidden").integer), Activation: set.key("activation").word,
		Bias: set.key("bias").flag, Dropout: set.key("dropout").number}
	l.Width = in
	if !set.key("hidden").given {
		l.Hidden = 4 * in
		if l.Gated() {
			l.Hidden = (8*in + 95) / 96 * 32
		}
	}
	matrix, _ := c.standard(v, in)
	if c.transformers {
		matrix = c.initial(set.key("init"), c.initial(c.init, small(v)))
	}
	l.Init = matrix
	l.InitOut = c.initial(set.key("init_out"), c.shrunk(l.Init))
	bias := set.key("init_bias")
	l.BiasInit = c.initial(bias, Init{Pos: v.Pos, Scheme: "zeros"})
	if bias.given && !bias.bad && !l.Bias && !set.key("bias").bad {
		c.errorf(bias.Pos, "feedforward.init_bias: the layer has no biases")
	}
	w, hidden, up := int64(in), int64(l.Hidden), int64(l.Hidden)
	if l.Gated() {
		up *= 2
	}
	c.count(v, (w+1)*up+(hidden+1)*w, int(up))
	return l
}

func (l *Feedforward) architecture() string {
	return fmt.Sprintf("feedforward %s size=%d hidden=%d activation=%s bias=%t", l.Name, l.Width, l.Hidden,
		l.Activation, l.Bias)
}
