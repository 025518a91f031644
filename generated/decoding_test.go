package generated_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/gru"
	"github.com/gradsmith/gradsmith/generated/lstm"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/runtime/train"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// TestEvaluateDecoder holds the loss of what a decoder computes to that of the forward pass, over a text of several
// documents whose last window is not full: with float32 the same but for rounding, with fewer bits near to it.
func TestEvaluateDecoder(t *testing.T) {
	if kernel.Level() == "generic" {
		t.Skip("takes minutes without assembly; the products of each kind are held to theirs in package kernel")
	}
	file := filepath.Join(t.TempDir(), "text")
	var all strings.Builder
	for i := range 37 {
		all.WriteString(strings.Repeat("The Rays of Light. ", 1+i%5) + "\n\n")
	}
	if err := os.WriteFile(file, []byte(all.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]struct {
		model model.Packer
		tok   model.Tokenizer
	}{
		"rnn":     {rnn.NewSeeded(3), rnn.Tokenizer},
		"lstm":    {lstm.NewSeeded(3), lstm.Tokenizer},
		"gru":     {gru.NewSeeded(3), gru.Tokenizer},
		"gptnano": {gptnano.NewSeeded(3), gptnano.Tokenizer},
	} {
		t.Run(name, func(t *testing.T) {
			corpus, err := text.Read(text.Paths(file), m.tok, text.Options{Separator: "\n\n"})
			if err != nil {
				t.Fatal(err)
			}
			windows, err := corpus.Train.Whole(3, min(20, m.model.Info().Steps))
			if err != nil {
				t.Fatal(err)
			}
			ctx := context.Background()
			clear(m.model.State())
			want, tokens, err := train.Evaluate(ctx, m.model, windows)
			if err != nil {
				t.Fatal(err)
			}
			for kind, tolerance := range map[weights.Kind]float64{
				weights.Live: 1e-5, weights.F32: 1e-5, weights.BF16: 0.02, weights.Q8: 0.02, weights.Q4: 0.2,
			} {
				if err := m.model.Pack(kind); err != nil {
					t.Fatal(err)
				}
				loss, n, err := train.EvaluateDecoder(ctx, m.model, windows)
				if err != nil {
					t.Fatal(err)
				}
				if n != tokens || math.Abs(loss-want) > tolerance {
					t.Errorf("%v: %v over %d tokens, the forward pass gives %v over %d", kind, loss, n, want, tokens)
				}
			}
		})
	}
}

// failing is a decoder that fails at its third step.
type failing struct {
	model.Decoder
	steps int
}

var errDecoder = errors.New("the decoder fails")

func (f *failing) Step(tokens []int32) ([]float32, error) {
	if f.steps++; f.steps == 3 {
		return nil, errDecoder
	}
	return f.Decoder.Step(tokens)
}

// TestDecoderFails checks that a decoder that fails within a text ends it with its error.
func TestDecoderFails(t *testing.T) {
	d := &failing{Decoder: rnn.New().MakeDecoder(1)}
	var last error
	for _, err := range sample.Generate(context.Background(), d, rnn.Tokenizer, "T", sample.MaxTokens(10)) {
		last = err
	}
	if !errors.Is(last, errDecoder) {
		t.Errorf("the text ends with %v", last)
	}
}
