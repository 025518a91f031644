package spec

import (
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gradsmith/gradsmith/runtime/tokenizer"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/formats"
)

// checker turns decoded values into a Model and checks what no single value can tell: whether they fit together. It
// adds its errors to those of the decoder. A value that is bad counts as unknown, and what depends on it is not
// checked.
type checker struct {
	*decoder
	read         func(name string) ([]byte, error)
	vocabularies [][]byte // content of the vocabulary files, for the digest
	unrolls      bool     // no repeat can become a loop of generated code
}

var packageName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// packageName checks or finds the name of the generated package.
func (c *checker) packageName(v *value) string {
	name, from := v.text, ""
	if !v.given {
		// From the file: the name up to the first dot, so that poet.spec.yaml gives poet.
		name, _, _ = strings.Cut(filepath.Base(c.file), ".")
		from = ", which comes from the name of the file"
		v.Pos = Pos{Line: 1, Col: 1}
	}
	reserved := token.IsKeyword(name) || types.Universe.Lookup(name) != nil || name == "main" || name == "init" ||
		name == "internal" || name == "vendor" || name == "documentation" || strings.HasSuffix(name, "_test")
	switch {
	case v.bad:
	case !packageName.MatchString(name) || len(name) > maxName:
		c.errorf(v.Pos, "name: %s%s is not a package name; add `name:` with lower-case letters, digits and "+
			"underscores, a letter first", quote(name), from)
	case reserved:
		c.errorf(v.Pos, "name: %s%s has a meaning in Go and cannot name a package; choose another `name:`", quote(name),
			from)
	}
	return name
}

func (c *checker) description(v *value) string {
	if strings.ContainsFunc(v.text, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 }) {
		c.errorf(v.Pos, "description: expected one line, found line breaks or control characters; write what is "+
			"longer as a # comment")
	}
	return strings.TrimSpace(v.text)
}

// tokenizer makes a Tokenizer of the value at path, with the special tokens that the model needs.
func (c *checker) tokenizer(v *value, path string, specials ...string) Tokenizer {
	t := c.text(v, path)
	return t.with(specials...)
}

// with is the tokenizer with the special tokens that a model needs. Those that its file has are not added.
func (t Tokenizer) with(specials ...string) Tokenizer {
	if t.Vocab > 0 {
		t.Vocab -= len(t.Specials)
	}
	t.Specials = nil
	for _, s := range specials {
		if _, own := t.Own[s]; !own {
			t.Specials = append(t.Specials, s)
		}
	}
	if t.Vocab > 0 {
		t.Vocab += len(t.Specials)
	}
	return t
}

// own finds the tokens of a tokenizer's file that are the special ones of the model.
func (c *checker) own(t *Tokenizer, v *value, path string, tok *tokenizer.Tokenizer) {
	for _, o := range []struct{ key, special string }{{"begin", BeginToken}, {"end", EndToken}} {
		k := v.set.key(o.key)
		if !k.given || k.bad {
			continue
		}
		n, ok := tok.Token(k.text)
		if !ok {
			c.errorf(k.Pos, "%s.file.%s: %s has no token %s", path, o.key, t.File, quote(k.text))
			continue
		}
		if t.Own == nil {
			t.Own = map[string]OwnToken{}
		}
		t.Own[o.special] = OwnToken{k.text, int(n)}
	}
}

func (c *checker) text(v *value, path string) Tokenizer {
	t := Tokenizer{Pos: v.Pos, Kind: v.word}
	if v.bad {
		return t
	}
	if v.set != nil {
		if n := v.set.key("normalize"); n.given && !n.bad {
			t.Normal = n.word
		}
		f := v.set.key("fallback")
		t.OrBytes = f.given && !f.bad
		if u := v.set.key("unknown"); t.OrBytes && u.given {
			c.errorf(u.Pos, "%s.%s.unknown: with `fallback: bytes` no character is unknown; leave one of them out",
				path, t.Kind)
			return t
		}
	}
	switch v.word {
	case "bytes":
		t.Vocab = 256
		return t
	case "numbers":
		t.Vocab = int(v.set.key("size").integer)
		return t
	case "ascii":
		t.Vocab = 96
	default:
		file := v.set.key("file")
		if file.bad {
			return t
		}
		t.File = file.text
		if strings.ContainsFunc(t.File, func(r rune) bool { return !unicode.IsPrint(r) }) {
			c.errorf(file.Pos, "%s.%s: expected the path of a file, found %s, with characters that do not print", path,
				t.Kind, quote(t.File))
			return t
		}
		src, err := c.read(t.File)
		if err != nil {
			if t.Kind == "file" {
				c.errorf(file.Pos, "%s.file: the tokenizer %s cannot be read: %s; `gradsmith tokenizer train TEXT -o "+
					"FILE` makes one from a text", path, quote(t.File), reason(err))
				return t
			}
			option := map[string]string{"words": " --words 8000", "bpe": " --bpe 4000"}[t.Kind]
			c.errorf(file.Pos, "%s.%s: the vocabulary file %s cannot be read: %s; `gradsmith vocab TEXT%s -o FILE` "+
				"makes one from a text", path, t.Kind, quote(t.File), reason(err), option)
			return t
		}
		c.vocabularies = append(c.vocabularies, src)
		name := filepath.ToSlash(filepath.Join(filepath.Dir(c.file), t.File))
		switch t.Kind {
		case "chars":
			t.Chars, err = ParseVocabulary(name, src)
			t.Vocab = len(t.Chars)
		case "words":
			t.Words, err = ParseWords(name, src)
			t.Vocab = len(t.Words) + 1
		case "bpe":
			t.Merges, err = ParseMerges(name, src)
			t.Vocab = mergedTokens(t.Merges)
		case "file":
			if e := v.set.key("encoding"); e.given && !e.bad {
				t.Split = e.text
			}
			tok, form, err := formats.Parse(src, t.Split)
			if err != nil {
				c.errorf(file.Pos, "%s.file: %s: %v", path, name, err)
				return t
			}
			t.Data, t.Form, t.Ahead, t.Vocab = src, string(form), tok.LooksAhead(), tok.Vocab()
			c.own(&t, v, path, tok)
			if t.Vocab > maxVocab {
				c.errorf(file.Pos, "%s.file: %s: it has %d tokens, more than the %d that are supported", path, name,
					t.Vocab, maxVocab)
				t.Vocab = 0
			}
		}
		if err != nil {
			c.errs = append(c.errs, err.(Errors)...)
			t.Vocab = 0
			return t
		}
	}
	if t.OrBytes && t.Vocab > 0 {
		t.Vocab += 256
		if t.Kind == "words" {
			t.Vocab-- // none for what is unknown
		}
	}
	if u := v.set.key("unknown"); u.given && !u.bad {
		t.Unknown, _ = utf8.DecodeRuneInString(u.text)
		if !t.Has(t.Unknown) {
			c.errorf(u.Pos, "%s.%s.unknown: the character %s is not in the vocabulary itself", path, t.Kind,
				strconv.QuoteRune(t.Unknown))
		}
	}
	return t
}

// Has tells whether a text may have the character. With tokenizers that take any text it always may.
func (t *Tokenizer) Has(c rune) bool {
	if t.OrBytes {
		return true
	}
	switch t.Kind {
	case "bytes", "words", "bpe", "file":
		return true
	case "ascii":
		return c == '\n' || c >= ' ' && c <= '~'
	case "numbers":
		return c == ' ' || c == '\n' || c >= '0' && c <= '9'
	}
	return slices.Contains(t.Chars, c)
}

// initial reads a choice of initType; else is what applies when it is left out.
func (c *checker) initial(v *value, orElse Init) Init {
	if !v.given || v.bad {
		return orElse
	}
	in := Init{Pos: v.Pos, Scheme: v.word, Scale: 1}
	switch v.word {
	case "uniform", "normal":
		in.Scale = v.set.key("scale").number
	case "zeros":
		in.Scale = 0
	default:
		in.Scale = v.set.key("gain").number
	}
	return in
}
