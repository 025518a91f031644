package text

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// Options say how texts become a corpus.
type Options struct {
	Validation float64 // share of the text, at its end, that is kept for validation, from 0 to below 1
	Separator  string  // text that ends a document within a file; empty when a file is one document
	Match      string  // of the files of a folder, those whose names match this pattern, such as "*.go"; empty takes all
}

// Source is a text with the name that errors give it.
type Source struct {
	Name string
	Text string
}

// Corpus is text as tokens, split into what a model learns from and what shows how well it does on new text.
type Corpus struct {
	Train      *Part
	Validation *Part  // nil where the share is 0
	Digest     string // hex SHA-256 of the text, of how it becomes tokens, and of the split
}

// Part is a run of tokens, of one document or several. It is immutable.
type Part struct {
	Name   string  // of the file or folder
	narrow []uint8 // the tokens, where the vocabulary has no more than 256
	wide   []int32 // the tokens otherwise
	starts []int   // where documents begin, rising, the first at 0
	chars  int
}

// Tokens is the number of tokens.
func (p *Part) Tokens() int { return max(len(p.narrow), len(p.wide)) }

// Documents is the number of documents, a part of one included.
func (p *Part) Documents() int { return len(p.starts) }

// Chars is the number of characters: with the tokenizer [Bytes] there are fewer than tokens.
func (p *Part) Chars() int { return p.chars }

func (p *Part) at(i int) int32 {
	if p.narrow != nil {
		return int32(p.narrow[i])
	}
	return p.wide[i]
}

// Read makes a corpus of the file at path, or of all files of the folder there, in the order of their names, folders in
// it included. Files and folders whose names begin with a dot are left out.
func Read(path string, tok Tokenizer, o Options) (*Corpus, error) {
	files, err := Files(path, o.Match)
	if err != nil {
		return nil, err
	}
	b := newBuilder(tok, o)
	size := int64(0)
	for _, name := range files {
		if info, err := os.Stat(name); err == nil {
			size += info.Size()
		}
	}
	b.reserve(int(size))
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("can't read the text: %w", err)
		}
		// The bytes are not written again, so that the string can be a view of them.
		if err := b.add(Source{name, unsafe.String(unsafe.SliceData(data), len(data))}); err != nil {
			return nil, err
		}
	}
	return b.corpus(path)
}

// Files is the file at path, or all files of the folder there whose names match a pattern, such as "*.go", in the order of
// their names, folders in it included. Files and folders whose names begin with a dot are left out. It is an error when
// there are none.
func Files(path, match string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("can't read the text: %w", err)
	}
	if info.IsDir() {
		return list(path, match)
	}
	return []string{path}, nil
}

// list names the files of a folder.
func list(dir, match string) ([]string, error) {
	if _, err := filepath.Match(match, ""); err != nil {
		return nil, fmt.Errorf("the pattern %q for names of files is not valid: %w", match, err)
	}
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != dir && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if ok, _ := filepath.Match(match, d.Name()); d.Type().IsRegular() && (match == "" || ok) {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("can't read the text: %w", err)
	}
	if len(files) == 0 && match != "" {
		return nil, fmt.Errorf("%s: no file in it has a name like %q", dir, match)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no file is in it", dir)
	}
	return files, nil
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
}

func newBuilder(tok Tokenizer, o Options) *builder {
	b := &builder{tok: tok, o: o, hash: sha256.New()}
	fmt.Fprintf(b.hash, "%s %v %q\n", tok.Digest(), o.Validation, o.Separator)
	return b
}

func (b *builder) len() int { return max(len(b.narrow), len(b.wide)) }

// reserve makes room for a text of that many bytes; no tokenizer makes more tokens of it.
func (b *builder) reserve(size int) {
	if b.tok.Vocab() <= 256 {
		b.narrow = slices.Grow(b.narrow, size)
	}
}

// add adds a source, document by document.
func (b *builder) add(s Source) error {
	fmt.Fprintf(b.hash, "%d\n", len(s.Text))
	b.hash.Write(unsafe.Slice(unsafe.StringData(s.Text), len(s.Text)))
	b.reserve(len(s.Text))
	for at := 0; at < len(s.Text); {
		end := len(s.Text)
		if b.o.Separator != "" {
			if i := strings.Index(s.Text[at:], b.o.Separator); i >= 0 {
				end = at + i + len(b.o.Separator)
			}
		}
		b.starts = append(b.starts, b.len())
		if err := b.document(s, at, end); err != nil {
			return err
		}
		at = end
	}
	return nil
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
	if n == 0 {
		return nil, fmt.Errorf("%s: the text is empty", name)
	}
	if !(b.o.Validation >= 0 && b.o.Validation < 1) {
		return nil, fmt.Errorf("a validation share of %v: it must be from 0 to below 1", b.o.Validation)
	}
	c := &Corpus{Digest: hex.EncodeToString(b.hash.Sum(nil))}
	cut := n
	if b.o.Validation > 0 {
		cut = int(float64(n) * (1 - b.o.Validation))
		if n-cut < 2 {
			return nil, fmt.Errorf("%s: a share of %v of its %s leaves too little for validation: give a longer text or a larger share", name, b.o.Validation, count(n, "token"))
		}
		c.Validation = b.slice(name, cut, n)
	}
	if cut < 2 {
		return nil, fmt.Errorf("%s: the text has %s for training: that is not enough to predict one from another", name, count(cut, "token"))
	}
	c.Train = b.slice(name, 0, cut)
	return c, nil
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
	chars := make([]int, b.tok.Vocab()) // begun by each token
	for t := range chars {
		for _, c := range []byte(b.tok.Piece(int32(t))) {
			if utf8.RuneStart(c) {
				chars[t]++
			}
		}
	}
	for i := range hi - lo {
		p.chars += chars[p.at(i)]
	}
	return p
}

// count is "1 token" or "2 tokens".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
