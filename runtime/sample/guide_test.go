package sample

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/constrain"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// exactly gives the logits of d behind a text, in float64.
func (d *noise) exactly(tokens []int32) []float64 {
	var last [2]int32
	for _, t := range tokens {
		last = [2]int32{last[1], t}
	}
	var out []float64
	for _, x := range d.logits(last) {
		out = append(out, float64(x))
	}
	return out
}

// naiveLog gives the logarithms of the probabilities behind a text.
func (d *noise) naiveLog(tokens []int32) []float64 {
	p := naiveSoftmax(d.exactly(tokens))
	for i, x := range p {
		p[i] = math.Log(x)
	}
	return p
}

// scaled is a decoder of another model: what the one finds likely it does not where the scale is negative.
func scaled(vocab, batch int, scale float64) *noise {
	d := newNoise(vocab, batch)
	d.scale = scale
	return d
}

// taste is a judge whose verdicts are a function of the last token and the next one.
type taste struct{ told [][]int32 }

func (j *taste) verdict(text []int32, next int32) float64 {
	return -6 * float64(model.Key(uint64(text[len(text)-1]), uint64(next), uint64(len(text)))>>11) / (1 << 53)
}

func (j *taste) Judge(_ context.Context, dst []float64, text, next []int32) error {
	j.told = append(j.told, slices.Clone(text))
	for i, t := range next {
		dst[i] = j.verdict(text, t)
	}
	return nil
}

// verdicts is the discriminator of a pair of adversarial networks of text.
type verdicts struct {
	model.Imitators
	info model.Info
}

func (v *verdicts) Info() *model.Info { return v.info.Clone() }

func (v *verdicts) verdict(line []int32) float64 {
	k := make([]uint64, len(line))
	for i, t := range line {
		k[i] = uint64(t + 1)
	}
	return 8*float64(model.Key(k...)>>11)/(1<<53) - 4
}

func (v *verdicts) Judge(dst []float32, b *model.Batch) error {
	for i := range b.Batch {
		var line []int32
		for t := range b.Steps {
			line = append(line, b.Targets[t*b.Batch+i])
		}
		dst[i] = float32(v.verdict(line))
	}
	return nil
}

// TestGuides compares what is heard beside a model with its definition in float64, along random texts, which are read
// in pieces.
func TestGuides(t *testing.T) {
	const vocab = 30
	letters := pairsOf{pieces: bytesAnd()[:vocab]}
	negative := []int32{7, 3, 9}
	main, other, third := newNoise(vocab, 1), scaled(vocab, 1, -2), scaled(vocab, 1, 1.3)
	impossible := math.Inf(-1)
	// best leaves all but the k highest, to which it adds what f says.
	best := func(x []float64, k int, f func(t int32) float64) []float64 {
		limit := slices.Sorted(slices.Values(x))[len(x)-k]
		out := make([]float64, len(x))
		for i, v := range x {
			if out[i] = impossible; v >= limit {
				out[i] = v + f(int32(i))
			}
		}
		return out
	}
	mixed := func(p, q []float64, w float64) []float64 {
		out := make([]float64, len(p))
		for i := range p {
			out[i] = math.Log((1-w)*math.Exp(p[i]) + w*math.Exp(q[i]))
		}
		return out
	}
	contrasted := func(p, q []float64, plausible, strength float64) []float64 {
		out := make([]float64, len(p))
		for i := range p {
			if out[i] = impossible; math.Exp(p[i]) >= plausible*math.Exp(slices.Max(p)) {
				out[i] = p[i] - strength*q[i]
			}
		}
		return out
	}
	guided := func(p, q []float64, s float64) []float64 {
		out := make([]float64, len(p))
		for i := range p {
			out[i] = q[i] + s*(p[i]-q[i])
		}
		return out
	}
	classes := []*noise{scaled(vocab, 1, 2), scaled(vocab, 1, -1), scaled(vocab, 1, 0.5)}
	const newline = 4
	class := func(skip int) func(text []int32, next int32) float64 {
		return func(text []int32, next int32) float64 {
			// log p(text | class) from the first token on, by the chain rule.
			line := append(slices.Clone(text[skip:]), next)
			var p [3]float64
			for c, d := range classes {
				for i, x := range line {
					p[c] += d.naiveLog(append([]int32{newline}, line[:i]...))[x]
				}
			}
			total := 0.0
			for _, x := range p {
				total += math.Exp(x - p[1])
			}
			return -math.Log(total)
		}
	}
	judged := func(skip int) Judge {
		j, err := Classes(1, newline, skip, scaled(vocab, 1, 2), scaled(vocab, 1, -1), scaled(vocab, 1, 0.5))
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	kinds := []int32{5, 11, 6}
	sorted := scaled(vocab, 1, 1.7)
	kind := func(text []int32, next int32) float64 {
		x, total := sorted.exactly(append(slices.Clone(text), next)), 0.0
		for _, k := range kinds {
			total += math.Exp(x[k])
		}
		return x[11] - math.Log(total)
	}
	classifier := func(skip, batch int) Judge {
		j, err := Classifier(scaled(vocab, batch, 1.7), 11, kinds, newline, skip)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	const steps, end = 9, 2
	critic := &verdicts{info: model.Info{Batch: 4, Steps: steps,
		Adversary: &model.Adversary{Text: &model.Imitation{End: end}}}}
	odds := func(skip int) func(text []int32, next int32) float64 {
		return func(text []int32, next int32) float64 {
			line := append(slices.Clone(text[skip:]), next)
			line = line[max(0, len(line)-steps):]
			for len(line) < steps {
				line = append(line, end)
			}
			return -math.Log(1 + math.Exp(-critic.verdict(line)))
		}
	}
	for _, c := range []struct {
		name  string
		opts  func() []Option
		naive func(text, written []int32) []float64
	}{
		{"guidance", func() []Option { return []Option{Guidance(newNoise(vocab, 1), letters.Decode(negative), 2.5)} },
			func(text, written []int32) []float64 {
				return guided(main.naiveLog(text), main.naiveLog(append(slices.Clone(negative), written...)), 2.5)
			}},
		{"guidance of 0 is the negative prompt",
			func() []Option { return []Option{Guidance(newNoise(vocab, 1), letters.Decode(negative), 0)} },
			func(text, written []int32) []float64 {
				return main.naiveLog(append(slices.Clone(negative), written...))
			}},
		{"guidance of 1 is the model", func() []Option { return []Option{Guidance(newNoise(vocab, 1), "", 1)} },
			func(text, _ []int32) []float64 {
				return main.naiveLog(text)
			}},
		{"mixed", func() []Option { return []Option{Mixed(scaled(vocab, 1, -2), 0.3)} },
			func(text, _ []int32) []float64 {
				return mixed(main.naiveLog(text), other.naiveLog(text), 0.3)
			}},
		{"contrasted", func() []Option { return []Option{Contrasted(scaled(vocab, 1, -2), 0.1, 0.8)} },
			func(text, _ []int32) []float64 {
				return contrasted(main.naiveLog(text), other.naiveLog(text), 0.1, 0.8)
			}},
		{"judged", func() []Option { return []Option{Judged(&taste{}, 12, 1.5)} }, func(text, _ []int32) []float64 {
			j := &taste{}
			return best(main.naiveLog(text), 12, func(next int32) float64 { return 1.5 * j.verdict(text, next) })
		}},
		{"judged by classes", func() []Option { return []Option{Judged(judged(2), 10, 0.7)} },
			func(text, _ []int32) []float64 {
				return best(main.naiveLog(text), 10, func(next int32) float64 { return 0.7 * class(2)(text, next) })
			}},
		{"judged by a classifier", func() []Option { return []Option{Judged(classifier(1, 9), 9, 1.2)} },
			func(text, _ []int32) []float64 {
				return best(main.naiveLog(text), 9, func(next int32) float64 { return 1.2 * kind(text, next) })
			}},
		{"judged by a discriminator", func() []Option { return []Option{Judged(Discriminator(critic, 3), 11, 2)} },
			func(text, _ []int32) []float64 {
				return best(main.naiveLog(text), 11, func(next int32) float64 { return 2 * odds(3)(text, next) })
			}},
		{"all", func() []Option {
			return []Option{
				Mixed(scaled(vocab, 1, -2), 0.4), Guidance(newNoise(vocab, 1), letters.Decode(negative), 1.4),
				Contrasted(scaled(vocab, 1, 1.3), 0.01, 0.5),
				Judged(&taste{}, 20, 1), Judged(judged(0), 5, 1),
			}
		}, func(text, written []int32) []float64 {
			normal := func(x []float64) []float64 {
				p := naiveSoftmax(x)
				for i := range p {
					p[i] = math.Log(p[i])
				}
				return p
			}
			x := mixed(main.naiveLog(text), other.naiveLog(text), 0.4)
			x = guided(x, main.naiveLog(append(slices.Clone(negative), written...)), 1.4)
			x = contrasted(x, third.naiveLog(text), 0.01, 0.5)
			j := &taste{}
			x = best(x, 20, func(next int32) float64 { return j.verdict(text, next) })
			return normal(best(x, 5, func(next int32) float64 { return class(0)(text, next) }))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 7))
			for range 12 {
				cfg, err := newConfig(c.opts())
				if err != nil {
					t.Fatal(err)
				}
				prompt := make([]int32, 4+r.IntN(4))
				for i := range prompt {
					prompt[i] = int32(r.IntN(vocab))
				}
				h, err := cfg.chorus(context.Background(), letters, prompt)
				if err != nil {
					t.Fatal(err)
				}
				var written, unread []int32
				for range 8 {
					text := append(slices.Clone(prompt), written...)
					logits := main.exactly(text)
					rough := make([]float32, vocab)
					for i, x := range logits {
						rough[i] = float32(x)
					}
					row, err := h.sing(context.Background(), rough, unread)
					if err != nil {
						t.Fatal(err)
					}
					got := make([]float64, vocab)
					for i, x := range row {
						got[i] = float64(x)
					}
					p, q := naiveSoftmax(got), naiveSoftmax(c.naive(text, written))
					for i := range p {
						if math.Abs(p[i]-q[i]) > 2e-5 {
							t.Fatalf("behind %v and %v token %d has probability %g, by definition %g", prompt, written,
								i, p[i], q[i])
						}
					}
					unread = unread[:0]
					if r.IntN(2) == 0 {
						unread = append(unread, int32(slices.Index(got, slices.Max(got)))) // one that was judged
					}
					for range 1 + r.IntN(3) {
						unread = append(unread, int32(r.IntN(vocab)))
					}
					written = append(written, unread...)
				}
			}
		})
	}
}

// TestJudges lets judges read one text after the other, and texts side by side, as the lines of a generator: each as
// if it were alone.
func TestJudges(t *testing.T) {
	const vocab = 14
	j, err := Classes(0, 3, 1, scaled(vocab, 1, 2), scaled(vocab, 1, -1))
	if err != nil {
		t.Fatal(err)
	}
	k, err := Classifier(scaled(vocab, 6, 1), 2, []int32{2, 4}, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	short := scaled(vocab, 6, 1)
	short.window = 5 // longer texts are judged by their last tokens
	short.Reset()
	l, err := Classifier(short, 2, []int32{2, 4}, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	format := model.Imitation{Begin: 1, End: 9}
	opts := []Option{Judged(j, 8, 1.5), Judged(k, 6, 1), Judged(l, 5, 0.5), Seed(4)}
	lines, err := Lines(context.Background(), newNoise(vocab, 5), format, 12, 0, opts...)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range lines {
		alone, err := Lines(context.Background(), newNoise(vocab, 1), format, 12, i, opts...)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(alone[0].Tokens, line.Tokens) {
			t.Errorf("line %d is %v, alone %v", i, line.Tokens, alone[0].Tokens)
		}
		d, sum := newNoise(vocab, 1), 0.0
		for n, x := range append(slices.Clone(line.Tokens),
			format.End)[:len(line.Tokens)+map[bool]int{true: 1}[line.Ended]] {
			sum += d.naiveLog(append([]int32{1}, line.Tokens[:n]...))[x]
		}
		if len(line.Tokens) < 12 && math.Abs(sum-line.LogProb) > 1e-4 {
			t.Errorf("line %d has log-probability %v under the model, told is %v", i, sum, line.LogProb)
		}
	}
	if _, err := Lines(context.Background(), newNoise(vocab, 1), format, 12, 0,
		Mixed(newNoise(vocab, 1), 0.5)); err == nil {
		t.Error("another decoder beside that of lines is no error")
	}
	for _, opt := range []Option{Judged(j, 8, 1), Mixed(newNoise(256, 1), 0.5)} {
		if _, err := Beam(context.Background(), newNoise(256, 2), pairsOf{pieces: bytesAnd()}, "a", 2,
			opt); err == nil {
			t.Error("a beam that is guided is no error")
		}
		if _, err := Contrastive(context.Background(), seer{newNoise(256, 2)}, pairsOf{pieces: bytesAnd()}, "a", 0.5,
			opt, MinTokens(2)); err == nil {
			t.Error("contrastive search that is guided is no error")
		}
	}
}

// TestGuideErrors tells what does not fit a model.
func TestGuideErrors(t *testing.T) {
	tok := pairsOf{pieces: bytesAnd()}
	classes := func(want int, d ...model.Decoder) Judge {
		j, err := Classes(want, 10, 0, d...)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	unending := &verdicts{info: model.Info{Batch: 4, Steps: 9,
		Adversary: &model.Adversary{Text: &model.Imitation{End: -1}}}}
	for want, opt := range map[string]Option{
		"from 0 to 1000":             Guidance(newNoise(256, 1), "", -1),
		"a decoder of its own":       Guidance(nil, "", 2),
		"the other model has 5":      Mixed(newNoise(5, 1), 0.5),
		"from 0 to 1":                Mixed(newNoise(256, 1), 2),
		"the other decoder is for 2": Mixed(newNoise(256, 2), 0.5),
		"decoder of the other model": Contrasted(nil, 0.1, 1),
		"above 0 and at most 1":      Contrasted(newNoise(256, 1), 0, 1),
		"there must be a judge":      Judged(nil, 5, 1),
		"not a number": Judged(judge(func(dst []float64) error { dst[0] = math.NaN(); return nil }), 5,
			1),
		"has no opinion": Judged(judge(func([]float64) error { return errors.New("it has no opinion") }),
			5, 1),
		"the tokens must be the same": Judged(classes(0, newNoise(5, 1), newNoise(5, 1)), 5, 1),
		"decoder is for 4":            Judged(just(Classifier(newNoise(256, 4), 1, []int32{1, 2}, 0, 0)), 5, 1),
		"class token 300":             Judged(just(Classifier(newNoise(256, 5), 1, []int32{1, 300}, 0, 0)), 5, 1),
		"lines of one length only":    Judged(Discriminator(unending, 0), 5, 1),
	} {
		var got error
		for _, err := range Generate(context.Background(), newNoise(256, 1), tok, "abc", opt, MaxTokens(3), Seed(1)) {
			got = cmp.Or(err, got)
		}
		if got == nil || !strings.Contains(got.Error(), want) {
			t.Errorf("error %v, it should say %q", got, want)
		}
	}
	for _, c := range [][]model.Decoder{nil, {newNoise(5, 1)}} {
		if _, err := Classes(0, 0, 0, c...); err == nil {
			t.Errorf("%d classes are no error", len(c))
		}
	}
	for _, c := range [][]int32{nil, {1}, {2, 3}} {
		if _, err := Classifier(newNoise(5, 1), 1, c, 0, 0); err == nil {
			t.Errorf("classes %v are no error", c)
		}
	}
	if _, err := Classes(2, 0, 0, newNoise(5, 1), newNoise(5, 1)); err == nil {
		t.Error("a class that there is not is no error")
	}
}

func just(j Judge, err error) Judge {
	if err != nil {
		panic(err)
	}
	return j
}

type judge func(dst []float64) error

func (j judge) Judge(_ context.Context, dst []float64, _, _ []int32) error { return j(dst) }

// written is what Generate makes of options, for the noise of a seed.
func written(t *testing.T, tok text.Tokenizer, prompt string, opts ...Option) string {
	t.Helper()
	var b strings.Builder
	for part, err := range Generate(context.Background(), newNoise(tok.Vocab(), 1), tok, prompt, opts...) {
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(part)
	}
	return b.String()
}

// TestEnds compares lengths and stop strings, also such as lie across the borders of tokens, with what they make of
// the text without them.
func TestEnds(t *testing.T) {
	pieces := []string{"a", "b", "c", "ab", "bc", "ca", "abc", "é", "\xc3", "\xa9"}
	tok := pairsOf{pieces: pieces}
	r := rand.New(rand.NewPCG(3, 3))
	across := 0
	for seed := range uint64(400) {
		whole := written(t, tok, "a", Seed(seed), MaxTokens(40), With(processor(func(*Candidates, []int32) {})))
		var tokens []int32
		note := func(c *config) { c.watch = func(_ []float32, token int32) { tokens = append(tokens, token) } }
		if again := written(t, tok, "a", Seed(seed), MaxTokens(40), note); again != whole || len(tokens) != 40 {
			t.Fatalf("%q, and watched %q of %d tokens", whole, again, len(tokens))
		}
		stops := make([]string, 1+r.IntN(3))
		for i := range stops {
			for range 2 + r.IntN(4) {
				stops[i] += []string{"a", "b", "c", "é"}[r.IntN(4)]
			}
		}
		least, most := r.IntN(12), 12+r.IntN(30)
		if r.IntN(2) == 0 {
			least = 0
		}
		// By definition: the text ends with the token that completes a stop string, of which nothing was written
		// before there are least tokens, in front of the first stop string that is in it then; or after most tokens.
		want := strings.ToValidUTF8(tok.Decode(tokens[:min(most, 40)]), "\uFFFD")
		for n := range min(most, 40) {
			rest := tok.Decode(tokens[min(least, n+1) : n+1])
			cut := -1
			for _, s := range stops {
				if i := strings.Index(rest, s); i >= 0 && (cut < 0 || i < cut) {
					cut = i
				}
			}
			if cut >= 0 {
				before := tok.Decode(tokens[:min(least, n+1)])
				want = strings.ToValidUTF8(before+rest[:cut], "\uFFFD")
				if !slices.Contains(stops, pieces[tokens[n]]) {
					across++
				}
				break
			}
		}
		got := written(t, tok, "a", Seed(seed), MaxTokens(min(most, 40)), MinTokens(least), Stop(stops...))
		// Bytes that are no characters are shown as one mark or several.
		if squeeze(got) != squeeze(want) {
			t.Fatalf("seed %d: %d to %d tokens, stop %q: %q, by definition %q", seed, least, most, stops, got, want)
		}
	}
	if across < 50 {
		t.Errorf("%d stop strings lay across tokens: too few to tell", across)
	}
}

func squeeze(s string) string {
	for strings.Contains(s, "\uFFFD\uFFFD") {
		s = strings.ReplaceAll(s, "\uFFFD\uFFFD", "\uFFFD")
	}
	return s
}

// TestBestOf draws what Generate draws, and ranks it by the mean log-probability a token.
func TestBestOf(t *testing.T) {
	tok := pairsOf{pieces: bytesAnd()[97:110]}
	for seed := range uint64(10) {
		opts := []Option{Seed(seed), MaxTokens(9), Temperature(1.4), Stop("aa", "b")}
		found, err := BestOf(context.Background(), newNoise(13, 1), tok, "a", 5, opts...)
		if err != nil || len(found) != 5 {
			t.Fatal(len(found), err)
		}
		d := newNoise(13, 1)
		var texts []string
		for i, h := range found {
			sum := 0.0
			for k, x := range h.Tokens {
				sum += d.naiveLog(append([]int32{0}, h.Tokens[:k]...))[x]
			}
			if math.Abs(sum-h.LogProb) > 1e-4 || math.Abs(h.Score-sum/float64(len(h.Tokens))) > 1e-4 {
				t.Errorf("%q has log-probability %v and score %v, by definition %v over %d tokens", h.Text, h.LogProb,
					h.Score, sum, len(h.Tokens))
			}
			if i > 0 && h.Score > found[i-1].Score {
				t.Errorf("number %d is better than the one before", i)
			}
			texts = append(texts, h.Text)
		}
		var want []string
		for i := range uint64(5) {
			want = append(want, written(t, tok, "a", append(opts, Seed(seed+i))...))
		}
		slices.Sort(texts)
		slices.Sort(want)
		if !slices.Equal(texts, want) {
			t.Errorf("%q, Generate draws %q", texts, want)
		}
	}
	for _, err := range []error{
		second(BestOf(context.Background(), newNoise(13, 1), tok, "a", 0)),
		second(BestOf(context.Background(), newNoise(13, 1), tok, "a", 2, Mixed(newNoise(13, 1), 0.5))),
		second(BestOf(context.Background(), newNoise(13, 1), tok, "Z", 2)),
	} {
		if err == nil {
			t.Error("it is no error")
		}
	}
}

func second[T any](_ T, err error) error { return err }

// seer is a decoder that shows representations, a function of the last two tokens.
type seer struct{ *noise }

func (s seer) hidden(last [2]int32) []float64 {
	out := make([]float64, 3)
	for i := range out {
		out[i] = float64(float32(float64(model.Key(uint64(last[0]+1), uint64(last[1]+1), uint64(i),
			5)>>11)/(1<<53) - 0.3))
	}
	return out
}

func (s seer) Hidden() []float32 {
	var out []float32
	for _, l := range s.last {
		for _, x := range s.hidden(l) {
			out = append(out, float32(x))
		}
	}
	return out
}

// TestContrastive compares contrastive search with its definition.
func TestContrastive(t *testing.T) {
	tok := pairsOf{pieces: bytesAnd()[97:117]}
	cosine := func(a, b []float64) float64 {
		var ab, aa, bb float64
		for i := range a {
			ab, aa, bb = ab+a[i]*b[i], aa+a[i]*a[i], bb+b[i]*b[i]
		}
		return ab / math.Sqrt(aa*bb)
	}
	r := rand.New(rand.NewPCG(8, 8))
	for range 60 {
		k, alpha := 1+r.IntN(6), r.Float64()
		prompt := ""
		for range 1 + r.IntN(5) {
			prompt += tok.pieces[r.IntN(20)]
		}
		text, err := tok.Encode(prompt)
		if err != nil {
			t.Fatal(err)
		}
		d := seer{newNoise(20, k)}
		last := func(text []int32) [2]int32 {
			if len(text) == 1 {
				return [2]int32{0, text[0]}
			}
			return [2]int32(text[len(text)-2:])
		}
		n := len(text)
		for range 25 {
			p := naiveSoftmax(d.exactly(text))
			limit := slices.Sorted(slices.Values(p))[20-k]
			best, top := int32(-1), math.Inf(-1)
			for i := range int32(20) {
				if p[i] < limit {
					continue
				}
				next := append(slices.Clone(text), i)
				near := -1.0
				for j := range text {
					near = max(near, cosine(d.hidden(last(next)), d.hidden(last(text[:j+1]))))
				}
				if score := (1-alpha)*p[i] - alpha*near; score > top {
					best, top = i, score
				}
			}
			text = append(text, best)
		}
		got, err := Contrastive(context.Background(), d, tok, prompt, alpha, MaxTokens(25))
		if err != nil {
			t.Fatal(err)
		}
		if want := tok.Decode(text[n:]); got != want {
			t.Fatalf("behind %q with %d tokens and alpha %v: %q, by definition %q", prompt, k, alpha, got, want)
		}
	}
}

// TestGroupedBeams compares diverse beams with their definition.
func TestGroupedBeams(t *testing.T) {
	type hypothesis struct {
		tokens []int32
		p      float64
	}
	const vocab = 12
	tok := pairsOf{pieces: bytesAnd()[97 : 97+vocab]}
	r := rand.New(rand.NewPCG(5, 8))
	for range 60 {
		groups, size, length, strength := 1+r.IntN(4), 1+r.IntN(4), 1+r.IntN(6), 2*r.Float64()
		d := newNoise(vocab, groups*size)
		d.scale = 0.5 + 2*r.Float64()
		live := make([][]hypothesis, groups)
		for g := range live {
			live[g] = []hypothesis{{}}
		}
		for range length {
			taken := make([]float64, vocab)
			for g := range live {
				type candidate struct {
					hypothesis
					rank float64
				}
				var all []candidate
				for _, h := range live[g] {
					for x, p := range d.naiveLog(append([]int32{3}, h.tokens...)) {
						all = append(all, candidate{hypothesis{append(slices.Clone(h.tokens), int32(x)), h.p + p},
							h.p + p - strength*taken[x]})
					}
				}
				slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(b.rank, a.rank) })
				live[g] = nil
				for _, x := range all[:min(size, len(all))] {
					live[g] = append(live[g], x.hypothesis)
					taken[x.tokens[len(x.tokens)-1]]++
				}
			}
		}
		var want []string
		for _, h := range slices.Concat(live...) {
			want = append(want, fmt.Sprintf("%s %.3f", tok.Decode(h.tokens), h.p))
		}
		found, err := Beam(context.Background(), d, tok, "d", groups*size, MaxTokens(length),
			DiverseBeams(groups, strength))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range found {
			got = append(got, fmt.Sprintf("%s %.3f", h.Text, h.LogProb))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("%d groups of %d, %v apart, %d tokens:\n%q, by definition\n%q", groups, size, strength, length,
				got, want)
		}
	}
}

// TestRequiredBeams finds the likeliest text with all required phrases and none that is banned, which is known by
// looking at all.
func TestRequiredBeams(t *testing.T) {
	tok := pairsOf{pieces: []string{"a", "b", "c", "ab", "bc"}}
	const vocab, length = 5, 5
	for i, p := range []constrain.Phrases{
		{Required: []string{"ba"}}, {Required: []string{"abc", "cab"}}, {Banned: []string{"ab", "cc"}},
		{Required: []string{"ca", "bb"}, Banned: []string{"ac", "bc"}},
	} {
		l, err := constrain.Containing(p)
		c := constraint(t, tok, l, err)
		for _, scale := range []float64{1, 4, -3} {
			best, likeliest := math.Inf(-1), ""
			d := scaled(vocab, 1, scale)
			var walk func(tokens []int32, sum float64)
			walk = func(tokens []int32, sum float64) {
				s := tok.Decode(tokens)
				if len(tokens) == length {
					fine := true
					for _, x := range p.Required {
						fine = fine && strings.Contains(s, x)
					}
					for _, x := range p.Banned {
						fine = fine && !strings.Contains(s, x)
					}
					if fine && sum > best {
						best, likeliest = sum, s
					}
					return
				}
				for x, q := range d.naiveLog(append([]int32{1}, tokens...)) {
					walk(append(slices.Clone(tokens), int32(x)), sum+q)
				}
			}
			walk(nil, 0)
			for _, dynamic := range []bool{false, true} {
				opts := []Option{Constrain(c), MaxTokens(length)}
				if dynamic {
					opts = append(opts, DynamicBeams())
				}
				found, err := Beam(context.Background(), scaled(vocab, 700, scale), tok, "b", 700, opts...)
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(found[0].LogProb-best) > 1e-4 {
					t.Errorf("phrases %d, scale %v, dynamic %v: %q with %v, the likeliest is %q with %v", i, scale,
						dynamic, found[0].Text, found[0].LogProb, likeliest, best)
				}
			}
			// A beam that is too narrow to hold all still keeps to the phrases.
			for width := 1; width <= 6; width++ {
				found, err := Beam(context.Background(), scaled(vocab, width, scale), tok, "b", width, Constrain(c),
					MaxTokens(9), DynamicBeams())
				if err != nil {
					t.Fatal(err)
				}
				for _, h := range found {
					for _, x := range p.Required {
						if !strings.Contains(h.Text, x) {
							t.Errorf("%q lacks %q", h.Text, x)
						}
					}
					for _, x := range p.Banned {
						if strings.Contains(h.Text, x) {
							t.Errorf("%q has %q", h.Text, x)
						}
					}
				}
			}
		}
	}
}
