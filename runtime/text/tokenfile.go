package text

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/gradsmith/gradsmith/runtime/files"
)

// A token file has the tokens of texts, for trainings that map it into memory: whatever its size, nothing is read
// before it is needed. It is
//
//	64 bytes       "gradsmith tokens 1" and blanks, the last a newline
//	tokens         little-endian numbers of 1, 2 or 4 bytes
//	zeros          up to a multiple of 8 bytes
//	documents      for each that begins in the file the number of its first token, as 8 bytes
//	characters     how many characters begin before each tokenBlock of tokens, and in all, as 8 bytes each
//	description    a JSON object, TokenInfo
//	32 bytes       SHA-256 of the description
//	8 bytes        its length
//	8 bytes        "tokens\n" and a zero
//
// A text that is long is several files, shards, of one folder. What is at the end of a file says what must be in it, so
// that one which was cut short is known at once, however long it is.

const (
	tokenHead  = files.TokenMagic
	headLength = 64
	tokenEnd   = "tokens\n\x00"
	endLength  = sha256.Size + 8 + len(tokenEnd)
	tokenBlock = 1 << 16
)

// TokenSuffix is how the names of token files end.
const TokenSuffix = ".tokens"

// TokenInfo describes a token file.
type TokenInfo struct {
	Tokenizer string  `json:"tokenizer"` // its digest
	Vocab     int     `json:"vocab"`
	Width     int     `json:"width"` // bytes of a token
	Separator string  `json:"separator,omitempty"`
	Condition string  `json:"condition,omitempty"`
	Drop      float64 `json:"drop,omitempty"` // as in Options

	Shard     int    `json:"shard"`          // number of this file, from 0
	Last      bool   `json:"last,omitempty"` // there is none behind it
	First     int    `json:"first"`          // tokens in the shards before
	Tokens    int    `json:"tokens"`         // in this one
	Documents int    `json:"documents"`      // that begin in this one
	Chars     int    `json:"chars"`          // that begin in this one
	Content   string `json:"content"`        // hex SHA-256 of all before the description
	Before    string `json:"before"`         // digest of the shard before; empty in the first one

	// Of the last shard: of all texts, the hex SHA-256, the name of one whose lines are in alphabetical order, or
	// empty,
	// and the name by which they were given.
	Text   string `json:"text,omitempty"`
	Sorted string `json:"sorted,omitempty"`
	Name   string `json:"name,omitempty"`
}

// digest is of all that the file has, and of the shards before.
func (i *TokenInfo) digest() string {
	data, _ := json.Marshal(i) // of strings and numbers, which cannot fail
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// size is how many bytes a file of n tokens has before its description, and where documents and characters begin.
func (i *TokenInfo) size() (all, documents, chars int) {
	documents = (headLength + i.Width*i.Tokens + 7) / 8 * 8
	chars = documents + 8*i.Documents
	return chars + 8*blocks(i.Tokens), documents, chars
}

// blocks is how many numbers of characters there are for n tokens.
func blocks(n int) int { return (n+tokenBlock-1)/tokenBlock + 1 }

// TokenFiles are the token files of a text, mapped into memory.
type TokenFiles struct {
	Info   TokenInfo // of the last one
	shards []*tokenShard
	firsts []int // tokens before each shard, and in all
	docs   []int // documents that begin before each shard, and in all
	chars  []int // characters that begin before each shard, and in all
	next   int   // shard that is looked at next
}

type tokenShard struct {
	name    string
	file    files.File
	mapping *files.Mapping
	info    TokenInfo
	size    int64
	changed time.Time

	tokens, starts, chars []byte
}

// OpenTokens opens token files: some by name, or all of a folder. They must be all that were made of a text together.
// It takes no longer for long ones than for short ones, and does not look at the tokens: see [TokenFiles.Verify].
func OpenTokens(paths ...string) (*TokenFiles, error) {
	t := &TokenFiles{}
	if err := t.open(paths); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func (t *TokenFiles) open(paths []string) error {
	names, err := tokenNames(paths)
	if err != nil {
		return err
	}
	for _, name := range names {
		s, err := openShard(name)
		if err != nil {
			return err
		}
		t.shards = append(t.shards, s)
	}
	slices.SortStableFunc(t.shards, func(a, b *tokenShard) int { return cmp.Compare(a.info.Shard, b.info.Shard) })
	first, docs, chars, before := 0, 0, 0, ""
	for i, s := range t.shards {
		switch {
		case s.info.Shard > i && i == 0:
			return fmt.Errorf("%s is shard %d of a text: shard 0 is missing", s.name, s.info.Shard)
		case s.info.Shard != i && s.info.Shard == t.shards[i-1].info.Shard:
			return fmt.Errorf("%s and %s are both shard %d of a text", t.shards[i-1].name, s.name, s.info.Shard)
		case s.info.Shard != i:
			return fmt.Errorf("%s is shard %d of a text: shard %d is missing", s.name, s.info.Shard, i)
		case s.info.Before != before || s.info.First != first:
			return fmt.Errorf("%s does not go on where %s ends: they were made of different texts, or with "+
				"different tokenizers or options", s.name, t.shards[max(0, i-1)].name)
		}
		t.firsts, t.docs, t.chars = append(t.firsts, first), append(t.docs, docs), append(t.chars, chars)
		first, docs, chars, before = first+s.info.Tokens, docs+s.info.Documents, chars+s.info.Chars, s.info.digest()
	}
	last := t.shards[len(t.shards)-1]
	if !last.info.Last {
		return fmt.Errorf("%s is shard %d of a text, which has more: they are missing, or their making was "+
			"interrupted and is to be done again", last.name, last.info.Shard)
	}
	t.firsts, t.docs, t.chars = append(t.firsts, first), append(t.docs, docs), append(t.chars, chars)
	t.Info = last.info
	return nil
}

// tokenNames lists the token files of paths.
func tokenNames(paths []string) ([]string, error) {
	var names []string
	for _, path := range paths {
		info, err := files.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be read: %w", path, files.Cause(err))
		}
		if !info.IsDir() {
			names = append(names, path)
			continue
		}
		entries, err := files.ReadDir(path)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be read: %w", path, files.Cause(err))
		}
		for _, e := range entries {
			if name := filepath.Join(path, e.Name()); strings.HasSuffix(name, TokenSuffix) {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: there are no token files", Paths(paths...).Name())
	}
	return names, nil
}

// AreTokens reports whether a path leads to a token file, or to a folder with one.
func AreTokens(path string) bool {
	if info, err := files.Stat(path); err != nil || !info.IsDir() {
		return files.Own(path) == "token file"
	}
	names, err := tokenNames([]string{path})
	return err == nil && files.Own(names[0]) == "token file"
}

// openShard opens a file.
func openShard(name string) (s *tokenShard, err error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", name, files.Cause(err))
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	stat, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", name, files.Cause(err))
	}
	s = &tokenShard{name: name, file: f, size: stat.Size(), changed: stat.ModTime()}
	if err := s.describe(); err != nil {
		return nil, fmt.Errorf("%s %w", name, err)
	}
	if s.mapping, err = files.Map(f, name, s.size); err != nil {
		return nil, fmt.Errorf("%s cannot be mapped: %w", name, files.Cause(err))
	}
	all, documents, chars := s.info.size()
	s.tokens = s.mapping.Data[headLength : headLength+s.info.Width*s.info.Tokens]
	s.starts = s.mapping.Data[documents:chars]
	s.chars = s.mapping.Data[chars:all]
	return s, nil
}

var errCut = errors.New("is cut short, or no token file: make it again with gradsmith tokens")

// describe reads what stands at the end of a file, and compares it with its size. The errors go on behind its name.
func (s *tokenShard) describe() error {
	head := make([]byte, len(tokenHead))
	if _, err := s.file.ReadAt(head, 0); err != nil && err != io.EOF || string(head) != tokenHead {
		return errors.New("is no token file: make one with gradsmith tokens")
	}
	end := make([]byte, endLength)
	if s.size < int64(headLength+endLength) {
		return errCut
	}
	if _, err := s.file.ReadAt(end, s.size-int64(endLength)); err != nil {
		return fmt.Errorf("cannot be read: %w", files.Cause(err))
	}
	length := binary.LittleEndian.Uint64(end[sha256.Size:])
	if string(end[sha256.Size+8:]) != tokenEnd || length > min(1<<20, uint64(s.size-int64(headLength+endLength))) {
		return errCut
	}
	text := make([]byte, length)
	begin := s.size - int64(endLength) - int64(length)
	if _, err := s.file.ReadAt(text, begin); err != nil {
		return fmt.Errorf("cannot be read: %w", files.Cause(err))
	}
	damaged := func(why string) error {
		return fmt.Errorf("is damaged: %s; make it again with gradsmith tokens", why)
	}
	if sum := sha256.Sum256(text); !bytes.Equal(sum[:], end[:sha256.Size]) {
		return damaged("its description does not have the digest that it gives")
	}
	if err := json.Unmarshal(text, &s.info); err != nil {
		return damaged("its description cannot be read")
	}
	i := &s.info
	const most = math.MaxInt / 32 // so that no size overflows
	if !slices.Contains([]int{1, 2, 4}, i.Width) || i.Tokens < 0 || i.Tokens > most || i.Documents < 0 ||
		i.Documents > most || i.Chars < 0 || i.First < 0 || i.First > most || i.Shard < 0 || i.Vocab < 1 {
		return damaged("its description contradicts itself")
	}
	if all, _, _ := i.size(); int64(all) != begin {
		return damaged(fmt.Sprintf("it has %d bytes of tokens, its description says %d", begin, all))
	}
	return nil
}

// Close gives the files back. Their mappings go when nothing refers to them any more.
func (t *TokenFiles) Close() {
	for _, s := range t.shards {
		s.file.Close()
	}
}

// Tokens is the number of tokens in all files.
func (t *TokenFiles) Tokens() int { return t.firsts[len(t.shards)] }

// Documents is the number of documents in all files.
func (t *TokenFiles) Documents() int { return t.docs[len(t.shards)] }

// Shards is the number of files.
func (t *TokenFiles) Shards() int { return len(t.shards) }

// Verify reads all of the files, and reports the first that is not what its digest says.
func (t *TokenFiles) Verify() error {
	for _, s := range t.shards {
		all, _, _ := s.info.size()
		h := sha256.New()
		if _, err := io.Copy(h, io.NewSectionReader(s.file, 0, int64(all))); err != nil {
			return fmt.Errorf("%s cannot be read: %w", s.name, files.Cause(err))
		}
		if hex.EncodeToString(h.Sum(nil)) != s.info.Content {
			return fmt.Errorf("%s is damaged: its content does not have the digest that its description gives; make it "+
				"again with gradsmith tokens", s.name)
		}
	}
	return t.unchanged(len(t.shards))
}

// holding is the number of the shard that counts to i, where counts are those of [TokenFiles].
func holding(counts []int, i int) int {
	if len(counts) == 2 {
		return 0
	}
	return sort.SearchInts(counts[1:len(counts)-1], i+1) // behind those that end at i or before it
}

// at is a token.
func (t *TokenFiles) at(i int) int32 {
	k := holding(t.firsts, i)
	s := t.shards[k]
	i -= t.firsts[k]
	switch s.info.Width {
	case 1:
		return int32(s.tokens[i])
	case 2:
		return int32(binary.LittleEndian.Uint16(s.tokens[2*i:]))
	}
	return int32(binary.LittleEndian.Uint32(s.tokens[4*i:]))
}

// start is the first token of a document.
func (t *TokenFiles) start(document int) int {
	k := holding(t.docs, document)
	return t.firsts[k] + int(binary.LittleEndian.Uint64(t.shards[k].starts[8*(document-t.docs[k]):]))
}

// documentsBefore is how many documents begin before a token.
func (t *TokenFiles) documentsBefore(i int) int {
	k := min(holding(t.firsts, i), len(t.shards)-1)
	s := t.shards[k]
	i -= t.firsts[k]
	return t.docs[k] + sort.Search(s.info.Documents, func(d int) bool {
		return binary.LittleEndian.Uint64(s.starts[8*d:]) >= uint64(i)
	})
}

// charsBefore is how many characters begin before a token; each has those that begin with each token of the vocabulary.
func (t *TokenFiles) charsBefore(i int, each []int) int {
	if i >= t.Tokens() {
		return t.chars[len(t.shards)]
	}
	k := holding(t.firsts, i)
	s := t.shards[k]
	block := (i - t.firsts[k]) / tokenBlock
	n := t.chars[k] + int(binary.LittleEndian.Uint64(s.chars[8*block:]))
	for x := t.firsts[k] + block*tokenBlock; x < i; x++ {
		if token := int(t.at(x)); token < len(each) && token >= 0 {
			n += each[token]
		}
	}
	return n
}

// unchanged reports a file whose size or time is no longer what it was, of as many as are told: the next ones each
// time.
func (t *TokenFiles) unchanged(some int) error {
	for range min(some, len(t.shards)) {
		s := t.shards[t.next]
		t.next = (t.next + 1) % len(t.shards)
		info, err := s.file.Stat()
		switch {
		case err != nil:
			return fmt.Errorf("%s cannot be read any more: %w", s.name, files.Cause(err))
		case info.Size() != s.size:
			return fmt.Errorf("%s has changed while it was read: it had %d bytes, now it has %d; leave files alone that "+
				"are trained on, and write new ones beside them", s.name, s.size, info.Size())
		case !info.ModTime().Equal(s.changed):
			return fmt.Errorf("%s has changed while it was read: it was written at %s; leave files alone that are "+
				"trained on, and write new ones beside them", s.name, info.ModTime().Format(time.DateTime))
		}
	}
	return nil
}

// watched are how many files are looked at before each window.
const watched = 8

// during runs what reads the files. An error says that they are no longer what they were.
func (t *TokenFiles) during(read func()) (err error) {
	if err := t.unchanged(watched); err != nil {
		return err
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if value := recover(); value != nil {
			if err = files.Lost(value); err == nil {
				panic(value)
			}
		}
	}()
	read()
	return nil
}

// Corpus splits the tokens as [Read] does. What else the options say must be what the files were made with, and tok the
// tokenizer.
func (t *TokenFiles) Corpus(tok Tokenizer, o Options) (*Corpus, error) {
	name, i := t.shards[0].name, &t.Info
	if len(t.shards) > 1 {
		name = filepath.Dir(name)
	}
	switch {
	case i.Tokenizer != tok.Digest():
		return nil, fmt.Errorf("%s was made with another tokenizer than the model's: make it again with gradsmith tokens",
			name)
	case i.Separator != o.Separator:
		return nil, fmt.Errorf("%s was made with the separator %q, and %q is asked for: make it again with gradsmith "+
			"tokens, or give --separator %q", name, i.Separator, o.Separator, i.Separator)
	case i.Condition != o.Condition || i.Condition != "" && i.Drop != o.Drop:
		return nil, fmt.Errorf("%s was made with conditions that end with %q, left out of a share of %v, and %q and %v "+
			"are asked for: make it again with gradsmith tokens", name, i.Condition, i.Drop, o.Condition, o.Drop)
	}
	n := t.Tokens()
	cut, err := cutOf(name, n, o.Validation)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "tokens %s %v\n", i.digest(), o.Validation))
	c := &Corpus{Sorted: i.Sorted, Digest: hex.EncodeToString(sum[:])}
	err = t.during(func() {
		each := charsOf(tok)
		at := t.charsBefore(cut, each)
		c.Train = &Part{Name: name, files: t, to: cut, chars: at}
		if cut < n {
			c.Validation = &Part{Name: name, files: t, from: cut, to: n, chars: t.charsBefore(n, each) - at}
		}
	})
	return c, err
}
