package text

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Options say how texts become a corpus.
type Options struct {
	Validation float64 // share of the text, at its end, that is kept for validation, from 0 to below 1
	// text that ends the condition which a document begins with, in which \n stands for \r\n as well; empty when there
	// is none
	Condition string
	// share of the documents that are read without their condition, all but its end; which ones is always the same
	Drop float64
	// text that ends a document within a file, in which \n stands for \r\n as well; empty when a file is one document
	Separator string
}

// Source is a text with the name that errors give it.
type Source struct {
	Name string
	Text string
}

// Corpus is text as tokens, split into what a model learns from and what shows how well it does on new text.
type Corpus struct {
	Train      *Part
	Validation *Part // nil where the share is 0
	// name of a file whose lines are in alphabetical order, so that its end is not like the rest, or empty
	Sorted string
	Digest string // hex SHA-256 of the text, of how it becomes tokens, and of the split
}

// Part is a run of tokens, of one document or several. It is immutable.
type Part struct {
	Name   string  // of the file or folder
	narrow []uint8 // the tokens, where the vocabulary has no more than 256
	wide   []int32 // the tokens otherwise
	starts []int   // where documents begin, rising, the first at 0
	chars  int

	files    *TokenFiles // in place of tokens and starts in memory; nil for these
	from, to int         // of all tokens of the files, those of the part
}

// Tokens is the number of tokens.
func (p *Part) Tokens() int {
	if p.files != nil {
		return p.to - p.from
	}
	return max(len(p.narrow), len(p.wide))
}

// Documents is the number of documents, a part of one included.
func (p *Part) Documents() int {
	if p.files != nil {
		return p.document(p.Tokens()) - p.document(1) + 1
	}
	return len(p.starts)
}

// document is the number of the first document that begins at a token or behind it.
func (p *Part) document(at int) int {
	if p.files != nil {
		return p.files.documentsBefore(p.from + at)
	}
	n, _ := slices.BinarySearch(p.starts, at)
	return n
}

// start is where a document begins; ok is false where there is none of that number in the part.
func (p *Part) start(document int) (at int, ok bool) {
	if p.files == nil {
		if document >= len(p.starts) {
			return 0, false
		}
		return p.starts[document], true
	}
	if document >= p.files.Documents() {
		return 0, false
	}
	at = p.files.start(document) - p.from
	return at, at < p.Tokens()
}

// Chars is the number of characters: with the tokenizer [Bytes] there are fewer than tokens.
func (p *Part) Chars() int { return p.chars }

func (p *Part) at(i int) int32 {
	switch {
	case p.narrow != nil:
		return int32(p.narrow[i])
	case p.wide != nil:
		return p.wide[i]
	}
	return p.files.at(p.from + i)
}

// Slice is a copy of the tokens [from, to).
func (p *Part) Slice(from, to int) []int32 {
	all := make([]int32, to-from)
	for i := range all {
		all[i] = p.at(from + i)
	}
	return all
}

// Read makes a corpus of what in names, in that order.
func Read(in Input, tok Tokenizer, o Options) (*Corpus, error) {
	b := newBuilder(tok, o)
	if err := in.texts(b.reserve, b.add); err != nil {
		return nil, err
	}
	return b.corpus(in.Name())
}

// NewCorpus makes a corpus of texts in memory.
func NewCorpus(tok Tokenizer, o Options, sources ...Source) (*Corpus, error) {
	b := newBuilder(tok, o)
	name := "text"
	for _, s := range sources {
		if err := b.add(s); err != nil {
			return nil, err
		}
		name = s.Name
	}
	return b.corpus(name)
}

// builder turns sources into tokens.
type builder struct {
	tok    Tokenizer
	o      Options
	narrow []uint8
	wide   []int32
	starts []int
	part   []int32 // tokens of a piece of text
	hash   hash.Hash

	sorted string // name of the last source whose lines are in order

	out *tokenWriter // takes the tokens; nil where they stay in memory
}

func newBuilder(tok Tokenizer, o Options) *builder {
	b := &builder{tok: tok, o: o, hash: sha256.New()}
	fmt.Fprintf(b.hash, "%s %v %q\n", tok.Digest(), o.Validation, o.Separator)
	if o.Condition != "" {
		fmt.Fprintf(b.hash, "%q %v\n", o.Condition, o.Drop)
	}
	return b
}

func (b *builder) len() int { return max(len(b.narrow), len(b.wide)) }

// begin begins a document, and gives how many there were before.
func (b *builder) begin() (before int) {
	if b.out != nil {
		return b.out.begin()
	}
	b.starts = append(b.starts, b.len())
	return len(b.starts) - 1
}

// reserve makes room for a text of that many bytes; no tokenizer makes more tokens of it.
func (b *builder) reserve(size int) {
	if b.tok.Vocab() <= 256 && b.out == nil {
		b.narrow = slices.Grow(b.narrow, size)
	}
}

// add adds a source, document by document.
func (b *builder) add(s Source) error {
	fmt.Fprintf(b.hash, "%d\n", len(s.Text))
	b.hash.Write(unsafe.Slice(unsafe.StringData(s.Text), len(s.Text)))
	b.reserve(len(s.Text))
	if sortedText(s.Text) {
		b.sorted = s.Name
	}
	windows := strings.Contains(s.Text, "\r\n")
	for at := 0; at < len(s.Text); {
		end := len(s.Text)
		if b.o.Separator != "" && windows {
			if n := behind(s.Text[at:], b.o.Separator); n >= 0 {
				end = at + n
			}
		} else if b.o.Separator != "" {
			if i := strings.Index(s.Text[at:], b.o.Separator); i >= 0 {
				end = at + i + len(b.o.Separator)
			}
		}
		begin := at
		number := b.begin()
		if b.o.Condition != "" && float64(model.Key(uint64(number))>>11)/(1<<53) < b.o.Drop {
			begin += conditionLength(s.Text[at:end], b.o.Condition)
		}
		if err := b.document(s, begin, end); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// behind is the place behind the first separator in s, in which \n stands for \r\n as well, or -1.
func behind(s, separator string) int {
	for at := 0; at < len(s); at++ {
		if end := matched(s, at, separator); end >= 0 {
			return end
		}
	}
	return -1
}

// conditionLength is how many bytes stand in front of the first end of a condition in a document; 0 where there is
// none.
func conditionLength(document, end string) int {
	for at := range len(document) {
		if matched(document, at, end) >= 0 {
			return at
		}
	}
	return 0
}

// matched is the place behind a separator that stands at a place, or -1.
func matched(s string, at int, separator string) int {
	for i := range len(separator) {
		if separator[i] == '\n' && strings.HasPrefix(s[at:], "\r\n") {
			at++
		}
		if at >= len(s) || s[at] != separator[i] {
			return -1
		}
		at++
	}
	return at
}

// document adds the tokens of a part of a source.
func (b *builder) document(s Source, at, end int) error {
	parts, ok := plain(b.tok).(appender)
	if !ok {
		tokens, err := b.tok.Encode(s.Text[at:end])
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		b.append(tokens)
		return nil
	}
	// Piece by piece, so that a large text does not need five times its size in memory.
	const piece = 1 << 16
	for at < end {
		stop := min(end, at+piece)
		for back := 0; back < utf8.UTFMax-1 && stop < end && !utf8.RuneStart(s.Text[stop]); back++ {
			stop--
		}
		if stop < end && s.Text[stop-1] == '\r' {
			stop-- // \r\n may be one token
		}
		var err *EncodeError
		if b.part, err = parts.appendTokens(b.part[:0], s.Text[at:stop]); err != nil {
			err = locate(s.Text, at+err.Offset, err.Advice)
			err.Source = s.Name
			return err
		}
		b.append(b.part)
		at = stop
	}
	return nil
}

func (b *builder) append(tokens []int32) {
	if b.out != nil {
		b.out.add(tokens)
		return
	}
	if b.tok.Vocab() > 256 {
		b.wide = append(b.wide, tokens...)
		return
	}
	for _, t := range tokens {
		b.narrow = append(b.narrow, uint8(t))
	}
}

// corpus splits what was added.
func (b *builder) corpus(name string) (*Corpus, error) {
	n := b.len()
	if err := b.checkDrop(); err != nil {
		return nil, err
	}
	cut, err := cutOf(name, n, b.o.Validation)
	if err != nil {
		return nil, err
	}
	c := &Corpus{Sorted: b.sorted, Digest: hex.EncodeToString(b.hash.Sum(nil))}
	if cut < n {
		c.Validation = b.slice(name, cut, n)
	}
	c.Train = b.slice(name, 0, cut)
	return c, nil
}

func (b *builder) checkDrop() error {
	if b.o.Drop >= 0 && b.o.Drop < 1 {
		return nil
	}
	return fmt.Errorf("a share of %v of the documents without their condition: it must be from 0 to below 1", b.o.Drop)
}

// cutOf is how many of n tokens are for training, where a share is kept for validation.
func cutOf(name string, n int, validation float64) (cut int, err error) {
	if n == 0 {
		return 0, fmt.Errorf("%s: the text is empty", name)
	}
	if !(validation >= 0 && validation < 1) {
		return 0, fmt.Errorf("a validation share of %v: it must be from 0 to below 1", validation)
	}
	if cut = n; validation > 0 {
		cut = int(float64(n) * (1 - validation))
		if n-cut < 2 {
			return 0, fmt.Errorf("%s: a share of %v of its %s leaves too little for validation: give a longer text "+
				"or a larger share", name, validation, count(n, "token"))
		}
	}
	if cut < 2 {
		return 0, fmt.Errorf("%s: the text has %s for training: that is not enough to predict one from another", name,
			count(cut, "token"))
	}
	return cut, nil
}

// slice makes the part of the tokens from lo to hi.
func (b *builder) slice(name string, lo, hi int) *Part {
	p := &Part{Name: name}
	if b.tok.Vocab() > 256 {
		p.wide = b.wide[lo:hi:hi]
	} else {
		p.narrow = b.narrow[lo:hi:hi]
	}
	p.starts = append(p.starts, 0)
	for _, s := range b.starts {
		if s > lo && s < hi {
			p.starts = append(p.starts, s-lo)
		}
	}
	chars := charsOf(b.tok)
	for i := range hi - lo {
		p.chars += chars[p.at(i)]
	}
	return p
}

// charsOf is how many characters each token begins.
func charsOf(tok Tokenizer) []int {
	chars := make([]int, tok.Vocab())
	for t := range chars {
		for _, c := range []byte(tok.Piece(int32(t))) {
			if utf8.RuneStart(c) {
				chars[t]++
			}
		}
	}
	return chars
}

// count is "1 token" or "2 tokens".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
