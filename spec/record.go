package spec

// place is where a list of layers stands: layers differ from place to place in their settings and defaults, and some
// exist in a few places only.
type place uint8

const (
	inRNN place = iota
	inAttention
	inVAE
	inGenerator
	inDiscriminator
)

var everywhere = []place{inRNN, inAttention, inVAE, inGenerator, inDiscriminator}

// layerTypes are the layers of each place. Their words come from the records.
var layerTypes = [...]*typ{inRNN: layerType, inAttention: stackType, inVAE: coderType, inGenerator: generatorType,
	inDiscriminator: discriminatorType}

var (
	layerType = layersCalled("layer", "The first is an `embedding` or `one_hot`, and no other is; the last is a "+
		"`dense` whose width is the vocabulary.")
	stackType = layersCalled("stack", "The first is an `embedding` or `one_hot`. The last is a `dense` whose width "+
		"is the vocabulary, but for an encoder in front of a decoder, which gives no logits.")
	coderType = layersCalled("coder", "The last of the decoder is a `dense` whose width is that of the vectors, or "+
		"the vocabulary. A stack for text begins with an `embedding` or `one_hot`, and has a recurrent layer or a "+
		"`transformer`.")

	generatorType     = layersCalled("generator_layer", "Those of vectors are `dense`, `layernorm` and `dropout`.")
	discriminatorType = layersCalled("discriminator_layer", "Those of vectors are `dense` and `dropout`.")
)

func layersCalled(name, doc string) *typ {
	t := choice(name, doc)
	t.one, t.layers = "layer", true
	return t
}

// record is all that the language knows of one kind of layer. Each has a file of its own, in which it registers
// itself; its other half, what it computes, is the record of the same name in gen/build.
type record struct {
	name  string
	group group
	word  func(in place) *word // its settings, nil where it does not exist
	check func(c *layers, v *value, base LayerBase, in int, last bool) Layer

	table     bool // it turns tokens into features
	overTime  bool // it looks at several time steps
	recurrent bool // it carries a state from one time step to the next
	attends   bool // it looks at all tokens at once, whatever their order
	windows   bool // it looks at neighbouring tokens
	pools     bool // it leaves no time steps
	// whether a repeat with it is written out, as it cannot be in a loop of generated code; nil for never
	written func(set *value) bool
	parts   int  // how many products it has whose results are mostly added to what it reads
	shares  bool // it can have the parameters of another
	ends    bool // it can give what a model is trained on: logits, vectors, a verdict
	inner   func(v *value) []*value
	places  func(set *value) bool // whether, with these settings, it tells the order of tokens; nil for never
}

// group is where a layer stands in lists of layers.
type group uint8

const (
	tables      group = iota // turn tokens into features
	recurrences              // carry a state
	attentions               // look at other tokens
	neighbours               // look at neighbours
	rows                     // work on rows
	composites               // are made of layers
	outputs                  // end a stack
)

// records are the layers by name.
var records = map[string]*record{}

// register adds a layer to the language.
func register(r record) {
	records[r.name] = &r
	for in, t := range layerTypes {
		w := r.word(place(in))
		if w == nil {
			continue
		}
		if r.shares && w.typ.key("share") == nil { // places have the settings of some layers in common
			w.typ.keys = append(w.typ.keys,
				may("share", nameType, "parameters of its own",
					"Name of a layer before this one, of the same form, whose parameters it has.").called("shared",
					"share_with", "reuse", "like"))
		}
		at := 0
		for at < len(t.words) && records[t.words[at].name].group <= r.group {
			at++
		}
		t.words = append(t.words[:at:at], append([]word{*w}, t.words[at:]...)...)
	}
}

// in is the word for a layer that is the same in all of the places where it exists.
func (w word) in(places ...place) func(place) *word {
	return func(in place) *word {
		for _, p := range places {
			if p == in {
				return &w
			}
		}
		return nil
	}
}
