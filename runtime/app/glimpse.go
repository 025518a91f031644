package app

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/inference"
	"github.com/gradsmith/gradsmith/runtime/latent"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/policy"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// glimpses is a [train.Reporter] that shows what a model makes while it is trained, and puts it into the logs. It draws
// from streams of its own and touches nothing of the training, which computes the same bits with it and without.
type glimpses struct {
	ctx     context.Context
	a       *program
	m       model.LanguageModel
	every   int
	samples sampleFlags
	data    train.Data
	show    *progress
	logs    logs
}

func (g *glimpses) Resumed(step, total int) {}

func (g *glimpses) Step(p train.Progress) {
	last := p.Step == p.Total // at the end samples are printed anyway
	if p.Step%g.every > 0 && !last || last && len(g.logs) == 0 {
		return
	}
	s, err := g.a.glimpse(g.ctx, g.m, g.samples, g.data)
	if err != nil {
		if g.ctx.Err() == nil {
			g.show.Warn("no sample: " + err.Error())
		}
		return
	}
	if s.Text != "" && !last {
		g.show.print("--- sample after step %s ---\n%s\n---", thousands(p.Step), strings.TrimRight(s.Text, "\n"))
	}
	for _, l := range g.logs {
		l.Show(p.Step, s)
	}
}

func (g *glimpses) Evaluated(train.Evaluation)  {}
func (g *glimpses) Saved(path string, step int) {}
func (g *glimpses) Warn(text string)            {}

// glimpse is some of what the model makes: a text, a few sentences or lines, pictures, or an answer to a source with
// where the model looked.
func (a *program) glimpse(ctx context.Context, m model.LanguageModel, f sampleFlags, data train.Data) (train.Sample,
	error) {
	var b bytes.Buffer
	const few = 3
	switch {
	case a.Info.Vector != nil:
		png, err := a.made(m, f.seed)
		return train.Sample{PNG: png}, err
	case a.Info.Source != nil:
		return a.answered(ctx, m.(model.Writer), data)
	case a.ofLines():
		lines, err := policy.Sample(ctx, m.(model.Imitators), few, 1, f.seed)
		if err != nil {
			return train.Sample{}, err
		}
		for _, line := range lines {
			b.WriteString(a.line(line) + "\n")
		}
	case a.Info.Latent != nil:
		z := make([]float32, few*a.Info.Latent.Width)
		latent.Prior(z, f.seed)
		answers, err := inference.Write(ctx, m.(inference.Sentences), z, repeated(0, few), 0)
		if err != nil {
			return train.Sample{}, err
		}
		if err := a.print(&b, "", answers); err != nil {
			return train.Sample{}, err
		}
	default:
		if err := a.write(ctx, &b, m.(model.Writer), f, nil); err != nil {
			return train.Sample{}, err
		}
	}
	return train.Sample{Text: b.String()}, nil
}

// made is a picture of vectors that a model makes, the same noise or latent vectors each time: images where vectors are
// square, else a row of pixels each. A conditional model makes each label in turn.
func (a *program) made(m model.LanguageModel, seed uint64) ([]byte, error) {
	const columns = 8
	n := min(4*columns, a.Info.Batch)
	var labels []int32
	if a.Info.Labels > 0 {
		for i := range n {
			labels = append(labels, int32(i%a.Info.Labels))
		}
	}
	var x []float32
	var err error
	switch m := m.(type) {
	case model.Adversaries:
		x, err = m.Generate(n, labels, seed)
	case model.VectorAutoencoder:
		z := make([]float32, n*a.Info.Latent.Width)
		latent.Prior(z, seed)
		x, err = m.Likelihood(z, labels)
	}
	if err != nil {
		return nil, err
	}
	if side := squareSide(a.Info.Vector.Width); side > 1 {
		return grid(x, a.Info.Vector.Width, side, columns, a.Info.Vector)
	}
	return grid(x, a.Info.Vector.Width, a.Info.Vector.Width, 1, a.Info.Vector)
}

// answered is the answer to a source of the validation data, the longest of the first batch, and the alignment where
// the model has one.
func (a *program) answered(ctx context.Context, m model.Writer, data train.Data) (train.Sample, error) {
	if a.asked == nil {
		var b model.Batch
		if data.Validation != nil {
			data.Validation.Rewind()
			data.Validation.Next(&b)
			data.Validation.Rewind()
		}
		for k := range b.Batch {
			var source []int32
			for t := range b.SourceSteps {
				if x := b.Source[t*b.Batch+k]; x >= 0 && x != a.Info.Source.End {
					source = append(source, x)
				}
			}
			if len(source) > len(a.asked) {
				a.asked = source
			}
		}
		if len(a.asked) == 0 {
			return train.Sample{}, errors.New("there is no validation data with a source to answer")
		}
	}
	source := append(slices.Clone(a.asked), a.Info.Source.End)
	found, err := inference.Answer(ctx, m, source, 1, a.Info.Steps-1, sample.Ranking{})
	if err != nil {
		return train.Sample{}, err
	}
	s := train.Sample{Text: strings.TrimSpace(a.SourceTokenizer.Decode(a.asked)) + "\n→ " + a.line(found.Tokens)}
	if !inference.Aligns(m) {
		return s, nil
	}
	answer := found.Tokens
	if found.Ended {
		answer = append(answer, a.Info.Source.AnswerEnd)
	}
	weights, err := inference.Alignment(ctx, m, source, answer)
	if err != nil {
		return train.Sample{}, err
	}
	s.Alignment = &train.Alignment{Source: pieces(a.SourceTokenizer, source), Answer: pieces(a.Tokenizer, answer),
		Weights: weights}
	return s, nil
}

// glances reports whether the model writes what can be shown while it is trained.
func (a *program) glances() bool {
	return a.writes() || a.ofLines() || a.Info.Source != nil || a.Info.Latent != nil && a.Info.Vector == nil
}

// pictures reports whether the model makes what can be drawn.
func (a *program) pictures() bool { return a.Info.Vector != nil }
