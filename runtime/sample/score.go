package sample

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// Fit is how well a model predicts a text.
type Fit struct {
	Tokens  int     `json:"tokens"`
	Bytes   int     `json:"bytes"`
	LogProb float64 `json:"log_prob"` // natural logarithm of the text's probability
}

// BitsPerByte is the mean of −log₂ p a byte of the text, which can be compared between tokenizers. It is 0 for no text.
func (f Fit) BitsPerByte() float64 {
	if f.Bytes == 0 {
		return 0
	}
	return 0 - f.LogProb/math.Ln2/float64(f.Bytes)
}

// Perplexity is exp of the mean of −log p a token. It is 1 for no text.
func (f Fit) Perplexity() float64 {
	if f.Tokens == 0 {
		return 1
	}
	return math.Exp(-f.LogProb / float64(f.Tokens))
}

// Measure tells how well a model predicts s behind a prompt, from the start of a text; an empty prompt stands for a
// newline. A text that is longer than the model's window is read on with the newer half of what it saw, as in
// [Generate]. progress, if there is one, is told how many tokens are done.
func Measure(ctx context.Context, dec model.Decoder, tok text.Tokenizer, prompt, s string,
	progress func(tokens int)) (Fit, error) {
	before, err := Prompt(tok, prompt)
	if err != nil {
		return Fit{}, err
	}
	tokens, err := tok.Encode(s)
	if err != nil {
		return Fit{}, err
	}
	if dec.Batch() != 1 {
		return Fit{}, fmt.Errorf("sample: Measure reads one text, the decoder is for %d", dec.Batch())
	}
	dec.Reset()
	v, err := newVoice(ctx, dec, before)
	if err != nil {
		return Fit{}, err
	}
	f := Fit{Bytes: len(s)}
	row := make([]float32, tok.Vocab())
	for i, t := range tokens {
		if err := context.Cause(ctx); err != nil {
			return f, err
		}
		kernel.LogSoftmax(row, v.logits, 1, len(row))
		p := float64(row[t])
		if p != p {
			return f, ErrNotFinite
		}
		f.LogProb += p
		f.Tokens++
		if progress != nil {
			progress(f.Tokens)
		}
		if i+1 < len(tokens) {
			if err := v.read(ctx, tokens[i:i+1]); err != nil {
				return f, err
			}
		}
	}
	return f, nil
}

// Embed gives a representation of a text: the mean over its tokens of what the model's logits are made from, at each
// of them, of length 1 unless it is zero. It begins behind a newline, as in [Generate]; texts that mean alike have a
// cosine near 1, the more the better the model is.
func Embed(ctx context.Context, dec model.Representer, tok text.Tokenizer, s string) ([]float32, error) {
	before, err := Prompt(tok, "")
	if err != nil {
		return nil, err
	}
	tokens, err := tok.Encode(s)
	if err != nil {
		return nil, err
	}
	if dec.Batch() != 1 {
		return nil, fmt.Errorf("sample: Embed reads one text, the decoder is for %d", dec.Batch())
	}
	if len(tokens) == 0 {
		return nil, errors.New("sample: an empty text has no representation")
	}
	dec.Reset()
	v, err := newVoice(ctx, dec, before)
	if err != nil {
		return nil, err
	}
	var rows []float32
	for _, t := range tokens {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if err := v.read(ctx, []int32{t}); err != nil {
			return nil, err
		}
		rows = append(rows, dec.Hidden()...)
	}
	return Mean(rows, len(tokens)), nil
}

// Mean is the mean of n vectors, which stand in rows one behind the other, of length 1 unless it is zero.
func Mean(rows []float32, n int) []float32 {
	mean := make([]float32, len(rows)/n)
	for i := range mean {
		sum := 0.0
		for k := range n {
			sum += float64(rows[k*len(mean)+i])
		}
		mean[i] = float32(sum / float64(n))
	}
	return unit(mean)
}

// ScoreTokens tells of each token but the first its log-probability behind those before it, and the best likeliest in
// its place, as [Tokens] does of tokens that are written. The decoder is at the start of a text, for one sequence, and
// has room for all.
func ScoreTokens(ctx context.Context, dec model.Decoder, tok text.Tokenizer, tokens []int32,
	best int) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		row, likeliest := make([]float32, tok.Vocab()), make([]int32, min(max(0, best), tok.Vocab()))
		for i, t := range tokens {
			if i+1 == len(tokens) {
				return
			}
			err := context.Cause(ctx)
			var logits []float32
			if err == nil {
				logits, err = dec.Step([]int32{t})
			}
			if err != nil {
				yield(Token{ID: -1}, err)
				return
			}
			kernel.LogSoftmax(row, logits, 1, len(row))
			if row[0] != row[0] {
				yield(Token{ID: -1}, ErrNotFinite)
				return
			}
			if !yield(told(tok, tokens[i+1], row, likeliest), nil) {
				return
			}
		}
	}
}

// told is a token with what its row of log-probabilities tells; likeliest is working space, as long as alternatives
// are told.
func told(tok text.Tokenizer, token int32, row []float32, likeliest []int32) Token {
	t := Token{ID: token, Piece: tok.Piece(token), LogProb: float64(row[token])}
	if len(likeliest) > 0 {
		kernel.TopK(likeliest, row)
		t.Best = make([]Alternative, len(likeliest))
		for i, b := range likeliest {
			t.Best[i] = Alternative{b, tok.Piece(b), float64(row[b])}
		}
	}
	return t
}
