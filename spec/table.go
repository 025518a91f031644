package spec

// The language is described once, as values of the types in this file. Decoding, the suggestions of errors, the JSON
// Schema and the reference page all read that description, so they cannot disagree. Adding a kind of model means adding
// its table (see rnn.go) to kinds and a check that turns its values into a Model.

// form is the form that a value takes in YAML.
type form uint8

const (
	integerForm form = iota // a whole number
	numberForm              // a finite number
	textForm                // a string
	boolForm                // true or false
	enumForm                // one word of several
	objectForm              // a map with known keys
	choiceForm              // one word of several, alone or as the only key of a map that holds its settings
	listForm                // a list of values of one type
	libraryForm             // definitions of blocks
)

// typ describes the values that a key may take.
type typ struct {
	form form
	name string // for headings and schema definitions; empty for a type that is used once
	one  string // choiceForm: what one is called in a list of them; empty for the name
	doc  string // what the value is, a sentence or more
	cell string // what the reference's tables say it takes; empty for what String says

	low, high int64  // integerForm: the range, both ends included
	rng       bounds // numberForm
	runes     bounds // textForm: how many characters
	pattern   string // textForm: a regular expression that the whole text matches; empty for any text
	like      string // textForm: pattern in words
	words     []word // enumForm, choiceForm
	keys      []*key // objectForm
	switched  bool   // objectForm: true stands for the defaults of its keys, false for leaving it out
	short     string // objectForm: the key that a plain value stands for, as in `clip: 5` for `clip: {norm: 5}`
	item      *typ   // listForm
	most      int    // listForm: how many items at most
	least     int    // listForm: how many items at least
	layers    bool   // choiceForm: the words are layers, and those of the spec's blocks belong to them
}

// bounds is a range of numbers; an open end does not belong to it.
type bounds struct {
	low, high         float64
	openLow, openHigh bool
}

func (b bounds) holds(x float64) bool {
	if b.openLow && x <= b.low || x < b.low {
		return false
	}
	return !(b.openHigh && x >= b.high || x > b.high)
}

// word is one choice of several.
type word struct {
	name string
	doc  string
	typ  *typ     // choiceForm: its settings, an object; nil when it has none
	also []string // what people write for it elsewhere
}

// key is one key of an object.
type key struct {
	name     string
	typ      *typ
	doc      string
	def      any      // an int, float64, string, bool, []float64 or, for a choice, its word; nil for none
	defDoc   string   // what stands for def when it is computed or when leaving the key out has a meaning of its own
	required bool     // it has no default
	also     []string // what people write for it elsewhere
}

// called returns the key with other names by which people look for it.
func (k *key) called(names ...string) *key { k.also = names; return k }

// need makes a key without a default.
func need(name string, t *typ, doc string) *key {
	return &key{name: name, typ: t, doc: doc, required: true}
}

// with makes a key with a constant default.
func with(name string, t *typ, def any, doc string) *key {
	return &key{name: name, typ: t, def: def, doc: doc}
}

// may makes a key that can be left out; without says what happens then.
func may(name string, t *typ, without, doc string) *key {
	return &key{name: name, typ: t, defDoc: without, doc: doc}
}

func integer(low, high int64) *typ { return &typ{form: integerForm, low: low, high: high} }

// above is a number in (low, high].
func above(low, high float64) *typ {
	return &typ{form: numberForm, rng: bounds{low: low, high: high, openLow: true}}
}

// from is a number in [low, high].
func from(low, high float64) *typ {
	return &typ{form: numberForm, rng: bounds{low: low, high: high}}
}

// share is a number in [0, 1).
func share() *typ {
	return &typ{form: numberForm, rng: bounds{low: 0, high: 1, openHigh: true}}
}

func text(least, most int) *typ {
	return &typ{form: textForm, runes: bounds{low: float64(least), high: float64(most)}}
}

// matching is text of up to maxName characters that matches pattern; like says so in words, and cell in the reference.
func matching(pattern, cell, like string) *typ {
	return &typ{form: textForm, runes: bounds{low: 1, high: maxName}, pattern: pattern, like: like, cell: cell}
}

func boolean() *typ { return &typ{form: boolForm} }

func enum(words ...word) *typ { return &typ{form: enumForm, words: words} }

func object(doc string, keys ...*key) *typ {
	return &typ{form: objectForm, doc: doc, keys: keys}
}

func choice(name, doc string, words ...word) *typ {
	return &typ{form: choiceForm, name: name, doc: doc, words: words}
}

func list(item *typ, least, most int) *typ {
	return &typ{form: listForm, item: item, least: least, most: most}
}

// shortFor sets the key that a plain value stands for.
func (t *typ) shortFor(key string) *typ { t.short = key; return t }

func (t *typ) key(name string) *key {
	for _, k := range t.keys {
		if k.name == name {
			return k
		}
	}
	return nil
}

func (t *typ) word(name string) *word {
	for i := range t.words {
		if t.words[i].name == name {
			return &t.words[i]
		}
	}
	return nil
}

// alone tells whether the word can stand without settings.
func (w *word) alone() bool {
	return w.typ == nil || w.typ.optional()
}

// optional tells whether every key of an object has a default.
func (t *typ) optional() bool {
	for _, k := range t.keys {
		if k.required {
			return false
		}
	}
	return true
}

// kindTable is the language of one kind of model.
type kindTable struct {
	name  string
	doc   string
	also  []string // what people write for it elsewhere
	typ   *typ
	layer *typ // the layers that it has
	check func(c *checker, root *value) *Model
}

// kinds lists the kinds of model. The key `kind` of a spec chooses the table that the rest of it is read with.
var kinds []kindTable

func init() {
	// Not a plain initialiser: the check functions reach back to kinds through the errors that they print.
	kinds = []kindTable{
		{name: "rnn", doc: "A recurrent network that predicts the next token of a text.",
			also: []string{"recurrent", "lstm", "gru", "char_rnn", "language_model", "lm"}, typ: rnnType,
			layer: layerType, check: checkRNN},
		{name: "attention", doc: "A network whose tokens look at each other. A decoder alone continues a text (GPT), " +
			"an encoder alone restores masked tokens (BERT), and both together answer one text with another, as in " +
			"translation.",
			also: []string{"transformer", "gpt", "gpt2", "bert", "decoder", "encoder", "encoder_decoder", "seq2seq",
				"translation", "translate", "self_attention", "llm"}, typ: attentionType, layer: stackType,
			check: checkAttention},
		{name: "vae", doc: "A variational autoencoder (Kingma and Welling 2014): an encoder turns what it reads into " +
			"a latent vector with a normal distribution, a decoder writes from it. It is trained on the evidence " +
			"lower bound, log p(x|z) minus the divergence of the latent vector from its prior, and sampled from its " +
			"decoder.",
			also: []string{"autoencoder", "variational", "variational_autoencoder", "cvae", "beta_vae", "textvae"},
			typ:  vaeType, layer: coderType, check: checkVAE},
		{name: "gan", doc: "Two networks against each other: a generator makes vectors of noise, and a discriminator " +
			"tells them from those of the data (Goodfellow et al. 2014).",
			also: []string{"adversarial", "wgan", "dcgan", "lsgan", "cgan", "seqgan", "relgan", "textgan"},
			typ:  ganType, layer: discriminatorType, check: checkGAN},
	}
}

func kindNamed(name string) *kindTable {
	for i := range kinds {
		if kinds[i].name == name {
			return &kinds[i]
		}
	}
	return nil
}

// KindMeant is the kind of model that a name stands for which is none: what people call it elsewhere, or one with a
// slip of the pen in it. It is "" where nothing is close.
func KindMeant(name string) string {
	for _, k := range kinds {
		if contains(k.also, name) {
			return k.name
		}
	}
	return nearest(name, Kinds())
}

// Kinds returns the words that the key `kind` of a spec takes.
func Kinds() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}
