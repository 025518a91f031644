package generated_test

import (
	"context"
	"fmt"
	"log"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/generated/bertmini"
	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/generated/lstm"
	"github.com/gradsmith/gradsmith/generated/seqgan"
	"github.com/gradsmith/gradsmith/generated/textvae"
	"github.com/gradsmith/gradsmith/generated/translate"
	"github.com/gradsmith/gradsmith/generated/vae"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/latent"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/runtime/vector"
)

// The models of these examples have not been trained, so the examples show what calls give, not what models know. A
// program calls Load or Parse in place of New.

// A language model goes on with a prompt, and tells how likely a text is.
func Example_generate() {
	m := lstm.New()
	n := 0
	for text, err := range m.Generate(context.Background(), "The ", sample.MaxTokens(20), sample.Seed(1)) {
		if err != nil {
			log.Fatal(err)
		}
		n += len(text)
	}
	scored, err := m.Score(context.Background(), "The ", "sun")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n, "characters;", len(scored), "of a text have a score")
	// Output: 20 characters; 3 of a text have a score
}

// A translator answers a text, and tells how likely an answer is.
func Example_translate() {
	m := translate.New()
	answer, err := m.Translate(context.Background(), "A dog runs.", 4)
	if err != nil {
		log.Fatal(err)
	}
	score, err := m.Score(context.Background(), "A dog runs.", "Ein Hund rennt.")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer != "", score < 0)
	// Output: true true
}

// A masked model fills in what is missing.
func Example_fill() {
	m := bertmini.New()
	text, err := m.Fill("To be, or not[MASK] be")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.HasPrefix(text, "To be, or not"), strings.Contains(text, "[MASK]"))
	// Output: true false
}

// A masked model tells which of two texts fits better, by the sums of their tokens' log-probabilities.
func Example_masked() {
	m := bertmini.New()
	for _, s := range []string{"To be, or not to be", "To be, or not to see"} {
		scored, err := m.Score(context.Background(), s)
		if err != nil {
			log.Fatal(err)
		}
		sum := 0.0
		for _, x := range scored {
			sum += x.LogProb
		}
		fmt.Println(len(scored), "tokens;", sum < 0)
	}
	// Output:
	// 7 tokens; true
	// 7 tokens; true
}

// An autoencoder of sentences writes new ones, and those between two.
func Example_sentences() {
	ctx, m := context.Background(), textvae.New()
	written, err := m.Sample(ctx, 3, 1, sample.Temperature(1), sample.Seed(1))
	if err != nil {
		log.Fatal(err)
	}
	z, err := m.Encode([]string{"a dog runs ."})
	if err != nil {
		log.Fatal(err)
	}
	way, err := m.Interpolate(ctx, "a dog runs .", "a man sits .", 5)
	if err != nil {
		log.Fatal(err)
	}
	// on the logarithms of their probabilities
	bounds, err := m.Score(ctx, []string{"a dog runs .", "a man sits ."}, 10, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(written), "sentences;", len(z), "numbers;", len(way), "points;", len(bounds), "bounds")
	// Output: 3 sentences; 32 numbers; 5 points; 2 bounds
}

// An autoencoder of vectors makes new ones, and reconstructs others.
func Example_vectors() {
	m := vae.New()
	made, err := m.Sample(2, 1)
	if err != nil {
		log.Fatal(err)
	}
	again, err := m.Reconstruct(made)
	if err != nil {
		log.Fatal(err)
	}
	bounds, err := m.Score(context.Background(), made, 10, 1) // on the logarithms of their probabilities
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(made), len(again), len(bounds))
	// Output: 1568 1568 2
}

// A generator makes vectors, and its discriminator judges them.
func Example_adversaries() {
	m := gan.New()
	made, err := m.Sample(3, 1)
	if err != nil {
		log.Fatal(err)
	}
	verdicts, err := m.Score(made)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(made), len(verdicts))
	// Output: 2352 3
}

// A generator of text writes lines.
func Example_lines() {
	m := seqgan.New()
	lines, err := m.Sample(context.Background(), 2, 1, 1)
	if err != nil {
		log.Fatal(err)
	}
	verdicts, err := m.Score(lines)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(lines), len(verdicts))
	// Output: 2 2
}

// TestPlainCalls holds the calls to each other, and that what does not fit them is an error.
func TestPlainCalls(t *testing.T) {
	if kernel.Level() == "generic" {
		t.Skip("takes half a minute without assembly, and tests no kernel")
	}
	ctx := context.Background()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s is no error", what)
		}
	}
	near := func(what string, a, b float64) {
		t.Helper()
		if !(math.Abs(a-b) <= 1e-4*(1+math.Abs(b))) {
			t.Errorf("%s is %v, want %v", what, a, b)
		}
	}

	v := vae.New()
	z, err := v.Encode(make([]float32, 5*784))
	ok(err)
	x, err := v.Decode(z)
	ok(err)
	again, err := v.Reconstruct(make([]float32, 5*784))
	ok(err)
	if !slices.Equal(x, again) {
		t.Error("a reconstruction is not what is decoded of the code")
	}
	way, err := v.Interpolate(make([]float32, 784), x[:784], 3)
	ok(err)
	if !slices.Equal(way[:784], x[:784]) || len(way) != 3*784 {
		t.Error("an interpolation does not begin at its first end")
	}
	many, err := v.Sample(vae.New().Info().Batch+3, 7)
	ok(err)
	few, err := v.Sample(2, 7)
	ok(err)
	for i := range few {
		near("a sample among few", float64(few[i]), float64(many[i]))
	}
	_, err = v.Encode(make([]float32, 3))
	refused("a vector of 3 numbers", err)
	_, err = v.Decode(make([]float32, 3))
	refused("a latent vector of 3 numbers", err)
	_, err = v.Sample(-1, 1)
	refused("-1 samples", err)
	_, err = v.Interpolate(make([]float32, 784), make([]float32, 783), 3)
	refused("an end of 783 numbers", err)
	_, err = v.Interpolate(make([]float32, 784), make([]float32, 784), 1)
	refused("one point between two", err)

	// A bound is what eval says of the same vectors, and a row's that of the row alone.
	some, n := make([]float32, 70*784), v.Info().Batch
	for i := range some {
		some[i] = float32(i*i%7) / 6
	}
	bounds, err := v.Score(ctx, some, 3, 5)
	ok(err)
	set, err := vector.New("some", some, *v.Info().Vector)
	ok(err)
	batches, err := set.Whole(n)
	ok(err)
	report, err := latent.Evaluate(ctx, v, batches, latent.Options{Samples: 3, Seed: 5})
	ok(err)
	near("the mean of the bounds", mean(bounds), -report.Bound)
	first, err := v.Score(ctx, some[:2*784], 3, 5)
	ok(err)
	near("the bound of one among few", first[1], bounds[1])
	_, err = v.Score(ctx, some, 0, 5)
	refused("a bound of no samples", err)
	_, err = v.Score(ctx, some[1:], 3, 5)
	refused("vectors that are not whole", err)

	s := textvae.New()
	lines := []string{"a dog runs .", "a man sits ."}
	z, err = s.Encode(lines)
	ok(err)
	written, err := s.Decode(ctx, z)
	ok(err)
	rewritten, err := s.Reconstruct(ctx, lines)
	ok(err)
	between, err := s.Interpolate(ctx, lines[0], lines[1], 2)
	ok(err)
	if !slices.Equal(written, rewritten) || !slices.Equal(written, between) {
		t.Errorf("%q is decoded, %q reconstructed, %q at the ends of the way", written, rewritten, between)
	}
	bounds, err = s.Score(ctx, []string{lines[1], lines[0] + " a dog", lines[0]}, 2, 5)
	ok(err)
	pairs, err := text.NewPairs("some", []string{lines[1], lines[0] + " a dog", lines[0]},
		[]string{lines[1], lines[0] + " a dog", lines[0]},
		textvae.Tokenizer, textvae.Tokenizer, text.PairOptions{Source: *s.Info().Source, Steps: s.Info().Steps})
	ok(err)
	var together model.Batch
	pairs.Batch(&together, []int32{0, 1, 2})
	report, err = latent.Evaluate(ctx, s, &once{b: &together}, latent.Options{Samples: 2, Seed: 5})
	ok(err)
	near("the mean of the bounds of sentences", mean(bounds), -report.Bound)
	if none, err := s.Score(ctx, nil, 2, 5); err != nil || len(none) != 0 {
		t.Errorf("the bounds of no sentences are %v, %v", none, err)
	}
	_, err = s.Score(ctx, []string{strings.Repeat("dog ", 1000)}, 2, 5)
	refused("a bound of a sentence of 1000 words", err)
	_, err = s.Decode(ctx, z[1:])
	refused("a latent vector too short", err)
	_, err = s.Encode([]string{strings.Repeat("dog ", 1000)})
	refused("a sentence of 1000 words", err)

	m := translate.New()
	_, err = m.Translate(ctx, "A dog runs.", 0)
	refused("a beam of 0", err)
	_, err = m.Translate(ctx, strings.Repeat("dog ", 1000), 1)
	refused("a source of 1000 words", err)
	_, err = m.Score(ctx, "A dog", strings.Repeat("Hund ", 1000))
	refused("an answer of 1000 words", err)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = m.Translate(cancelled, "A dog runs.", 2)
	refused("a call after the context's end", err)

	b := bertmini.New()
	_, err = b.Fill("nothing is missing")
	refused("a text without a mask", err)
	// The score of a token is the loss of a text in which it alone is masked.
	const masked = "To be, or not to be, that is the question: Whether 'tis nobler in the mind to suffer the slings " +
		"and arrows of outrageous fortune"
	scored, err := b.Score(ctx, masked)
	ok(err)
	tokens, err := bertmini.Tokenizer.Encode(masked)
	ok(err)
	if len(scored) != len(tokens) || len(tokens) <= b.Info().Batch {
		t.Fatalf("%d of %d tokens have a score, in batches of %d", len(scored), len(tokens), b.Info().Batch)
	}
	for i, x := range scored {
		one := model.Batch{Steps: len(tokens), Batch: 1, Tokens: slices.Clone(tokens),
			Targets: slices.Repeat([]int32{-1}, len(tokens)), Reset: make([]int32, len(tokens))}
		one.Tokens[i], one.Targets[i] = b.Info().Masking.Token, tokens[i]
		loss, err := b.Loss(&one)
		ok(err)
		near(fmt.Sprint("the score of token ", i), x.LogProb, -loss)
		if x.Token != tokens[i] || x.Piece != bertmini.Tokenizer.Piece(tokens[i]) {
			t.Errorf("token %d is %+v", i, x)
		}
	}
	if none, err := b.Score(ctx, ""); err != nil || len(none) != 0 {
		t.Errorf("the scores of no text are %v, %v", none, err)
	}
	_, err = b.Score(ctx, strings.Repeat("a", 10000))
	refused("a text of 10000 letters", err)
	_, err = b.Score(cancelled, masked)
	refused("a score after the context's end", err)
	_, err = b.Fill(strings.Repeat("[MASK]", 10000))
	refused("a text of 10000 masks", err)

	g := gan.New()
	_, err = g.Score(make([]float32, 783))
	refused("a vector of 783 numbers", err)
	_, err = g.Sample(-1, 1)
	refused("-1 vectors", err)

	l := seqgan.New()
	_, err = l.Score([]string{"1 2 3"})
	refused("a line of 3 numbers", err)
	_, err = l.Sample(ctx, 2, 0, 1)
	refused("a temperature of 0", err)
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// once is a batch as data.
type once struct {
	b    *model.Batch
	done bool
}

func (o *once) Rewind() { o.done = false }
func (o *once) Next(b *model.Batch) bool {
	*b = *o.b
	defer func() { o.done = true }()
	return !o.done
}
