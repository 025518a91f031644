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
	"github.com/gradsmith/gradsmith/runtime/sample"
)

// The models of these examples have not been trained, so the examples show what calls give, not what models know. A program calls Load or Parse in place of New.

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
	fmt.Println(len(written), "sentences;", len(z), "numbers;", len(way), "points")
	// Output: 3 sentences; 32 numbers; 5 points
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
	fmt.Println(len(made), len(again))
	// Output: 1568 1568
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
