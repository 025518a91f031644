package spec

import "slices"

// activationRecord is all that the language knows of a function of each feature. Each has a file of its own, in
// which it registers itself; what it computes is the record of the same name in gen/build.
type activationRecord struct {
	word word

	// layers says that layers of one product have it: dense, conv1d and heads. Discriminators are made of these, so
	// its gradient must have a gradient.
	layers bool
	hidden bool // feed-forward parts have it between their two products
	gated  bool // of two products, one the gate of the other
	block  bool // a transformer has it too

	formulas  []string // what formulas call it
	low, high float64  // the range of what it gives, where that has ends
}

var (
	activations = choice("activation", "The function that a layer applies to each feature.",
		word{name: "none", doc: "The value itself.", also: []string{"linear", "identity"}})
	hiddenActivations = enum()
	blockActivations  = enum()
)

// activationRecords are the functions by name.
var activationRecords = map[string]*activationRecord{}

// registerActivation adds a function to the language; gated ones come last.
func registerActivation(r activationRecord) {
	activationRecords[r.word.name] = &r
	add := func(t *typ) {
		at := len(t.words)
		for !r.gated && at > 0 && activationRecords[t.words[at-1].name] != nil &&
			activationRecords[t.words[at-1].name].gated {
			at--
		}
		t.words = slices.Insert(t.words, at, r.word)
	}
	if r.layers {
		add(activations)
	}
	if r.hidden {
		add(hiddenActivations)
	}
	if r.block {
		add(blockActivations)
	}
	for _, name := range r.formulas {
		functionNames[name] = r.word.name
	}
}

// Gated tells whether an activation is of two products, one of which is the gate of the other.
func Gated(activation string) bool {
	r := activationRecords[activation]
	return r != nil && r.gated
}

// Range is that of what an activation gives; bounded is false where it has no ends.
func Range(activation string) (low, high float64, bounded bool) {
	r := activationRecords[activation]
	if r == nil {
		return 0, 0, false
	}
	return r.low, r.high, r.low < r.high
}
