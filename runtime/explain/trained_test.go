package explain_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/examples/reverse"
	"github.com/gradsmith/gradsmith/gen/cases/induction"
	"github.com/gradsmith/gradsmith/gen/cases/trigger"
	"github.com/gradsmith/gradsmith/runtime/explain"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

var trained = flag.Bool("trained", false, "train models until they can do their task, some minutes, and print what is "+
	"found in them; otherwise the one that learns its task in seconds")

// train makes steps on batches that fill fills.
func train(t *testing.T, m model.LanguageModel, steps int, rate float64, fill func(r *rand.Rand, b *model.Batch)) {
	t.Helper()
	info := m.Info()
	r := rand.New(rand.NewPCG(7, 11))
	n := info.Steps * info.Batch
	mean := 0.0
	for step := range steps {
		b := &model.Batch{Steps: info.Steps, Batch: info.Batch, Tokens: make([]int32, n), Targets: make([]int32, n),
			Reset: make([]int32, n)}
		fill(r, b)
		used := b.Steps * b.Batch
		b.Tokens, b.Targets, b.Reset = b.Tokens[:used], b.Targets[:used], b.Reset[:used]
		// the last fifth with a rate that falls
		loss, _, err := m.TrainStep(b, rate*min(1, 5*float64(steps-step)/float64(steps)))
		if err != nil {
			t.Fatal(err)
		}
		if mean += loss; *trained && (step+1)%(steps/10) == 0 {
			t.Logf("step %d: loss %.4f", step+1, mean/float64(steps/10))
			mean = 0
		}
	}
}

// words draws a text of seven words of three letters and a question mark. Where it is asked for, one of them, number
// at, is the planted one; else none is.
func words(r *rand.Rand, planted string, with bool) (text string, at int) {
	var all []string
	for len(all) < 7 {
		w := make([]byte, 3)
		for i := range w {
			w[i] = byte('a' + r.IntN(8))
		}
		if string(w) != planted {
			all = append(all, string(w))
		}
	}
	at = r.IntN(len(all))
	if with {
		all[at] = planted
	}
	return strings.Join(all, " ") + "?", at
}

// TestTrigger plants a word: a text in which it stands is followed by y, any other by z. A model learns that, and each
// method has to find the word: of the words the one that speaks most for y. Gradient × input misses it where the model
// is sure, as its gradient is next to nothing in all directions then; the others may not.
func TestTrigger(t *testing.T) {
	if kernel.Level() == "generic" {
		t.Skip("trains for minutes without assembly, and tests no kernel")
	}
	const planted = "fed"
	m := trigger.New()
	encode := func(s string) []int32 {
		x, err := trigger.Tokenizer.Encode(s)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	answer := encode("yz")
	steps := 800
	if *trained {
		steps = 4000
	}
	train(t, m, steps, 0.002, func(r *rand.Rand, b *model.Batch) {
		for i := range b.Targets {
			b.Targets[i] = -1
		}
		for row := range b.Batch {
			with := r.IntN(2)
			text, _ := words(r, planted, with == 0)
			x := encode(text)
			b.Steps = len(x)
			for i, c := range x {
				b.Tokens[i*b.Batch+row] = c
			}
			b.Targets[(len(x)-1)*b.Batch+row] = answer[with]
		}
	})
	e := explainer(t, m, "")
	r := rand.New(rand.NewPCG(3, 4))
	cases := 25
	if *trained {
		cases = 200
	}
	right, worst := 0, 0.0
	found := map[explain.Method]int{}
	for range cases {
		text, at := words(r, planted, true)
		b := explain.Text(encode(text))
		target := explain.Target{Step: b.Steps - 1, Token: int(answer[0]), Against: int(answer[1])}
		p, err := e.Run(b)
		if err != nil {
			t.Fatal(err)
		}
		if score, err := target.Score(p); err != nil || score < 0 {
			continue // it does not know the word here, and there is nothing to find
		}
		right++
		for _, by := range explain.Methods {
			a, err := e.Attribute(b, target, by, explain.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if by == explain.Integrated {
				worst = max(worst, a.Error)
			}
			best, most := -1, math.Inf(-1)
			for w := range 7 {
				sum := 0.0
				for _, v := range a.Inputs[0].Values[4*w : 4*w+3] {
					sum += v
				}
				if sum > most {
					best, most = w, sum
				}
			}
			if best == at {
				found[by]++
			}
		}
	}
	t.Logf("the model is right in %d of %d cases; integrated gradients leave up to %.2f %%", right, cases, 100*worst)
	if right < cases*9/10 {
		t.Fatalf("the model is right in %d of %d cases", right, cases)
	}
	for _, by := range explain.Methods {
		t.Logf("%s: finds the word in %.1f %% of the cases", by, 100*float64(found[by])/float64(right))
		least := right * 9 / 10
		if by == explain.GradientInput {
			least = right / 4 // of seven words one is named by chance
		}
		if found[by] < least {
			t.Errorf("%s finds the word in %d of %d cases", by, found[by], right)
		}
	}
	if worst > 0.01 {
		t.Errorf("integrated gradients leave %.2f %%", 100*worst)
	}
}

// TestReverse trains a model that writes digits backwards and asks where each digit of the answer comes from: alignment
// and attributions have to name the one that stands there.
func TestReverse(t *testing.T) {
	if !*trained {
		t.Skip("it takes a minute or more: make explained")
	}
	m := reverse.New()
	info := m.Info()
	digits := func(r *rand.Rand) string {
		s := make([]byte, 3+r.IntN(8))
		for i := range s {
			s[i] = byte('0' + r.IntN(10))
		}
		return string(s)
	}
	backwards := func(s string) string { x := []byte(s); slices.Reverse(x); return string(x) }
	pair := func(s string) (source, answer []int32) {
		source, err := reverse.SourceTokenizer.Encode(s)
		if err != nil {
			t.Fatal(err)
		}
		if answer, err = reverse.Tokenizer.Encode(backwards(s)); err != nil {
			t.Fatal(err)
		}
		return append(source, info.Source.End), answer
	}
	train(t, m, 2000, 0.003, func(r *rand.Rand, b *model.Batch) {
		b.Steps, b.SourceSteps = 11, 11
		b.Source = make([]int32, b.SourceSteps*b.Batch)
		for _, x := range [][]int32{b.Source, b.Tokens, b.Targets} {
			for i := range x {
				x[i] = -1
			}
		}
		for row := range b.Batch {
			source, answer := pair(digits(r))
			for i, x := range source {
				b.Source[i*b.Batch+row] = x
			}
			for i, x := range append([]int32{info.Source.AnswerBegin}, answer...) {
				b.Tokens[i*b.Batch+row] = x
			}
			for i, x := range append(slices.Clone(answer), info.Source.AnswerEnd) {
				b.Targets[i*b.Batch+row] = x
			}
		}
	})
	e := explainer(t, m, "")
	// Zeros are no digit that the model knows: on the way to them it looks elsewhere. The mean of all digits says that
	// there is one, and not which; the end stays, which says how many there are.
	const width = 16
	mean := make([]float32, width)
	var end []float32
	for _, x := range m.Tensors() {
		if x.Name == "digits.table" {
			for i := range 10 * width {
				mean[i%width] += x.Value[i] / 10
			}
			end = x.Value[int(info.Source.End)*width:][:width]
		}
	}
	r := rand.New(rand.NewPCG(8, 9))
	found, all, right, worst := map[string]int{}, 0, 0, 0.0
	for range 30 {
		s := digits(r)
		source, answer := pair(s)
		options := explain.Options{Of: []string{"digits.x"}, Baselines: map[string][]float32{
			"digits.x": append(slices.Repeat(mean, len(s)), end...)}}
		b := explain.Pair(source, append([]int32{info.Source.AnswerBegin}, answer...))
		p, err := e.Run(b)
		if err != nil {
			t.Fatal(err)
		}
		var look *explain.Look
		for _, l := range explain.Looks(p) {
			if l.From == "step" && l.To == "source" {
				look = l
			}
		}
		for i, token := range answer {
			all++
			if explain.Top(explain.Row(p.Output(), i), 1)[0].Token != int(token) {
				continue
			}
			right++
			place := len(s) - 1 - i
			most := func(x []float64) bool { return slices.Index(x, slices.Max(x)) == place }
			weights := make([]float64, look.Keys)
			for j := range weights {
				weights[j] = float64(look.P[i*look.Keys+j])
			}
			if most(weights) {
				found["alignment"]++
			}
			for _, by := range explain.Methods {
				// why this digit and not another one: that it is a digit at all, the length of the source says
				other := answer[(i+1)%len(answer)]
				if other == token {
					other = (token + 1) % 10
				}
				target := explain.Target{Step: i, Token: int(token), Against: int(other)}
				a, err := e.Attribute(b, target, by, options)
				if err != nil {
					t.Fatal(err)
				}
				if by == explain.Integrated {
					worst = max(worst, a.Error)
				}
				for _, in := range a.Inputs {
					if in.Axis == "source" && most(in.Values) {
						found[string(by)]++
					}
				}
			}
		}
	}
	t.Logf("%d of %d digits are right; integrated gradients leave up to %.2f %%", right, all, 100*worst)
	for _, by := range []string{"alignment", string(explain.GradientInput), string(explain.Integrated),
		string(explain.Occlusion)} {
		share := float64(found[by]) / float64(right)
		t.Logf("%s: names the digit's place in %.1f %% of the cases", by, 100*share)
		if by != string(explain.GradientInput) && share < 0.8 {
			t.Errorf("%s names %s", by, fmt.Sprintf("%.1f %%", 100*share))
		}
	}
	if float64(right) < 0.95*float64(all) {
		t.Errorf("%d of %d digits are right", right, all)
	}
}

// TestInduction trains two layers to go on with sequences that repeat themselves, with a period that is another for
// each, so that no fixed distance says what follows. The heads that do it have to be found and named in every text:
// some of the first layer that look at the token before, and some of the second that look behind the earlier
// occurrence; without those of either name the model has to lose what it can do.
func TestInduction(t *testing.T) {
	if !*trained {
		t.Skip("it takes minutes: make explained")
	}
	m := induction.New()
	info := m.Info()
	// sequence repeats some tokens, no two of them alike, until it is full; the first target that can be known is the
	// one behind the first token that comes again.
	sequence := func(r *rand.Rand) (x []int32, known int) {
		period := 8 + r.IntN(info.Steps/2-8)
		once := r.Perm(info.Vocab)[:period]
		for i := range info.Steps + 1 {
			x = append(x, int32(once[i%period]))
		}
		return x, period
	}
	train(t, m, 1500, 0.001, func(r *rand.Rand, b *model.Batch) {
		for row := range b.Batch {
			x, known := sequence(r)
			for i := range b.Steps {
				b.Tokens[i*b.Batch+row], b.Targets[i*b.Batch+row] = x[i], x[i+1]
				if i < known {
					b.Targets[i*b.Batch+row] = -1
				}
			}
		}
	})
	e := explainer(t, m, "")
	r := rand.New(rand.NewPCG(5, 6))
	const cases = 30
	var mean explain.Roles
	named := map[string]int{}
	for range cases {
		x, _ := sequence(r)
		roles, err := e.Roles(explain.Text(x[:info.Steps]))
		if err != nil {
			t.Fatal(err)
		}
		if mean.Heads == nil {
			mean.Heads = make([]explain.Role, len(roles.Heads))
		}
		mean.Loss += roles.Loss / cases
		mean.PreviousByChance += roles.PreviousByChance / cases
		mean.InductionByChance += roles.InductionByChance / cases
		mean.WithoutPrevious += roles.WithoutPrevious / cases
		mean.WithoutInduction += roles.WithoutInduction / cases
		for i, h := range roles.Heads {
			to := &mean.Heads[i]
			to.Layer, to.Head = h.Layer, h.Head
			to.Previous += h.Previous / cases
			to.Induction += h.Induction / cases
			to.Rise += h.Rise / cases
			if h.Name != "" {
				named[fmt.Sprintf("%s in layer %d", h.Name, h.Layer+1)]++
			}
		}
	}
	t.Logf("-log p of what is repeated: %.3f; of a head's attention %.3f is at the token before by chance, and %.3f behind "+
		"earlier occurrences", mean.Loss, mean.PreviousByChance, mean.InductionByChance)
	for _, h := range mean.Heads {
		t.Logf("layer %d, head %d: %.3f before, %.3f behind; -log p rises by %.3f without it", h.Layer+1, h.Head+1,
			h.Previous, h.Induction, h.Rise)
	}
	t.Logf("without all heads that are named: %+.3f of those that look at the token before, %+.3f of those behind; "+
		"named, of %d texts: %v", mean.WithoutPrevious, mean.WithoutInduction, cases, named)
	if mean.Loss > 0.3 {
		t.Fatalf("the model has not learnt to go on: %.3f nats", mean.Loss)
	}
	if named["previous token in layer 1"] < cases || named["induction in layer 2"] < cases ||
		named["induction in layer 1"] > 0 {
		t.Errorf("named are %v", named)
	}
	if mean.WithoutPrevious < 1 || mean.WithoutInduction < 1 {
		t.Errorf("without the heads that are named -log p rises by %.3f and %.3f alone", mean.WithoutPrevious,
			mean.WithoutInduction)
	}
}
