// Package tokenizer is the tokenizers of published models: byte-pair encoding (Sennrich et al. 2016), WordPiece
// (Schuster and Nakajima 2012) and Unigram (Kudo 2018), between the normalizers, splits, templates and decoders that
// the file tokenizer.json of the Hugging Face library names. [Parse] reads such a file, [Tokenizer.JSON] writes one;
// the packages below this one read SentencePiece models and tiktoken files and learn vocabularies.
//
// A part that the package does not know is an error that names it: a tokenizer that is read gives the tokens that its
// publisher's library gives. Two things differ on purpose. A special token that is spelt out in a text stays text
// unless the caller asks for it, so that a text cannot pretend to be a part of a prompt. And decoding gives the bytes
// of tokens as they are, where that library puts U+FFFD for those that are not UTF-8: see text.Stream.
//
// The package must not know what a model does with tokens.
package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Tokenizer turns text into tokens and back. It is immutable and safe for concurrent use. It is a model.Tokenizer,
// whose tokens are the numbers of the file.
type Tokenizer struct {
	normalizer normalizer // nil where text is taken as it is
	splitter   splitter   // nil where a text is one piece
	model      vocabulary
	template   *template // nil where nothing is added
	decoder    decoder   // nil joins tokens by blanks
	byteLevel  bool

	added    []Added
	plain    finder // added tokens that are looked for before the text is normalized
	normal   finder // and behind it
	tokens   []string
	special  map[int32]bool
	ofAdded  map[int32]bool   // tokens that are not of the model's own vocabulary
	content  map[int32]string // how the file spells added tokens that are normalized
	pieces   []string
	numbers  map[string]int32 // of added tokens and of the vocabulary
	raw      rawFile          // the parts as the file has them
	origin   *SentencePiece   // what the tokenizer was made of, or nil
	encoders sync.Pool
	digest   func() string
}

var _ model.Tokenizer = (*Tokenizer)(nil)

// Added is a token that is looked for in a text before all others.
type Added struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // only where no word goes on before and behind it
	LStrip     bool   `json:"lstrip"`      // takes the white space before it
	RStrip     bool   `json:"rstrip"`      // takes the white space behind it
	Normalized bool   `json:"normalized"`  // looked for in the normalized text
	Special    bool   `json:"special"`     // it stands for no text
}

// Options say what of a text is special.
type Options struct {
	// Special makes special tokens of what spells one, such as <|endoftext|>. Without it that is text, as all text of
	// others should be.
	Special bool
	// Template adds the tokens that the file puts around a text, such as [CLS] and [SEP].
	Template bool
}

// Encode turns text into tokens. No special token comes out of it, whatever the text says.
func (t *Tokenizer) Encode(s string) ([]int32, error) { return t.EncodeWith(s, Options{}) }

// EncodeWith turns text into tokens.
func (t *Tokenizer) EncodeWith(s string, o Options) ([]int32, error) {
	e := t.encoder(o)
	defer t.encoders.Put(e)
	tokens := make([]int32, 0, len(s)/3+8)
	if o.Template && t.template != nil {
		return t.template.apply(tokens, t.template.single,
			func(dst []int32, second bool) ([]int32, error) { return e.encode(dst, s) })
	}
	return e.encode(tokens, s)
}

// EncodePair turns two texts into the tokens of a pair, with what the file puts around them. It is an error where the
// file does not say how a pair is put together.
func (t *Tokenizer) EncodePair(first, second string, o Options) ([]int32, error) {
	if t.template == nil || len(t.template.pair) == 0 {
		return nil, fmt.Errorf("tokenizer: the file has no template for pairs of texts")
	}
	e := t.encoder(o)
	defer t.encoders.Put(e)
	return t.template.apply(make([]int32, 0, (len(first)+len(second))/3+8), t.template.pair,
		func(dst []int32, isSecond bool) ([]int32, error) {
			if isSecond {
				return e.encode(dst, second)
			}
			return e.encode(dst, first)
		})
}

// Decode turns tokens into text and leaves special tokens out. A token outside of the vocabulary is a mistake of the
// program and panics.
func (t *Tokenizer) Decode(tokens []int32) string { return t.decode(tokens, false) }

// DecodeAll is Decode with special tokens as they are spelt.
func (t *Tokenizer) DecodeAll(tokens []int32) string { return t.decode(tokens, true) }

func (t *Tokenizer) decode(tokens []int32, all bool) string {
	texts := make([]string, 0, len(tokens))
	for _, x := range tokens {
		t.check(x)
		if all || !t.special[x] {
			texts = append(texts, t.tokens[x])
		}
	}
	if t.decoder == nil {
		return strings.Join(texts, " ")
	}
	return strings.Join(t.decoder.decode(texts), "")
}

// Piece is the text that a token stands for within a text, which may be a part of a character. At the beginning of a
// text some tokenizers leave a blank out: see [Tokenizer.Decode]. The piece of a special token is its name, that of a
// number without a token is empty.
func (t *Tokenizer) Piece(token int32) string {
	t.check(token)
	return t.pieces[token]
}

func (t *Tokenizer) check(token int32) {
	if token < 0 || int(token) >= len(t.tokens) {
		panic(fmt.Sprintf("tokenizer: token %d is not one of 0 to %d", token, len(t.tokens)-1))
	}
}

// Vocab is the number of tokens: one more than the largest number.
func (t *Tokenizer) Vocab() int { return len(t.tokens) }

// Digest is a hex SHA-256 of everything that decides which text has which tokens.
func (t *Tokenizer) Digest() string { return t.digest() }

// Token is the number of the token that the file spells so, special ones included.
func (t *Tokenizer) Token(name string) (int32, bool) {
	x, ok := t.numbers[name]
	return x, ok
}

// Name is how the file spells a token: Ġthe, ▁the, ##ing. It is empty where a number has no token.
func (t *Tokenizer) Name(token int32) string {
	t.check(token)
	return t.tokens[token]
}

// Special tells whether a token stands for no text.
func (t *Tokenizer) Special(token int32) bool { return t.special[token] }

// Added lists the tokens that are looked for in a text before all others, in the order of the file.
func (t *Tokenizer) Added() []Added { return slices.Clone(t.added) }

// Kind is the name of the model: BPE, WordPiece, Unigram or WordLevel.
func (t *Tokenizer) Kind() string { return t.model.kind() }

// Lossless tells whether decoding what a text was encoded to gives the same bytes back, for every text: all bytes have
// tokens, nothing is normalized and every piece of white space is kept. It may be too modest, never too bold.
func (t *Tokenizer) Lossless() bool {
	return t.byteLevel && t.normalizer == nil && t.model.complete() && !addsBlank(t.splitter)
}

// LooksAhead tells whether the split of a text needs the package lookahead.
func (t *Tokenizer) LooksAhead() bool { return looksAhead(t.splitter) }

// encoder is the memory of one goroutine that encodes: pieces that it has met, and what they became.
type encoder struct {
	t      *Tokenizer
	o      Options
	dst    []int32
	err    error
	known  map[string][2]int32 // where the tokens of a piece stand in store
	store  []int32
	buffer []int32
	paths  []path
}

const (
	maxKnown   = 1 << 16 // pieces
	longestKey = 64      // bytes of a piece that is kept: texts repeat their short ones
)

func (t *Tokenizer) encoder(o Options) *encoder {
	e, _ := t.encoders.Get().(*encoder)
	if e == nil {
		e = &encoder{t: t, known: map[string][2]int32{}}
	}
	e.o, e.err = o, nil
	return e
}

// encode appends the tokens of a text.
func (e *encoder) encode(dst []int32, s string) (_ []int32, err error) {
	defer func() {
		if failed, ok := recover().(searchFailed); ok {
			err = failed.err
		}
	}()
	e.dst = dst
	t := e.t
	t.plain.each(s, e.o.Special, func(part string, token int32, start bool) {
		if token >= 0 {
			e.dst = append(e.dst, token)
			return
		}
		if t.normalizer != nil {
			part = t.normalizer.normalize(part)
		}
		t.normal.each(part, e.o.Special, func(part string, token int32, begins bool) {
			switch {
			case token >= 0:
				e.dst = append(e.dst, token)
			case t.splitter == nil:
				e.piece(part, start && begins)
			default:
				t.splitter.split(part, start && begins, e.piece)
			}
		})
	})
	dst, e.dst = e.dst, nil
	if e.err != nil {
		return nil, e.err
	}
	return dst, nil
}

// piece appends the tokens of a piece.
func (e *encoder) piece(s string, _ bool) {
	if s == "" || e.err != nil {
		return
	}
	e.t.model.encode(e, s)
}

// EachPiece gives the pieces that a text is taken apart into before tokens are made of them, in their order: what
// vocabularies are learnt from. Where the split leaves a text whole, it is cut in front of ▁.
func (t *Tokenizer) EachPiece(s string, give func(piece string)) {
	if t.normalizer != nil {
		s = t.normalizer.normalize(s)
	}
	if t.splitter != nil {
		t.splitter.split(s, true, func(s string, _ bool) { give(s) })
		return
	}
	for len(s) > 0 {
		begin := len(s) - len(strings.TrimLeft(s, "▁"))
		n := len(s)
		if i := strings.Index(s[begin:], "▁"); i >= 0 && begin+i > 0 {
			n = begin + i
		}
		give(s[:n])
		s = s[n:]
	}
}

// recall appends the tokens of a piece that has been met before, or reports false.
func (e *encoder) recall(s string) bool {
	if len(s) > longestKey {
		return false
	}
	at, ok := e.known[s]
	if ok {
		e.dst = append(e.dst, e.store[at[0]:at[1]]...)
	}
	return ok
}

// learn keeps the tokens of a piece, those of dst from that place on.
func (e *encoder) learn(s string, from int) {
	if len(s) > longestKey || e.err != nil {
		return
	}
	if len(e.known) >= maxKnown {
		clear(e.known)
		e.store = e.store[:0]
	}
	at := int32(len(e.store))
	e.store = append(e.store, e.dst[from:]...)
	e.known[strings.Clone(s)] = [2]int32{at, int32(len(e.store))}
}

// unknown is the error of a character without a token.
func (e *encoder) unknown(char string) {
	if e.err == nil {
		e.err = fmt.Errorf("the tokenizer has no token for %q and none for what is unknown", char)
	}
}

// sum makes the digest of a tokenizer.
func (t *Tokenizer) sum() string {
	h := sha256.New()
	for _, part := range []any{t.raw.Normalizer, t.raw.PreTokenizer, t.raw.Decoder, t.added, t.model.settings()} {
		data, err := json.Marshal(part)
		if err != nil {
			panic(err) // all of it came from JSON
		}
		h.Write(data)
		h.Write([]byte{'\n'})
	}
	for _, s := range t.tokens {
		fmt.Fprintf(h, "%q\n", s)
	}
	t.model.write(h)
	return hex.EncodeToString(h.Sum(nil))
}

// Option says which tokens of its file a tokenizer puts around texts.
type Option func(*embedded)

// Begin is the token in front of every text, as the file spells it.
func Begin(name string) Option { return func(e *embedded) { e.begin = name } }

// End is the token that ends a text, as the file spells it.
func End(name string) Option { return func(e *embedded) { e.end = name } }

// Embedded is the tokenizer of a file that a program holds, behind a line that begins with # if there is one, which is
// read when it is first needed. A file that cannot be read, or has not the tokens of the options, panics then: it is a
// constant of generated code.
func Embedded(data string, parse func([]byte) (*Tokenizer, error), options ...Option) model.Tokenizer {
	e := embedded{get: sync.OnceValue(func() *Tokenizer {
		if strings.HasPrefix(data, "# ") { // the generator's own line
			_, data, _ = strings.Cut(data, "\n")
		}
		t, err := parse([]byte(data))
		if err != nil {
			panic(fmt.Sprintf("tokenizer: the tokenizer that the program embeds: %v", err))
		}
		return t
	})}
	for _, o := range options {
		o(&e)
	}
	return e
}

// embedded is a tokenizer that is read when it is first needed.
type embedded struct {
	get        func() *Tokenizer
	begin, end string // tokens; empty for none
}

func (e embedded) Encode(s string) ([]int32, error) { return e.get().Encode(s) }
func (e embedded) Decode(tokens []int32) string     { return e.get().Decode(tokens) }
func (e embedded) Piece(token int32) string         { return e.get().Piece(token) }
func (e embedded) Vocab() int                       { return e.get().Vocab() }
func (e embedded) Digest() string                   { return e.get().Digest() }
func (e embedded) Special(token int32) bool         { return e.get().Special(token) }

// Begin is the token in front of every text, where there is one.
func (e embedded) Begin() (int32, bool) { return e.named(e.begin) }

// End is the token that ends a text, where there is one.
func (e embedded) End() (int32, bool) { return e.named(e.end) }

func (e embedded) named(name string) (int32, bool) {
	if name == "" {
		return 0, false
	}
	x, ok := e.get().Token(name)
	if !ok {
		panic(fmt.Sprintf("tokenizer: the tokenizer that the program embeds has no token %s", quote(name)))
	}
	return x, true
}

// Of is the Tokenizer behind one that [Embedded] made, for what a model.Tokenizer does not offer.
func Of(t model.Tokenizer) (*Tokenizer, bool) {
	switch t := t.(type) {
	case *Tokenizer:
		return t, true
	case embedded:
		return t.get(), true
	}
	return nil, false
}
