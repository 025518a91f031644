package pages

import (
	"context"
	"fmt"

	"github.com/gradsmith/gradsmith/runtime/explain"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/page"
)

// Probing is examples with labels, which linear probes read from the values of a model.
type Probing struct {
	Examples []*model.Batch
	Labels   []int
	Seed     uint64
}

// section is what probes read.
func (r *Probing) section(ctx context.Context, e *explain.Explainer) (page.Section, error) {
	first, err := e.Run(r.Examples[0])
	if err != nil {
		return page.Section{}, err
	}
	values := explain.Values(first)
	if len(values) == 0 {
		return page.Section{}, fmt.Errorf("the model has no values with a row an example")
	}
	rows, err := e.Rows(ctx, r.Examples, values)
	if err != nil {
		return page.Section{}, err
	}
	t := &page.Table{Label: "What linear probes read", Head: []string{"value", "features", "read", "± ", "shuffled",
		"in training", "nats"}}
	var p *explain.Probe
	for i, v := range values {
		if err := ctx.Err(); err != nil {
			return page.Section{}, err
		}
		if p, err = explain.LinearProbe(rows[i], r.Labels, explain.ProbeOptions{Seed: r.Seed}); err != nil {
			return page.Section{}, err
		}
		// The ground is how far above the baseline it reads, of what there is to read.
		above := (p.Accuracy - p.Majority) / max(1e-9, 1-p.Majority)
		t.Rows = append(t.Rows, page.Row{Name: v.String(), Cells: []page.Token{{Text: fmt.Sprint(p.Features)},
			{Text: percent(p.Accuracy), Ground: page.Share(above)}, {Text: percent(p.Error)},
			{Text: percent(p.Shuffled)},
			{Text: percent(p.Trained)}, {Text: fmt.Sprintf("%.3f", p.Loss)}}})
	}
	return page.Section{Title: "What a linear probe reads", Text: fmt.Sprintf("How often a linear classifier, which "+
		"was "+
		"trained on the values of %d examples, reads which of %d labels each of %d others has. Always to say the most "+
		"frequent label is right in %s of them; probes that were trained with shuffled labels stand beside it. Of a "+
		"text "+
		"it is the value at the last token.", p.Train, p.Classes, p.Held, percent(p.Majority)),
		Blocks: []page.Block{{Table: t}}}, nil
}

// probe shows what linear probes read from the model.
func (a *about) probe() error {
	if a.Probe == nil {
		return nil
	}
	s, err := a.Probe.section(a.ctx, a.Explainer)
	if err != nil {
		return a.note("probes", err)
	}
	a.p.Sections = append(a.p.Sections, s)
	return nil
}
