package pages

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/explain"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/page"
)

// steps are the values that a number of a latent vector, or of noise, is given in a traversal.
var steps = []float64{-3, -2, -1, 0, 1, 2, 3}

const moved = 6 // numbers that are moved, those that tell the most

// dimension is a number of a latent vector, its distribution and how far that is from the prior.
type dimension struct {
	i           int
	mean, sd, k float64
}

// posterior is the distribution of the latent vector of a pass, the numbers that tell most first: in nats, the
// divergence ½(μ² + σ² − log σ² − 1) of each from the prior (Kingma and Welling 2014, appendix B).
func posterior(p *explain.Pass) []dimension {
	means, variances := p.Of(model.TapLatent), p.Of(model.TapVariance)
	if len(means) == 0 || len(variances) == 0 {
		return nil
	}
	var all []dimension
	for i, m := range means[0].Value {
		mu, log := float64(m), float64(variances[0].Value[i])
		all = append(all, dimension{i, mu, math.Exp(log / 2), (mu*mu + math.Exp(log) - log - 1) / 2})
	}
	slices.SortStableFunc(all, func(a, b dimension) int { return cmp.Compare(b.k, a.k) })
	return all
}

// table shows the distribution.
func table(all []dimension) (block page.Block, total float64) {
	t := &page.Table{Label: "Numbers of the latent vector", Head: []string{"number", "KL", "mean", "deviation"}}
	for _, d := range all {
		total += d.k
	}
	for _, d := range all {
		t.Rows = append(t.Rows, page.Row{Name: fmt.Sprint(d.i + 1), Cells: []page.Token{
			{Text: fmt.Sprintf("%.3f", d.k), Ground: page.Share(d.k / max(all[0].k, 1e-12))},
			{Text: fmt.Sprintf("%+.3f", d.mean)}, {Text: fmt.Sprintf("%.3f", d.sd)}}})
	}
	return page.Block{Title: "Its numbers, those that tell the most first", Fold: true, Table: t}, total
}

const latentText = "The latent vector tells %.2f nats, the divergence of its distribution from the prior. A " +
	"number whose divergence is next to nothing tells nothing."

// latent shows the latent vector of a sentence, and what is written when its numbers are others.
func (a *about) latent() error {
	all := posterior(a.pass)
	if all == nil {
		return nil
	}
	numbers, total := table(all)
	blocks := []page.Block{numbers}
	for _, d := range all[:min(moved, len(all))] {
		if a.Write == nil {
			break
		}
		var z []float32
		var labels []int32
		for _, v := range steps {
			row := slices.Clone(a.pass.Of(model.TapLatent)[0].Value)
			row[d.i] = float32(v)
			z, labels = append(z, row...), append(labels, a.Batch.Labels...)
		}
		lines, err := a.Write(a.ctx, z, labels)
		if err != nil {
			if err := a.note("traversal", err); err != nil {
				return err
			}
			break
		}
		t := &page.Table{Label: fmt.Sprintf("What is written when number %d is another", d.i+1),
			Head: []string{fmt.Sprintf("number %d", d.i+1), "what is written"}}
		for i, v := range steps {
			t.Rows = append(t.Rows, page.Row{Name: fmt.Sprintf("%+.0f", v), Cells: []page.Token{{Text: lines[i]}}})
		}
		blocks = append(blocks, page.Block{Title: fmt.Sprintf("Number %d, which is %+.2f", d.i+1, d.mean), Table: t})
	}
	a.section("Latent vector", fmt.Sprintf(latentText, total), blocks...)
	if len(a.Batch.Labels) == 0 || a.Write == nil {
		return nil
	}
	var z []float32
	labels := others(a.Info)
	for range labels {
		z = append(z, a.pass.Of(model.TapLatent)[0].Value...)
	}
	lines, err := a.Write(a.ctx, z, labels)
	if err != nil {
		return a.note("other labels", err)
	}
	t := &page.Table{Label: "What is written with another label", Head: []string{"label", "what is written"}}
	for i, l := range labels {
		t.Rows = append(t.Rows, page.Row{Name: fmt.Sprint(l), Cells: []page.Token{{Text: lines[i],
			Aim: l == a.Batch.Labels[0]}}})
	}
	a.section("With another label", "What is written of the same latent vector with each label.", page.Block{Table: t})
	return nil
}

// mostLabels is how many labels a page shows at the most.
const mostLabels = 16

// others are the labels that a page shows.
func others(info *model.Info) []int32 {
	labels := make([]int32, min(mostLabels, info.Labels))
	for i := range labels {
		labels[i] = int32(i)
	}
	return labels
}

// label names the label of a batch.
func label(b *model.Batch) string { return fmt.Sprintf("label %d", b.Labels[0]) }

// Vectors is what a page about a vector shows.
type Vectors struct {
	Info *model.Info
	// Explainer is that of an autoencoder, or of a discriminator; Generator is nil for an autoencoder.
	Explainer, Generator *explain.Explainer
	Batch                *model.Batch // with the vector
	Noise                []float32    // that the generator makes the vector of; nil where it is one of the data
	Probe                *Probing     // examples whose labels are read from the model's values; nil for none
	// Draw draws vectors beside each other, so many in a row, in PNG.
	Draw func(x []float32, columns int) ([]byte, error)
}

// Page makes the page.
func (v *Vectors) Page(ctx context.Context) (*page.Page, error) {
	p := &page.Page{Title: "What " + v.Info.Name + " does with a vector", About: v.Info.String() + "."}
	var err error
	if v.Generator != nil || v.Info.Adversary != nil {
		err = v.verdict(ctx, p)
	} else {
		err = v.code(ctx, p)
	}
	if err == nil && v.Probe != nil {
		var s page.Section
		if s, err = v.Probe.section(ctx, v.Explainer); err == nil {
			p.Sections = append(p.Sections, s)
		}
	}
	return p, err
}

func (v *Vectors) picture(name, alt, caption string, x []float32, columns int) (page.Picture, error) {
	data, err := v.Draw(x, columns)
	return page.Picture{Name: name, Alt: alt, Caption: caption, PNG: data}, err
}

// means are the numbers that an autoencoder's decoder gives for the logits of a pass.
func (v *Vectors) means(p *explain.Pass) []float32 {
	x := slices.Clone(p.Output().Value)
	if v.Info.Vector.Deviation == 0 && v.Info.Adversary == nil {
		for i, y := range x {
			x[i] = float32(1 / (1 + math.Exp(-float64(y))))
		}
	}
	return x
}

// code shows the latent vector of a vector, and what becomes of it.
func (v *Vectors) code(ctx context.Context, p *page.Page) error {
	pass, err := v.Explainer.Run(v.Batch)
	if err != nil {
		return err
	}
	both, err := v.picture("reconstruction", "the vector and its reconstruction",
		"The vector, and what the decoder makes "+
			"of the mean of its latent vector.", append(slices.Clone(v.Batch.Vectors), v.means(pass)...), 2)
	if err != nil {
		return err
	}
	all := posterior(pass)
	numbers, total := table(all)
	p.Sections = append(p.Sections, page.Section{Title: "Reconstruction",
		Blocks: []page.Block{{Pictures: []page.Picture{both}}}}, page.Section{Title: "Latent vector",
		Text: fmt.Sprintf(latentText, total), Blocks: []page.Block{numbers}})
	if err := v.labels(p, v.Explainer, v.Batch, "latent vector"); err != nil {
		return err
	}
	var moving page.Block
	for _, d := range all[:min(moved, len(all))] {
		picture, err := v.traversal(ctx, v.Explainer, v.Batch, d.i)
		if err != nil {
			return err
		}
		moving.Pictures = append(moving.Pictures, picture)
	}
	p.Sections = append(p.Sections, page.Section{Title: "Its numbers, moved", Text: "What the decoder makes when one " +
		"number of the latent vector goes from −3 to 3, from left to right.", Blocks: []page.Block{moving}})
	return nil
}

// labels shows what is made with each label, of a conditional model.
func (v *Vectors) labels(p *page.Page, e *explain.Explainer, b *model.Batch, of string) error {
	if len(b.Labels) == 0 {
		return nil
	}
	labels := others(v.Info)
	passes, err := e.Relabel(b, labels)
	if err != nil {
		return err
	}
	var x []float32
	for _, pass := range passes {
		x = append(x, v.means(pass)...)
	}
	caption := fmt.Sprintf("Labels %d to %d, from left to right; this one is %d.", labels[0], labels[len(labels)-1],
		b.Labels[0])
	picture, err := v.picture("labels", "what is made with each label", caption, x, len(labels))
	if err != nil {
		return err
	}
	p.Sections = append(p.Sections, page.Section{Title: "With another label", Text: "What is made of the same " + of +
		" with each label.", Blocks: []page.Block{{Pictures: []page.Picture{picture}}}})
	return nil
}

// traversal is a picture of what is made as a number is moved.
func (v *Vectors) traversal(ctx context.Context, e *explain.Explainer, b *model.Batch, i int) (page.Picture, error) {
	if err := ctx.Err(); err != nil {
		return page.Picture{}, err
	}
	passes, err := e.Traverse(b, i, steps)
	if err != nil {
		return page.Picture{}, err
	}
	var x []float32
	for _, pass := range passes {
		x = append(x, v.means(pass)...)
	}
	return v.picture(fmt.Sprintf("number-%d", i+1), fmt.Sprintf("what is made as number %d is moved", i+1),
		fmt.Sprintf("Number %d.", i+1), x, len(steps))
}

// verdict shows what moves a discriminator's verdict on a vector, and how its generator could move it.
func (v *Vectors) verdict(ctx context.Context, p *page.Page) error {
	target := explain.Target{Against: -1, Logit: true}
	var score float64
	var blocks []page.Block
	for _, by := range explain.Methods {
		if err := ctx.Err(); err != nil {
			return err
		}
		if by == explain.Occlusion && v.Info.Vector.Width > 1024 {
			p.Notes = append(p.Notes, "occlusion is left out: it judges the vector once for each of its numbers")
			continue
		}
		a, err := v.Explainer.Attribute(v.Batch, target, by, explain.Options{})
		if err != nil {
			return err
		}
		score = a.Score
		most := 1e-20
		var values []float64
		said := ""
		for _, in := range a.Inputs {
			if in.Axis == "label" {
				said = fmt.Sprintf(" The label adds %+.3f.", in.Values[0])
				continue
			}
			values = in.Values
		}
		for _, x := range values {
			most = max(most, math.Abs(x))
		}
		x := make([]float32, len(values))
		for i, value := range values {
			x[i] = float32(v.Info.Vector.Low + (value/most+1)/2*(v.Info.Vector.High-v.Info.Vector.Low))
		}
		picture, err := v.picture(file(string(by)), string(by)+" of the verdict",
			fmt.Sprintf("It leaves %s unexplained.", percent(a.Error))+said, x, 1)
		if err != nil {
			return err
		}
		blocks = append(blocks, page.Block{Title: upperFirst(string(by)), Pictures: []page.Picture{picture},
			Small: true})
	}
	vector, err := v.picture("vector", "the vector that is judged", fmt.Sprintf("Its verdict is %+.3f.", score),
		v.Batch.Vectors, 1)
	if err != nil {
		return err
	}
	blocks = append([]page.Block{{Pictures: []page.Picture{vector}, Small: true}}, blocks...)
	p.Sections = append(p.Sections, page.Section{Title: "What moves the verdict",
		Text: "The discriminator's verdict is " +
			"high for data. Light numbers speak for it, dark ones against it, against a vector of zeros.", Blocks: blocks})
	if v.Generator == nil || v.Noise == nil {
		return nil
	}
	// Through both networks, one behind the other: the gradient of the verdict is the seed of the generator's.
	b := &model.Batch{Steps: 1, Batch: 1, Noise: v.Noise, Labels: v.Batch.Labels}
	if err := v.labels(p, v.Generator, b, "noise"); err != nil {
		return err
	}
	_, grads, err := v.Explainer.Gradients(v.Batch, []float32{1})
	if err != nil {
		return err
	}
	_, noise, err := v.Generator.Gradients(b, grads["vectors"])
	if err != nil {
		return err
	}
	order := make([]int, len(v.Noise))
	for i := range order {
		order[i] = i
	}
	slope := noise["noise"]
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(math.Abs(float64(slope[b])), math.Abs(float64(slope[a])))
	})
	var moving page.Block
	for _, i := range order[:min(moved, len(order))] {
		picture, err := v.traversal(ctx, v.Generator, b, i)
		if err != nil {
			return err
		}
		picture.Caption = fmt.Sprintf("Number %d: the verdict rises by %+.3f for 1 more.", i+1, slope[i])
		moving.Pictures = append(moving.Pictures, picture)
	}
	p.Sections = append(p.Sections, page.Section{Title: "Its noise, moved",
		Text: "What the generator makes when one number " +
			"of the noise goes from −3 to 3: the numbers that move the verdict the most.", Blocks: []page.Block{moving}})
	return nil
}
