package spec

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

func init() {
	none := func(place) *word { return nil }
	register(record{name: "define", group: rows, shares: true, ends: true, word: none, check: (*layers).defined})
	register(record{name: "define_attention", group: attentions, shares: true, ends: true, overTime: true,
		attends: true, written: func(*value) bool { return true }, word: none, check: (*layers).defined})
	register(record{name: "define_source", group: attentions, shares: true, ends: true, overTime: true,
		written: func(*value) bool { return true }, word: none, check: (*layers).defined})
	register(record{name: "define_cell", group: recurrences, shares: true, ends: true, overTime: true, recurrent: true,
		written: func(*value) bool { return true }, word: none, check: (*layers).defined})
}

// Defined is a layer that a formula defines, of each row by itself.
type Defined struct {
	LayerBase
	Formula  *Formula
	Init     Init // of the matrices, and of vectors that are more than added
	BiasInit Init // of vectors that are only added
}

func (l *Defined) architecture() string { return l.Formula.architecture(&l.LayerBase) }

func (f *Formula) architecture(base *LayerBase) string {
	s := fmt.Sprintf("define %s size=%d in=%d formula=%q", base.Name, f.Size, base.In,
		strings.Join(strings.Fields(f.Text), " "))
	if len(f.Reads) > 0 {
		s += fmt.Sprintf(" reads=%q", f.Reads)
	}
	for _, p := range f.Params { // whose sizes settings may give
		s += fmt.Sprintf(" %s=%dx%d", p.Field, p.Out, p.In)
	}
	if len(f.StateSizes) > 0 {
		s += fmt.Sprintf(" states=%d", f.StateSizes)
	}
	if len(f.Scalars) > 0 {
		s += fmt.Sprintf(" scalars=%q", f.Scalars)
	}
	return s
}

// kind is what the layer is called in a spec.
func (v *value) kind() string {
	if v.define != nil {
		return v.define.name
	}
	return v.word
}

// definition is a layer by formula, as the spec defines it.
type definition struct {
	block      // its name, settings, and what a broken one is
	parameters *yaml.Node
	scalars    *yaml.Node
	reads      *yaml.Node
	sizes      *yaml.Node
	gives      *yaml.Node
	formula    *yaml.Node
}

// defined is a use of a definition, with its settings in place.
type defined struct {
	*definition
	params  []string
	scalars []string
	reads   []string
	sizes   map[string][]int
	gives   string
	text    string
}

const definitionForm = "a map with the keys settings, reads, parameters, scalars, sizes, gives and formula"

var definitionKeys = []string{"settings", "reads", "parameters", "scalars", "sizes", "gives", "formula"}

// formulas reads the definitions of a spec.
func (d *decoder) formulas(n *yaml.Node) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.errorf(d.pos(n), "define: expected a map from names to definitions, found %s", found(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, body := n.Content[i], n.Content[i+1]
		before := len(d.errs)
		f := &definition{block: block{name: key.Value, node: key, settings: map[string]*yaml.Node{}}}
		path := "define." + short(f.name)
		switch {
		case !wholly(nameType.pattern).MatchString(f.name) || len(f.name) > maxName:
			d.errorf(d.pos(key), "define: expected %s, found %s", nameType.like, found(key))
			continue
		case records[f.name] != nil:
			d.errorf(d.pos(key), "define: %s is a layer of the language; give the definition another name",
				quote(f.name))
			continue
		case d.defs[f.name] != nil:
			d.errorf(d.pos(key), "define: the definition %s stands here a second time", quote(f.name))
			continue
		}
		d.defs[f.name] = f
		parts := map[string]**yaml.Node{"reads": &f.reads, "parameters": &f.parameters, "scalars": &f.scalars,
			"sizes": &f.sizes, "gives": &f.gives, "formula": &f.formula}
		if body.Kind == yaml.ScalarNode && !isNull(body) {
			f.formula = body
		} else if body.Kind == yaml.MappingNode {
			for j := 0; j+1 < len(body.Content); j += 2 {
				k, v := body.Content[j], body.Content[j+1]
				switch {
				case k.Value == "settings":
					d.settings(&f.block, v, path)
				case parts[k.Value] != nil:
					*parts[k.Value] = v
				default:
					d.errorf(d.pos(k), "%s: unknown key %s%s", path, quote(k.Value),
						orElse(didYouMean(nearest(k.Value, definitionKeys)), "; expected "+definitionForm))
				}
			}
		} else {
			d.errorf(d.pos(body), "%s: expected %s, found %s", path, definitionForm, found(body))
			f.broken = true
			continue
		}
		if f.formula == nil || f.formula.Kind != yaml.ScalarNode || isNull(f.formula) {
			at := key
			if f.formula != nil {
				at = f.formula
			}
			d.errorf(d.pos(at), "%s: the key \"formula\" is missing; it takes equations, one a line", path)
		}
		f.broken = len(d.errs) > before
	}
}

// twoRead is the start of a formula that says what its layer and the encoder give.
var twoRead = regexp.MustCompile(`(?m)^[\pL\d_{}′']+\([\pL\d_]+,[\pL\d_]+\)=.*[Σ∑]`)

var textSetting = regexp.MustCompile(`\$[a-z][a-z0-9_]*`)

// useFormula appends to list the layer that n, a use of a definition, is.
func (d *decoder) useFormula(list *value, n, given *yaml.Node, f *definition) {
	if f.broken {
		list.bad = true
		return
	}
	v := &value{Pos: d.pos(n), given: true, word: "define", within: d.within,
		set: &value{Pos: d.pos(n), given: true, keys: map[string]*value{}}}
	use := &defined{definition: f, sizes: map[string][]int{}, text: f.formula.Value}
	v.define = use
	before := len(d.errs)
	values := maps.Clone(f.settings)
	own := map[string]*typ{"name": nameType, "share": nameType, "init": initType, "init_bias": initType}
	switch {
	case given == nil || isNull(given):
	case given.Kind != yaml.MappingNode:
		d.errorf(d.pos(given), "%s: expected a map of settings, found %s; %s", f.name, found(given), f.has())
	default:
		for i := 0; i+1 < len(given.Content); i += 2 {
			k, x := given.Content[i], given.Content[i+1]
			switch {
			case own[k.Value] != nil:
				v.set.keys[k.Value] = d.decode(x, own[k.Value], f.name+"."+k.Value)
			case f.settings[k.Value] == nil:
				names := append(slices.Sorted(maps.Keys(f.settings)), slices.Sorted(maps.Keys(own))...)
				d.errorf(d.pos(k), "%s: unknown setting %s%s", f.name, quote(k.Value),
					orElse(didYouMean(nearest(k.Value, names)), "; "+f.has()))
			default:
				values[k.Value] = x
			}
		}
	}
	for name := range own {
		if v.set.keys[name] == nil {
			v.set.keys[name] = &value{Pos: v.Pos}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if isNull(values[name]) {
			d.errorf(d.pos(n), "%s: the setting %s is missing; the definition has no default for it", f.name,
				quote(name))
		}
	}
	use.text = textSetting.ReplaceAllStringFunc(use.text, func(s string) string {
		if x := values[s[1:]]; x != nil && x.Kind == yaml.ScalarNode {
			return x.Value
		}
		d.errorf(d.pos(f.formula), "define.%s.formula: there is no setting %s%s", f.name, quote(s[1:]),
			didYouMean(nearest(s[1:], slices.Sorted(maps.Keys(values)))))
		return s
	})
	for _, names := range []struct {
		node *yaml.Node
		key  string
		most int
		to   *[]string
	}{{f.reads, "reads", 2, &use.reads}, {f.parameters, "parameters", maxStack, &use.params},
		{f.scalars, "scalars", maxStack, &use.scalars}} {
		if names.node == nil {
			continue
		}
		n := substitute(names.node, values)
		if n.Kind == yaml.ScalarNode && names.key == "reads" { // one name alone
			n = &yaml.Node{Kind: yaml.SequenceNode, Line: n.Line, Column: n.Column, Content: []*yaml.Node{n}}
		}
		for _, x := range d.decode(n, nameList(names.most), "define."+f.name+"."+names.key).list {
			*names.to = append(*names.to, strings.NewReplacer("{", "", "}", "", "−", "-").Replace(x.text))
		}
	}
	if f.sizes != nil {
		d.sizesOf(use, substitute(f.sizes, values))
	}
	if f.gives != nil {
		use.gives = f.gives.Value
	}
	switch plain := strings.NewReplacer("−", "-", " ", "").Replace(use.text); {
	case strings.Contains(plain, "{t-1}"):
		v.word = "define_cell"
	case !strings.ContainsAny(plain, "Σ∑") && !strings.Contains(plain, "sum_"):
	case len(use.reads) == 2 || twoRead.MatchString(plain):
		v.word = "define_source"
	default:
		v.word = "define_attention"
	}
	if len(d.errs) > before {
		list.bad = true
		return
	}
	list.list = append(list.list, v)
}

// sizesOf reads the sizes of a definition: a number for a vector, two, out and in, for a matrix.
func (d *decoder) sizesOf(use *defined, n *yaml.Node) {
	path := "define." + use.name + ".sizes"
	if n.Kind != yaml.MappingNode {
		d.errorf(d.pos(n), "%s: expected a map from names to sizes, found %s", path, found(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, x := n.Content[i], n.Content[i+1]
		var sizes []int
		if x.Kind == yaml.SequenceNode {
			for _, s := range d.decode(x, list(integer(1, maxWidth), 2, 2), path+"."+k.Value).list {
				sizes = append(sizes, int(s.integer))
			}
		} else if s := d.decode(x, integer(1, maxWidth), path+"."+k.Value); !s.bad {
			sizes = []int{int(s.integer)}
		}
		use.sizes[strings.NewReplacer("{", "", "}", "").Replace(k.Value)] = sizes
	}
}

// defined checks a layer by formula.
func (c *layers) defined(v *value, base LayerBase, in int, last bool) Layer {
	use := v.define
	l := &Defined{LayerBase: base}
	if in == 0 || v.word == "define_source" && c.role == targetSide && c.latent == 0 && c.memory == 0 {
		return l // unknown
	}
	wide := 0 // what the last layer of a stack gives
	if last {
		if wide = c.vocab; c.role == reading || c.role == judging {
			wide = 1
		}
	}
	f, err := parseFormula(formulaTask{text: use.text, in: in, memory: c.sourceWidth(), causal: c.causally(),
		reads: use.reads, params: use.params, scalars: use.scalars, sizes: use.sizes, output: use.gives,
		wide: max(wide, c.heads), heads: c.heads > 0})
	if err == nil && c.heads > 0 && f.Size != c.heads {
		c.errorf(v.Pos, "%s: the formula gives the distribution of %d numbers, but the latent vector has %d "+
			"(latent.size)", use.name, f.Size, c.heads)
	}
	if err == nil && wide > 0 && f.Size != wide {
		c.errorf(v.Pos, "%s: the last layer gives %d features, but %s are %d; end the formula with as many, or add "+
			"`- dense`", use.name, f.Size, c.gives(), wide)
	}
	if err != nil {
		c.errorf(use.place(c.lines, err.at, v.Pos),
			"%s: in the formula, %s: %s; used at line %d, where it reads %d features", use.name,
			lineColumn(use.text, err.at), err.msg, v.Line, in)
		return l
	}
	f.Pos = v.Pos
	f.Reads, f.Scalars = use.reads, use.scalars
	l.Formula, l.Width = f, f.Size
	switch {
	case f.Looks && f.Memory:
		c.errorf(v.Pos, "%s: the formula sums over tokens of the source and over those of the layer's own text; make "+
			"two layers of it", use.name)
	case f.Sums && (c.role == predictor || c.role == writing):
		c.errorf(v.Pos, "%s: the formula sums over tokens, which a recurrent model does not keep; use kind attention",
			use.name)
	}
	uniform := Init{Pos: v.Pos, Scheme: "uniform"} // of each parameter by its own inputs
	l.Init = c.initial(v.set.key("init"), c.initial(c.init, uniform))
	l.BiasInit = c.initial(v.set.key("init_bias"), Init{Pos: v.Pos, Scheme: "zeros"})
	params, widest := int64(0), f.Size
	for _, p := range f.Params {
		params += int64(p.Out) * int64(max(1, p.In))
		widest = max(widest, p.Out)
	}
	for _, n := range f.StateSizes {
		widest = max(widest, n)
	}
	if widest *= len(f.Equations); f.Sums { // each token meets each
		widest *= max(1, c.shape.Steps)
	}
	c.count(v, params, widest)
	if len(f.States) == 0 {
		return l
	}
	r := &Recurrent{LayerBase: base, Units: f.Size, Layers: 1, Bias: true, Init: l.Init, InitState: l.Init,
		BiasInit: l.BiasInit, Formula: f}
	r.Width = f.Size
	return r
}

// sourceWidth is the width of the encoder's output; 0 where the layer cannot read one.
func (c *layers) sourceWidth() int {
	if c.role != targetSide || c.latent > 0 {
		return 0
	}
	return c.memory
}

// Start is how a parameter of the formula starts, where matrix and bias are how the layer's start: a matrix that no
// other word is said of uniform ±1/√inputs.
func (p *FormulaParam) Start(matrix, bias Init) Init {
	switch {
	case p.Bias:
		return bias
	case p.Scalar:
		return Init{Pos: matrix.Pos, Scheme: "ones"}
	}
	if matrix.Scheme == "uniform" && matrix.Scale == 0 {
		matrix.Scale = 1 / math.Sqrt(float64(max(p.In, 1)))
		if p.In == 0 {
			matrix.Scale = 1 / math.Sqrt(float64(p.Out))
		}
	}
	return matrix
}

// lineColumn is a place in a formula in words.
func lineColumn(text string, at int) string {
	r := []rune(text)
	before := string(r[:min(at, len(r))])
	line := strings.Count(before, "\n") + 1
	column := len([]rune(before[strings.LastIndex(before, "\n")+1:])) + 1
	if !strings.Contains(strings.TrimSpace(text), "\n") {
		return fmt.Sprintf("column %d", column)
	}
	return fmt.Sprintf("line %d, column %d", line, column)
}

// place is a place of the formula in the file of these lines: the line and column, where the formula stands there as
// it is read.
func (u *defined) place(lines []string, at int, use Pos) Pos {
	n := u.formula
	p := Pos{Line: n.Line, Col: n.Column, In: use.In}
	r := []rune(u.text)
	before := string(r[:min(at, len(r))])
	column := len([]rune(before[strings.LastIndex(before, "\n")+1:]))
	line := func(n int) string {
		if n < 1 || n > len(lines) {
			return ""
		}
		return lines[n-1]
	}
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		indent := 0
		for i := n.Line + 1; i <= len(lines); i++ { // of the first line that is not empty
			if text := strings.TrimLeft(line(i), " "); strings.TrimSpace(text) != "" {
				indent = len(line(i)) - len(text)
				break
			}
		}
		p.Line += 1 + strings.Count(before, "\n")
		p.Col = indent + column + 1
		return p
	}
	if src := []rune(line(n.Line)); n.Column <= len(src) && !strings.Contains(u.text, "\n") {
		if k := strings.Index(string(src[n.Column-1:]), u.text); k >= 0 && k <= 1 { // behind a quote, or at once
			p.Col += k + column
		}
	}
	return p
}

func nameList(most int) *typ { return list(text(1, maxName), 0, most) }
