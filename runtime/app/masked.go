package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/metric"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// restored is how well masked tokens were restored.
type restored struct {
	nats   float64 // sum of -log p
	right  int     // how often the likeliest token was the one
	tokens int
}

func (r *restored) add(logP float64, right bool) {
	r.nats -= logP
	r.tokens++
	if right {
		r.right++
	}
}

// evalMasked prints how well a model restores the masked tokens of windows, beside the unigrams and bigrams of the text
// that it learnt, if there is one. read is called when all windows have been read.
func (a *program) evalMasked(ctx context.Context, out io.Writer, m model.Predictor, windows train.Windows,
	learnt *text.Part, read func()) error {
	counts, err := a.count(learnt)
	if err != nil {
		return err
	}
	var b model.Batch
	var ours, unigram, bigram restored
	row := make([]float32, a.Info.Vocab)
	windows.Rewind()
	for windows.Next(&b) {
		if err := ctx.Err(); err != nil {
			return err
		}
		logits, err := m.Logits(&b)
		if err != nil {
			return err
		}
		for i, t := range b.Targets[:b.Steps*b.Batch] {
			if t < 0 {
				continue
			}
			kernel.LogSoftmax(row, logits[i*len(row):(i+1)*len(row)], 1, len(row))
			ours.add(float64(row[t]), kernel.Argmax(row[:a.ordinary()]) == int(t)) // a text has no others
			if counts == nil {
				continue
			}
			before := int32(-1) // what stands before it, unless that is masked as well
			if i >= b.Batch && b.Tokens[i-b.Batch] < a.Info.Masking.Token {
				before = b.Tokens[i-b.Batch]
			}
			one, two := counts.Likeliest(before)
			unigram.add(counts.Unigram(t), one == t)
			bigram.add(counts.Bigram(before, t), two == t)
		}
	}
	read()
	if err := train.Err(windows); err != nil {
		return err
	}
	if ours.tokens == 0 {
		return errors.New("the text to evaluate on has no token to restore: it is too short")
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "%s masked tokens\tnats a token\tperplexity\tright\n", thousands(ours.tokens))
	line := func(name string, r restored) {
		if r.tokens > 0 {
			nats := r.nats / float64(r.tokens)
			fmt.Fprintf(w, "%s\t%.4f\t%s\t%.1f %%\n", name, nats, perplexity(nats),
				100*float64(r.right)/float64(r.tokens))
		}
	}
	line(a.Info.Name, ours)
	line("the token before it", bigram)
	line("frequency alone", unigram)
	return w.Flush()
}

// count counts the unigrams and bigrams of a text, but for its first token; nil gives nil.
func (a *program) count(p *text.Part) (*metric.Counts, error) {
	if p == nil {
		return nil, nil
	}
	w, err := p.Whole(1, a.Info.Steps)
	if err != nil {
		return nil, err
	}
	c := metric.NewCounts(int(a.Info.Masking.Token))
	var b model.Batch
	for w.Next(&b) {
		for i, t := range b.Targets[:b.Steps*b.Batch] {
			if t >= 0 {
				c.Add(b.Tokens[i], t)
			}
		}
	}
	return c, w.Err()
}
