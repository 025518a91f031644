package sample

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// ahead is noise that can be asked about several tokens at once, and takes them back. Another seed is another model;
// blend is how much of the first it has in it.
type ahead struct {
	*noise
	past  [][2]int32 // last before each token that was read
	other uint64
	blend float32
}

func newAhead(vocab, window int, other uint64, blend float32) *ahead {
	d := &ahead{noise: newNoise(vocab, 1), other: other, blend: blend}
	d.window = window
	return d
}

func (d *ahead) Ahead() int { return 8 }
func (d *ahead) Reset()     { d.noise.Reset(); d.past = nil }
func (d *ahead) Step(tokens []int32) ([]float32, error) {
	return d.Feed(tokens)
}
func (d *ahead) Feed(tokens []int32) ([]float32, error) {
	out, err := d.each(tokens)
	return out[max(0, len(out)-d.vocab):], err
}
func (d *ahead) FeedEach(tokens []int32) ([]float32, error) {
	if len(tokens) > d.Ahead() {
		return nil, errors.New("too many")
	}
	return d.each(tokens)
}
func (d *ahead) each(tokens []int32) (all []float32, err error) {
	if len(tokens) > d.Room() {
		return nil, model.ErrFull
	}
	d.calls++
	for _, t := range tokens {
		d.past = append(d.past, d.last[0])
		d.fed++
		d.last[0] = [2]int32{d.last[0][1], t}
		row := d.logits(d.last[0])
		if d.other != 0 {
			mine := d.logits([2]int32{d.last[0][0] + int32(d.other)*1000, d.last[0][1]})
			for i := range row {
				row[i] = d.blend*row[i] + (1-d.blend)*mine[i]
			}
		}
		all = append(all, row...)
	}
	return all, nil
}
func (d *ahead) Rewind(i, n int) error {
	if i != 0 || n > d.Ahead() || n > len(d.past) {
		return fmt.Errorf("cannot rewind %d of %d", n, len(d.past))
	}
	d.last[0] = d.past[len(d.past)-n]
	d.past, d.fed = d.past[:len(d.past)-n], d.fed-n
	return nil
}

// carrying is a recurrent decoder: its state can be written.
type carrying struct {
	vocab int
	state []float32
	of    *noise
}

func newCarrying(vocab int) *carrying {
	return &carrying{vocab: vocab, state: make([]float32, 2), of: newNoise(vocab, 1)}
}
func (d *carrying) Batch() int               { return 1 }
func (d *carrying) Reset()                   { clear(d.state) }
func (d *carrying) State() []float32         { return d.state }
func (d *carrying) Reorder(from []int) error { return nil }
func (d *carrying) Step(tokens []int32) ([]float32, error) {
	d.state[0], d.state[1] = d.state[1], float32(tokens[0])
	return d.of.logits([2]int32{int32(d.state[0]), int32(d.state[1])}), nil
}

// letters are n tokens, each a letter of the alphabet and of the next ones.
func letters(n int) text.Tokenizer {
	var pieces []string
	for i := range n {
		pieces = append(pieces, string(rune('a'+i)))
	}
	return pairsOf{pieces: pieces}
}

// TestSpeculation holds texts with guesses to those without: the same to the byte, for every way to draw, in windows
// that are shorter than the text, behind guesses of models that are the same, alike, other, and recurrent.
func TestSpeculation(t *testing.T) {
	ctx := context.Background()
	tok := letters(32)
	write := func(opts []Option, window int) (string, []Reason, int) {
		d := newAhead(32, window, 0, 0)
		var text strings.Builder
		var why []Reason
		for tk, err := range Tokens(ctx, d, tok, "abcab", opts...) {
			if err != nil {
				t.Fatal(err)
			}
			text.WriteString(tk.Text)
			if tk.End != "" {
				why = append(why, tk.End)
			}
		}
		return text.String(), why, d.calls
	}
	for name, opts := range map[string][]Option{
		"greedy":      {Greedy()},
		"drawn":       {Temperature(1)},
		"cold":        {Temperature(0.5), TopK(5)},
		"nucleus":     {TopP(0.8), Temperature(0.9)},
		"penalties":   {RepetitionPenalty(1.3), FrequencyPenalty(0.4)},
		"mirostat":    {Mirostat(2, 0.1)},
		"stop":        {Stop("c"), MinTokens(20)},
		"no repeat":   {NoRepeat(2)},
		"xtc and dry": {XTC(0.5, 0.05), DRY(0.8, 1.75, 2)},
		"told":        {LogProbs(2), Temperature(0.7)},
	} {
		for seed := range uint64(6) {
			for _, window := range []int{4096, 24} {
				base := append([]Option{Seed(seed), MaxTokens(90)}, opts...)
				want, why, calls := write(base, window)
				for how, guess := range map[string]func() Option{
					"itself":    func() Option { return Speculate(newAhead(32, window, 0, 0), 4) },
					"alike":     func() Option { return Speculate(newAhead(32, 16, 3, 0.8), 7) },
					"other":     func() Option { return Speculate(newAhead(32, 4096, 5, 0), 5) },
					"recurrent": func() Option { return Speculate(newCarrying(32), 3) },
					"lookup":    func() Option { return Lookup(6) },
					"too many":  func() Option { return Lookup(600) },
				} {
					var s Speculation
					got, end, fewer := write(append(slices.Clone(base), guess(), Counted(&s)), window)
					if got != want || !slices.Equal(end, why) {
						t.Fatalf("%s, seed %d, window %d, guessed by %s:\n%q\n%q", name, seed, window, how, got, want)
					}
					if s.Accepted > s.Guessed || s.Passes > calls {
						t.Errorf("%s: %+v of %d calls", name, s, calls)
					}
					if how == "itself" && name != "stop" && window > 100 &&
						(fewer > calls/3 || s.Accepted < s.Guessed) {
						t.Errorf("%s: %d calls in place of %d where all guesses are right: %+v", name, fewer, calls, s)
					}
				}
			}
		}
	}
}

// TestSpeculationDistribution draws two tokens 100,000 times with guesses of another model, and compares how often each
// pair comes with what the model says.
func TestSpeculationDistribution(t *testing.T) {
	const vocab, draws = 6, 100000
	ctx := context.Background()
	tok := letters(vocab)
	counts := make([]float64, vocab*vocab)
	for seed := range uint64(draws) {
		pair := 0
		for tk, err := range Tokens(ctx, newAhead(vocab, 64, 0, 0), tok, "ab", MaxTokens(3), Seed(seed),
			Speculate(newAhead(vocab, 64, 3, 0.5), 2)) {
			if err != nil {
				t.Fatal(err)
			}
			if tk.ID >= 0 {
				pair = (pair*vocab + int(tk.ID)) % (vocab * vocab) // the second and the third, of which one is guessed
			}
		}
		counts[pair]++
	}
	probabilities := func(last [2]int32) []float64 {
		row := newNoise(vocab, 1).logits(last)
		sum, p := 0.0, make([]float64, vocab)
		for i, x := range row {
			p[i] = math.Exp(float64(x))
			sum += p[i]
		}
		for i := range p {
			p[i] /= sum
		}
		return p
	}
	want := make([]float64, vocab*vocab)
	for i, p := range probabilities([2]int32{0, 1}) {
		for j, q := range probabilities([2]int32{1, int32(i)}) {
			for k, r := range probabilities([2]int32{int32(i), int32(j)}) {
				want[j*vocab+k] += p * q * r
			}
		}
	}
	chi := 0.0
	for i, n := range counts {
		chi += (n - draws*want[i]) * (n - draws*want[i]) / (draws * want[i])
	}
	// 35 degrees of freedom: above 66.6 one time in a thousand. The seeds are fixed.
	if chi > 66.6 {
		t.Errorf("chi-squared is %.1f", chi)
	}
	t.Logf("chi-squared is %.1f at 35 degrees of freedom", chi)
}

// TestSpeculationRefused: what cannot guess, or cannot be asked, is an error that says so.
func TestSpeculationRefused(t *testing.T) {
	ctx := context.Background()
	tok := letters(32)
	for want, f := range map[string]func() error{
		"token by token": func() error { return firstError(ctx, newCarrying(32), tok, Lookup(4)) },
		"one vocabulary": func() error {
			return firstError(ctx, newAhead(32, 64, 0, 0), tok, Speculate(newAhead(31, 64, 0, 0), 4))
		},
		"take tokens back": func() error {
			return firstError(ctx, newAhead(32, 64, 0, 0), tok, Speculate(newNoise(32, 1), 4))
		},
		"give 1 or more":  func() error { return firstError(ctx, newAhead(32, 64, 0, 0), tok, Lookup(0)) },
		"of one sequence": func() error { return firstError(ctx, newAhead(32, 64, 0, 0), tok, Speculate(nil, 2)) },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one about %q", err, want)
		}
	}
}

// spoken is a decoder that tells its tokenizer.
type spoken struct {
	*ahead
	tok text.Tokenizer
}

func (d spoken) Tokenizer() model.Tokenizer { return d.tok }

// TestOtherVocabulary: a model whose tokens are as many and other texts guesses nothing, and is not heard beside
// another one either; one of another tokenizer with the same pieces does.
func TestOtherVocabulary(t *testing.T) {
	ctx := context.Background()
	upper := make([]string, 32)
	for i := range upper {
		upper[i] = string(rune('a' + i))
	}
	same := digested{pairsOf{pieces: slices.Clone(upper)}, "of the same pieces"}
	upper[3], upper[9] = "D", "J"
	other := digested{pairsOf{pieces: upper}, "of other pieces"}
	few := digested{pairsOf{pieces: upper[:31]}, "of fewer pieces"}
	tok := digested{letters(32).(pairsOf), "of the text"}
	for how, option := range map[string]func(d model.Decoder) Option{
		"guesses": func(d model.Decoder) Option { return Speculate(d, 4) },
		"mixture": func(d model.Decoder) Option { return Mixed(d, 0.5) },
	} {
		try := func(own text.Tokenizer) error {
			n := own.Vocab()
			return firstError(ctx, newAhead(32, 64, 0, 0), tok, option(spoken{newAhead(n, 64, 0, 0), own}))
		}
		if err := try(same); err != nil {
			t.Errorf("%s of a model with the same pieces: %v", how, err)
		}
		err := try(other)
		const want = `token 3 is "D" to the one and "d" to the other, and so 2 of 32`
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s of a model with other pieces: %v", how, err)
		}
		if err := try(few); err == nil || !strings.Contains(err.Error(), "has 31 tokens") {
			t.Errorf("%s of a model with fewer pieces: %v", how, err)
		}
	}
}

// digested is a tokenizer with a digest of its own.
type digested struct {
	pairsOf
	digest string
}

func (d digested) Digest() string { return d.digest }

func firstError(ctx context.Context, d model.Decoder, tok text.Tokenizer, o Option) error {
	for _, err := range Tokens(ctx, d, tok, "abc", MaxTokens(3), o) {
		if err != nil {
			return err
		}
	}
	return nil
}
