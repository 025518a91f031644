package explain_test

import (
	"math"
	"slices"
	"testing"

	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/lstm"
	"github.com/gradsmith/gradsmith/generated/textvae"
	"github.com/gradsmith/gradsmith/generated/translate"
	"github.com/gradsmith/gradsmith/runtime/explain"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// tokens are some of a vocabulary, in an order without a pattern.
func tokens(n, vocab int) []int32 {
	x := make([]int32, n)
	for i := range x {
		x[i] = int32((i*i*7 + 3*i + 1) % vocab)
	}
	return x
}

func explainer(t *testing.T, m any, part string) *explain.Explainer {
	t.Helper()
	e, err := explain.New(m, part)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestCompleteness holds integrated gradients of compiled models to what they explain, to 1 %, at several targets.
func TestCompleteness(t *testing.T) {
	source := explain.Pair(tokens(9, 100), tokens(6, 100))
	for name, x := range map[string]struct {
		m any
		b *model.Batch
	}{
		"gptnano":   {gptnano.New(), explain.Text(tokens(20, 60))},
		"lstm":      {lstm.New(), explain.Text(tokens(20, 90))},
		"translate": {translate.New(), source},
	} {
		e := explainer(t, x.m, "")
		for _, target := range []explain.Target{{Step: x.b.Steps - 1, Token: 7, Against: -1}, {Step: 3, Token: 9,
			Against: 2},
			{Step: 4, Token: 5, Against: -1, Logit: true}} {
			a, err := e.Attribute(x.b, target, explain.Integrated, explain.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !(a.Error <= 0.01) {
				t.Errorf("%s, %+v: the error of integrated gradients is %v with %d points", name, target, a.Error, a.Points)
			}
			for _, in := range a.Inputs {
				for i, v := range in.Values {
					if in.Axis == "step" && i > target.Step && v != 0 {
						t.Errorf("%s: token %d has %v of what is predicted behind token %d", name, i, v, target.Step)
					}
				}
			}
		}
	}
}

// TestTogether holds what is explained of one prediction in several ways to each other: the last row of the lens is the
// prediction, effects of heads add up to that of their part, and all parts to the end of the stream.
func TestTogether(t *testing.T) {
	m := gptnano.New()
	e := explainer(t, m, "")
	b := explain.Text(tokens(17, 60))
	target := explain.Target{Step: 16, Token: 5, Against: -1}
	pass, err := e.Run(b)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := e.Lens(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(layers) != 7 { // embedding, positions, four blocks, the end
		t.Errorf("the lens has %d rows", len(layers))
	}
	if last := layers[len(layers)-2]; last.Name != "blocks.xNext" || last.Index != 3 {
		t.Errorf("the last block is %s", &last)
	} else {
		for i, x := range last.Logits {
			if math.Abs(float64(x-pass.Output().Value[i])) > 1e-4 {
				t.Fatalf("the last block would predict %v, the model does %v", x, pass.Output().Value[i])
			}
		}
	}
	effects, start, err := e.DirectEffects(b, target)
	if err != nil {
		t.Fatal(err)
	}
	sums, parts, all := map[int]float64{}, map[int]float64{}, start
	for _, x := range effects {
		switch {
		case x.Head >= 0:
			sums[x.Layer] += x.Value
		default:
			all += x.Value
			if x.Name == "blocks.attention" {
				parts[x.Layer] = x.Value
			}
		}
	}
	for layer, want := range parts { // whose bias is zero at first
		if math.Abs(sums[layer]-want) > 1e-5*(1+math.Abs(want)) {
			t.Errorf("the heads of layer %d add up to %v, their part adds %v", layer, sums[layer], want)
		}
	}
	// the norm behind the stream does not change with its length, so that the gradient is at a right angle to it but
	// for the epsilon in it: all effects together are little beside the largest
	most := 0.0
	for _, x := range effects {
		most = max(most, math.Abs(x.Value))
	}
	if math.Abs(all) > 0.05*most {
		t.Errorf("all effects add up to %v, the largest is %v", all, most)
	}
}

// TestPatch puts values of one text into another: at the token that differs before the first block all is restored, and
// behind the last one all at the target's position; a text put into itself changes nothing.
func TestPatch(t *testing.T) {
	e := explainer(t, gptnano.New(), "")
	a, b := explain.Text(tokens(9, 60)), explain.Text(tokens(9, 60))
	b.Tokens = slices.Clone(b.Tokens)
	b.Tokens[3]++
	target := explain.Target{Step: 8, Token: 5, Against: -1}
	p, err := e.Patch(a, b, "tok.x", target)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range p.Restored() {
		want := 0.0
		if i == 3 {
			want = 1
		}
		if math.Abs(x-want) > 0.02 {
			t.Errorf("the embedding of token %d restores %v", i, x)
		}
	}
	if p, err = e.Patch(a, b, "blocks.xNext", target); err != nil {
		t.Fatal(err)
	}
	if last := p.Restored()[3*9:]; math.Abs(last[8]-1) > 0.02 || math.Abs(last[3]) > 0.02 {
		t.Errorf("behind the last block %v is restored", last)
	}
	if p, err = e.Patch(a, a, "blocks.heads", target); err != nil || p.Clean != p.Other {
		t.Errorf("a text put into itself goes from %v to %v: %v", p.Other, p.Clean, err)
	}
	for _, name := range []string{"no.such", "output", "blocks.heads.weights"} {
		if _, err := e.Patch(a, b, name, target); err == nil {
			t.Errorf("%s is patched", name)
		}
	}
	if _, err := e.Patch(explain.Text(tokens(8, 60)), b, "tok.x", target); err == nil {
		t.Error("texts of different lengths are patched")
	}
}

// TestBlind runs a pass that leaves out where heads look: all else is the same, and what an explainer gives of heads
// later is that of the text at hand, not of the one that was left out.
func TestBlind(t *testing.T) {
	m := gptnano.New()
	a, b := explain.Text(tokens(12, 60)), explain.Text(tokens(12, 41))
	e := explainer(t, m, "")
	want, err := e.Run(a)
	if err != nil {
		t.Fatal(err)
	}
	pass := m.Taps()[0]
	*pass.Blind = true
	if _, err = pass.Run(b); err != nil {
		t.Fatal(err)
	}
	got, err := pass.Run(a)
	if err != nil {
		t.Fatal(err)
	}
	*pass.Blind = false
	for i, tap := range got {
		if !slices.Equal(tap.Value, want.Taps[i].Value) {
			t.Errorf("%s is another value where the pass is blind", tap.Name)
		}
	}
	if _, err := e.Attribute(a, explain.Target{Step: 3, Token: 2, Against: -1}, explain.Occlusion,
		explain.Options{}); err != nil {
		t.Fatal(err)
	}
	other, err := e.Run(b)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := explainer(t, gptnano.New(), "").Run(b)
	if err != nil {
		t.Fatal(err)
	}
	const looks = "blocks.heads.weights"
	if !slices.Equal(other.Tap(looks).Value, fresh.Tap(looks).Value) || slices.Equal(other.Tap(looks).Value,
		want.Tap(looks).Value) {
		t.Error("heads look where they looked in another text")
	}
}

// TestUnits finds the unit that goes with a measure that is one of the units themselves, and where it is largest.
func TestUnits(t *testing.T) {
	e := explainer(t, lstm.New(), "")
	texts := []*model.Batch{explain.Text(tokens(30, 90)), explain.Text(tokens(25, 77))}
	u := explain.Unit{Tap: "lstm.2.h", Index: 17}
	over := func(b *model.Batch) []float64 {
		p, err := e.Run(b)
		if err != nil {
			t.Fatal(err)
		}
		x, err := u.Over(p)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	measured := map[*model.Batch][]float64{}
	for _, b := range texts {
		for _, v := range over(b) {
			measured[b] = append(measured[b], 3-2*v)
		}
	}
	found, err := e.Follow(texts, func(b *model.Batch) []float64 { return measured[b] })
	if err != nil {
		t.Fatal(err)
	}
	if found[0].Unit != u || math.Abs(found[0].R+1) > 1e-6 || math.Abs(found[1].R) > 0.999 {
		t.Errorf("%v goes with it, by %v; then %v", found[0].Unit, found[0].R, found[1])
	}
	places, err := e.Likes(texts, u, 3, 5)
	if err != nil {
		t.Fatal(err)
	}
	best := math.Inf(-1)
	for _, b := range texts {
		best = max(best, slices.Max(over(b)))
	}
	if len(places) != 3 || places[0].Value != best || places[1].Value < places[2].Value {
		t.Errorf("the unit is %v at most, and likes %v", best, places)
	}
	if _, err := e.Likes(texts, explain.Unit{Tap: "lstm.2.h", Index: 256}, 3, 5); err == nil {
		t.Error("a unit that does not exist likes something")
	}
}

// TestTraverse moves numbers of a latent vector and of noise: at its own value nothing changes, elsewhere something
// does, and nothing stays moved.
func TestTraverse(t *testing.T) {
	noise := make([]float32, gan.New().Info().Adversary.Noise)
	noise[3] = 0.5
	words := explain.Pair(tokens(7, 50), tokens(6, 50))
	for name, x := range map[string]struct {
		e *explain.Explainer
		b *model.Batch
	}{
		"textvae": {explainer(t, textvae.New(), ""), words},
		"gan":     {explainer(t, gan.New(), "generator"), &model.Batch{Steps: 1, Batch: 1, Noise: noise}},
	} {
		before, err := x.e.Run(x.b)
		if err != nil {
			t.Fatal(err)
		}
		own := 0.5
		for _, tap := range before.Of(model.TapLatent) {
			own = float64(tap.Value[3])
		}
		all, err := x.e.Traverse(x.b, 3, []float64{-2, own, 2})
		if err != nil {
			t.Fatal(err)
		}
		same := func(p *explain.Pass) bool { return slices.Equal(p.Output().Value, before.Output().Value) }
		if same(all[0]) || !same(all[1]) || same(all[2]) {
			t.Errorf("%s: what moves is not what is asked for", name)
		}
		if after, err := x.e.Run(x.b); err != nil || !same(after) {
			t.Errorf("%s: something stays moved: %v", name, err)
		}
		if _, err := x.e.Traverse(x.b, 1000, []float64{1}); err == nil {
			t.Errorf("%s: a number that does not exist is moved", name)
		}
	}
}
