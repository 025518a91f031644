// Package inference is what a trained model is used for, as plain calls: text or numbers in, text or numbers out. The
// methods of generated models, such as Translate and Fill, and the commands of their programs are made of it.
//
// It must not know how a model computes: it sees the interfaces of package model, and tokenizers.
package inference

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/latent"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// encoder makes a decoder for n answers.
func encoder(m model.Writer, n int) (model.Encoder, error) {
	made, err := model.NewDecoder(m, n)
	if err != nil {
		return nil, err
	}
	d, ok := made.(model.Encoder)
	if !ok {
		return nil, fmt.Errorf("%s answers no sources", m.Info().Name)
	}
	return d, nil
}

// Answer answers a source, which is tokens with their end, by a beam of the given width; 1 takes the likeliest token
// each time. most is the number of tokens of an answer, at the most.
func Answer(ctx context.Context, m model.Writer, source []int32, width, most int, rank sample.Ranking) (sample.Answer,
	error) {
	if width < 1 {
		return sample.Answer{}, fmt.Errorf("a beam of %d: give 1 or more", width)
	}
	d, err := encoder(m, width)
	if err != nil {
		return sample.Answer{}, err
	}
	f := *m.Info().Source
	if width == 1 {
		found, err := sample.GreedyAnswers(ctx, d, source, f, most)
		if err != nil {
			return sample.Answer{}, err
		}
		return found[0], nil
	}
	found, err := sample.BeamAnswers(ctx, d, text.Pad(slices.Repeat([][]int32{source}, width)), f, most, rank)
	if err != nil {
		return sample.Answer{}, err
	}
	return found[0], nil
}

// Translate answers a text. The beam is that of [Answer]; it ranks answers with a length penalty of 1.
func Translate(ctx context.Context, m model.Writer, from, to model.Tokenizer, source string, width int) (string,
	error) {
	info := m.Info()
	tokens, err := text.EncodeSource(source, from, *info.Source)
	if err != nil {
		return "", err
	}
	found, err := Answer(ctx, m, tokens, width, info.Steps-1, sample.Ranking{Length: 1})
	if err != nil {
		return "", err
	}
	return to.Decode(found.Tokens), nil
}

// Alignment tells where the model looks while it writes an answer to a source: for each token of the answer a weight
// for each token of the source, which add up to 1. Both have their end where they have one. It takes a recurrent
// decoder with additive or concat attention.
func Alignment(ctx context.Context, m model.Writer, source, answer []int32) ([][]float32, error) {
	dec, ok := m.MakeDecoder(1).(model.Aligner)
	if !ok {
		return nil, fmt.Errorf("%s does not show where it looks: that takes a recurrent decoder with additive or "+
			"concat attention", m.Info().Name)
	}
	if err := dec.Encode(source); err != nil {
		return nil, err
	}
	before := m.Info().Source.AnswerBegin
	weights := make([][]float32, len(answer))
	for i, t := range answer {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if _, err := dec.Step([]int32{before}); err != nil {
			return nil, err
		}
		weights[i] = slices.Clone(dec.Alignment())
		before = t
	}
	return weights, nil
}

// Aligns is whether [Alignment] can tell of the model.
func Aligns(m model.Writer) bool {
	_, ok := m.MakeDecoder(1).(model.Aligner)
	return ok
}

// ScoreAnswer gives the natural logarithm of the probability of an answer to a source, its end included.
func ScoreAnswer(ctx context.Context, m model.Writer, from, to model.Tokenizer, source, answer string) (float64,
	error) {
	info := m.Info()
	tokens, err := text.EncodeSource(source, from, *info.Source)
	if err != nil {
		return 0, err
	}
	written, err := to.Encode(answer)
	if err != nil {
		return 0, err
	}
	if len(written)+1 > info.Steps {
		return 0, fmt.Errorf("the answer has %d tokens, the model writes %d: shorten it", len(written), info.Steps-1)
	}
	d, err := encoder(m, 1)
	if err == nil {
		err = d.Encode(tokens)
	}
	if err != nil {
		return 0, err
	}
	sum, row := 0.0, make([]float32, info.Vocab)
	before := info.Source.AnswerBegin
	for _, t := range append(written, info.Source.AnswerEnd) {
		if err := context.Cause(ctx); err != nil {
			return 0, err
		}
		logits, err := d.Step([]int32{before})
		if err != nil {
			return 0, err
		}
		kernel.LogSoftmax(row, logits, 1, len(row))
		sum += float64(row[t])
		before = t
	}
	return sum, nil
}

// Embedder makes a function that gives a representation of a text, of length 1 unless it is zero: the mean over its
// tokens of what the model's logits are made from, see [sample.Embed], of a model that writes or one that fills in
// masked tokens; or the mean of the latent vector of an autoencoder of sentences. It is not safe for concurrent use.
func Embedder(m model.LanguageModel, tok model.Tokenizer) (func(ctx context.Context, s string) ([]float32, error),
	error) {
	info := m.Info()
	switch x := m.(type) {
	case model.Autoencoder:
		if info.Vector == nil && info.Labels == 0 {
			return func(_ context.Context, s string) ([]float32, error) {
				z, err := EncodeSentences(x, tok, []string{s}, nil)
				if err != nil {
					return nil, err
				}
				return sample.Mean(z, 1), nil
			}, nil
		}
	case model.Contextual:
		return func(_ context.Context, s string) ([]float32, error) { return embedMasked(x, tok, s) }, nil
	case model.Writer:
		d, err := model.NewDecoder(x, 1)
		if err != nil {
			return nil, err
		}
		if dec, ok := d.(model.Representer); ok {
			return func(ctx context.Context, s string) ([]float32, error) { return sample.Embed(ctx, dec, tok, s) }, nil
		}
	}
	return nil, fmt.Errorf("%s does not show what its logits are made from", info.Name)
}

func embedMasked(m model.Contextual, tok model.Tokenizer, s string) ([]float32, error) {
	tokens, err := tok.Encode(s)
	if err != nil {
		return nil, err
	}
	switch n := m.Info().Steps; {
	case len(tokens) == 0:
		return nil, errors.New("an empty text has no representation")
	case len(tokens) > n:
		return nil, tooLong(len(tokens), n)
	}
	rows, err := m.Hidden(oneText(tokens))
	if err != nil {
		return nil, err
	}
	return sample.Mean(rows, len(tokens)), nil
}

// oneText is a batch of a single text, of which nothing is predicted.
func oneText(tokens []int32) *model.Batch {
	n := len(tokens)
	return &model.Batch{Steps: n, Batch: 1, Tokens: tokens, Targets: make([]int32, n), Reset: make([]int32, n)}
}

// Blank is a masked place of a text, filled in.
type Blank struct {
	Tokens        []int32   // the likeliest, the best first
	Probabilities []float32 // of these
}

// Fill fills in a text, in which the mask stands where something is missing: all masks at once, each with the likeliest
// token. Of each it tells the top likeliest. A mask is never filled in with a mask, or with another token that no text
// has.
func Fill(m model.Predictor, tok model.Tokenizer, s string, top int) (string, []Blank, error) {
	return FillWithin(m, tok, s, top, nil)
}

// masked turns a text with masks into tokens, and says where the masks are.
func masked(info *model.Info, tok model.Tokenizer, s string) (tokens []int32, at []int, err error) {
	mask := tok.Piece(info.Masking.Token)
	parts := strings.Split(s, mask)
	if len(parts) == 1 {
		return nil, nil, fmt.Errorf("there is no %s in the text", mask)
	}
	for i, part := range parts {
		if i > 0 {
			at = append(at, len(tokens))
			tokens = append(tokens, info.Masking.Token)
		}
		if part == "" {
			continue
		}
		x, err := tok.Encode(part)
		if err != nil {
			return nil, nil, err
		}
		tokens = append(tokens, x...)
	}
	if len(tokens) > info.Steps {
		return nil, nil, tooLong(len(tokens), info.Steps)
	}
	return tokens, at, nil
}

// ScoreMasked gives, for each token of a text, the natural logarithm of its probability where it alone is masked. Their
// sum is the pseudo-log-likelihood of the text (Wang and Cho 2019; Salazar et al. 2020, equation 1),
//
//	Σₜ log p(xₜ | x without xₜ)
//
// by which texts of the same meaning can be ranked. It is no logarithm of a probability of the text: the conditional
// probabilities need not belong to any distribution over texts.
func ScoreMasked(ctx context.Context, m model.Predictor, tok model.Tokenizer, s string) ([]sample.Scored, error) {
	info := m.Info()
	tokens, err := tok.Encode(s)
	if err != nil {
		return nil, err
	}
	if len(tokens) > info.Steps {
		return nil, tooLong(len(tokens), info.Steps)
	}
	scored := make([]sample.Scored, len(tokens))
	row := make([]float32, info.Vocab)
	for from := 0; from < len(tokens); from += info.Batch {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		// A copy of the text for each of some tokens, which is masked in it.
		n := min(info.Batch, len(tokens)-from)
		size := len(tokens) * n
		b := &model.Batch{Steps: len(tokens), Batch: n, Tokens: make([]int32, size), Targets: make([]int32, size),
			Reset: make([]int32, size)}
		for i := range b.Tokens {
			b.Tokens[i] = tokens[i/n]
		}
		for k := range n {
			b.Tokens[(from+k)*n+k] = info.Masking.Token
		}
		logits, err := m.Logits(b)
		if err != nil {
			return nil, err
		}
		for k := range n {
			t := tokens[from+k]
			at := (from+k)*n + k
			kernel.LogSoftmax(row, logits[at*info.Vocab:(at+1)*info.Vocab], 1, info.Vocab)
			if row[t] != row[t] {
				return nil, sample.ErrNotFinite
			}
			scored[from+k] = sample.Scored{Token: t, Piece: tok.Piece(t), LogProb: float64(row[t])}
		}
	}
	return scored, nil
}

// tooLong is the error for a text of more tokens than a model takes.
func tooLong(tokens, most int) error {
	return fmt.Errorf("the text has %d tokens, the model takes %d: shorten it", tokens, most)
}

// Sentences is an autoencoder of sentences.
type Sentences interface {
	model.Autoencoder
	model.Writer
}

// Means gives the means of the latent vectors of sentences, which are tokens with their ends: [len(sentences),
// Latent.Width]. Labels [len(sentences)] are read where the model is conditional.
func Means(m model.Autoencoder, sentences [][]int32, labels []int32) ([]float32, error) {
	info := m.Info()
	var z []float32
	if info.Labels > 0 {
		if err := info.CheckLabels(labels, len(sentences)); err != nil {
			return nil, err
		}
	}
	for part := range slices.Chunk(sentences, info.Batch) {
		source, n := text.Pad(part), len(part)
		b := &model.Batch{Steps: 1, Batch: n, Tokens: make([]int32, n), Targets: make([]int32, n),
			Reset: make([]int32, n), SourceSteps: len(source) / n, Source: source}
		if info.Labels > 0 {
			b.Labels, labels = labels[:n], labels[n:]
		}
		mean, _, err := m.Posterior(b)
		if err != nil {
			return nil, err
		}
		z = append(z, mean...)
	}
	return z, nil
}

// Write gives what the decoder writes from latent vectors z [n, Latent.Width], a sentence each: the likeliest token
// each time, or what the options say. Labels [n] are read where the model is conditional. first is the number of the
// first of them, which decides what is drawn for it.
func Write(ctx context.Context, m Sentences, z []float32, labels []int32, first int,
	opts ...sample.Option) ([]sample.Answer, error) {
	info := m.Info()
	width := info.Latent.Width
	if err := rows(info, z, width, "latent vector", labels); err != nil {
		return nil, err
	}
	var all []sample.Answer
	for part := range slices.Chunk(z, info.Batch*width) {
		n := len(part) / width
		var these []int32
		if info.Labels > 0 {
			these, labels = labels[:n], labels[n:]
		}
		dec, err := model.NewDecoder(m, n)
		if err != nil {
			return nil, err
		}
		found, err := sample.LatentAnswers(ctx, dec, part, these, *info.Source, info.Steps-1, first,
			opts...)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
		first += n
	}
	return all, nil
}

// rows checks numbers that are to be whole rows of a width, and their labels.
func rows(info *model.Info, x []float32, width int, what string, labels []int32) error {
	if err := model.CheckWhole(what, x, len(x)/width, width); err != nil {
		return err
	}
	if info.Labels > 0 {
		return info.CheckLabels(labels, len(x)/width)
	}
	return nil
}

// EncodeSentences is [Means] of texts.
func EncodeSentences(m model.Autoencoder, tok model.Tokenizer, sentences []string, labels []int32) ([]float32, error) {
	tokens := make([][]int32, len(sentences))
	for i, s := range sentences {
		x, err := text.EncodeSource(s, tok, *m.Info().Source)
		if err != nil {
			return nil, fmt.Errorf("sentence %d: %w", i+1, err)
		}
		tokens[i] = x
	}
	return Means(m, tokens, labels)
}

// DecodeSentences is [Write], as texts.
func DecodeSentences(ctx context.Context, m Sentences, tok model.Tokenizer, z []float32, labels []int32,
	opts ...sample.Option) ([]string, error) {
	found, err := Write(ctx, m, z, labels, 0, opts...)
	if err != nil {
		return nil, err
	}
	lines := make([]string, len(found))
	for i, x := range found {
		lines[i] = tok.Decode(x.Tokens)
	}
	return lines, nil
}

// SampleSentences writes n sentences from latent vectors of the prior, which the seed decides.
func SampleSentences(ctx context.Context, m Sentences, tok model.Tokenizer, n int, labels []int32, seed uint64,
	opts ...sample.Option) ([]string, error) {
	z, err := prior(m, n, seed)
	if err != nil {
		return nil, err
	}
	return DecodeSentences(ctx, m, tok, z, labels, opts...)
}

// ReconstructSentences writes each sentence again, from the mean of its latent vector.
func ReconstructSentences(ctx context.Context, m Sentences, tok model.Tokenizer, sentences []string, labels []int32,
	opts ...sample.Option) ([]string, error) {
	z, err := EncodeSentences(m, tok, sentences, labels)
	if err != nil {
		return nil, err
	}
	return DecodeSentences(ctx, m, tok, z, labels, opts...)
}

// InterpolateSentences writes sentences from points on the straight line between the means of two sentences, both
// included.
func InterpolateSentences(ctx context.Context, m Sentences, tok model.Tokenizer, a, b string, steps int, label int32,
	opts ...sample.Option) ([]string, error) {
	ends, err := EncodeSentences(m, tok, []string{a, b}, repeated(m, label, 2))
	if err != nil {
		return nil, err
	}
	way, err := between(ends, steps)
	if err != nil {
		return nil, err
	}
	return DecodeSentences(ctx, m, tok, way, repeated(m, label, steps), opts...)
}

// ScoreSentences gives the evidence lower bound of each sentence, its end included, as [latent.Bounds] has it.
func ScoreSentences(ctx context.Context, m model.Autoencoder, tok model.Tokenizer, sentences []string, labels []int32,
	samples int, seed uint64) ([]float64, error) {
	info := m.Info()
	for i, s := range sentences {
		x, err := text.EncodeSource(s, tok, *info.Source)
		if err == nil && len(x) > info.Steps {
			err = tooLong(len(x)-1, info.Steps-1)
		}
		if err != nil {
			return nil, fmt.Errorf("sentence %d: %w", i+1, err)
		}
	}
	o := text.PairOptions{Source: *info.Source, Steps: info.Steps}
	if info.Labels > 0 {
		if err := info.CheckLabels(labels, len(sentences)); err != nil {
			return nil, err
		}
		o.Labels = labels
	}
	if len(sentences) == 0 {
		return nil, nil
	}
	pairs, err := text.NewPairs("the sentences", sentences, sentences, tok, tok, o)
	if err != nil {
		return nil, err
	}
	all := make([]int32, len(sentences))
	for i := range all {
		all[i] = int32(i)
	}
	var b model.Batch
	return bounds(ctx, m, slices.Chunk(all, info.Batch), samples, seed, func(part []int32) *model.Batch {
		pairs.Batch(&b, part)
		return &b
	})
}

// bounds are those of all parts, of which batch makes batches.
func bounds[T any](ctx context.Context, m model.Autoencoder, parts iter.Seq[T], samples int, seed uint64,
	batch func(part T) *model.Batch) ([]float64, error) {
	var all []float64
	number := uint64(0)
	for part := range parts {
		found, err := latent.Bounds(ctx, m, batch(part), number, latent.Options{Samples: samples, Seed: seed})
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
		number++
	}
	return all, nil
}

// prior draws latent vectors.
func prior(m model.LanguageModel, n int, seed uint64) ([]float32, error) {
	if n < 0 {
		return nil, fmt.Errorf("%d samples: give 0 or more", n)
	}
	z := make([]float32, n*m.Info().Latent.Width)
	latent.Prior(z, seed)
	return z, nil
}

// between are points on the line between two latent vectors.
func between(ends []float32, steps int) ([]float32, error) {
	if steps < 2 {
		return nil, fmt.Errorf("%d points from one end to the other: give 2 or more", steps)
	}
	width := len(ends) / 2
	way := make([]float32, steps*width)
	latent.Between(way, ends[:width], ends[width:], steps)
	return way, nil
}

// repeated is a label n times, where the model is conditional.
func repeated(m model.LanguageModel, label int32, n int) []int32 {
	if m.Info().Labels == 0 {
		return nil
	}
	return slices.Repeat([]int32{label}, max(0, n))
}

// EncodeVectors gives the means of the latent vectors of vectors x [n, Vector.Width]: [n, Latent.Width].
func EncodeVectors(m model.Autoencoder, x []float32, labels []int32) ([]float32, error) {
	info := m.Info()
	width := info.Vector.Width
	if err := rows(info, x, width, "vector", labels); err != nil {
		return nil, err
	}
	var z []float32
	for part := range slices.Chunk(x, info.Batch*width) {
		b := &model.Batch{Steps: 1, Batch: len(part) / width, Vectors: part}
		if info.Labels > 0 {
			b.Labels, labels = labels[:b.Batch], labels[b.Batch:]
		}
		mean, _, err := m.Posterior(b)
		if err != nil {
			return nil, err
		}
		z = append(z, mean...)
	}
	return z, nil
}

// ScoreVectors gives the evidence lower bound of each of the vectors x [n, Vector.Width], as [latent.Bounds] has it.
func ScoreVectors(ctx context.Context, m model.Autoencoder, x []float32, labels []int32, samples int,
	seed uint64) ([]float64, error) {
	info := m.Info()
	width := info.Vector.Width
	if err := rows(info, x, width, "vector", labels); err != nil {
		return nil, err
	}
	return bounds(ctx, m, slices.Chunk(x, info.Batch*width), samples, seed, func(part []float32) *model.Batch {
		b := &model.Batch{Steps: 1, Batch: len(part) / width, Vectors: part}
		if info.Labels > 0 {
			b.Labels, labels = labels[:b.Batch], labels[b.Batch:]
		}
		return b
	})
}

// DecodeVectors gives what the decoder makes of latent vectors z [n, Latent.Width]: the means of their numbers, [n,
// Vector.Width].
func DecodeVectors(m model.Autoencoder, z []float32, labels []int32) ([]float32, error) {
	info := m.Info()
	d, ok := m.(model.VectorAutoencoder)
	if !ok {
		return nil, errors.New("the model makes no vectors")
	}
	width := info.Latent.Width
	if err := rows(info, z, width, "latent vector", labels); err != nil {
		return nil, err
	}
	var x []float32
	for part := range slices.Chunk(z, info.Batch*width) {
		var these []int32
		if n := len(part) / width; info.Labels > 0 {
			these, labels = labels[:n], labels[n:]
		}
		made, err := d.Likelihood(part, these)
		if err != nil {
			return nil, err
		}
		x = append(x, made...)
	}
	return x, nil
}

// SampleVectors decodes n latent vectors of the prior, which the seed decides.
func SampleVectors(m model.Autoencoder, n int, labels []int32, seed uint64) ([]float32, error) {
	z, err := prior(m, n, seed)
	if err != nil {
		return nil, err
	}
	return DecodeVectors(m, z, labels)
}

// ReconstructVectors decodes the means of the latent vectors of x.
func ReconstructVectors(m model.Autoencoder, x []float32, labels []int32) ([]float32, error) {
	z, err := EncodeVectors(m, x, labels)
	if err != nil {
		return nil, err
	}
	return DecodeVectors(m, z, labels)
}

// InterpolateVectors decodes points on the straight line between the means of two vectors, both included.
func InterpolateVectors(m model.Autoencoder, a, b []float32, steps int, label int32) ([]float32, error) {
	width := m.Info().Vector.Width
	if len(a) != width || len(b) != width {
		return nil, fmt.Errorf("vectors of %d and %d numbers, the model takes %d", len(a), len(b), width)
	}
	ends, err := EncodeVectors(m, slices.Concat(a, b), repeated(m, label, 2))
	if err != nil {
		return nil, err
	}
	way, err := between(ends, steps)
	if err != nil {
		return nil, err
	}
	return DecodeVectors(m, way, repeated(m, label, steps))
}

// JudgeLines gives the discriminator's verdict on each line: the higher, the more it is like those that the model was
// trained on.
func JudgeLines(m model.Imitators, tok model.Tokenizer, lines []string) ([]float32, error) {
	info := m.Info()
	verdicts := make([]float32, len(lines))
	for at := 0; at < len(lines); at += info.Batch {
		part := lines[at:min(at+info.Batch, len(lines))]
		b := &model.Batch{Steps: info.Steps, Batch: len(part), Targets: make([]int32, info.Steps*len(part))}
		for i, s := range part {
			line, err := text.EncodeJudged(s, tok, *info.Adversary.Text, info.Steps)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", at+i+1, err)
			}
			for t, token := range line {
				b.Targets[t*len(part)+i] = token
			}
		}
		if err := m.Judge(verdicts[at:at+len(part)], b); err != nil {
			return nil, err
		}
	}
	return verdicts, nil
}
