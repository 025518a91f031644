// Package model holds the types that generated packages and the rest of the runtime share: what a model tells about
// itself, and the interfaces by which training, evaluation and sampling drive it.
//
// It must not know how a model computes, where text comes from or where a checkpoint goes.
package model

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/cache"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// Version is the version of the contract between generated code and the runtime. Generated packages contain a
// constant expression that fails to compile when it differs from the version they were generated for.
const Version = 9

// Tensor is a named parameter of a model.
type Tensor struct {
	Name  string    // as in the spec and in checkpoints: "lstm.1.wx"
	Shape []int     // row-major
	Value []float32 // the parameter itself, a view of the model's flat array of parameters
	Grad  []float32 // its gradient from the last call of Gradients or TrainStep
}

// Slot is a flat array that an optimizer keeps for the parameters, of the same length and order as they.
type Slot struct {
	Name  string // "adam.m"
	Value []float32
}

// Layer is one row of a model's summary.
type Layer struct {
	Name   string // as in the spec
	Kind   string // the word of the spec: "lstm"
	Output string // shape after the layer: "steps × batch × 256"
	Params int    // number of learnt numbers
	Flops  int64  // floating-point operations a token in the forward pass
	Line   int    // of the spec; 0 where it is not known
}

// Training holds the defaults of a training, from the spec.
type Training struct {
	Rate       float64 // the optimizer's rate, before the schedule
	Schedule   string  // "constant", "step", "cosine", "wsd" or "plateau"
	Warmup     int
	Every      int
	Factor     float64
	Floor      float64
	Fall       float64 // share of the steps in which the rate of "wsd" falls
	Shape      string  // how it falls
	Wait       int     // validations after which that of "plateau" falls
	Threshold  float64 // how far one must be below the lowest, not to be one of them
	Passes     int
	Steps      int
	Validation float64
	EvalEvery  int
	SaveEvery  int
	Patience   int      // validations without a lower loss after which training stops; 0 for none
	Average    float64  // decay of an average of the parameters, which is evaluated and saved; 0 for none
	Guard      Guarding // what it does about steps that would do harm
	Accumulate int      // shards that the batch of a step is cut into; 0 is 1
	Separator  string
	Condition  string  // text that ends the condition that a document begins with; empty for none
	Drop       float64 // share of the examples that are read without their condition, or label
	Smoothing  float64 // share of label smoothing, which the loss of a training step has and no other
	Sampling   float64 // share of scheduled sampling
	Rise       int     // steps in which it rises
}

// Guarding says what a training does about steps that would do harm: those whose loss or gradient is not finite, and
// those whose gradient is far larger than usual. The zero value is the guard of a spec that says nothing of one.
type Guarding struct {
	Off       bool    // such a step ends the training
	Times     float64 // of the running median, above which a gradient's norm is too large; 0 for no bound
	Window    int     // norms that the median is of; 0 for 100
	Skips     int     // bad steps in a row after which the rate is lowered; 0 for 3
	Factor    float64 // what it is multiplied with; 0 for ½
	Lowerings int     // of the rate, after which the training goes back; 0 for 2, below 0 for none
	Returns   int     // to one checkpoint, after which the training fails; 0 for 3, below 0 for none
}

// Info is what a model tells about itself. A model gives copies of its own.
type Info struct {
	Name         string // package name
	Kind         string // "rnn"
	Description  string
	Spec         string // file name of the spec
	SpecDigest   string // hex SHA-256 of the spec and its vocabulary
	Architecture string // hex SHA-256 of everything that decides the parameters' names, shapes and meaning
	Vocab        int
	Batch, Steps int // capacities
	Seed         uint64
	Weights      string // kind of weights that the spec fixes for writing, such as "q8"; empty where the caller chooses
	Params       int    // number of learnt numbers
	TrainBytes   int64  // memory that a training allocates: parameters, gradients, optimizer, activations
	// floating-point operations of a training step, forward and backward, a token or vector; 0 unknown
	TrainFlops  int64
	DecodeBytes int64 // memory of parameters and of a decoder for one sequence
	Layers      []Layer
	Training    Training
	// above 0: the first Prefix tokens of a text see each other, so that a decoder must read them in one call of Feed
	Prefix  int
	Source  *Source  // for a model that answers a source text, such as a translation; nil for others
	Latent  *Latent  // for a variational autoencoder; nil for others
	Vector  *Vector  // for a model of vectors; nil for one of text
	Masking *Masking // for a model that fills in masked tokens; nil for one that writes from left to right

	Labels    int        // of a conditional model: its labels are the numbers from 0 to Labels−1; 0 for others
	Adversary *Adversary // for a pair of adversarial networks; nil for others
	Adapter   *Adapter   // what a training learns in place of the parameters; nil where it learns these
	Taps      bool       // it is Tapped: the package has what explanations need

	// Lines are those of the spec where keys stand that a training depends on, such as "optimizer"; one that the spec
	// does not have is not among them.
	Lines map[string]int
}

// Clone is a copy that shares no memory with i.
func (i *Info) Clone() *Info {
	c := *i
	c.Layers = slices.Clone(i.Layers)
	c.Source, c.Vector, c.Masking = copied(i.Source), copied(i.Vector), copied(i.Masking)
	c.Adapter = copied(i.Adapter)
	c.Lines = maps.Clone(i.Lines)
	if c.Latent = copied(i.Latent); c.Latent != nil {
		c.Latent.EncoderFirst = copied(i.Latent.EncoderFirst)
	}
	if c.Adversary = copied(i.Adversary); c.Adversary != nil {
		c.Adversary.Text = copied(i.Adversary.Text)
	}
	return &c
}

// copied is a pointer to a copy; of nil it is nil.
func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	x := *p
	return &x
}

// String is a line that says what the model is.
func (i *Info) String() string {
	return fmt.Sprintf("%s, a model of kind %s with %d parameters, from %s", i.Name, i.Kind, i.Params, i.Spec)
}

// Unit is what losses are means over, in a word: a token, a sentence where a text is encoded as a whole, or a vector.
func (i *Info) Unit() string {
	switch {
	case i.Vector != nil:
		return "vector"
	case i.Latent != nil:
		return "sentence"
	}
	return "token"
}

// Items counts the units of a batch, which its loss is the mean over: tokens that are predicted, sentences or vectors.
func (i *Info) Items(b *Batch) int {
	if i.Latent != nil || i.Vector != nil {
		return b.Batch
	}
	n := 0
	for _, t := range b.Targets[:b.Steps*b.Batch] {
		if t >= 0 {
			n++
		}
	}
	return n
}

// Guess is the loss of a model that knows nothing, where there is one to compare with; +Inf otherwise.
func (i *Info) Guess() float64 {
	switch {
	case i.Vector != nil && i.Vector.Bounded && i.Adversary == nil:
		return float64(i.Vector.Width) * math.Ln2
	case i.Vector != nil || i.Latent != nil:
		return math.Inf(1)
	}
	return math.Log(float64(i.Vocab))
}

// Source says what the encoder of a model reads, and how answers begin and end.
type Source struct {
	Steps       int   // tokens of a source, at the most
	Vocab       int   // its tokens
	End         int32 // token behind the end of a source
	AnswerBegin int32 // token before an answer
	AnswerEnd   int32 // token behind an answer
}

// Vector says what vectors a model takes.
type Vector struct {
	Width     int
	Bounded   bool    // every number is from Low to High
	Low, High float64 // not used where Bounded is false
	Deviation float64 // of a normal likelihood; 0 for that of Bernoulli
}

// Latent says what the latent vector of a variational autoencoder is (Kingma and Welling 2014). Its prior is the
// standard normal distribution.
type Latent struct {
	Width    int
	Beta     float64 // weight of the divergence in the loss of training
	Annealed int     // steps after which the weight has risen to Beta

	EncoderFirst *EncoderFirst // updates of the encoder alone; nil for none
}

// EncoderFirst says how an encoder is updated alone before a step of training, while that helps (He et al. 2019).
type EncoderFirst struct {
	Steps int // updates before a step, at the most
	Check int // updates after which their mean loss must have fallen
}

// Masking says how tokens are hidden from a model that learns to fill them in (Devlin et al. 2019, section 3.1).
type Masking struct {
	Share  float64 // of the tokens are picked
	Mask   float64 // of those become Token
	Random float64 // of those become any other token; the rest stay as they are
	Token  int32   // the mask, which no text has; tokens from it on are never picked or drawn
}

// Hide picks tokens of b, hides them, and makes them the only targets. Each draw comes from a counter under key.
func (m *Masking) Hide(b *Batch, key uint64) {
	draw := func(i int, what uint64) float64 { return float64(Key(key, uint64(i), what)>>11) / (1 << 53) }
	for i, t := range b.Tokens[:b.Steps*b.Batch] {
		if t < 0 || t >= m.Token || draw(i, 0) >= m.Share {
			b.Targets[i] = -1
			continue
		}
		b.Targets[i] = t
		switch how := draw(i, 1); {
		case how < m.Mask:
			b.Tokens[i] = m.Token
		case how < m.Mask+m.Random:
			b.Tokens[i] = int32(draw(i, 2) * float64(m.Token))
		}
	}
}

// Batch is one window of text for each of Batch sequences, time-major: element [t·Batch + b] belongs to time step t of
// sequence b.
type Batch struct {
	Steps, Batch int
	Tokens       []int32 // [Steps, Batch] inputs
	Targets      []int32 // [Steps, Batch] what follows each input; negative where it is padding and must be ignored
	Reset        []int32 // [Steps, Batch] not 0 where a text begins: the state is zero before that token

	SourceSteps int
	// [SourceSteps, Batch] of a model with an encoder: what it reads, with -1 behind the end of shorter ones
	Source []int32

	// [Steps, Batch] of adversarial networks of text: what the generator's loss of each target is multiplied with;
	// empty for 1
	Weights []float32
	// [Steps, Batch] of these too: lines that the generator wrote, which the discriminator tells from Targets
	Made []int32

	Labels []int32 // [Batch] of a conditional model: the label of each example

	Vectors []float32 // [Batch, width] of a model of vectors, which has no tokens; Steps is 1
	Noise   []float32 // [Batch, noise] what a generator makes vectors of; training draws it
	// [Batch] numbers in [0, 1): where on the line from what is made to a vector of the data a gradient penalty is
	// taken; drawn too
	Mix []float32
}

// Share is share k of n of the vectors of b, which are width wide, and of their labels, each of as many examples.
// Where there are fewer examples than shares, shares begin again.
func (b *Batch) Share(k, n, width int) Batch {
	s := Batch{Batch: max(1, b.Batch/n)}
	from := k * s.Batch % b.Batch
	s.Vectors = b.Vectors[from*width:]
	if len(b.Labels) > 0 {
		s.Labels = b.Labels[from : from+s.Batch]
	}
	return s
}

// LanguageModel is what every generated package gives to training and evaluation. Its methods are not safe for
// concurrent use, which they notice: the second of two calls at once returns [ErrInUse]. Decoders of one model are, as
// long as no training step runs. A batch that does not fit the model is an error, and changes nothing.
type LanguageModel interface {
	// Info tells what the model is. It is a copy.
	Info() *Info

	// Tensors lists the parameters in the order of their definition.
	Tensors() []Tensor
	// Slots lists the optimizer's arrays; the list is empty for plain gradient descent.
	Slots() []Slot
	// Step is the number of training steps done; it drives the optimizer's bias correction and the dropout masks.
	Step() int
	// SetStep is for a training that is resumed.
	SetStep(step int)
	// State is the recurrent state that is carried from one window to the next, [Batch] rows of each layer's state.
	State() []float32

	// TrainStep makes one training step at the given rate. It returns the mean loss in nats a token before the
	// update and the norm of the gradient before clipping. When the loss or the norm is not finite, that is an error
	// (*NotFinite), and the parameters are left as they were.
	TrainStep(b *Batch, rate float64) (loss, norm float64, err error)
	// Loss returns the mean loss in nats a token without dropout, and carries the state on.
	Loss(b *Batch) (float64, error)
}

// Predictor is a model of tokens that shows what it expects where.
type Predictor interface {
	LanguageModel
	// Logits returns the logits [Steps, Batch, vocabulary] of what follows each token, or of what each token is where
	// the model fills in masked ones, without dropout, and carries the state on. The slice is overwritten by the next
	// call.
	Logits(b *Batch) ([]float32, error)
}

// Contextual is a model of whole texts that shows what it makes of their tokens.
type Contextual interface {
	Predictor
	// Hidden gives what the logits of each token of b are made from, [Steps, Batch, width], without dropout: a
	// representation of the token in its text. The slice is overwritten by the next call.
	Hidden(b *Batch) ([]float32, error)
}

// Writer is a model that writes text from left to right.
type Writer interface {
	LanguageModel
	// MakeDecoder makes a decoder for batch sequences side by side, at the start of a text. A batch below 1 counts as
	// 1. It may be called from many goroutines.
	MakeDecoder(batch int) Decoder
}

// Packer is a model whose decoders multiply by matrices that can be laid out for reading, or quantised.
type Packer interface {
	Writer
	// Pack makes the decoders that are made from now on share copies of the matrices, of one kind, until the next
	// training step; weights.Live makes them read the parameters themselves. An error names the tensor that is not
	// finite.
	Pack(kind weights.Kind) error
	// Lay is Pack with a layout, which may choose the kind of each matrix and is told of each.
	Lay(l *weights.Layout) error
	// Mount makes decoders read what the layout's source has, and lets the parameters go: methods that need them return
	// [ErrMounted] from then on. It is called before decoders are made. On an error the model is as it was.
	Mount(l *weights.Layout) error
	// Kind is the kind of the matrices of decoders that are made now: weights.Live where they read the parameters.
	Kind() weights.Kind
	// MatrixBytes is the number of bytes that a decoding step reads of matrices of a kind.
	MatrixBytes(kind weights.Kind) int
}

// Cacher is a model whose decoders keep keys and values of the tokens that they have read.
type Cacher interface {
	Writer
	// SetCache makes the decoders that are made from now on keep keys and values as numbers of a kind.
	SetCache(kind cache.Kind) error
	// CacheKind is the kind of decoders that are made now.
	CacheKind() cache.Kind
	// CacheBytes is the number of bytes of the keys and values of a decoder for batch sequences, as numbers of a kind.
	CacheBytes(kind cache.Kind, batch int) int64
}

// NewDecoder is MakeDecoder of m where the keys and values of batch sequences fit the memory of the machine; where they
// do not, the error says so before any of it is taken.
func NewDecoder(m Writer, batch int) (Decoder, error) {
	if c, ok := m.(Cacher); ok {
		kind, n := c.CacheKind(), max(1, batch)
		if err := cache.Fits(kind, n, c.CacheBytes(kind, n)); err != nil {
			return nil, fmt.Errorf("%s: %w", m.Info().Name, err)
		}
	}
	return m.MakeDecoder(batch), nil
}

// Autoencoder is a model with a latent vector: what a generated package of kind vae gives.
type Autoencoder interface {
	LanguageModel
	// Posterior gives the distributions q(z|x) of the latent vectors of b: their means and the logarithms of their
	// variances, each [Batch, Latent.Width]. The slices are overwritten by the next call of a method.
	Posterior(b *Batch) (mean, logvar []float32, err error)
	// Reconstruction gives −log p(x|z) in nats of each row x of b, for the latent vectors z [Batch, Latent.Width]. The
	// slice is overwritten by the next call of a method.
	Reconstruction(b *Batch, z []float32) ([]float32, error)
}

// Parted is an autoencoder that tells the parts of its loss.
type Parted interface {
	Autoencoder
	// Bound gives the two parts of the negative evidence lower bound of b, the batch of the last TrainStep or Loss, in
	// nats a row: the mean of −log p(x|z), and the divergence of the latent vectors from their prior, all of it.
	Bound(b *Batch) (reconstruction, divergence float64)
}

// LeadingEncoder is an autoencoder whose encoder can be updated alone, so that it does not lag behind its decoder.
type LeadingEncoder interface {
	Autoencoder
	// EncoderStep is TrainStep for the parameters of the encoder alone; norm is that of their gradient.
	EncoderStep(b *Batch, rate float64) (loss, norm float64, err error)
	// EncoderSteps is the number of such updates, which drives noise and the optimizer's bias correction beside Step.
	EncoderSteps() int
	// SetEncoderSteps is for a training that is resumed.
	SetEncoderSteps(n int)
}

// VectorAutoencoder is an autoencoder of vectors.
type VectorAutoencoder interface {
	Autoencoder
	// Likelihood gives the mean of p(x|z) for latent vectors z [n, Latent.Width], n being 1 to the batch of Info: [n,
	// Vector.Width]. Labels [n] are read where the model is conditional. The slice is overwritten by the next call of
	// a method.
	Likelihood(z []float32, labels []int32) ([]float32, error)
}

// Decoder runs a model one token at a time, for a number of sequences side by side. It begins at the start of a text.
// It serves one goroutine at a time; several decoders of one model run beside each other. A token that is not in the
// vocabulary, too many or too few of them, and a window that is full are errors, and leave the decoder as it was.
type Decoder interface {
	// Batch is the number of sequences.
	Batch() int
	// Step feeds one token to each sequence and returns the logits [len(tokens), vocabulary] of what follows. The
	// slice is overwritten by the next call.
	Step(tokens []int32) ([]float32, error)
	// Reorder makes each sequence i go on from where sequence from[i] is, which is how a beam search drops and doubles
	// its hypotheses.
	Reorder(from []int) error
	// Reset goes back to the start of a text.
	Reset()
}

// Chunked is a decoder that reads many tokens of a prompt at a time.
type Chunked interface {
	Decoder
	// Chunk is how many for each sequence, at the most.
	Chunk() int
	// Feed is Step for several tokens of each sequence, [steps, Batch]; it returns the logits [Batch, vocabulary] of
	// what follows the last. A negative token is none: prompts that are shorter begin with them.
	Feed(tokens []int32) ([]float32, error)
}

// Lookahead is a decoder that can be asked about several tokens at once, and can take them back: what it takes to check
// guesses of what follows.
type Lookahead interface {
	Chunked
	// Ahead is how many tokens FeedEach takes of each sequence, at the most.
	Ahead() int
	// FeedEach is Feed of up to Ahead tokens of each sequence, [steps, Batch], and gives the logits [steps, Batch,
	// vocabulary] of what follows each of them: the same bits as one Step after the other. The slice is overwritten by
	// the next call.
	FeedEach(tokens []int32) ([]float32, error)
	// Rewind makes a sequence forget the last n tokens that it has read, at most Ahead.
	Rewind(sequence, n int) error
}

// Tokenized is a decoder that tells of which vocabulary its tokens are.
type Tokenized interface {
	Decoder
	// Tokenizer is what turns the texts that it reads and writes into tokens.
	Tokenizer() Tokenizer
}

// Bounded is a decoder of a model that sees a window of text and not all that came before.
type Bounded interface {
	Decoder
	// Room is the number of tokens that the longest sequence can still take before a Reset.
	Room() int
}

// Restarter is a decoder whose sequences can begin a text one by one.
type Restarter interface {
	Decoder
	// Restart makes a sequence begin a text, whatever the others do.
	Restart(sequence int) error
}

// Adopter is a decoder whose sequences can go on from where a sequence of another decoder is.
type Adopter interface {
	Decoder
	// Adopt makes sequence i go on from where sequence j of another decoder of the same model is. Both must be at
	// rest. The other decoder stays as it is.
	Adopt(i int, from Decoder, j int) error
}

// Encoder is a decoder of a model that answers a source.
type Encoder interface {
	Decoder
	// Encode reads the sources of all sequences, [steps, Batch], shorter ones with -1 behind their end, and begins
	// their answers.
	Encode(source []int32) error
}

// LatentDecoder is a decoder of a model that writes from a latent vector.
type LatentDecoder interface {
	Decoder
	// Begin begins the texts that are written from latent vectors [Batch, Latent.Width]. Labels [Batch] are read where
	// the model is conditional.
	Begin(z []float32, labels []int32) error
}

// Representer is a decoder that shows what its logits are made from.
type Representer interface {
	Decoder
	// Hidden gives what the logits of the last step were made from, [Batch, width]: a representation of the text so
	// far. The slice is overwritten by the next step.
	Hidden() []float32
}

// Aligner is a decoder that shows where it looked.
type Aligner interface {
	Encoder
	// Alignment gives the weights [Batch, source steps] by which the last step looked at each token of the source.
	Alignment() []float32
}

// Chunk is the number of tokens that d reads of each sequence at a time.
func Chunk(d Decoder) int {
	if c, ok := d.(Chunked); ok {
		return c.Chunk()
	}
	return 1
}

// Feed feeds d a chunk of tokens [steps, Batch] and gives the logits of what follows.
func Feed(d Decoder, tokens []int32) ([]float32, error) {
	if c, ok := d.(Chunked); ok {
		return c.Feed(tokens)
	}
	return d.Step(tokens)
}

// Room is the number of tokens that d can still take.
func Room(d Decoder) int {
	if b, ok := d.(Bounded); ok {
		return b.Room()
	}
	return math.MaxInt
}

// Reorder is for decoders: x holds len(from) parts of equal length, and part i becomes what part from[i] was.
func Reorder[T any](x []T, from []int) {
	n := len(x) / max(1, len(from))
	var old []T
	for i, f := range from {
		if f == i {
			continue
		}
		if old == nil {
			old = slices.Clone(x)
		}
		copy(x[i*n:(i+1)*n], old[f*n:(f+1)*n])
	}
}
