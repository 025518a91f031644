// Package policy is what a generator of text needs to learn from verdicts on what it wrote: it draws lines, and says
// what each of their tokens is worth. A generated package of adversarial networks calls it in its training step, and
// programs draw many lines at once with it.
//
// It must not know how a generator or a discriminator computes.
package policy

import (
	"context"
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Decoder is a decoder whose recurrent state can be kept and written back.
type Decoder interface {
	model.Decoder
	State() []float32
}

// Lines draws lines of tokens from a model, many side by side, and finishes lines that have a beginning. It owns the
// memory that this takes, and is not safe for concurrent use.
type Lines struct {
	decoder     Decoder
	begin       int32
	temperature float64
	vocab       int

	last    []int32   // [batch]
	state   []float32 // after the tokens that are kept
	logits  []float32 // [batch, vocab] of what follows them
	line    []int32   // [steps, batch] what is finished
	verdict []float32 // [batch]
	drawn   model.Batch
}

// NewLines makes the memory of lines of a decoder's batch. begin is the token before each line; temperature divides
// the logits, and 1 draws tokens as likely as the model says. It panics when the temperature is not above 0.
func NewLines(d Decoder, begin int32, vocab int, temperature float64) *Lines {
	if !(temperature > 0) {
		panic(fmt.Sprintf("policy: a temperature of %v: give one above 0", temperature))
	}
	n := d.Batch()
	return &Lines{decoder: d, begin: begin, temperature: temperature, vocab: vocab, last: make([]int32, n)}
}

// Batch is the number of lines side by side.
func (l *Lines) Batch() int { return l.decoder.Batch() }

// Draw fills tokens [steps, Batch] with lines, drawn token by token from the model (ancestral sampling); the key
// decides all of them.
func (l *Lines) Draw(tokens []int32, key uint64) error {
	n := l.Batch()
	l.decoder.Reset()
	for i := range l.last {
		l.last[i] = l.begin
	}
	for t := range len(tokens) / n {
		logits, err := l.decoder.Step(l.last)
		if err != nil {
			return err
		}
		if err := l.pick(tokens[t*n:(t+1)*n], logits, model.Key(key, uint64(t))); err != nil {
			return err
		}
		copy(l.last, tokens[t*n:(t+1)*n])
	}
	return nil
}

// pick draws a token of each row of logits [Batch, vocab]. Where logits are not finite it takes the first of those, so
// the ones that it takes say whether a model is broken.
func (l *Lines) pick(tokens []int32, logits []float32, key uint64) error {
	kernel.SampleRows(tokens, logits, l.temperature, key, 0, len(tokens), l.vocab)
	for i, token := range tokens {
		if token < 0 {
			return &model.NotFinite{What: "largest logit of the generator", Value: math.Inf(-1)}
		}
		if x := float64(logits[i*l.vocab+int(token)]); math.IsNaN(x) || math.IsInf(x, 0) {
			return &model.NotFinite{What: "logits of the generator", Value: x,
				Where: "a line that it writes"}
		}
	}
	return nil
}

// Write draws Batch lines of steps tokens for a step of training, with room for their rewards in Weights: Targets
// [steps, Batch] are the lines, Tokens what a model reads to predict them. The key decides them. The batch is
// overwritten by the next call.
func (l *Lines) Write(steps int, key uint64) (*model.Batch, error) {
	d, batch := &l.drawn, l.Batch()
	if n := steps * batch; len(d.Targets) != n {
		*d = model.Batch{Steps: steps, Batch: batch, Tokens: make([]int32, n), Targets: make([]int32, n),
			Reset: make([]int32, n), Weights: make([]float32, n)}
		for i := range batch {
			d.Reset[i] = 1
		}
	}
	if err := l.Draw(d.Targets, key); err != nil {
		return nil, err
	}
	Shift(d.Tokens, d.Targets, l.begin, batch)
	return d, nil
}

// Sample draws n lines from a model at a temperature above 0, each the tokens in front of its end. Line i of a seed is
// the same for any n. The context ends it between two batches of lines.
func Sample(ctx context.Context, m model.Imitators, n int, temperature float64, seed uint64) ([][]int32, error) {
	if !(temperature > 0) || math.IsInf(temperature, 0) {
		return nil, fmt.Errorf("a temperature of %v: give one above 0", temperature)
	}
	info := m.Info()
	format, batch := info.Adversary.Text, max(1, min(n, info.Batch))
	made, err := model.NewDecoder(m, batch)
	if err != nil {
		return nil, err
	}
	d, ok := made.(Decoder)
	if !ok {
		return nil, fmt.Errorf("%s: its decoder has no state that can be kept: generate its code anew", info.Name)
	}
	l := NewLines(d, format.Begin, info.Vocab, temperature)
	tokens := make([]int32, info.Steps*batch)
	var all [][]int32
	for at := 0; at < n; at += batch {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if err := l.Draw(tokens, model.Key(seed, uint64(at))); err != nil {
			return nil, err
		}
		for i := range min(batch, n-at) {
			var line []int32
			for t := range info.Steps {
				token := tokens[t*batch+i]
				if token == format.End {
					break
				}
				line = append(line, token)
			}
			all = append(all, line)
		}
	}
	return all, nil
}

// Shift writes what a model reads to predict lines [steps, batch]: begin, and then each line but for its last token.
func Shift(inputs, lines []int32, begin int32, batch int) {
	for i := range batch {
		inputs[i] = begin
	}
	copy(inputs[batch:len(lines)], lines)
}

// Value is what a verdict is worth. A verdict is the logarithm of the odds that what was judged is of the data.
type Value func(verdict float32) float32

// Odds is the verdict itself. Expected over what a generator writes it falls with the divergence of that from the
// data, where the discriminator is the best there is, and it does not fade where that is sure of itself.
func Odds(verdict float32) float32 { return verdict }

// Probability is σ(verdict), as in SeqGAN (Yu et al. 2017).
func Probability(verdict float32) float32 { return float32(1 / (1 + math.Exp(-float64(verdict)))) }

// Rollouts sets rewards [steps, Batch] to what each token of lines [steps, Batch] is worth (Yu et al. 2017, equation
// 4): the value of the verdict on the line for its last token, and for the others the mean over n lines that the model
// finishes behind it. judge gives a verdict for each of Batch lines. The key decides the lines that are drawn.
func (l *Lines) Rollouts(rewards []float32, lines []int32, n int, key uint64, value Value,
	judge func(verdicts []float32, lines []int32)) error {
	batch := l.Batch()
	steps := len(lines) / batch
	if len(l.line) < len(lines) {
		l.line, l.verdict = make([]int32, len(lines)), make([]float32, batch)
		l.state, l.logits = make([]float32, len(l.decoder.State())), make([]float32, batch*l.vocab)
	}
	line := l.line[:len(lines)]
	l.decoder.Reset()
	for i := range l.last {
		l.last[i] = l.begin
	}
	if _, err := l.decoder.Step(l.last); err != nil {
		return err
	}
	for t := range steps {
		reward := rewards[t*batch : (t+1)*batch]
		clear(reward)
		if t == steps-1 {
			judge(l.verdict, lines)
			for i, v := range l.verdict {
				reward[i] = value(v)
			}
			return nil
		}
		next, err := l.decoder.Step(lines[t*batch : (t+1)*batch])
		if err != nil {
			return err
		}
		copy(l.logits, next)
		copy(l.state, l.decoder.State())
		copy(line, lines[:(t+1)*batch])
		for r := range n {
			copy(l.decoder.State(), l.state)
			logits := l.logits
			for s := t + 1; s < steps; s++ {
				tokens := line[s*batch : (s+1)*batch]
				if err := l.pick(tokens, logits, model.Key(key, uint64(t), uint64(r), uint64(s))); err != nil {
					return err
				}
				if s < steps-1 {
					if logits, err = l.decoder.Step(tokens); err != nil {
						return err
					}
				}
			}
			judge(l.verdict, line)
			for i, v := range l.verdict {
				reward[i] += value(v) / float32(n)
			}
		}
		copy(l.decoder.State(), l.state)
	}
	return nil
}

// Returns sets rewards [steps, batch] to Σ_k discount^k·(value at t+k − value at t+k−1) of verdicts [steps, batch],
// each on a token and what stands before it, the verdict being 0 in front of a line: a token is worth what it and
// those behind it add. Without the difference each token would be praised for those before it (Ng, Harada and Russell
// 1999, on rewards that are differences of a potential).
func Returns(rewards, verdicts []float32, discount float64, value Value, batch int) {
	steps := len(rewards) / batch
	for t := steps - 1; t >= 0; t-- {
		for i := range batch {
			at := t*batch + i
			before := float32(0)
			if t > 0 {
				before = verdicts[at-batch]
			}
			rewards[at] = value(verdicts[at]) - value(before)
			if t < steps-1 {
				// the conversion keeps product and sum apart on every machine
				rewards[at] += float32(discount * float64(rewards[at+batch]))
			}
		}
	}
}

// Baseline takes off each reward [steps, batch] the mean over the batch at its step, which leaves the expected
// gradient as it is but for a factor of 1−1/batch, and lowers its variance (Williams 1992).
func Baseline(rewards []float32, batch int) {
	for at := 0; at < len(rewards); at += batch {
		row, sum := rewards[at:at+batch], 0.0
		for _, r := range row {
			sum += float64(r)
		}
		mean := float32(sum / float64(batch))
		for i := range row {
			row[i] -= mean
		}
	}
}

// PrefixBaseline takes off each reward [steps, batch] that of the token before, which is what the line was worth up to
// there, and off those of the first tokens their mean: what is left is what the choice of a token has changed.
func PrefixBaseline(rewards []float32, batch int) {
	for at := len(rewards) - 1; at >= batch; at-- {
		rewards[at] -= rewards[at-batch]
	}
	Baseline(rewards[:batch], batch)
}

// Temperature is that of step t, from 0, of a relaxation that cools from hot to cold in a number of steps, by the same
// factor in each.
func Temperature(hot, cold float64, steps, t int) float64 {
	return hot * math.Pow(cold/hot, min(1, float64(t)/float64(steps)))
}
