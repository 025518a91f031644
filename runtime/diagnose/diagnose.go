// Package diagnose looks at a training for what goes wrong in one: units without a gradient, norms that explode or
// vanish, layers that do not move, gates that are saturated, attention that looks nowhere or at one place, a latent
// vector that says nothing, a discriminator that has won or learns nothing. Each finding names the layer, its line in
// the spec, and what to change there.
//
// It reads what the training has measured, the gradients that its last step has left, and the values of a pass with
// taps over one example; it changes nothing. It must not know how a model computes, or where findings are shown.
package diagnose

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/explain"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// What findings are of.
const (
	Dead      = "dead units"
	Vanishing = "vanishing gradient"
	Exploding = "exploding norm"
	Still     = "still layer" // it does not move
	Saturated = "saturated gates"
	Nowhere   = "attention that looks nowhere"
	OnePlace  = "attention that looks at one place"
	Collapsed = "posterior collapse"
	Won       = "discriminator that wins"
	Blind     = "discriminator that tells nothing apart"
)

// Finding is something that goes wrong.
type Finding struct {
	Step  int    // steps done
	What  string // one of the above
	Layer string // of the parameters, as "blocks.2"; empty for the whole model
	Place string // in the spec: "poet.yaml:7"; the file alone where the line is not known
	Text  string // what was seen
	Do    string // what to change
}

// String is a line with all of it.
func (f Finding) String() string {
	s := f.Place
	if f.Layer != "" {
		s += " " + f.Layer
	}
	return fmt.Sprintf("%s: %s: %s", s, f.Text, f.Do)
}

// Watcher is a [train.Reporter] that looks for findings, in the steps in which the training measures its layers
// ([train.Options.LayersEvery]). Each is told once.
type Watcher struct {
	m       model.LanguageModel
	info    *model.Info
	tell    func(Finding)
	batch   *model.Batch // of one example
	passes  []*explain.Explainer
	told    map[string]bool
	rows    map[string]int // looks in a row at which something was seen
	seen    map[string]bool
	norms   [100]float64 // of the gradient of the last steps
	steps   int
	fastest float64 // rate so far
	layers  map[string]*history
	units   map[string]*units
	partial bool // only a part of the parameters learns

	divergence, accuracy, real, fake, loss mean
}

// history is what there was of a layer.
type history struct {
	looks     int
	weight    float64     // before the training
	gradients [10]float64 // of the last looks
}

// mean is a mean that forgets.
type mean struct {
	value float64
	n     int
}

func (m *mean) add(x float64) {
	m.n++
	m.value += (x - m.value) * max(0.01, 1/float64(m.n))
}

// patience is how many looks in a row must see something before it is told: one bad batch is no fault.
const patience = 3

// New makes a watcher of a training of m, which tells each finding to tell. b is an example to look into the model
// with, of one sequence; nil looks at gradients and norms alone. partial says that a part of the parameters learns, so
// that others do not move. Without taps gates and attention cannot be seen: [Watcher.Unseen] says so.
func New(m model.LanguageModel, b *model.Batch, partial bool, tell func(Finding)) *Watcher {
	w := &Watcher{m: m, info: m.Info(), tell: tell, batch: b, told: map[string]bool{}, rows: map[string]int{},
		layers: map[string]*history{}, units: map[string]*units{}, partial: partial}
	for _, t := range m.Tensors() {
		h := w.layers[train.LayerOf(t.Name)]
		if h == nil {
			h = &history{}
			w.layers[train.LayerOf(t.Name)] = h
		}
		h.weight = math.Hypot(h.weight, optim.Norm(t.Value))
	}
	if t, ok := m.(model.Tapped); ok && b != nil {
		for _, pass := range t.Taps() {
			if e, err := explain.New(m, pass.Part); err == nil && (pass.Part == "" || pass.Part == "generator" &&
				w.info.Vector == nil) {
				w.passes = append(w.passes, e)
			}
		}
	}
	return w
}

// One is the first example of a batch, as a batch of its own.
func One(b *model.Batch, info *model.Info) *model.Batch {
	column := func(x []int32, steps int) []int32 {
		if len(x) == 0 {
			return nil
		}
		y := make([]int32, steps)
		for t := range y {
			y[t] = x[t*b.Batch]
		}
		return y
	}
	one := &model.Batch{Steps: b.Steps, Batch: 1, Tokens: column(b.Tokens, b.Steps), Targets: column(b.Targets,
		b.Steps),
		SourceSteps: b.SourceSteps, Source: column(b.Source, b.SourceSteps)}
	if len(b.Tokens) > 0 {
		one.Reset = make([]int32, b.Steps)
	}
	if len(b.Labels) > 0 {
		one.Labels = slices.Clone(b.Labels[:1])
	}
	if v := info.Vector; v != nil {
		one.Vectors = slices.Clone(b.Vectors[:v.Width])
	}
	return one
}

// Unseen says what of the model cannot be seen, and what to do about it; empty where all can.
func (w *Watcher) Unseen() string {
	for _, l := range w.info.Layers {
		switch kind, _, _ := strings.Cut(l.Kind, " "); kind {
		case "lstm", "gru", "attention", "transformer":
			if len(w.passes) == 0 && (w.info.Adversary == nil || w.info.Adversary.Text != nil) {
				return fmt.Sprintf("gates and attention are not seen, only gradients and norms: write `taps: true` "+
					"into %s and generate the package again", w.info.Spec)
			}
		}
	}
	return ""
}

// Resumed does nothing.
func (w *Watcher) Resumed(step, total int) {}

// Evaluated does nothing.
func (w *Watcher) Evaluated(train.Evaluation) {}

// Saved does nothing.
func (w *Watcher) Saved(path string, step int) {}

// Warn does nothing.
func (w *Watcher) Warn(text string) {}

// Step takes note of a step, and looks where it was measured.
func (w *Watcher) Step(p train.Progress) {
	w.seen = map[string]bool{}
	w.spike(p)
	w.fastest = max(w.fastest, p.Rate)
	if b := p.Bound; b != nil {
		w.divergence.add(b.Divergence)
	}
	if d := p.Duel; d != nil && *d != (model.Duel{}) {
		w.accuracy.add(d.Accuracy)
		w.real.add(d.Real)
		w.fake.add(d.Fake)
		w.loss.add(d.Discriminator)
	}
	if len(p.Layers) == 0 {
		return
	}
	w.norm(p)
	w.dead(p)
	w.collapsed(p)
	w.duel(p)
	w.inside(p)
	for key := range w.rows { // what was not seen this time begins anew
		if !w.seen[key] {
			delete(w.rows, key)
		}
	}
}

// find takes note of what was seen, and tells it when it has been seen for long enough.
func (w *Watcher) find(f Finding, enough int) {
	key := f.What + " " + f.Layer
	w.seen[key] = true
	w.rows[key]++
	if w.told[key] || w.rows[key] < enough {
		return
	}
	w.told[key] = true
	w.tell(f)
}

// at is the place of a layer, or of a key, in the spec.
func (w *Watcher) at(name string) string {
	if line := w.line(name); line > 0 {
		return fmt.Sprintf("%s:%d", w.info.Spec, line)
	}
	return w.info.Spec
}

// line is that of a layer, or of a key at the top of the spec; 0 where it is not known.
func (w *Watcher) line(name string) int {
	if l := w.layer(name); l != nil {
		return l.Line
	}
	return w.info.Lines[name]
}

// key is a key of the spec with its place.
func (w *Watcher) key(name string) string {
	top, _, _ := strings.Cut(name, ".")
	if line := w.info.Lines[top]; line > 0 {
		return fmt.Sprintf("%s (%s:%d)", name, w.info.Spec, line)
	}
	return name
}

// layer is the layer of the spec that parameters of a name belong to; nil where there is none.
func (w *Watcher) layer(name string) *model.Layer {
	for i := range w.info.Layers {
		if l := &w.info.Layers[i]; name == l.Name || strings.HasPrefix(name, l.Name+".") {
			return l
		}
	}
	return nil
}

// spike finds a gradient that is far longer than those of the last steps.
func (w *Watcher) spike(p train.Progress) {
	n := min(w.steps, len(w.norms))
	if n >= 20 {
		sorted := slices.Clone(w.norms[:n])
		slices.Sort(sorted)
		if m := sorted[n/2]; m > 0 && p.Norm > 100*m {
			w.find(Finding{p.Step, Exploding, "", w.at("optimizer"), fmt.Sprintf("the gradient is %.3g long, %.0f "+
				"times the median of the last %d steps, %.3g", p.Norm, p.Norm/m, n, m),
				fmt.Sprintf("bound it with %s, lower %s, or let train.guard skip such steps", w.key("clip.norm"),
					w.key("optimizer.rate"))}, 1)
		}
	}
	w.norms[w.steps%len(w.norms)] = p.Norm
	w.steps++
}

// norm looks at the norms of layers.
func (w *Watcher) norm(p train.Progress) {
	sizes := map[string]int{}
	for _, t := range w.m.Tensors() {
		sizes[train.LayerOf(t.Name)] += len(t.Value)
	}
	largest := 0.0 // gradient of a parameter, the root of the mean of squares
	for _, l := range p.Layers {
		largest = max(largest, l.Gradient/math.Sqrt(float64(max(1, sizes[l.Layer]))))
	}
	for _, l := range p.Layers {
		h := w.layers[l.Layer]
		if h == nil {
			continue // of another model
		}
		w.growing(p, l, h)
		w.shrinking(p, l, largest, l.Gradient/math.Sqrt(float64(max(1, sizes[l.Layer]))))
		h.gradients[h.looks%len(h.gradients)] = l.Gradient
		h.looks++
	}
}

// growing finds norms that explode.
func (w *Watcher) growing(p train.Progress, l train.Layer, h *history) {
	find := func(enough int, format string, args ...any) {
		w.find(Finding{p.Step, Exploding, l.Layer, w.at(l.Layer), fmt.Sprintf(format, args...),
			fmt.Sprintf("lower %s, give the schedule a warmup, or bound the gradient with %s", w.key("optimizer.rate"),
				w.key("clip.norm"))}, enough)
	}
	n := min(h.looks, len(h.gradients))
	if n >= 5 {
		sorted := slices.Clone(h.gradients[:n])
		slices.Sort(sorted)
		if m := sorted[n/2]; m > 0 && l.Gradient > 100*m {
			find(1, "its gradient is %.3g long, %.0f times what is usual, %.3g", l.Gradient, l.Gradient/m, m)
			return
		}
	}
	switch {
	case l.Weight > 0 && l.Update > 0.05*l.Weight && h.looks > 0:
		find(patience, "a step moves it by %.0f %% of its length, where a thousandth is usual", 100*l.Update/l.Weight)
	case h.weight > 0 && l.Weight > 10*h.weight:
		find(patience, "its parameters are %.3g long, %.0f times what they were at first, %.3g", l.Weight,
			l.Weight/h.weight, h.weight)
	}
}

// shrinking finds gradients that vanish, and layers that do not move. rms is the layer's gradient a parameter, largest
// that of the layer in which it is largest.
func (w *Watcher) shrinking(p train.Progress, l train.Layer, largest, rms float64) {
	staged := w.info.Adversary != nil && w.info.Adversary.Text != nil // of which not all move in each step
	if l.Update == 0 && (w.partial || staged) {
		return
	}
	slow := p.Rate < 0.1*w.fastest // the schedule has let the rate fall
	switch {
	case l.Weight == 0:
	case w.info.Adversary != nil && l.Gradient == 0: // it may be that of the other network's step
	case rms < 1e-6*largest:
		w.find(Finding{p.Step, Vanishing, l.Layer, w.at(l.Layer), fmt.Sprintf("its gradient is %.2g a parameter, "+
			"where other layers have up to %.2g: hardly any of the loss reaches it", rms, largest),
			"put a residual or a norm around the layers behind it, start these with other numbers (init), or take an " +
				"activation that is not flat"}, patience)
	case l.Update < 1e-7*l.Weight && !slow:
		rate := w.key("optimizer.rate")
		if w.info.Adversary != nil {
			rate += " or that of " + w.key("discriminator_optimizer")
		}
		w.find(Finding{p.Step, Still, l.Layer, w.at(l.Layer), fmt.Sprintf("a step moves it by %.1g of its length, "+
			"where a thousandth is usual", l.Update/l.Weight), "raise " + rate}, patience)
	}
}

// dead finds units whose gradient is zero, whatever the batches of the last looks had: half of a matrix or more. A part
// of the units of a ReLU is often dead, and does no harm.
func (w *Watcher) dead(p train.Progress) {
	for _, t := range w.m.Tensors() {
		if len(t.Shape) != 2 || len(t.Grad) == 0 || strings.HasSuffix(t.Name, ".table") || t.Shape[1] < 2 ||
			t.Shape[1] == w.info.Vocab {
			continue
		}
		u := w.units[t.Name]
		if u == nil {
			u = &units{live: make([]bool, t.Shape[1])}
			w.units[t.Name] = u
		}
		dead, all := u.look(t.Grad), t.Shape[1]
		if dead == all || 2*dead < all { // where none has one, the gradient of the layer says so
			continue
		}
		layer := train.LayerOf(t.Name)
		w.find(Finding{p.Step, Dead, layer, w.at(layer), fmt.Sprintf("%d of the %d units of %s have no gradient: for "+
			"all that the last batches had their activation is flat, and they do not learn", dead, all, t.Name),
			fmt.Sprintf("lower %s, take an activation that is flat nowhere, such as gelu or leaky_relu, or start the "+
				"matrix with smaller numbers (init)", w.key("optimizer.rate"))}, 1)
	}
}

// units are those of a matrix, its columns.
type units struct {
	live   []bool // some gradient of the last looks was not zero
	looks  int
	before int // dead ones of the looks before these
}

// look takes note of the gradient of a step, and gives how many units had none in the last looks: 0 before there were
// enough.
func (u *units) look(grad []float32) int {
	for i, g := range grad {
		if g != 0 {
			u.live[i%len(u.live)] = true
		}
	}
	if u.looks++; u.looks%patience == 0 {
		u.before = 0
		for i, l := range u.live {
			if !l {
				u.before++
			}
			u.live[i] = false
		}
	}
	return u.before
}

// collapsed finds a latent vector that says nothing.
func (w *Watcher) collapsed(p train.Progress) {
	l := w.info.Latent
	if l == nil || l.Beta == 0 || w.divergence.n < 100 || p.Step < l.Annealed || w.divergence.value >= 0.1 {
		return
	}
	w.find(Finding{p.Step, Collapsed, "", w.at("latent"), fmt.Sprintf("the latent vector tells %.3f nats of an "+
		"example: the decoder learns the data without "+
		"it", w.divergence.value), fmt.Sprintf("let the weight of the divergence "+
		"rise slowly with %s, give it free bits (latent.free_bits), update the encoder first (latent.encoder_first), or "+
		"take a weaker decoder", w.key("latent.annealing"))}, patience)
}

// duel finds a discriminator that is always right, or that tells nothing apart.
func (w *Watcher) duel(p train.Progress) {
	if w.accuracy.n < 200 {
		return
	}
	rate := w.key("discriminator_optimizer")
	switch {
	case w.accuracy.value > 0.995 && math.Abs(w.loss.value) < 0.05:
		w.find(Finding{p.Step, Won, "", w.at("discriminator"), fmt.Sprintf("the discriminator is right in %.1f %% of "+
			"its verdicts and its loss is %.2g: the generator has nothing to learn from", 100*w.accuracy.value,
			w.loss.value),
			fmt.Sprintf("lower the rate of %s, add gradient_penalty, spectral_norm or label_smoothing, or lower "+
				"critic_steps", rate)}, patience)
	case math.Abs(w.real.value-w.fake.value) < 1e-3:
		w.find(Finding{p.Step, Blind, "", w.at("discriminator"), fmt.Sprintf("the discriminator says %.3g of data "+
			"and %.3g of what is made: the generator has nothing to learn from", w.real.value, w.fake.value),
			fmt.Sprintf("raise the rate of %s, give the discriminator more units, or more critic_steps", rate)},
			patience)
	}
}
