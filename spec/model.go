package spec

// Pos is a place in a spec file: a 1-based line and column.
type Pos struct {
	Line, Col int
	In        *Use // of a place in the definition of a block: the use that is meant; nil elsewhere
}

// Use is a use of a block.
type Use struct {
	Pos          // where it stands, which may be in another block
	Block string // name of the block
}

// Model is a checked spec: every default is filled in, every name is unique, every size fits.
// The compiler reads nothing else.
type Model struct {
	Pos           // of all of the spec, which is also that of what it does not say
	File   string // base name of the spec file, as generated code quotes it
	Digest string // SHA-256, in hex, of the spec's bytes and of the vocabulary's, for stale-code checks

	Kind        string // "rnn", "attention", "vae" or "gan"
	Name        string // package name of the generated code
	Description string // one line for the package comment; may be empty
	Seed        uint64
	Shape       Shape
	Tokenizer   Tokenizer
	Source      *Source  // encoder-decoder models: what the encoder reads; nil for others
	Masking     *Masking // encoder-only models: what they are trained to restore; nil for others
	Vectors     *Vectors // models of vectors: what they read and write; nil for models of text
	Labels      *Labels  // conditional models: the labels of the examples; nil for others
	Latent      *Latent  // kind vae: the latent vector; nil for others
	Likelihood  *Likelihood
	Encoder     []Layer // kinds attention and vae: the stack of the encoder; nil for decoder-only models
	// kind rnn: all layers; kinds attention and vae: the stack of the decoder, or of the encoder where that is all;
	// kind gan: the generator
	Layers    []Layer
	GAN       *GAN // kind gan: what it has beside its generator; nil for others
	Loss      Loss
	Optimizer Optimizer
	Schedule  Schedule
	EMA       float64 // decay of an average of the parameters, of text of the generator's; 0 for none
	Clip      Clip
	Adapter   *Adapter // what a training learns in place of the parameters; nil for those
	Train     Train
	Decode    Decode
	Taps      bool // the package has what explanations need
}

// Vocab is the number of tokens that the model knows. Of an encoder-decoder model these are the decoder's.
func (m *Model) Vocab() int { return m.Tokenizer.Vocab }

// OutputWidth is the number of features that the last layer gives: logits of tokens, or the numbers of a vector.
func (m *Model) OutputWidth() int {
	if m.Vectors != nil {
		return m.Vectors.Size
	}
	return m.Vocab()
}

// DecoderOnly tells whether the model is an attention model that predicts the next token of one text.
func (m *Model) DecoderOnly() bool {
	return m.Kind == "attention" && m.Source == nil && m.Masking == nil
}

// EncoderOnly tells whether the model is an attention model that restores masked tokens.
func (m *Model) EncoderOnly() bool { return m.Masking != nil }

// EncoderDecoder tells whether the model is an attention model that answers one text with another.
func (m *Model) EncoderDecoder() bool { return m.Source != nil && m.Latent == nil }

// Shape holds the capacities of the run-time dimensions: what memory is planned for.
type Shape struct {
	Pos
	Batch int // sequences side by side, in a shard of the batch where Train.Accumulate cuts it
	Steps int // time steps in a window
}

// Tokenizer says how text becomes tokens.
type Tokenizer struct {
	Pos
	// "bytes", "ascii" (newline, then the 95 printable characters), "chars", "words", "bpe", "file" or "numbers"
	Kind  string
	Chars []rune   // kind chars: the characters in order of their token
	Words []string // kind words: the words in order of their token; the token behind them stands for all others
	// kind bpe: the merges in their order, as in the file; the tokens are the 256 bytes, then what they make, each once
	Merges  []string
	File    string // kinds chars, words, bpe and file: the vocabulary file, relative to the spec
	Data    []byte // kind file: its content
	Form    string // kind file: tokenizer.json, sentencepiece or tiktoken
	Split   string // kind file, of a tiktoken file: the name of its encoding; "" where it is recognised
	Ahead   bool   // kind file: its split needs an engine that looks ahead
	Normal  string // normal form that texts are brought to: nfc, nfd, nfkc, nfkd; "" leaves them as they are
	OrBytes bool   // kinds ascii, chars and words: what the vocabulary has not is its bytes
	Unknown rune   // what stands in for a character outside the vocabulary; 0 makes that an error

	// Own are the tokens of the file that are special tokens of the model, by what those are called.
	Own map[string]OwnToken
	// Specials are the other tokens that no text contains, in the order of their numbers, which are the last of the
	// vocabulary.
	Specials []string
	Vocab    int // number of tokens, Specials included
}

// OwnToken is a token of a tokenizer's file.
type OwnToken struct {
	Name   string // as the file spells it
	Number int
}

// The special tokens.
const (
	MaskToken  = "[MASK]" // stands where a token is to be restored: encoder-only models
	BeginToken = "<s>"    // before the first token of an answer: the decoder of encoder-decoder models
	EndToken   = "</s>"   // behind the last token of a text: both sides of encoder-decoder models
)

// Special returns the number of a special token, or -1 when the vocabulary does not have it.
func (t *Tokenizer) Special(name string) int {
	if own, ok := t.Own[name]; ok {
		return own.Number
	}
	for i, s := range t.Specials {
		if s == name {
			return t.Vocab - len(t.Specials) + i
		}
	}
	return -1
}

// Source is what the encoder of an encoder-decoder model reads.
type Source struct {
	Pos
	Tokenizer Tokenizer
	Steps     int // tokens of a text, at the most
}

// Vectors is what a model of vectors reads and writes.
type Vectors struct {
	Pos
	Size int // numbers of a vector
}

// Labels is what a conditional model is told of each example: a number from 0 to Count−1, which stands for a row of
// Size learnt features in a table of each of the two networks.
type Labels struct {
	Pos
	Count int
	Size  int
	Drop  float64 // share of the sentences that training reads without their label
	Init  Init    // of both tables
}

// Latent is the latent vector of a variational autoencoder (Kingma and Welling 2014), whose prior is the standard
// normal distribution. In training the loss is −log p(x|z) + w·max(FreeTotal, Σ max(FreeDimension, KL of a
// dimension)), where w is Beta times what Annealing says.
type Latent struct {
	Pos
	Size          int
	Beta          float64
	Annealing     Annealing
	FreeTotal     float64  // nats
	FreeDimension float64  // nats
	BagOfWords    float64  // of text: weight of the loss of telling a sentence's tokens from z alone; 0 leaves it out
	WordDropout   float64  // of text: share of the tokens that the decoder does not see in training
	Init          Init     // of the matrices of both heads
	BiasInit      Init     // of the biases of both heads
	Heads         *Defined // what gives the distribution, where a formula does
	EncoderFirst  EncoderFirst
}

// EncoderFirst says how the encoder is updated alone before a step of training, while that helps (He et al. 2019).
type EncoderFirst struct {
	Pos
	Steps int // updates before a step, at the most; 0: none
	Check int // updates after which their mean loss must have fallen
}

// Annealing says how the weight of the divergence rises over the steps of a training.
type Annealing struct {
	Pos
	Kind   string  // "none", "linear", "cyclical" or "sigmoid"
	Steps  int     // linear: of the rise; cyclical: of a cycle
	Cycles int     // cyclical
	Ramp   float64 // cyclical: share of a cycle in which the weight rises
	Start  float64 // linear, cyclical: where the rise begins, as a share
	Middle int     // sigmoid: the step of half the weight
	Slope  float64 // sigmoid
}

// Likelihood says how a vector is distributed around what the decoder gives.
type Likelihood struct {
	Pos
	Kind      string  // "bernoulli" or "gaussian", of vectors; "categorical", of text
	Deviation float64 // gaussian: the standard deviation
}

// Masking is the objective of an encoder-only model (Devlin et al. 2019): of the tokens of a text a share is chosen,
// and the model is trained to restore these. Of the chosen ones a share of Mask is replaced by the special token, a
// share of Random by a token drawn at random, and the rest stays.
type Masking struct {
	Pos
	Share  float64 // of the tokens that are chosen
	Mask   float64
	Random float64
}

// GAN is what a pair of adversarial networks has beside the generator, which is in the model's Layers, and its
// Optimizer.
type GAN struct {
	Noise         Noise
	Discriminator []Layer
	Optimizer     Optimizer // the discriminator's
	Penalty       Penalty
	// weight of the distance between mean features in the generator's loss (Salimans et al. 2016); 0: none
	FeatureMatching float64
	CriticSteps     int     // steps of the discriminator for each of the generator
	EMA             float64 // decay of the average of the generator that samples of vectors are made with; 0: none
	// of networks of text: how their generator learns; nil for networks of vectors, which have Noise
	Text *Imitation
}

// Imitation says how the generator of adversarial networks of text learns. It is a language model, which begins by
// learning from the text alone; after that the discriminator's verdicts on what it writes lead it.
type Imitation struct {
	Pos
	// how verdicts on tokens reach the generator: "policy_gradient" (Yu et al. 2017) or "gumbel_softmax" (Jang et al.
	// 2017)
	Estimator     string
	Rewards       string  // policy_gradient: "rollouts" or "tokens"
	Rollouts      int     // of policy_gradient with rollouts: how many for each token
	Discount      float64 // of policy_gradient with tokens
	Value         string  // of policy_gradient: what a verdict is worth, "odds" or "probability"
	Baseline      string  // of policy_gradient: "mean", "prefix" or "none"
	Hard          bool    // gumbel_softmax: whether the discriminator reads tokens, gradients going straight through
	Hot, Cold     float64 // gumbel_softmax: temperatures at the start and after Cooling steps
	Cooling       int
	Pretraining   int     // steps in which the generator learns from the text alone
	Patience      int     // validations without a lower loss after which these end; 0 for none
	Rate          float64 // of these steps
	Discriminator int     // steps after these in which the discriminator alone learns
	Tolerance     float64 // how far above the lowest the validation loss of good parameters may be; 0: not at all
}

// Noise is what a generator begins with: Size independent numbers a vector.
type Noise struct {
	Pos
	Size         int
	Distribution string // "normal", of mean 0 and variance 1, or "uniform" in [-1, 1)
}

// Penalty is added to the discriminator's loss for the gradient of its verdict with respect to its input.
type Penalty struct {
	Pos
	Kind   string // "" for none, "wgan_gp" (Gulrajani et al. 2017) or "r1" (Mescheder et al. 2018)
	Weight float64
}

// Layer is one entry of a list of layers. Each kind of layer has a file of its own, layer_*.go.
type Layer interface {
	// LayerName is the name of the layer: lower-case letters, digits and underscores.
	LayerName() string
	// LayerPos is where the entry stands in the spec.
	LayerPos() Pos
	// LayerKind is the word of the spec for it: "lstm".
	LayerKind() string
	// OutputWidth is the number of features after the layer.
	OutputWidth() int
	// architecture is what of the layer decides its parameters and their meaning, on one line; empty where it has none.
	architecture() string
	base() *LayerBase
}

// LayerBase is what every layer has.
type LayerBase struct {
	Pos
	Kind  string
	Name  string
	Width int // features after the layer, filled in by the check
	In    int // features before it; 0 where it reads tokens

	Blocks []string // the uses of blocks that it comes from, outermost first: their names
	Share  string   // name of the layer whose parameters it has; empty for parameters of its own
	// that layer stands outside of the repeat that this one is in, so that all repetitions have its parameters
	Common bool
}

func (l *LayerBase) base() *LayerBase { return l }

// Base is what every layer has, of l.
func Base(l Layer) *LayerBase { return l.base() }

// LayerName implements Layer.
func (l *LayerBase) LayerName() string { return l.Name }

// LayerPos implements Layer.
func (l *LayerBase) LayerPos() Pos { return l.Pos }

// LayerKind implements Layer.
func (l *LayerBase) LayerKind() string { return l.Kind }

// OutputWidth implements Layer.
func (l *LayerBase) OutputWidth() int { return l.Width }

// Init says how a matrix starts.
type Init struct {
	Pos
	// "uniform", "normal", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal", "orthogonal", "zeros"
	Scheme string
	Scale  float64 // uniform: half width; normal: standard deviation; otherwise a gain
}

// Loss is the training objective.
type Loss struct {
	Pos
	// "cross_entropy"; kind gan: "minimax", "non_saturating", "least_squares", "hinge", "wasserstein" or "relativistic"
	Kind           string
	LabelSmoothing float64 // kind gan: of the data's label alone, which is 1 less this much
}

// Clip bounds the gradient before the update; 0 leaves a bound out.
type Clip struct {
	Pos
	Norm  float64 // Euclidean norm of all gradients together (Pascanu et al. 2013)
	Value float64 // absolute value of each element, after Norm
}

// Decode says how the model writes.
type Decode struct {
	Pos
	Weights string // kind of the matrices: f32, bf16, q8 or q4; empty where the caller chooses
}

// Train holds the defaults of the command train.
type Train struct {
	Pos
	Passes     int     // passes over the training text
	Steps      int     // steps of training; when above 0 it wins over Passes
	Validation float64 // share of the text, at its end, that is kept for validation
	EvalEvery  int     // steps between two validations; 0 means after each pass
	SaveEvery  int     // steps between two checkpoints; 0 means at each validation
	Patience   int     // validations without a lower loss after which training stops; 0 for none
	Guard      Guard
	Accumulate int     // shards that the batch of a step is cut into; Shape.Batch is what is left to each
	Separator  string  // text that ends a document: the state is reset after it; empty means that a file is one text
	Condition  string  // text that ends the condition that a document begins with; empty means that there is none
	Drop       float64 // share of the documents that are read without their condition
	Sampling   float64 // scheduled sampling: share of the tokens that the model draws itself (Bengio et al. 2015)
	Rise       int     // steps in which that share rises from 0
}
