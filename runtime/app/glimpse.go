package app

import (
	"bytes"
	"context"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/inference"
	"github.com/gradsmith/gradsmith/runtime/latent"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/policy"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// glimpses is a [train.Reporter] that shows what a model of text writes while it is trained. It draws from streams of
// its own and touches nothing of the training, which computes the same bits with it and without.
type glimpses struct {
	ctx     context.Context
	a       *program
	m       model.LanguageModel
	every   int
	samples sampleFlags
	show    *progress
}

func (g *glimpses) Resumed(step, total int) {}

func (g *glimpses) Step(p train.Progress) {
	if p.Step%g.every > 0 || p.Step == p.Total { // at the end there are samples anyway
		return
	}
	text, err := g.a.glimpse(g.ctx, g.m, g.samples)
	if err != nil {
		if g.ctx.Err() == nil {
			g.show.Warn("no sample: " + err.Error())
		}
		return
	}
	g.show.print("--- sample after step %s ---\n%s\n---", thousands(p.Step), strings.TrimRight(text, "\n"))
}

func (g *glimpses) Evaluated(train.Evaluation)  {}
func (g *glimpses) Saved(path string, step int) {}
func (g *glimpses) Warn(text string)            {}

// glimpse is some of what the model writes: a text, or a few sentences or lines.
func (a *program) glimpse(ctx context.Context, m model.LanguageModel, f sampleFlags) (string, error) {
	var b bytes.Buffer
	const few = 3
	switch {
	case a.ofLines():
		lines, err := policy.Sample(ctx, m.(model.Imitators), few, 1, f.seed)
		if err != nil {
			return "", err
		}
		for _, line := range lines {
			b.WriteString(a.line(line) + "\n")
		}
	case a.Info.Latent != nil:
		z := make([]float32, few*a.Info.Latent.Width)
		latent.Prior(z, f.seed)
		answers, err := inference.Write(ctx, m.(inference.Sentences), z, repeated(0, few), 0)
		if err != nil {
			return "", err
		}
		if err := a.print(&b, "", answers); err != nil {
			return "", err
		}
	default:
		if err := a.write(ctx, &b, m.(model.Writer), f, nil); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// glances reports whether the model writes what can be shown while it is trained.
func (a *program) glances() bool {
	return a.writes() || a.ofLines() || a.Info.Latent != nil && a.Info.Vector == nil
}
