// Package pages shows explanations: it makes a page of what package explain says of one text. It must not know how a
// model computes, or where it was loaded from.
package pages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gradsmith/gradsmith/runtime/explain"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/page"
	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// Text is what a page about a text shows.
type Text struct {
	Info      *model.Info
	Explainer *explain.Explainer
	Batch     *model.Batch
	// Next is what follows each token, or is in its place where the model fills in; −1 where that is not known.
	Next   []int32
	Piece  func(t int32) string // the text of a token
	Source []string             // the texts of the tokens of a source; nil without one
	Target explain.Target       // what is explained
	Other  *model.Batch         // a text that differs, from which values are put into this one; nil for none
	Units  []explain.Unit       // hidden units that are shown; nil for those that vary most
	Tuning *Tuning              // how a tuned lens is trained, which stands beside the plain one; nil for none
	Probe  *Probing             // examples whose labels are read from the model's values; nil for none
	// Write writes a text from each of latent vectors [n, width], of an autoencoder, with labels [n] of a conditional
	// one; nil for others.
	Write func(ctx context.Context, z []float32, labels []int32) ([]string, error)
	// Judge is a discriminator, where the model is the generator beside it, and Judged the line that it judges.
	Judge  *explain.Explainer
	Judged *model.Batch
}

// limits of what a page shows, so that it stays of a size that can be read and sent.
const (
	spans     = 32      // that occlusion takes away one after the other
	lensSteps = 16      // positions that the lens shows
	shown     = 8       // hidden units
	pixels    = 4 << 20 // of all pictures of attention
	repeats   = 4       // the share of a text, one of so many, from which on it repeats itself
)

// about is what a section has to do with the text.
type about struct {
	*Text
	ctx  context.Context
	pass *explain.Pass
	p    *page.Page
}

// Page makes the page. What a model does not have is left out; what cannot be shown of it is a note.
func (t *Text) Page(ctx context.Context) (*page.Page, error) {
	pass, err := t.Explainer.Run(t.Batch)
	if err != nil {
		return nil, err
	}
	score, err := t.Target.Score(pass)
	if err != nil {
		return nil, err
	}
	a := &about{Text: t, ctx: ctx, pass: pass, p: &page.Page{Title: "What " + t.Info.Name + " does with a text"}}
	what := "follows"
	if t.Info.Masking != nil {
		what = "is in the place of"
	}
	a.p.About = fmt.Sprintf("%s. Explained: that %s %s token %d, %s. Its probability is %s.", t.Info.String(),
		quoted(t.Piece(int32(t.Target.Token))), what, t.Target.Step+1, quoted(t.Piece(t.Batch.Tokens[t.Target.Step])),
		percent(math.Exp(score)))
	for _, section := range []func() error{a.verdict, a.predictions, a.attributions, a.attention, a.lens, a.effects,
		a.patches, a.latent, a.units, a.probe} {
		if err := section(); err != nil {
			return nil, err
		}
	}
	return a.p, nil
}

// note says what could not be shown; an interruption ends the page.
func (a *about) note(what string, err error) error {
	if a.ctx.Err() != nil {
		return a.ctx.Err()
	}
	a.p.Notes = append(a.p.Notes, what+": "+err.Error())
	return nil
}

func (a *about) section(title, text string, blocks ...page.Block) {
	a.p.Sections = append(a.p.Sections, page.Section{Title: title, Text: text, Blocks: blocks})
}

// read is the texts of the tokens that were read.
func (a *about) read() []string {
	all := make([]string, len(a.Batch.Tokens))
	for i, t := range a.Batch.Tokens {
		all[i] = a.Piece(t)
	}
	return all
}

// predictions shows how surprised the model is by each token, and what it expected.
func (a *about) predictions() error {
	nats, rank, err := explain.Surprise(a.pass, a.Next)
	if err != nil {
		return a.note("surprise", err)
	}
	pieces := a.read()
	before := !slices.ContainsFunc(a.Next, func(t int32) bool { return t >= 0 })
	var tokens []page.Token
	worst, sum, n := math.Log(float64(a.Info.Vocab)), 0.0, 0
	table := &page.Table{Label: "The likeliest tokens at each position", Head: []string{"behind", "came", "nats", "1",
		"2",
		"3", "4", "5"}}
	if a.Info.Masking == nil && len(pieces) > 0 {
		tokens = append(tokens, page.Token{Text: visible(pieces[0]), Title: "the first token"})
	}
	for i := range a.Next {
		top := explain.Top(explain.Row(a.pass.Output(), i), 5)
		row := page.Row{Name: fmt.Sprintf("%d %s", i+1, quoted(pieces[i]))}
		came, surprise := "—", "—"
		var ground page.Token
		if t := a.Next[i]; t >= 0 {
			came, surprise = quoted(a.Piece(t)), fmt.Sprintf("%.2f", nats[i])
			sum, n = sum+nats[i], n+1
			ground = page.Token{Text: visible(a.Piece(t)), Title: fmt.Sprintf("%.2f nats, %d tokens were likelier",
				nats[i], rank[i]), Ground: page.Signed(-nats[i] / worst)}
			tokens = append(tokens, ground)
		}
		row.Cells = append(row.Cells, page.Token{Text: came}, page.Token{Text: surprise, Ground: ground.Ground})
		for _, l := range top {
			row.Cells = append(row.Cells, page.Token{Text: fmt.Sprintf("%s %s", quoted(a.Piece(int32(l.Token))),
				percent(l.P)), Ground: page.Share(l.P)})
		}
		table.Rows = append(table.Rows, row)
	}
	text := "What the model expected at each position."
	if !before && n > 0 {
		text = fmt.Sprintf("The darker a token, the more it surprised the model: −log p, in nats. The mean is %.3f over "+
			"%d tokens; a model that knows nothing has %.3f.", sum/float64(n), n, worst)
	}
	a.section("Surprise", text, page.Block{Tokens: tokens}, page.Block{Title: "The likeliest tokens at each position",
		Fold: true, Table: table})
	return nil
}

// attributions shows where the prediction comes from, by each method.
func (a *about) attributions() error {
	all, err := a.Explainer.Attributions(a.Batch, a.Target, explain.Methods, explain.Options{
		Spans: map[string][][2]int{"step": cut(a.Batch.Steps), "source": cut(a.Batch.SourceSteps)}})
	if err != nil {
		return a.note("attributions", err)
	}
	var blocks []page.Block
	for _, x := range all {
		by := x.Method
		most := 0.0
		for _, in := range x.Inputs {
			for _, v := range in.Values {
				most = max(most, math.Abs(v))
			}
		}
		how := fmt.Sprintf("The values leave %s of the difference unexplained", percent(x.Error))
		switch {
		case by == explain.Integrated:
			how += fmt.Sprintf(", with %d points of the integral", x.Points)
		case by == explain.Occlusion && (a.Batch.Steps > spans || a.Batch.SourceSteps > spans):
			how += "; tokens were taken away in groups"
		}
		for k, in := range x.Inputs {
			pieces, aim := a.read(), a.Target.Step
			name := ""
			if in.Axis == "source" {
				pieces, aim = a.Source, -1
			}
			if in.Axis == "label" {
				pieces, aim = []string{label(a.Batch)}, -1
			}
			if len(x.Inputs) > 1 {
				name = map[string]string{"source": ", of the source", "step": ", of the answer so far",
					"label": ", of the label: " + in.Name}[in.Axis]
			}
			b := page.Block{Title: upperFirst(string(by)) + name}
			for i, v := range in.Values {
				b.Tokens = append(b.Tokens, page.Token{Text: visible(pieces[i]), Title: fmt.Sprintf("%+.4f", v),
					Ground: page.Signed(v / most), Aim: i == aim})
			}
			if k == len(x.Inputs)-1 {
				b.Hint = how + "."
			}
			blocks = append(blocks, b)
		}
	}
	if len(blocks) > 0 {
		a.section("Where it comes from", "How much each token speaks for the prediction (blue) or against it (orange): "+
			"log p of it, against the same where all tokens have embeddings of zeros. The outlined token is the one that "+
			"it was made at.", blocks...)
	}
	return nil
}

// cut is ranges of n positions, as even as can be, and no more than spans.
func cut(n int) [][2]int {
	k := min(n, spans)
	all := make([][2]int, k)
	for i := range all {
		all[i] = [2]int{n * i / k, n * (i + 1) / k}
	}
	return all
}

// attention shows where each head looks.
func (a *about) attention() error {
	looks := explain.Looks(a.pass)
	if len(looks) == 0 {
		return nil
	}
	total := 0
	for _, l := range looks {
		total += l.Layers * l.Heads * l.Queries * l.Keys
	}
	byAxes := map[string][]*explain.Look{}
	var axes []string
	var blocks []page.Block
	for _, l := range looks {
		kind := l.From + " to " + l.To
		if byAxes[kind] == nil {
			axes = append(axes, kind)
		}
		byAxes[kind] = append(byAxes[kind], l)
		if l.To == "source" && l.From == "step" && l.Layers*l.Heads == 1 {
			blocks = append(blocks, a.alignment(l))
			continue
		}
		if total > pixels {
			continue
		}
		b := page.Block{Title: fmt.Sprintf("%s: %d layers of %d heads", l.Name, l.Layers, l.Heads), Fold: true,
			Open:  true,
			Small: true}
		b.Pictures = make([]page.Picture, l.Layers*l.Heads)
		parallel.Run(len(b.Pictures), &drawing{l, b.Pictures})
		blocks = append(blocks, b)
	}
	if total > pixels {
		a.p.Notes = append(a.p.Notes, fmt.Sprintf("the heads' pictures are left out: they have %d numbers; take a shorter "+
			"text", total))
	}
	for _, kind := range axes {
		if all := byAxes[kind]; kind == "step to key" || kind == "source to source" {
			roll, err := explain.Rollout(all...)
			if err != nil {
				if err := a.note("rollout", err); err != nil {
					return err
				}
				continue
			}
			n := all[0].Queries
			blocks = append(blocks, page.Block{Title: "Rollout of " + all[0].Layer, Pictures: []page.Picture{
				heat("rollout-"+file(all[0].Name), "rollout of attention through the layers",
					"How much of each position (left to right) reaches each position (top to bottom) through all layers, "+
						"by attention and residual connections.", roll, n, n)}})
		}
	}
	if err := a.roles(&blocks); err != nil {
		return err
	}
	a.section("Attention", "Where heads look: a row for each position that looks, a column for each that is looked at, "+
		"bright where they look.", blocks...)
	return nil
}

// drawing is the pictures of all heads of a look.
type drawing struct {
	look *explain.Look
	to   []page.Picture
}

// Do draws head i.
func (d *drawing) Do(i int) {
	l := d.look
	layer, h := i/l.Heads, i%l.Heads
	name := fmt.Sprintf("layer %d, head %d", layer+1, h+1)
	d.to[i] = heat(fmt.Sprintf("%s-%d-%d", file(l.Name), layer+1, h+1), l.Name+", "+name, name,
		widened(l.Of(layer, h)), l.Queries, l.Keys)
}

// roles shows what heads do in a text that repeats itself.
func (a *about) roles(blocks *[]page.Block) error {
	if a.Info.Masking != nil || a.Info.Source != nil ||
		repeats*len(explain.Repeated(a.Batch.Tokens)) < len(a.Batch.Tokens) {
		return nil
	}
	r, err := a.Explainer.Roles(a.Batch)
	if err != nil {
		return a.note("roles of heads", err)
	}
	t := &page.Table{Label: "What heads do in a text that repeats itself", Head: []string{"head", "token before",
		"behind the earlier one", "rise without it", "so it is"}}
	most := 1e-12
	for _, h := range r.Heads {
		most = max(most, math.Abs(h.Rise))
	}
	for _, h := range r.Heads {
		t.Rows = append(t.Rows, page.Row{Name: fmt.Sprintf("%s, layer %d, head %d", strings.TrimSuffix(h.Tap,
			".weights"),
			h.Layer+1, h.Head+1), Cells: []page.Token{{Text: percent(h.Previous), Ground: page.Share(h.Previous)},
			{Text: percent(h.Induction), Ground: page.Share(h.Induction)},
			{Text: fmt.Sprintf("%+.3f", h.Rise), Ground: page.Signed(h.Rise / most)}, {Text: cmp.Or(h.Name, "—")}}})
	}
	*blocks = append(*blocks, page.Block{Title: "Heads that go on with what repeats itself", Table: t,
		Hint: fmt.Sprintf("Behind %d tokens the text goes on as it did before; there −log p is %.3f nats a token. Heads "+
			"look at the token before (by chance %s), or behind earlier occurrences of the token at hand (by chance %s), "+
			"which is how a model goes on with what it has read. The rise is that of −log p there when the head gives "+
			"zeros; when all that are called so do, it is %+.3f of the former and %+.3f of the latter.", r.Positions,
			r.Loss, percent(r.PreviousByChance), percent(r.InductionByChance), r.WithoutPrevious, r.WithoutInduction)})
	return nil
}

// alignment is a table of where a decoder looks in its source.
func (a *about) alignment(l *explain.Look) page.Block {
	t := &page.Table{Label: "Where the decoder looks", Head: []string{"answer"}}
	for _, s := range a.Source {
		t.Head = append(t.Head, quoted(s))
	}
	var all []float64
	for i := range l.Queries {
		row := page.Row{Name: "—"}
		if a.Next[i] >= 0 {
			row.Name = quoted(a.Piece(a.Next[i]))
		}
		for j := range l.Keys {
			w := float64(l.P[i*l.Keys+j])
			all = append(all, w)
			row.Cells = append(row.Cells, page.Token{Text: fmt.Sprintf("%.2f", w), Ground: page.Share(w)})
		}
		t.Rows = append(t.Rows, row)
	}
	return page.Block{Title: "Alignment", Hint: "A row for each token of the answer: the shares in which the decoder " +
		"looked at the tokens of the source when it wrote it.", Table: t,
		Pictures: []page.Picture{heat("alignment", "alignment of answer and source", "The same as a picture.", all,
			l.Queries, l.Keys)}}
}

// lens shows what layers would predict.
func (a *about) lens() error {
	if a.Info.Vocab == 0 {
		return nil
	}
	layers, err := a.Explainer.Lens(a.Batch)
	if err != nil {
		return a.note("lens", err)
	}
	if len(layers) < 2 {
		return nil
	}
	blocks := []page.Block{{Table: a.predicted("What layers would predict", layers)}}
	if a.Tuning != nil {
		tuned, err := a.tuned()
		if err != nil {
			if err := a.note("tuned lens", err); err != nil {
				return err
			}
		}
		blocks = append(blocks, tuned...)
	}
	a.section("What layers would predict", "The likeliest token when what a layer gives goes straight to the last "+
		"norm and the logits (logit lens): the darker, the likelier. The last row is what the model "+
		"predicts.", blocks...)
	return nil
}

// predicted is a table of the likeliest tokens by layer, around the target.
func (a *about) predicted(label string, layers []explain.Layer) *page.Table {
	width := a.Info.Vocab
	from := max(0, a.Target.Step+1-lensSteps)
	to := min(a.Batch.Steps, from+lensSteps)
	pieces := a.read()
	t := &page.Table{Label: label, Head: []string{"behind"}}
	for i := from; i < to; i++ {
		t.Head = append(t.Head, quoted(pieces[i]))
	}
	for _, l := range layers {
		row := page.Row{Name: l.String()}
		for i := from; i < to; i++ {
			top := explain.Top(l.Logits[i*width:(i+1)*width], 1)[0]
			row.Cells = append(row.Cells, page.Token{Text: quoted(a.Piece(int32(top.Token))), Title: percent(top.P),
				Ground: page.Share(top.P), Aim: i == a.Target.Step})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// Tuning is how a tuned lens is trained.
type Tuning struct {
	Texts   []*model.Batch
	Options explain.TuneOptions
}

// tuned shows what layers would predict by a lens that is trained for it.
func (a *about) tuned() ([]page.Block, error) {
	lens, found, err := a.Explainer.TuneLens(a.ctx, a.Tuning.Texts, a.Tuning.Options)
	if err != nil {
		return nil, err
	}
	layers, err := a.Explainer.Tuned(a.Batch, lens)
	if err != nil {
		return nil, err
	}
	t := &page.Table{Label: "How far layers are from what the model predicts", Head: []string{"layer", "plain",
		"tuned"}}
	most := 1e-12
	for _, d := range found {
		most = max(most, d.Plain, d.Tuned)
	}
	for _, d := range found {
		row := page.Row{Name: d.Layer.String()}
		for _, x := range []float64{d.Plain, d.Tuned} {
			row.Cells = append(row.Cells, page.Token{Text: fmt.Sprintf("%.3f", x), Ground: page.Share(x / most)})
		}
		t.Rows = append(t.Rows, row)
	}
	return []page.Block{{Title: "By a tuned lens", Hint: fmt.Sprintf("A map for each layer, trained on %d texts, "+
		"takes what it gives to what the last layer would give (Belrose et al. 2023).", len(a.Tuning.Texts)),
		Table: a.predicted("What layers would predict by a tuned lens", layers)},
		{Title: "How far layers are from what the model predicts", Hint: "In nats a token, on texts that the maps " +
			"were not trained on: KL of the model's prediction from the layer's, by the plain lens and by the tuned " +
			"one.",
			Table: t}}, nil
}

// effects shows what heads and parts add to the prediction.
func (a *about) effects() error {
	effects, start, err := a.Explainer.DirectEffects(a.Batch, a.Target)
	if err != nil {
		if len(a.pass.Of(model.TapHeads)) > 0 {
			return a.note("direct effects", err)
		}
		return nil
	}
	type row struct {
		name  string
		cells map[string]float64
	}
	var rows []row
	var columns []string
	most := math.Abs(start)
	for _, x := range effects {
		name := fmt.Sprintf("layer %d", x.Layer+1)
		i := slices.IndexFunc(rows, func(r row) bool { return r.name == name })
		if i < 0 {
			i = len(rows)
			rows = append(rows, row{name, map[string]float64{}})
		}
		column := x.Name[strings.LastIndexByte(x.Name, '.')+1:]
		if x.Head >= 0 {
			column = fmt.Sprintf("%s %d", strings.TrimSuffix(column, "s"), x.Head+1)
		}
		if !slices.Contains(columns, column) {
			columns = append(columns, column)
		}
		rows[i].cells[column] = x.Value
		most = max(most, math.Abs(x.Value))
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(len(a.name), len(b.name)), cmp.Compare(a.name, b.name))
	})
	t := &page.Table{Label: "Direct effects", Head: append([]string{""}, columns...)}
	for _, r := range rows {
		line := page.Row{Name: r.name}
		for _, c := range columns {
			v, ok := r.cells[c]
			if !ok {
				line.Cells = append(line.Cells, page.Token{Text: "—"})
				continue
			}
			line.Cells = append(line.Cells, page.Token{Text: fmt.Sprintf("%+.3f", v), Ground: page.Signed(v / most)})
		}
		t.Rows = append(t.Rows, line)
	}
	a.section("What heads and parts add", fmt.Sprintf("What each head of attention, and each part of each block, adds to "+
		"log p of the prediction by itself, not through later layers: what it writes, times the gradient at the end of "+
		"the blocks. What was there before the first block adds %+.3f. The heads of a layer add up to its attention, "+
		"but for the bias.", start), page.Block{Table: t})
	return nil
}

// patches shows what becomes of the prediction with values of another text.
func (a *about) patches() error {
	if a.Other == nil {
		return nil
	}
	var blocks []page.Block
	for _, t := range a.pass.Taps {
		stream := t.Kind == model.TapStream && strings.HasSuffix(t.Name, ".xNext") || t.Kind == model.TapState &&
			strings.HasSuffix(t.Name, ".h") || t.Kind == model.TapPart
		if !stream || t.Add == nil {
			continue
		}
		if err := a.ctx.Err(); err != nil {
			return err
		}
		x, err := a.Explainer.Patch(a.Other, a.Batch, t.Name, a.Target)
		if err != nil {
			if err := a.note("patching "+t.Name, err); err != nil {
				return err
			}
			continue
		}
		pieces := a.read()
		if slices.Contains(t.Axes, "source") {
			pieces = a.Source
		}
		table := &page.Table{Label: "Patched values of " + t.Name, Head: []string{""}}
		for _, s := range pieces {
			table.Head = append(table.Head, quoted(s))
		}
		restored := x.Restored()
		for layer := range x.Layers {
			row := page.Row{Name: fmt.Sprintf("layer %d", layer+1)}
			for _, v := range restored[layer*x.Steps:][:x.Steps] {
				row.Cells = append(row.Cells, page.Token{Text: fmt.Sprintf("%.2f", v), Ground: page.Signed(v)})
			}
			table.Rows = append(table.Rows, row)
		}
		blocks = append(blocks, page.Block{Title: t.Name, Fold: true, Open: len(blocks) == 0, Table: table,
			Hint: fmt.Sprintf("log p is %.3f here and %.3f of the other text.", x.Other, x.Clean)})
	}
	if len(blocks) > 0 {
		other := make([]string, len(a.Other.Tokens))
		for i, t := range a.Other.Tokens {
			other[i] = a.Piece(t)
		}
		a.section("With values of another text", "The other text is "+quoted(strings.Join(other,
			""))+". Numbers say how "+
			"much of the way from this text's log p to the other's is gone when the value at one position is that of the "+
			"other text: 1 is all.", blocks...)
	}
	return nil
}

// units shows hidden units of recurrent layers over the text.
func (a *about) units() error {
	states := a.pass.Of(model.TapState)
	if len(states) == 0 && len(a.Units) == 0 {
		return nil
	}
	units := a.Units
	picked := len(units) > 0
	if !picked {
		units = a.lively(states)
	}
	var blocks []page.Block
	var errs []error
	for i, u := range units {
		x, err := u.Over(a.pass)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		pieces := a.read()
		if len(x) != len(pieces) {
			pieces = a.Source
		}
		most := 0.0
		for _, v := range x {
			most = max(most, math.Abs(v))
		}
		b := page.Block{Title: u.String(), Fold: true, Open: picked || i < 3}
		for i, v := range x {
			b.Tokens = append(b.Tokens, page.Token{Text: visible(pieces[i]), Title: fmt.Sprintf("%+.3f", v),
				Ground: page.Signed(v / most)})
		}
		blocks = append(blocks, b)
	}
	for _, g := range a.pass.Of(model.TapGates) {
		blocks = append(blocks, gates(g)...)
	}
	if err := errors.Join(errs...); err != nil {
		if err := a.note("units", err); err != nil {
			return err
		}
	}
	text := "Values of hidden units behind each token: blue above 0, orange below."
	if !picked {
		text += " Those are shown that vary most; --unit names others."
	}
	a.section("Hidden units", text, blocks...)
	return nil
}

// lively are the units that vary most over the text.
func (a *about) lively(states []*model.Tap) []explain.Unit {
	type spread struct {
		u explain.Unit
		v float64
	}
	var all []spread
	for _, t := range states {
		for _, u := range explain.Units(t) {
			x, err := u.Over(a.pass)
			if err != nil {
				continue // a tap whose axes are no text's
			}
			mean, sq := 0.0, 0.0
			for _, v := range x {
				mean += v / float64(len(x))
				sq += v * v / float64(len(x))
			}
			all = append(all, spread{u, sq - mean*mean})
		}
	}
	slices.SortStableFunc(all, func(a, b spread) int { return cmp.Compare(b.v, a.v) })
	var units []explain.Unit
	for _, s := range all[:min(shown, len(all))] {
		units = append(units, s.u)
	}
	return units
}

// gates are pictures of the gates of a layer over the text.
func gates(t *model.Tap) []page.Block {
	n := len(t.Shape)
	if len(t.Gates) == 0 || n < 2 || n > 3 {
		return nil
	}
	layers, steps, width := 1, t.Shape[n-2], t.Shape[n-1]
	if n == 3 {
		layers = t.Shape[0]
	}
	each := width / len(t.Gates)
	wide := max(1, each/(2*max(1, steps))) // pixels of a token, so that a short text is no narrow stripe
	b := page.Block{Title: "Gates: " + t.Name, Fold: true,
		Hint: "A row for each unit, a column for each token: bright " +
			"where a gate is open. Candidates are from −1 to 1."}
	for layer := range layers {
		for g, name := range t.Gates {
			values := make([]float64, each*steps*wide)
			for i := range steps {
				for u := range each {
					v := float64(t.Value[(layer*steps+i)*width+g*each+u])
					if name == "candidate" {
						v = (v + 1) / 2
					}
					for k := range wide {
						values[(u*steps+i)*wide+k] = v
					}
				}
			}
			b.Pictures = append(b.Pictures, page.Picture{Name: fmt.Sprintf("%s-%d-%s", file(t.Name), layer+1, name),
				Alt: fmt.Sprintf("the %s gate of %s, layer %d", name, t.Name, layer+1), Caption: name + " gate",
				PNG: page.Heat(values, each, steps*wide, 0, 1, 1)})
		}
	}
	return []page.Block{b}
}

func heat(name, alt, caption string, values []float64, rows, columns int) page.Picture {
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	return page.Picture{Name: name, Alt: alt, Caption: caption,
		PNG: page.Heat(values, rows, columns, 0, max(most, 1e-12), 1)}
}

func widened(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// file is a name as that of a file.
func file(name string) string { return strings.NewReplacer(".", "-", " ", "-", ",", "").Replace(name) }

func percent(x float64) string {
	switch p := 100 * x; {
	case p != 0 && math.Abs(p) < 0.01:
		return fmt.Sprintf("%.1e %%", p)
	case math.Abs(p) < 1:
		return fmt.Sprintf("%.2f %%", p)
	default:
		return fmt.Sprintf("%.1f %%", p)
	}
}

// quoted is a token in quotes, in which what cannot be seen is written out.
func quoted(s string) string { return fmt.Sprintf("%q", s) }

// visible is a token as it stands in a text, with a sign for the end of a line.
func visible(s string) string {
	if !utf8.ValidString(s) {
		return strings.Trim(quoted(s), `"`)
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\n", "⏎\n"), "\t", "→\t")
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
