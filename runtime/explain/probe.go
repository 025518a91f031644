package explain

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Value is a value of a pass that has one row of features an example: all of it, or the row of its last step.
type Value struct {
	Tap   string // its name
	Layer int    // among the layers of a loop; −1 outside of one
}

// String is "latent.z", or "blocks.xNext, layer 2".
func (v Value) String() string {
	if v.Layer < 0 {
		return v.Tap
	}
	return fmt.Sprintf("%s, layer %d", v.Tap, v.Layer+1)
}

// row is the value of a pass, or nil where the pass has none: of a value over a text the row of its last token.
func (v Value) row(p *Pass) []float32 {
	t := p.Tap(v.Tap)
	if t == nil || len(t.Value) == 0 {
		return nil
	}
	n := len(t.Axes)
	width := t.Shape[n-1]
	x := t.Value
	if v.Layer >= 0 {
		if t.Axes[0] != "layer" || v.Layer >= t.Shape[0] {
			return nil
		}
		size := len(x) / t.Shape[0]
		x = x[v.Layer*size:][:size]
	}
	return x[len(x)-width:]
}

// Values lists the values of a pass that a probe can read: inputs, embeddings, what layers give, states, streams
// and the
// latent vector, those of loops over layers one by one.
func Values(p *Pass) []Value {
	kinds := []string{model.TapInput, model.TapEmbedding, model.TapLayer, model.TapStream, model.TapState,
		model.TapLatent}
	var all []Value
	for _, t := range p.Taps {
		n := len(t.Axes)
		if !slices.Contains(kinds, t.Kind) || n == 0 || t.Axes[n-1] != "feature" {
			continue
		}
		axes := t.Axes[:n-1]
		layers := 0
		if len(axes) > 0 && axes[0] == "layer" {
			layers, axes = t.Shape[0], axes[1:]
		}
		if len(axes) > 1 || len(axes) == 1 && axes[0] == "layer" {
			continue
		}
		if layers == 0 {
			all = append(all, Value{t.Name, -1})
		}
		for l := range layers {
			all = append(all, Value{t.Name, l})
		}
	}
	return all
}

// Rows runs the pass over examples and gives a row of each value for each of them: [value][example·features].
func (e *Explainer) Rows(ctx context.Context, examples []*model.Batch, values []Value) ([][]float32, error) {
	all := make([][]float32, len(values))
	for i, b := range examples {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p, err := e.Run(b)
		if err != nil {
			return nil, fmt.Errorf("example %d: %w", i+1, err)
		}
		for k, v := range values {
			row := v.row(p)
			if row == nil {
				return nil, fmt.Errorf("the model has no value %s with a row an example", v)
			}
			all[k] = append(all[k], row...)
		}
	}
	return all, nil
}

// ProbeOptions say how a probe is trained. The zero value of a field means what its comment says.
type ProbeOptions struct {
	Held     float64 // share of the examples that it is judged by; 0 for 0.3
	Seed     uint64  // of the split and of the shuffled labels
	Decay    float64 // what the squared length of the weights is multiplied with in the loss; 0 for 0.001
	Shuffles int     // times that the labels are shuffled; 0 for 3
}

// Probe is what a linear classifier reads of labels in values (Alain and Bengio 2016), on examples that it was not
// trained on.
type Probe struct {
	Features, Classes int
	Train, Held       int     // examples
	Accuracy          float64 // share of held-out examples whose label it reads
	Error             float64 // standard error of that
	Loss              float64 // mean of −log p of the label, in nats
	Majority          float64 // share of the label that is most frequent in training
	Shuffled          float64 // share of probes that were trained with shuffled labels (Hewitt and Liang 2019)
	Trained           float64 // share of the examples that it was trained on
}

// LinearProbe trains p(label|x) = softmax(x·W + b) on a share of examples, x [examples, features], each feature brought
// to mean 0 and variance 1 over these, and judges it by the rest. The loss is convex, and is made small by accelerated
// gradient descent (Nesterov 1983) with the step 1/L, L being a bound on its curvature; so there is nothing to
// tune, and
// the same examples give the same probe. Labels are counted from 0.
func LinearProbe(x []float32, labels []int, o ProbeOptions) (*Probe, error) {
	n := len(labels)
	if n == 0 || len(x)%n != 0 || len(x) == 0 {
		return nil, fmt.Errorf("%d labels do not fit %d numbers", n, len(x))
	}
	width, classes := len(x)/n, 0
	for i, l := range labels {
		if l < 0 {
			return nil, fmt.Errorf("label %d is %d; labels are counted from 0", i+1, l)
		}
		classes = max(classes, l+1)
	}
	held := o.Held
	if held == 0 {
		held = 0.3
	}
	out := int(math.Round(held * float64(n)))
	if out < 1 || n-out < 2 || !(held > 0 && held < 1) {
		return nil, fmt.Errorf("%d examples cannot be split into some to train on and a share of %v to judge by", n,
			held)
	}
	if len(x) > 1<<27 || classes > 1<<16 {
		return nil, fmt.Errorf("%d examples of %d features and %d labels are too many for a probe", n, width, classes)
	}
	r := rand.New(rand.NewPCG(o.Seed, 0x9e3779b97f4a7c15))
	order := r.Perm(n)
	p := &prober{width: width, classes: classes, decay: float32(o.Decay)}
	if p.decay == 0 {
		p.decay = 1e-3
	}
	pick := func(of []int) (rows []float32, y []int) {
		for _, i := range of {
			rows = append(rows, x[i*width:][:width]...)
			y = append(y, labels[i])
		}
		return rows, y
	}
	test, testLabels := pick(order[:out])
	p.x, p.y = pick(order[out:])
	if err := p.standardize(test); err != nil {
		return nil, err
	}
	count := make([]int, classes)
	for _, l := range p.y {
		count[l]++
	}
	most, kinds := 0, 0
	for l, c := range count {
		if c > count[most] {
			most = l
		}
		if c > 0 {
			kinds++
		}
	}
	if kinds < 2 {
		return nil, errors.New("the examples have one label alone, of which there is nothing to read")
	}
	w := p.fit(p.y)
	result := &Probe{Features: width, Classes: kinds, Train: n - out, Held: out}
	result.Accuracy, result.Loss = p.judge(w, test, testLabels)
	result.Trained, _ = p.judge(w, p.x, p.y)
	result.Error = math.Sqrt(result.Accuracy * (1 - result.Accuracy) / float64(out))
	for _, l := range testLabels {
		if l == most {
			result.Majority += 1 / float64(out)
		}
	}
	shuffles := o.Shuffles
	if shuffles == 0 {
		shuffles = 3
	}
	for range shuffles {
		y := slices.Clone(p.y)
		r.Shuffle(len(y), func(i, j int) { y[i], y[j] = y[j], y[i] })
		a, _ := p.judge(p.fit(y), test, testLabels)
		result.Shuffled += a / float64(shuffles)
	}
	return result, nil
}

// prober is a probe while it is trained.
type prober struct {
	width, classes int
	decay          float32
	x              []float32 // [examples, width]
	y              []int
	curve          float64 // bound of the curvature; 0 before it is known
}

// standardize brings features to mean 0 and variance 1 over the examples of training, those of others along with them.
func (p *prober) standardize(others []float32) error {
	n := float64(len(p.y))
	for f := range p.width {
		mean, square := 0.0, 0.0
		for i := f; i < len(p.x); i += p.width {
			mean += float64(p.x[i]) / n
		}
		for i := f; i < len(p.x); i += p.width {
			off := float64(p.x[i]) - mean
			square += off * off / n
		}
		if math.IsNaN(square) || math.IsInf(square, 0) {
			return fmt.Errorf("feature %d is not finite", f+1)
		}
		scale := 0.0 // a feature that is always the same says nothing
		if square > 1e-12*(mean*mean+1e-12) {
			scale = 1 / math.Sqrt(square)
		}
		for _, rows := range [][]float32{p.x, others} {
			for i := f; i < len(rows); i += p.width {
				rows[i] = float32((float64(rows[i]) - mean) * scale)
			}
		}
	}
	return nil
}

// scores are the probabilities of the classes for rows, [rows, classes], with weights [width + 1, classes], the
// last row
// being biases.
func (p *prober) scores(w, rows []float32) []float32 {
	n := len(rows) / p.width
	to := make([]float32, n*p.classes)
	kernel.GemmNN(to, rows, w[:p.width*p.classes], n, p.classes, p.width, kernel.Bias(w[p.width*p.classes:]))
	for i := range n {
		row := to[i*p.classes:][:p.classes]
		prob, _ := Softmax(row)
		for c, x := range prob {
			row[c] = float32(x)
		}
	}
	return to
}

// judge gives the share of rows whose label is the likeliest, and the mean of −log of its probability.
func (p *prober) judge(w, rows []float32, labels []int) (accuracy, loss float64) {
	all := p.scores(w, rows)
	for i, l := range labels {
		to := all[i*p.classes:][:p.classes]
		best := 0
		for c, v := range to {
			if v > to[best] {
				best = c
			}
		}
		if best == l {
			accuracy += 1 / float64(len(labels))
		}
		loss -= math.Log(max(float64(to[l]), 1e-45)) / float64(len(labels))
	}
	return accuracy, loss
}

// curvature bounds that of the loss: half the largest eigenvalue of XᵀX/n, found by power iteration, of rows with a 1
// behind their features, and the decay.
func (p *prober) curvature() float64 {
	if p.curve > 0 {
		return p.curve
	}
	n, width := len(p.y), p.width
	v, next, dots := make([]float32, width), make([]float32, width), make([]float32, n)
	for i := range v {
		v[i] = float32(1 / math.Sqrt(float64(width)))
	}
	largest := 0.0
	for range 30 {
		kernel.GemmNN(dots, p.x, v, n, 1, width)
		kernel.GemmTN(next, p.x, dots, width, 1, n)
		largest = 0
		for _, x := range next {
			largest += float64(x) * float64(x)
		}
		if largest = math.Sqrt(largest); largest == 0 {
			break
		}
		for f := range v {
			v[f] = next[f] / float32(largest)
		}
	}
	// Features have a mean of 0, so that the bias is an eigenvector of its own; the iteration comes from below.
	p.curve = 1.1*max(1, largest/float64(n))/2 + float64(p.decay)
	return p.curve
}

// fit gives the weights for labels y.
func (p *prober) fit(y []int) []float32 {
	const most = 300
	n, size := len(y), (p.width+1)*p.classes
	w, ahead, last, grad := make([]float32, size), make([]float32, size), make([]float32, size), make([]float32, size)
	step := float32(1 / p.curvature())
	t := 1.0
	for range most {
		d := p.scores(ahead, p.x)
		for i, l := range y {
			d[i*p.classes+l]--
		}
		kernel.GemmTN(grad[:p.width*p.classes], p.x, d, p.width, p.classes, n)
		bias := grad[p.width*p.classes:]
		clear(bias)
		for i, x := range d {
			bias[i%p.classes] += x
		}
		copy(last, w)
		uphill, slope := 0.0, 0.0
		for i := range w {
			g := grad[i] / float32(n)
			if i < p.width*p.classes {
				g += p.decay * ahead[i]
			}
			w[i] = ahead[i] - float32(step*g)
			slope += float64(g) * float64(g)
			uphill += float64(w[i]-last[i]) * float64(g)
		}
		if slope < 1e-10 {
			break
		}
		next := (1 + math.Sqrt(1+4*t*t)) / 2
		if uphill > 0 { // the momentum begins anew (O'Donoghue and Candès 2015)
			t, next = 1, 1
		}
		by := float32((t - 1) / next)
		for i := range w {
			ahead[i] = w[i] + float32(by*(w[i]-last[i]))
		}
		t = next
	}
	return w
}
