package spec

import (
	"slices"
	"strings"
)

// Optimizer is a rule of update with its constants.
type Optimizer struct {
	Pos
	Kind string
	Rate float64

	// New is the constructor of package optim in the runtime, Arguments what it takes behind the number of parameters:
	// float64, int and bool.
	New       string
	Arguments []any
	Shapes    bool // behind the number of parameters it takes where each tensor lies
}

// TensorSize is the size of a parameter as rules see it that work on matrices: Rows times Columns numbers, where a
// vector is one row. Apart is set for tables of tokens and positions and for the output layer.
type TensorSize struct {
	Rows, Columns int
	Apart         bool
}

// Numbers is how many float32 a rule keeps from one step to the next for parameters in a flat array of n numbers, which
// holds tensors of these sizes, and how many it works in.
func (o *Optimizer) Numbers(n int, tensors []TensorSize) (kept, scratch int) {
	return rules[o.Kind].numbers(o, n, tensors)
}

// rule is all that the language knows of one rule of update. Each has a file of its own, in which it registers itself;
// its other half, what it computes, is the type of the same name in the package optim of the runtime.
type rule struct {
	word   word
	new    string // as in Optimizer
	shapes bool   // as in Optimizer
	// the arguments that settings come to
	arguments func(set *value) []any
	numbers   func(o *Optimizer, n int, tensors []TensorSize) (kept, scratch int)
	// the formulas of an update in LaTeX, of parameters p and their gradient g at the rate r in step t, and what they
	// call the arguments; empty for one that they do not have
	update  []string
	symbols []string
}

// Update is the formulas of an update of parameters p in LaTeX, g being their gradient, r the rate and t the number of
// the step from 1, and the values of the constants in them.
func (o *Optimizer) Update() (formulas, constants []string) {
	r := rules[o.Kind]
	for i, s := range r.symbols {
		if x, ok := o.Arguments[i].(float64); ok && s != "" {
			constants = append(constants, s+" = "+latexNumber(x))
		}
	}
	return r.update, constants
}

// latexNumber is a number in LaTeX.
func latexNumber(x float64) string {
	mantissa, exponent, ok := strings.Cut(number(x), "e")
	switch {
	case !ok:
		return mantissa
	case mantissa == "1":
		return "10^{" + exponent + "}"
	}
	return mantissa + ` \cdot 10^{` + exponent + "}"
}

var (
	optimizerType = choice("optimizer", "The rule of the update. The constants mean what they mean in PyTorch.")
	rules         = map[string]*rule{}
)

// registerRule adds a rule to the language, whose words are in the order of the alphabet.
func registerRule(r rule) {
	rules[r.word.name] = &r
	at, _ := slices.BinarySearchFunc(optimizerType.words, r.word,
		func(a, b word) int { return strings.Compare(a.name, b.name) })
	optimizerType.words = slices.Insert(optimizerType.words, at, r.word)
}

func (c *checker) optimizer(v *value) Optimizer {
	o := Optimizer{Pos: v.Pos, Kind: v.word, Rate: v.set.key("rate").number}
	if r := rules[v.word]; r != nil && !v.bad {
		o.New, o.Shapes, o.Arguments = r.new, r.shapes, r.arguments(v.set)
	}
	return o
}

// numbersOf are the values of keys.
func numbersOf(keys ...string) func(set *value) []any {
	return func(set *value) []any {
		var a []any
		for _, k := range keys {
			if k == "betas" {
				for _, b := range set.key(k).list {
					a = append(a, b.number)
				}
				continue
			}
			a = append(a, set.key(k).number)
		}
		return a
	}
}

// arrays is a rule that keeps k arrays of the length of the parameters.
func arrays(k int) func(*Optimizer, int, []TensorSize) (int, int) {
	return func(_ *Optimizer, n int, _ []TensorSize) (kept, scratch int) { return k * n, 0 }
}

func rate(def float64) *key {
	return with("rate", above(0, 100), def, "The learning rate, before the schedule.").called("lr", "learning_rate",
		"eta", "step_size")
}

func decay(def float64, doc string) *key {
	return with("weight_decay", from(0, 10), def, doc).called("decay", "l2", "lambda")
}

const (
	coupled   = "Times the parameter, added to the gradient."
	decoupled = "Times rate times the parameter, taken off the parameter."
)

func momentumKey(def float64) *key {
	return with("momentum", share(), def, "Share of the last update that is kept.").called("mu", "beta")
}

func epsilon(def float64) *key {
	return with("epsilon", above(0, 1), def, "Added to the root of the squared average.").called("eps")
}

func betas() *key {
	return with("betas", list(share(), 2, 2), []float64{0.9, 0.999},
		"Decay of the average of gradients and of their squares.").called("beta1", "beta2", "beta", "beta_1", "beta_2",
		"momentum")
}
