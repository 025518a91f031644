package explain_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/labelgan"
	"github.com/gradsmith/gradsmith/gen/cases/labeltext"
	"github.com/gradsmith/gradsmith/gen/cases/labelvae"
	"github.com/gradsmith/gradsmith/gen/cases/tapped"
	"github.com/gradsmith/gradsmith/gen/cases/verses"
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

// TestRoles holds what heads do in a text that repeats itself to models in which heads are taken away in their weights:
// of one head, and of all of two layers together.
func TestRoles(t *testing.T) {
	text := append(tokens(9, 60), tokens(9, 60)...)
	m := gptnano.New()
	e := explainer(t, m, "")
	r, err := e.Roles(explain.Text(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Heads) != 16 || r.Positions != 6 || !(r.Loss > 0) {
		t.Fatalf("%d heads, %d positions, loss %v", len(r.Heads), r.Positions, r.Loss)
	}
	// without gives the loss where rows of the matrix behind a head are zero.
	without := func(heads ...explain.Role) float64 {
		other := gptnano.New()
		for _, x := range other.Tensors() {
			for _, h := range heads {
				if x.Name == fmt.Sprintf("blocks.%d.wo", h.Layer+1) {
					clear(x.Value[h.Head*32*128 : (h.Head+1)*32*128])
				}
			}
		}
		p, err := explainer(t, other, "").Run(explain.Text(text))
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, i := range explain.Repeated(text) {
			_, log := explain.Softmax(explain.Row(p.Output(), i))
			sum -= log[text[i+1]] / 6
		}
		return sum
	}
	for _, h := range r.Heads {
		if want := without(h) - r.Loss; math.Abs(h.Rise-want) > 1e-5 {
			t.Errorf("without head %d of layer %d the loss rises by %v, want %v", h.Head+1, h.Layer+1, h.Rise, want)
		}
		if h.Name != "" || h.Previous > 3*r.PreviousByChance || h.Induction > 3*r.InductionByChance {
			t.Errorf("a head of a model that has learnt nothing is called %q: %+v", h.Name, h)
		}
	}
	if got, err := explain.Without(e, explain.Text(text), r.Heads[:6]); err != nil {
		t.Error(err)
	} else {
		sum := 0.0
		for _, i := range explain.Repeated(text) {
			_, log := explain.Softmax(explain.Row(got, i))
			sum -= log[text[i+1]] / 6
		}
		if want := without(r.Heads[:6]...); math.Abs(sum-want) > 1e-5 {
			t.Errorf("without six heads the loss is %v, want %v", sum, want)
		}
	}
	if _, err := e.Roles(explain.Text(tokens(9, 60))); err == nil {
		t.Error("a text that repeats nothing has roles")
	}
	if _, err := explainer(t, lstm.New(), "").Roles(explain.Text(text)); err == nil {
		t.Error("a model without attention has heads")
	}
}

// TestPrevious holds the scores of heads to looks that are known: one that looks at the token before, one at all alike.
func TestPrevious(t *testing.T) {
	const n = 5
	l := &explain.Look{Layers: 1, Heads: 2, Queries: n, Keys: n, P: make([]float32, 2*n*n)}
	for i := range n {
		l.P[i*n+max(0, i-1)] = 1
		for j := range i + 1 {
			l.P[n*n+i*n+j] = 1 / float32(i+1)
		}
	}
	scores, chance, err := explain.Previous(l)
	if err != nil || scores[0][0] != 1 || math.Abs(scores[0][1]-chance) > 1e-6 {
		t.Errorf("%v, by chance %v: %v", scores, chance, err)
	}
	if got := explain.Repeated([]int32{1, 2, 3, 4, 1, 2, 3, 4, 5, 2, 3, 4, 1}); !slices.Equal(got, []int{6, 11}) {
		t.Errorf("the text goes on as before behind %v", got)
	}
}

// TestRead reads texts that are longer than a window: every position comes once and in order. A recurrent model comes
// to
// the states and predictions of one long pass; one that also attends sees at least half a window.
func TestRead(t *testing.T) {
	long := tokens(60, 90)
	e := explainer(t, lstm.New(), "")
	want, err := e.Run(explain.Text(long))
	if err != nil {
		t.Fatal(err)
	}
	for _, window := range []int{4, 17, 59, 60} {
		next := 0
		err := e.Read(t.Context(), long, window, func(p *explain.Pass, first, fresh int) error {
			if first+fresh != next || p.Batch.Steps > window {
				t.Errorf("window %d: token %d follows %d", window, first+fresh, next)
			}
			next = first + p.Batch.Steps
			for _, name := range []string{"lstm.1.c", "lstm.2.h", "output"} {
				got, whole := p.Tap(name), want.Tap(name)
				for i, x := range got.Value {
					y := whole.Value[first*got.Shape[1]+i]
					if math.Abs(float64(x-y)) > 1e-5 && i >= fresh*got.Shape[1] {
						t.Fatalf("window %d: number %d of %s is %v, want %v", window, i, name, x, y)
					}
				}
			}
			return nil
		})
		if err != nil || next != len(long) {
			t.Errorf("window %d: %d tokens are read: %v", window, next, err)
		}
	}
	if err := e.Read(t.Context(), long, 65, nil); err == nil {
		t.Error("a window is longer than the model's")
	}
	for name, x := range map[string]struct {
		m      any
		vocab  int
		window int
	}{"gptnano": {gptnano.New(), 60, 16}, "tapped": {tapped.New(), 6, 6}} {
		next, passes := 0, 0
		err := explainer(t, x.m, "").Read(t.Context(), tokens(40, x.vocab), x.window,
			func(p *explain.Pass, first, fresh int) error {
				if first+fresh != next || first > 0 && fresh != x.window/2 {
					t.Errorf("%s: token %d follows %d, and %d come before", name, first+fresh, next, fresh)
				}
				next, passes = first+p.Batch.Steps, passes+1
				return nil
			})
		if err != nil || next != 40 || passes < 3 {
			t.Errorf("%s: %d tokens are read in %d passes: %v", name, next, passes, err)
		}
	}
}

// TestUnits finds the unit that goes with a property that is made of one of the units themselves, on a text that it was
// not searched with as well, and where it is largest and smallest. A property that has nothing to do with the text is
// found no better than one that is turned.
func TestUnits(t *testing.T) {
	e := explainer(t, lstm.New(), "")
	text := make([]int32, 400)
	for i := range text {
		text[i] = int32(model.Key(9, uint64(i)) % 90)
	}
	u := explain.Unit{Tap: "lstm.2.h", Index: 17}
	liked, err := e.Likes(t.Context(), text, [][2]int{{0, 400}}, 0, []explain.Unit{u}, 3, 5)
	if err != nil {
		t.Fatal(err)
	}
	l := liked[0]
	values := make([]float64, len(text))
	for i, p := range l.All {
		if p.At != i {
			t.Fatalf("position %d comes as number %d", p.At, i)
		}
		values[i] = p.Value
	}
	if len(l.All) != 400 || len(l.Most) != 3 || l.Most[0].Value != slices.Max(values) ||
		l.Least[0].Value != slices.Min(values) || l.Most[1].Value < l.Most[2].Value {
		t.Errorf("of %d values the unit likes %v, and not %v", len(l.All), l.Most, l.Least)
	}
	for i, p := range l.Most {
		for _, q := range l.Most[:i] {
			if max(p.At-q.At, q.At-p.At) < 5 {
				t.Errorf("%v and %v are closer than 5 tokens", p, q)
			}
		}
	}
	middle := slices.Sorted(slices.Values(values))[200]
	for _, yes := range []bool{false, true} {
		planted, random := make([]float64, len(text)), make([]float64, len(text))
		for i, v := range values {
			planted[i] = 3 - 2*v
			random[i] = float64(model.Key(5, uint64(i)) % 2)
			if yes {
				planted[i] = 0
				if v < middle {
					planted[i] = 1
				}
			}
		}
		s := explain.Search{Tokens: text, Property: planted, Runs: [][2]int{{0, 200}}, Held: [][2]int{{200, 400}},
			Warm: 40} // before which the other text, which begins anew, has other states
		p := &explain.Property{Name: "planted", Yes: yes}
		f, err := e.Find(t.Context(), p, s)
		if err != nil {
			t.Fatal(err)
		}
		best, want := f.Best[0], -1.0
		if yes {
			want = 0
		}
		if best.Unit != u || math.Abs(best.Search-want) > 1e-4 || math.Abs(best.Held-want) > 1e-3 || f.Units != 1024 ||
			f.Searched != 160 || f.Held != 160 || len(f.Sample) != 160 || f.Sample[0].At != 240 ||
			f.Chance[0] > f.Chance[1] || f.ChanceHeld[1] > 0.9 {
			t.Errorf("yes %v: found %+v of %d, on %d and %d positions; by chance %v and %v", yes, best, f.Units,
				f.Searched, f.Held, f.Chance, f.ChanceHeld)
		}
		s.Property = random
		if f, err = e.Find(t.Context(), p, s); err != nil {
			t.Fatal(err)
		}
		if math.Abs(p.Signed(f.Best[0].Search)) > 1.3*math.Abs(p.Signed(f.Chance[1])) {
			t.Errorf("yes %v: a property by chance is found: %+v; by chance %v", yes, f.Best[0], f.Chance)
		}
	}
	for _, x := range []struct {
		u    explain.Unit
		says string
	}{
		{explain.Unit{Tap: "lstm.2.h", Index: 256}, "256 units, from lstm.2.h[0] to lstm.2.h[255]"},
		{explain.Unit{Tap: "no.h"}, "those with units are embed.x, lstm.1.gates"},
		{explain.Unit{Tap: "lstm.2.h", Layer: 2}, "256 units"},
	} {
		_, err := e.Likes(t.Context(), text, [][2]int{{0, 40}}, 0, []explain.Unit{x.u}, 3, 5)
		if err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%v: %v", x.u, err)
		}
	}
	same := explain.Search{Tokens: text, Property: make([]float64, len(text)), Runs: [][2]int{{0, 200}},
		Held: [][2]int{{200, 400}}}
	if _, err := e.Find(t.Context(), &explain.Property{Name: "none"}, same); err == nil {
		t.Error("a property that is always the same is found")
	}
}

// TestProperties holds properties of a text to what they are at each character, and at tokens of several.
func TestProperties(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []float64
	}{
		{"line-length", "ab\n\né", []float64{1, 2, 0, 0, 1}},
		{"word-length", "a1, b", []float64{1, 2, 0, 0, 1}},
		{"quotes", "a\"b\"“c”", []float64{0, 1, 1, 0, 1, 1, 0}},
		{"quotes", "\"a\nb\n \nc", []float64{1, 1, 1, 1, 1, 1, 0, 0}},
		{"brackets", "a(b[c])d", []float64{0, 1, 1, 1, 1, 1, 0, 0}},
		{"capitals", "aBc", []float64{0, 1, 0}},
		{"digits", "a1", []float64{0, 1}},
		{"a+b", "caab.ab", []float64{0, 1, 1, 1, 0, 1, 1}},
	} {
		p, err := explain.PropertyOf(c.name)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Over(strings.Split(c.text, "")); !slices.Equal(got, c.want) {
			t.Errorf("%s of %q is %v, want %v", c.name, c.text, got, c.want)
		}
	}
	p, err := explain.PropertyOf("line-length")
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Over([]string{"", "ab", "\ncd", "", "\xc3", "\xa9"}); !slices.Equal(got, []float64{0, 2, 2, 2, 3, 3}) {
		t.Errorf("behind tokens of several characters: %v", got)
	}
	for _, name := range []string{"", "a(b"} {
		if _, err := explain.PropertyOf(name); err == nil {
			t.Errorf("%q is a property", name)
		}
	}
}

// TestConditional gives models other labels: with its own nothing changes, with others something does, and the latent
// vector stays; and the label has one value among what a prediction comes from.
func TestConditional(t *testing.T) {
	r := make([]float32, 20)
	for i := range r {
		r[i] = float32(i%3) / 2
	}
	words := explain.Pair(tokens(5, 60), tokens(5, 60))
	words.Labels = []int32{2}
	for name, x := range map[string]struct {
		m    any
		part string
		b    *model.Batch
	}{
		"labeltext": {labeltext.New(), "", words},
		"labelvae":  {labelvae.New(), "", &model.Batch{Steps: 1, Batch: 1, Vectors: r, Labels: []int32{2}}},
		"labelgan": {labelgan.New(), "generator", &model.Batch{Steps: 1, Batch: 1, Noise: r[:5],
			Labels: []int32{2}}},
	} {
		e := explainer(t, x.m, x.part)
		before, err := e.Run(x.b)
		if err != nil {
			t.Fatal(err)
		}
		all, err := e.Relabel(x.b, []int32{0, 2})
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range all {
			if slices.Equal(p.Output().Value, before.Output().Value) != (i == 1) {
				t.Errorf("%s: what label %d changes is not what is asked for", name, 2*i)
			}
			for _, z := range before.Of(model.TapLatent) {
				for k, v := range p.Tap(z.Name).Value {
					if math.Abs(float64(v-z.Value[k])) > 1e-6 {
						t.Errorf("%s: the latent vector moves with the label", name)
					}
				}
			}
		}
		a, err := e.Attribute(x.b, explain.Target{Token: 3, Against: -1, Logit: true}, explain.Integrated,
			explain.Options{})
		if err != nil {
			t.Fatal(err)
		}
		labels := 0
		for _, in := range a.Inputs {
			if in.Axis == "label" {
				if labels++; len(in.Values) != 1 {
					t.Errorf("%s: the label has %d values", name, len(in.Values))
				}
			}
		}
		if labels == 0 || !(a.Error <= 0.01) {
			t.Errorf("%s: %d labels, error %v", name, labels, a.Error)
		}
	}
	if _, err := explainer(t, gptnano.New(), "").Relabel(explain.Text(tokens(5, 60)), []int32{1}); err == nil {
		t.Error("a model without labels has been told one")
	}
}

// TestLines explains the verdict of a discriminator of text: the pass gives the verdict that the model gives, and
// integrated gradients add up to it.
func TestLines(t *testing.T) {
	m := verses.New()
	line := explain.Text(tokens(6, 20))
	want := make([]float32, 1)
	if err := m.Judge(want, line); err != nil {
		t.Fatal(err)
	}
	e := explainer(t, m, "discriminator")
	p, err := e.Run(line)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Output().Value; len(got) != 1 || math.Abs(float64(got[0]-want[0])) > 1e-6 {
		t.Errorf("the verdict is %v, want %v", got, want)
	}
	all, err := e.Attributions(line, explain.Target{Against: -1, Logit: true}, explain.Methods, explain.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if len(a.Inputs) != 1 || len(a.Inputs[0].Values) != 6 || a.Method == explain.Integrated && !(a.Error <= 0.01) {
			t.Errorf("%s: %+v", a.Method, a)
		}
	}
	if _, err := explainer(t, m, "generator").Run(line); err != nil {
		t.Errorf("what the generator predicts: %v", err)
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
