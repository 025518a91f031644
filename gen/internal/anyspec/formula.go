package anyspec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/spec"
	"gopkg.in/yaml.v3"
)

// own is a layer that a spec defines, by a formula or as a block.
type own struct {
	name    string
	setting string // that a use can give, a whole number; "" for none
	pair    bool   // it reads an encoder's output beside its input
	context bool   // it reads other tokens
	block   bool
}

// constructs are what a formula can be made of, each with ways to write it. %s stands for its parts.
var constructs = map[string][]string{
	"tanh": {"tanh(%s)"}, "sigmoid": {"σ(%s)", "sigmoid(%s)"}, "relu": {"relu(%s)"}, "exp": {"exp(−(%s)²)"},
	"log": {"log(1 + (%s)²)"}, "sqrt": {"√(1 + (%s)²)", "sqrt(1 + (%s)*(%[1]s))"}, "softplus": {"softplus(%s)"},
	"gelu": {"gelu(%s)"}, "silu": {"silu(%s)"}, "relu2": {"relu2(%s)"}, "erf": {"erf(%s)"},
	"softmax": {"softmax(%s)"}, "negative": {"(−(%s))", "(-(%s))"}, "number": {"0.5*(%s)", "(2∘(%s) − 1)"},
	"sum": {"(%s + %s)"}, "difference": {"(%s − %s)", "(%s - %s)"},
	"product": {"(%s)∘(%s)", "(%s)⊙(%s)", "(%s)*(%s)"}, "quotient": {"(%s)/(2 + (%s)²)"},
}

// notations are constructs with a place of their own in a formula.
var notations = []string{"matrix", "transposed", "bias", "scalar", "side_by_side", "split", "scalar_product",
	"function", "before", "matrix_state", "attention", "reads", "normal", "library", "gives"}

// formula writes the equations of one layer. All vectors but x are as wide as the setting units.
type formula struct {
	*writer
	at         string // "_t" in a recurrent layer, whose values have a time
	vectors    []string
	parameters []string
	scalars    []string
	calls      []string // functions of two arguments
}

func (f *formula) oneOf(ways ...string) string { return ways[f.IntN(len(ways))] }

func (f *formula) uses(construct string) { f.used["formula="+construct]++ }

// matrix is a new parameter times a value whose width is known.
func (f *formula) matrix() string {
	name := fmt.Sprintf("W_%c", 'a'+len(f.parameters))
	f.parameters = append(f.parameters, name)
	of := append([]string{"x" + f.at}, f.vectors...)
	v := of[f.IntN(len(of))]
	if f.chance(0.2) {
		f.uses("side_by_side")
		v = "[" + v + ", " + of[f.IntN(len(of))] + "]"
	}
	if f.chance(0.2) {
		f.uses("transposed")
		return name + "ᵀ·" + v
	}
	f.uses("matrix")
	return name + f.oneOf("·", " @ ", " ") + v
}

// value is an expression whose parts are nested as deep at the most.
func (f *formula) value(depth int) string {
	if depth == 0 {
		if len(f.vectors) > 0 && f.chance(0.4) {
			return f.vectors[f.IntN(len(f.vectors))]
		}
		return f.matrix()
	}
	switch f.IntN(8) {
	case 0:
		f.uses("bias")
		name := fmt.Sprintf("b_%c", 'a'+len(f.parameters))
		f.parameters = append(f.parameters, name)
		return "(" + f.value(depth-1) + " + " + name + ")"
	case 1:
		f.uses("scalar")
		name := fmt.Sprintf("α_%c", 'a'+len(f.scalars))
		f.scalars = append(f.scalars, name)
		return name + "∘(" + f.value(depth-1) + ")"
	case 2:
		if len(f.vectors) > 0 {
			f.uses("scalar_product")
			v := f.vectors[f.IntN(len(f.vectors))]
			return "(" + v + "ᵀ·" + v + ")∘(" + f.value(depth-1) + ")"
		}
	case 3:
		if len(f.calls) > 0 {
			f.uses("function")
			return f.calls[f.IntN(len(f.calls))] + "(" + f.value(depth-1) + ", " + f.value(depth-1) + ")"
		}
	}
	names := keysOf(constructs)
	name := names[f.IntN(len(names))]
	f.uses(name)
	way := f.oneOf(constructs[name]...)
	args := []any{f.value(depth - 1)}
	if strings.Count(way, "%s") == 2 {
		args = append(args, f.value(depth-1))
	}
	return fmt.Sprintf(way, args...)
}

func keysOf[V any](m map[string]V) []string {
	ks := make([]string, 0, len(m))
	for k := range m {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}

// all is the value of the last equation, which is to depend on the vectors so far and on what the layer reads.
func (f *formula) all(value string, lines []string) string {
	text := strings.Join(lines, "\n")
	for _, name := range f.vectors {
		if !strings.Contains(name, "−1") && !strings.Contains(name, "-1") && !strings.Contains(value, name) &&
			strings.Count(text, name) == 1 {
			value = "(" + value + " + " + name + ")"
		}
	}
	if !regexp.MustCompile(`\bx` + f.at + `\b`).MatchString(text + " " + value) {
		f.parameters = append(f.parameters, "W_x")
		value = "(" + value + " + W_x·x" + f.at + ")"
	}
	return value
}

// define adds a layer by formula to the definitions. Kinds of layers: of each token, recurrent, or with sums over
// tokens, where the spec has them.
func (w *writer) define(definitions node, ofText, attention bool) {
	if w.chance(0.3) {
		w.fromLibrary(definitions, ofText, attention)
		return
	}
	o := own{name: w.name(), setting: "units"}
	f := &formula{writer: w}
	sizes := node{}
	var lines []string
	if w.chance(0.4) {
		lines = append(lines, "s(a, b) = "+f.oneOf("tanh(a)∘b + a", "a − σ(b)", "(a + b)/2"))
		f.calls = append(f.calls, "s")
	}
	recurrent := ofText && w.chance(0.5)
	if recurrent {
		f.at = "_t"
		f.uses("before")
	}
	let := func(name, value string) {
		lines = append(lines, name+f.at+" = "+value)
		sizes[name] = "$units"
	}
	if recurrent {
		before := f.oneOf("h_{t−1}", "h_{t-1}")
		f.vectors = append(f.vectors, before)
		sizes["h"] = "$units"
		switch {
		case w.chance(0.3):
			f.uses("matrix_state")
			f.vectors = nil
			let("k", "σ("+f.all(f.value(1), nil)+")")
			let("v", "tanh("+f.value(1)+")")
			let("r", "σ("+f.value(1)+")")
			lines = append(lines, "S_t = diag(r_t)·S_{t−1} + k_t·v_tᵀ", "h_t = S_tᵀ·k_t")
		case w.chance(0.5):
			f.uses("split")
			lines = append(lines, "[c, d] = tanh("+f.all(f.value(1), nil)+")", "h_t = σ(d)∘"+before+" + (1 − σ(d))∘c")
			sizes["c"], sizes["d"] = "$units", "$units"
		default:
			let("u", f.value(1+w.IntN(2)))
			f.vectors = append(f.vectors, "u_t")
			let("z", "σ("+f.value(1)+")")
			lines = append(lines, "h_t = (1 − z_t)∘"+before+" + z_t∘tanh("+f.all(f.value(2), lines)+")")
		}
	} else if attention && w.chance(0.5) {
		f.uses("attention")
		o.setting, o.context = "", true
		read := "x"
		definition := node{}
		if o.pair = w.chance(0.5); o.pair {
			f.uses("reads")
			read = "h"
			definition["reads"] = []any{"h", "x"}
		}
		score := f.oneOf("aᵀ·W_a·b", "vᵀ·tanh(W_a·a + W_b·b + b_a)", "vᵀ·tanh(W_a·b + b_a)")
		f.parameters = []string{"W_a"}
		if strings.Contains(score, "W_b") {
			f.parameters = append(f.parameters, "W_b")
		}
		if strings.Contains(score, "v") { // the last of them reads the other token alone
			f.parameters = append(f.parameters, "b_a", "v")
			definition["sizes"] = node{"b_a": w.width}
		}
		weight := "exp s(" + read + "_i, x_j) / Σ_k exp s(" + read + "_i, x_k)"
		if w.chance(0.5) {
			weight = "softmax_j(s(" + read + "_i, x_j))"
		}
		definition["parameters"] = f.parameters
		definition["formula"] = "s(a, b) = " + score + "\ne_{i,j} = " + weight + "\nc_i = " +
			f.oneOf("Σ_j", "sum_j") + " e_{i,j}·x_j\n"
		definitions[o.name] = definition
		w.own = append(w.own, o)
		return
	} else {
		for k := range w.IntN(3) {
			name := string(rune('p' + k))
			let(name, f.value(1+w.IntN(2)))
			f.vectors = append(f.vectors, name)
		}
		let("y", f.all(f.value(2), lines))
	}
	definition := node{"settings": node{"units": w.width}, "sizes": sizes, "formula": strings.Join(lines, "\n") + "\n"}
	if recurrent && w.chance(0.3) {
		f.uses("gives")
		definition["gives"] = "h_t"
	}
	if len(f.parameters) > 0 {
		definition["parameters"] = f.parameters
	}
	if len(f.scalars) > 0 {
		definition["scalars"] = f.scalars
	}
	definitions[o.name] = definition
	w.own = append(w.own, o)
}

// fromLibrary takes a definition by formula of the library.
func (w *writer) fromLibrary(definitions node, ofText, attention bool) {
	names, _ := spec.Library()
	text, err := spec.LibraryText(names[w.IntN(len(names))])
	if err != nil {
		panic(err)
	}
	var of struct{ Define map[string]node }
	if err := yaml.Unmarshal([]byte(text), &of); err != nil {
		panic(err)
	}
	for name, d := range of.Define {
		equations, _ := d["formula"].(string)
		o := own{name: name, pair: d["reads"] != nil, context: strings.Contains(equations, "_j")}
		if strings.Contains(equations, "= N(") || o.context && !attention ||
			strings.Contains(equations, "_{t") && !ofText {
			continue
		}
		settings, _ := d["settings"].(node)
		for _, k := range keys(settings) { // as small as the rest
			o.setting, settings[k] = k, w.width
		}
		w.used["formula=library"]++
		definitions[name] = d
		w.own = append(w.own, o)
	}
}

// heads adds the distribution of a latent vector by formula, and is its name.
func (w *writer) heads(definitions node) string {
	name := w.name()
	w.used["formula=normal"]++
	deviation := []string{"softplus(W_σ·x + b_σ)", "exp(tanh(W_σ·x + b_σ))"}[w.IntN(2)]
	definitions[name] = node{"parameters": []any{"W_μ", "b_μ", "W_σ", "b_σ"},
		"formula": "μ(x) = W_μ·x + b_μ\nσ(x) = " + deviation + "\nq(z|x) = N(μ(x), σ(x)²)\n"}
	return name
}

// block adds a list of layers under a name, one of whose numbers is a setting.
func (w *writer) block(blocks node, of node) {
	o := own{name: w.name(), block: true}
	var inner []any
	for range 1 + w.IntN(2) {
		ks := keys(of)
		inner = append(inner, w.layer(ks[w.IntN(len(ks))], of))
	}
	b := node{"layers": inner}
	for _, l := range inner {
		set := settings(l)
		for _, k := range keys(set) {
			if n, ok := set[k].(int); ok && o.setting == "" {
				o.setting = "count"
				b["settings"] = node{"count": n}
				set[k] = "$count"
			}
		}
	}
	blocks[o.name] = b
	w.own = append(w.own, o)
}

// useOwn puts layers that the spec defines into a list of layers, behind the first one and before the last.
func (w *writer) useOwn(items []any, first int, decoder, pair bool) []any {
	for _, o := range w.own {
		if len(items) < first+1 || o.pair && !pair || o.context && !decoder || w.chance(0.3) {
			continue
		}
		set := node{}
		if o.setting != "" && w.chance(0.5) {
			set[o.setting] = w.width
		}
		name := w.name()
		if o.block && w.chance(0.4) {
			set["name"] = name
		}
		var use any = node{o.name: set}
		if len(set) == 0 {
			use = o.name
		}
		at := first + w.IntN(len(items)-first)
		if !o.block && w.chance(0.4) {
			use = node{"residual": []any{use}}
		}
		items = slices.Insert(items, at, use)
		if set["name"] != nil && w.chance(0.5) {
			items = slices.Insert(items, at+1, any(node{o.name: node{"share": name}}))
		}
	}
	return items
}
