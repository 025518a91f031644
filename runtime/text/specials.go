package text

// specials is a tokenizer with tokens that no text has.
type specials struct {
	Tokenizer
	names  []string
	digest string
}

// WithSpecials adds tokens that no text has to the end of a vocabulary, such as those that begin and end an answer.
// Their pieces are their names.
func WithSpecials(t Tokenizer, names ...string) Tokenizer {
	return &specials{Tokenizer: t, names: names, digest: digest("specials "+t.Digest(), names, -1)}
}

// plain is the tokenizer of texts: t without its special tokens.
func plain(t Tokenizer) Tokenizer {
	if s, ok := t.(*specials); ok {
		return s.Tokenizer
	}
	return t
}

func (t *specials) Vocab() int     { return t.Tokenizer.Vocab() + len(t.names) }
func (t *specials) Digest() string { return t.digest }

// Special reports whether the token is one that no text has.
func (t *specials) Special(token int32) bool {
	if int(token) >= t.Tokenizer.Vocab() {
		return true
	}
	s, ok := t.Tokenizer.(interface{ Special(token int32) bool })
	return ok && s.Special(token)
}

// Frame is that of the tokenizer of texts.
func (t *specials) Frame() (before, behind string) {
	if f, ok := t.Tokenizer.(interface {
		Frame() (before, behind string)
	}); ok {
		return f.Frame()
	}
	return "", ""
}

func (t *specials) Piece(token int32) string {
	if i := int(token) - t.Tokenizer.Vocab(); i >= 0 {
		check(token, t.Vocab())
		return t.names[i]
	}
	return t.Tokenizer.Piece(token)
}

// Decode leaves special tokens out.
func (t *specials) Decode(tokens []int32) string {
	own := t.Tokenizer.Vocab()
	for i, x := range tokens {
		if int(x) < own {
			continue
		}
		kept := append([]int32{}, tokens[:i]...)
		for _, x := range tokens[i:] {
			if int(x) < own {
				kept = append(kept, x)
			}
		}
		return t.Tokenizer.Decode(kept)
	}
	return t.Tokenizer.Decode(tokens)
}
