package spec

import "fmt"

func init() {
	word := word{name: "conv1d", doc: "f(window·W + b) of the windows of time steps that begin at each step, zeros " +
		"behind the last, for filters of several widths side by side (Kim 2014).",
		also: []string{"conv", "convolution", "cnn"}, typ: object("",
			layerName(),
			need("widths", list(integer(1, maxShape), 1, maxStack),
				"Time steps of the filters' windows, in rising order.").called("width", "kernel_size", "kernels",
				"sizes"),
			need("filters", integer(1, maxWidth), "Filters of each width.").called("units", "channels", "out_channels",
				"features", "size"),
			with("activation", activations, "relu", "The function f.").called("act", "nonlinearity"),
			may("init", initType, uniformMatrix, "How the filters start.").called("kernel_init", "initializer"),
			may("init_bias", initType, uniformBias, "How the biases start.").called("bias_init"))}
	register(record{name: "conv1d", group: neighbours, shares: true, overTime: true, windows: true,
		word: word.in(inDiscriminator), check: (*layers).conv})
}

// Conv1D is filters over windows of time steps, of several widths side by side (Kim 2014). Width is the number of all
// filters.
type Conv1D struct {
	LayerBase
	Widths     []int // time steps of a window, each larger than the one before
	Filters    int   // of each width
	Activation string
	Slope      float64
	Init       Init // of the filters
	BiasInit   Init
}

func (c *layers) conv(v *value, base LayerBase, in int, _ bool) Layer {
	widths := v.set.key("widths")
	l := &Conv1D{LayerBase: base, Filters: int(v.set.key("filters").integer), Activation: v.set.key("activation").word,
		Slope: v.set.key("activation").set.key("slope").number}
	total := 0
	for i, w := range widths.list {
		if w.bad {
			continue
		}
		n := int(w.integer)
		switch {
		case i > 0 && len(l.Widths) > 0 && n <= l.Widths[len(l.Widths)-1]:
			c.errorf(w.Pos, "conv1d.widths: %d does not follow on %d; give each width once, in rising order", n,
				l.Widths[len(l.Widths)-1])
			continue
		case n > c.shape.Steps:
			c.errorf(w.Pos, "conv1d.widths: a window of %d steps is longer than a line, which has %d; lower it", n,
				c.shape.Steps)
		}
		l.Widths = append(l.Widths, n)
		total += n
	}
	l.Width = len(l.Widths) * l.Filters
	widest := 1
	if len(l.Widths) > 0 {
		widest = l.Widths[len(l.Widths)-1]
	}
	l.Init, l.BiasInit = c.standard(v, in*widest)
	c.count(v, int64(total)*int64(in)*int64(l.Filters)+int64(l.Width), max(l.Width, total*in))
	return l
}

func (l *Conv1D) architecture() string {
	s := fmt.Sprintf("conv1d %s widths=%v filters=%d activation=%s", l.Name, l.Widths, l.Filters, l.Activation)
	if l.Activation == "leaky_relu" && l.Slope != 0.2 { // which is the default, and was all that there was
		s += fmt.Sprintf(" slope=%v", l.Slope)
	}
	return s
}
