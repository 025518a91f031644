// Package prose says in words and formulas what a spec does: its networks with the shapes between their layers, what a
// training makes small, and how it moves the parameters. What a layer or a loss computes is said where it is
// built; here
// it is put in order and written.
//
// It must know nothing of Go code.
package prose

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/report"
	"github.com/gradsmith/gradsmith/spec"
)

// Document is what a spec does.
type Document struct {
	Title    string
	Words    []string // sentences
	Sections []Section
}

// Section is a network, or what there is to say of a training.
type Section struct {
	Title string
	Words []string
	Parts []Part
}

// Part is a layer, a loss or a rule.
type Part struct {
	Depth    int    // how many composites it stands in
	Name     string // "lstm"
	Kind     string // "lstm", empty where the name says it
	Place    string // in the spec: "model.yaml:7"
	Words    []string
	Formulas []string // in LaTeX
	Reads    string   // shape of x, empty for what reads nothing
	Gives    string   // shape of y
	Params   []Param
}

// Param is a parameter, or one for each layer of a stack.
type Param struct {
	Name   string // in checkpoints: "lstm.wx", or "lstm.2.wx … lstm.4.wx"
	Symbol string // in formulas, in LaTeX
	Shape  string
}

// writer puts a document together.
type writer struct {
	m    *build.Model
	s    *spec.Model
	rows map[string]*build.Layer
	told map[string]bool // layers whose place in the document is settled
}

// Make says what a model does.
func Make(m *build.Model) *Document {
	w := &writer{m: m, s: m.Spec, rows: map[string]*build.Layer{}, told: map[string]bool{}}
	for i := range m.Layers {
		w.rows[m.Layers[i].Name] = &m.Layers[i]
	}
	d := &Document{Title: w.s.Name}
	summary := w.s.Summary()
	d.say("This is %s.", summary)
	if w.s.Description != "" {
		d.say("Its description: %s.", strings.TrimRight(w.s.Description, "."))
	}
	d.Words = append(d.Words, w.reading()...)
	d.say("Rows are features of one token or vector, and a product x·W reads a row; ⊙ is the product element by " +
		"element.")
	d.Sections = append(w.networks(), w.objective(), w.training())
	return d
}

func (d *Document) say(format string, args ...any) {
	d.Words = append(d.Words, fmt.Sprintf(format, args...))
}

// reading says what the model reads and how much at once.
func (w *writer) reading() []string {
	s := w.s
	var words []string
	say := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	if s.Vectors != nil {
		say("It reads vectors of %d numbers, up to %d at once: batch ≤ %d.", s.Vectors.Size, s.Shape.Batch,
			s.Shape.Batch)
	} else {
		say("Text becomes tokens by the tokenizer %s, %s.", tokenizer(&s.Tokenizer), tokens(s.Vocab()))
		if s.EncoderDecoder() {
			say("A source becomes tokens by the tokenizer %s, %s: source steps ≤ %d.", tokenizer(&s.Source.Tokenizer),
				tokens(s.Source.Tokenizer.Vocab), s.Source.Steps)
		}
		if s.Latent != nil {
			say("The encoder reads sentences of up to %d tokens: source steps ≤ %d.", s.Source.Steps, s.Source.Steps)
		}
		what := "sequences"
		if s.GAN != nil {
			what = "lines"
		}
		say("A training step takes up to %d %s of up to %d tokens: steps ≤ %d, batch ≤ %d.", s.Shape.Batch, what,
			s.Shape.Steps, s.Shape.Steps, s.Shape.Batch)
	}
	if l := s.Labels; l != nil {
		say("Each example has one of %d labels.", l.Count)
	}
	return words
}

func tokenizer(t *spec.Tokenizer) string {
	if t.File != "" {
		return t.Kind + " of " + path.Base(t.File)
	}
	return t.Kind
}

func tokens(n int) string { return fmt.Sprintf("%s of them", report.Count(n)) }

// networks are the lists of layers, in the order in which data pass through them.
func (w *writer) networks() []Section {
	s := w.s
	text := "steps × batch tokens"
	vectors := "batch × %d"
	var all []Section
	add := func(title string, layers []spec.Layer, reads string, words ...string) {
		if len(layers) == 0 {
			return
		}
		sec := Section{Title: title, Words: words}
		name := strings.ToLower(title) + "_labels"
		if row := w.rows[name]; row != nil {
			p := w.part(row, build.Labels(s))
			p.Name, p.Kind, p.Place = "labels", "", w.place(s.Labels.Pos)
			p.Reads, p.Gives = "batch labels", ""
			sec.Parts = append(sec.Parts, p)
		}
		w.list(&sec, layers, reads, 0, "")
		all = append(all, sec)
	}
	wide := func(n int) string {
		if s.Labels != nil {
			n += s.Labels.Size
		}
		return fmt.Sprintf(vectors, n)
	}
	switch {
	case s.Latent != nil:
		reads, first := "source "+text, text
		if s.Vectors != nil {
			reads, first = wide(s.Vectors.Size), wide(s.Latent.Size)
		}
		add("Encoder", s.Encoder, reads)
		latent := Section{Title: "Latent vector"}
		p := w.part(w.rows["latent"], build.Latent(s))
		p.Kind, p.Place = "", w.place(s.Latent.Pos)
		if h := s.Latent.Heads; h != nil {
			p.Params = append(p.Params, w.params(w.rows[h.Name])...)
		}
		p.Gives = fmt.Sprintf(vectors, s.Latent.Size)
		latent.Parts = []Part{p}
		all = append(all, latent)
		add("Decoder", s.Layers, first)
	case s.GAN != nil && s.Vectors != nil:
		add("Generator", s.Layers, wide(s.GAN.Noise.Size))
		add("Discriminator", s.GAN.Discriminator, wide(s.Vectors.Size))
	case s.GAN != nil:
		add("Generator", s.Layers, text)
		add("Discriminator", s.GAN.Discriminator, text)
	case s.EncoderDecoder():
		add("Encoder", s.Encoder, "source steps × batch tokens", "What it gives is m in the formulas of the decoder.")
		add("Decoder", s.Layers, text)
	case s.EncoderOnly():
		add("Encoder", s.Layers, text)
	default:
		add("Layers", s.Layers, text)
	}
	return all
}

func (w *writer) place(p spec.Pos) string {
	if p.Line == 0 || p == w.s.Pos { // the spec does not say it
		return ""
	}
	return fmt.Sprintf("%s:%d", w.s.File, p.Line)
}

// part is what there is to say of a layer whose row of the summary is known.
func (w *writer) part(row *build.Layer, a build.Account) Part {
	p := Part{Name: row.Name, Words: a.Words, Formulas: a.Formulas, Params: w.params(row)}
	if p.Kind = row.Kind; p.Kind == p.Name {
		p.Kind = ""
	} else if rest, ok := strings.CutPrefix(p.Kind, p.Name+": "); ok { // "branch: sum"
		p.Kind = rest
	}
	if row.Output != nil {
		p.Gives = shape(row.Output)
	}
	if len(row.Blocks) > 0 {
		p.Words = append([]string{"It is of the block " + strings.Join(row.Blocks, ", in ") + "."}, p.Words...)
	}
	if row.Share != "" {
		p.Words = append(p.Words, "Its parameters are those of "+row.Share+".")
	}
	return p
}

// list adds the layers of a list, of which the first reads a value of the shape reads, and gives the shape of what the
// last one gives. mark says where in a composite the list stands: "f" or "f₂".
func (w *writer) list(sec *Section, layers []spec.Layer, reads string, depth int, mark string) string {
	for i, l := range layers {
		row := w.rows[l.LayerName()]
		if row == nil {
			continue
		}
		p := w.part(row, build.Tell(w.s, l))
		p.Depth, p.Place, p.Reads = depth, w.place(l.LayerPos()), reads
		if p.Gives == "" { // of a repeat that is written out
			p.Gives = reads
		}
		if mark != "" && i == 0 {
			p.Words = append([]string{mark}, p.Words...)
		}
		at := len(sec.Parts)
		sec.Parts = append(sec.Parts, p)
		switch l := l.(type) {
		case *spec.Repeat:
			inner := l.Lists()
			w.list(sec, inner[0], reads, depth+1, "f begins here.")
			if len(inner) > 1 {
				var names []string
				for leaf := range spec.Leaves(inner[len(inner)-1]) {
					names = append(names, leaf.LayerName())
				}
				sec.Parts[at].Words = append(sec.Parts[at].Words, fmt.Sprintf("Below stands the first time; in the "+
					"last one the layers are called %s.", strings.Join(names, ", ")))
			}
		case *spec.Branch:
			for k, path := range l.Paths {
				w.list(sec, path, reads, depth+1, fmt.Sprintf("Path %d begins here.", k+1))
			}
		case spec.Composite:
			for _, inner := range l.Lists() {
				w.list(sec, inner, reads, depth+1, "f begins here.")
			}
		}
		reads = p.Gives
	}
	return reads
}

// shape is a shape in words.
func shape(s graph.Shape) string { return report.Shape(s) }

// params are the parameters of a layer.
func (w *writer) params(row *build.Layer) []Param {
	if row == nil {
		return nil
	}
	var all []Param
	for _, p := range row.Params {
		dims := p.Shape
		if p.Stack > 0 {
			dims = dims[1:]
		}
		names := p.Tensors()
		name := names[0]
		if len(names) > 1 {
			name += " … " + names[len(names)-1]
		}
		all = append(all, Param{name, w.symbol(row, p), shape(dims)})
	}
	return all
}

// symbol is what formulas call a parameter.
func (w *writer) symbol(row *build.Layer, p *build.Param) string {
	for _, stack := range [][]spec.Layer{w.s.Encoder, w.s.Layers, discriminator(w.s), heads(w.s)} {
		for l := range spec.Leaves(stack) {
			if l.LayerName() != row.Name {
				continue
			}
			var f *spec.Formula
			switch l := l.(type) {
			case *spec.Defined:
				f = l.Formula
			case *spec.Recurrent:
				f = l.Formula
			}
			if f == nil {
				continue
			}
			for i := range f.Params {
				if field := f.Params[i].Field; field == p.Field || field+"_back" == p.Field {
					return f.Params[i].LaTeX()
				}
			}
		}
	}
	return build.Symbol(p.Field)
}

func discriminator(m *spec.Model) []spec.Layer {
	if m.GAN == nil {
		return nil
	}
	return m.GAN.Discriminator
}

func heads(m *spec.Model) []spec.Layer {
	if m.Latent == nil || m.Latent.Heads == nil {
		return nil
	}
	return []spec.Layer{m.Latent.Heads}
}

// objective says what a training makes small.
func (w *writer) objective() Section {
	sec := Section{Title: "What the training makes small"}
	for _, a := range build.Objective(w.s) {
		sec.Parts = append(sec.Parts, Part{Name: a.Name, Place: a.Place, Words: a.Words, Formulas: a.Formulas})
	}
	return sec
}

// training says how the parameters move.
func (w *writer) training() Section {
	s := w.s
	sec := Section{Title: "How the parameters move"}
	add := func(name string, p spec.Pos, words, formulas []string) {
		sec.Parts = append(sec.Parts, Part{Name: name, Place: w.place(p), Words: words, Formulas: formulas})
	}
	if a := s.Adapter; a != nil {
		add("adapter", a.Pos, []string{fmt.Sprintf("The parameters stay, and low-rank changes of the matrices %s "+
			"learn (Hu et al. 2021).", strings.Join(a.Targets, ", "))},
			[]string{fmt.Sprintf(`x \cdot W \leftarrow x \cdot W + \frac{%g}{%d} \cdot (x \cdot A) \cdot B`,
				a.Alpha, a.Rank)})
	}
	w.gradient(add)
	rule := func(name string, o *spec.Optimizer) {
		formulas, constants := o.Update()
		formulas = slices.Clone(formulas)
		if len(constants) > 0 {
			formulas = append(formulas, strings.Join(constants, ` \quad `))
		}
		add(name, o.Pos, []string{fmt.Sprintf("The rule is %s: p is a parameter, g its gradient, r the rate, t the "+
			"number of the step from 1; what is kept from step to step begins with zeros.", o.Kind)}, formulas)
	}
	switch {
	case s.GAN == nil:
		rule("optimizer", &s.Optimizer)
	case s.GAN.Optimizer.Kind == s.Optimizer.Kind && slices.Equal(s.GAN.Optimizer.Arguments, s.Optimizer.Arguments):
		rule("optimizer of each network", &s.Optimizer)
	default:
		rule("optimizer of the generator", &s.Optimizer)
		rule("optimizer of the discriminator", &s.GAN.Optimizer)
	}
	words, formulas := s.Schedule.Rates(s.Optimizer.Rate)
	if s.GAN != nil && s.GAN.Optimizer.Rate != s.Optimizer.Rate {
		words = append(words, fmt.Sprintf("The discriminator's rate is %g in place of %g.", s.GAN.Optimizer.Rate,
			s.Optimizer.Rate))
	}
	add("rate", s.Schedule.Pos, words, formulas)
	w.averages(add)
	return sec
}

// gradient says what is done to the gradient before an update.
func (w *writer) gradient(add func(name string, p spec.Pos, words, formulas []string)) {
	s := w.s
	if n := s.Train.Accumulate; n > 1 {
		add("shards", s.Train.Pos, []string{fmt.Sprintf("The batch of a step is cut into %d shards of %d; the "+
			"gradient is the mean of "+
			"theirs.", n, s.Shape.Batch)}, []string{fmt.Sprintf(`g = \frac{1}{%d} \sum_i g_i`, n)})
	}
	var words, formulas []string
	if c := s.Clip.Norm; c > 0 {
		words = append(words, fmt.Sprintf("A gradient that is longer than %g, all parameters together, is made as "+
			"long.", c))
		formulas = append(formulas, fmt.Sprintf(`g \leftarrow g \cdot \min(1, \frac{%g}{\lVert g \rVert})`, c))
	}
	if c := s.Clip.Value; c > 0 {
		words = append(words, fmt.Sprintf("Each element of the gradient is held between −%g and %g.", c, c))
		formulas = append(formulas, fmt.Sprintf(`g \leftarrow \max(-%g, \min(%g, g))`, c, c))
	}
	if len(words) > 0 {
		add("clip", s.Clip.Pos, words, formulas)
	}
	switch g := s.Train.Guard; g.Kind {
	case "finite":
		add("guard", g.Pos, []string{"A step whose loss or gradient is not finite moves nothing."}, nil)
	case "norm":
		add("guard", g.Pos, []string{fmt.Sprintf("A step moves nothing whose loss or gradient is not finite, or whose "+
			"gradient is more than %g times as long as the median of the last %d.", g.Times, g.Window)},
			[]string{fmt.Sprintf(`\lVert g \rVert \le %g \cdot \text{median}`, g.Times)})
	}
}

// averages says which averages of parameters there are.
func (w *writer) averages(add func(name string, p spec.Pos, words, formulas []string)) {
	s := w.s
	decay, of := s.EMA, "the parameters"
	if s.GAN != nil && s.GAN.EMA > 0 {
		decay, of = s.GAN.EMA, "the generator's parameters"
	}
	if decay == 0 {
		return
	}
	limit := fmt.Sprintf(`d = \min(%g, \frac{1 + n}{10 + n})`, decay)
	if s.GAN != nil && s.Vectors != nil {
		limit = fmt.Sprintf("d = %g", decay)
	}
	add("average", spec.Pos{}, []string{fmt.Sprintf("An average of %s is kept over the updates n; it is what samples "+
		"are made with.", of)}, []string{`\bar{p} \leftarrow d \cdot \bar{p} + (1 - d) \cdot p`, limit})
}
