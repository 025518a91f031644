package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gradsmith/gradsmith/runtime/subword"
)

// PieceType says what a piece of a SentencePiece model is for.
type PieceType uint8

// The types of pieces, with the numbers that model files have.
const (
	Normal      PieceType = 1
	Unknown     PieceType = 2 // stands for characters without a token
	Control     PieceType = 3 // a special token
	UserDefined PieceType = 4 // always one token where it stands in a text
	Unused      PieceType = 5
	Byte        PieceType = 6 // <0x41>
)

// ScoredPiece is a piece of a SentencePiece model; its number is its place.
type ScoredPiece struct {
	Text  string
	Score float32 // Unigram: logarithm of its probability. BPE: the higher, the earlier a merge that makes it.
	Type  PieceType
}

// SentencePiece is what a SentencePiece model says (Kudo and Richardson 2018). Blanks are ▁ in its pieces.
type SentencePiece struct {
	Pieces   []ScoredPiece
	BPE      bool   // else Unigram
	Fallback bool   // a character without a piece is its bytes
	Rules    string // name of the rules of normalization
	Charsmap []byte // the rules, compiled; empty changes no character
	Prefix   bool   // a blank is put in front of a text
	Collapse bool   // blanks at the ends go, and of several only one is left
	// a normal form that texts are brought to first, such as NFKC, which a model file cannot say; "" is none
	Form string
}

// New makes the tokenizer of a SentencePiece model. Of characters that its normalization maps, the longest sequence is
// mapped as a whole, as that library does; a tokenizer.json that is written of the model maps clusters, as the Hugging
// Face library does, which differs where rules overlap.
func (m *SentencePiece) New() (*Tokenizer, error) {
	if len(m.Pieces) == 0 || len(m.Pieces) > maxTokens {
		return nil, fmt.Errorf("the model has %d pieces; 1 to %d are supported", len(m.Pieces), maxTokens)
	}
	t := &Tokenizer{special: map[int32]bool{}, ofAdded: map[int32]bool{}, content: map[int32]string{},
		numbers: make(map[string]int32, len(m.Pieces)), origin: m}
	n := &spmNormalizer{prefix: m.Prefix, collapse: m.Collapse}
	if len(m.Charsmap) > 0 {
		var err error
		if n.rules, err = newCharsmap(m.Charsmap); err != nil {
			return nil, fmt.Errorf("normalizer_spec.precompiled_charsmap: %w", err)
		}
	}
	t.normalizer = n
	if m.Form != "" {
		first, err := parseNormalizer("normalizer", json.RawMessage(`{"type":"`+m.Form+`"}`))
		if err != nil {
			return nil, err
		}
		t.normalizer = normalizers{first, n}
	}
	unknown := int32(-1)
	scores := make([]float64, len(m.Pieces))
	for i, p := range m.Pieces {
		x := int32(i)
		if p.Text == "" || !utf8.ValidString(p.Text) {
			return nil, fmt.Errorf("piece %d: %s is not text", i, quote(p.Text))
		}
		if _, twice := t.numbers[p.Text]; twice {
			return nil, fmt.Errorf("piece %d: %s is a piece already", i, quote(p.Text))
		}
		t.tokens = append(t.tokens, p.Text)
		t.numbers[p.Text] = x
		scores[i] = float64(p.Score)
		switch p.Type {
		case Normal, Unused:
		case Byte:
			if _, ok := fallbackByte(p.Text); !ok {
				return nil, fmt.Errorf("piece %d: %s is not the piece of a byte, such as <0x41>", i, quote(p.Text))
			}
		case Unknown:
			if unknown >= 0 {
				return nil, fmt.Errorf("piece %d: %s is a second piece for what is unknown", i, quote(p.Text))
			}
			unknown = x
			t.special[x] = true
			t.added = append(t.added, Added{ID: x, Content: p.Text, Special: true})
		case Control:
			t.special[x] = true
			t.added = append(t.added, Added{ID: x, Content: p.Text, Special: true})
		case UserDefined:
			t.added = append(t.added, Added{ID: x, Content: p.Text})
			n.symbols.add(p.Text, &Added{ID: x})
		default:
			return nil, fmt.Errorf("piece %d: its type %d is not supported", i, p.Type)
		}
	}
	if unknown < 0 {
		return nil, errors.New("no piece stands for what is unknown")
	}
	for i := range t.added {
		a := &t.added[i]
		if a.Special {
			t.plain.add(a.Content, a)
		} else {
			t.normal.add(strings.ReplaceAll(a.Content, " ", "▁"), a)
		}
	}
	reserved := func(x int32) bool { return m.Pieces[x].Type != Normal && m.Pieces[x].Type != UserDefined }
	var err error
	if m.BPE {
		t.model, err = m.merges(t.tokens, t.numbers, unknown, reserved)
	} else {
		// The score of the least likely piece counts the normal ones alone.
		least, first := 0.0, true
		for i, p := range m.Pieces {
			if p.Type == Normal && (first || scores[i] < least) {
				least, first = scores[i], false
			}
		}
		var u *unigram
		u, err = newUnigram(unigramSettings{Unknown: &unknown, Fallback: m.Fallback}, t.tokens, t.numbers, scores,
			reserved)
		if err == nil {
			// Of two ways with the same sum the library takes what its rounding says, so that a text is not cut either.
			u.least, u.single, u.cut = least, true, ""
		}
		t.model = u
	}
	if err != nil {
		return nil, err
	}
	strip := ""
	if m.Prefix {
		strip = `,{"type":"Strip","content":" ","start":1,"stop":0}`
	}
	t.raw = rawFile{
		Version: "1.0", Truncation: json.RawMessage("null"), Padding: json.RawMessage("null"),
		PreTokenizer:  json.RawMessage("null"),
		PostProcessor: json.RawMessage("null"), Normalizer: m.normalizerJSON(),
		Decoder: json.RawMessage(
			`{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}` + strip + `]}`),
	}
	if t.decoder, err = parseDecoder("decoder", t.raw.Decoder); err != nil {
		return nil, err
	}
	t.finish()
	return t, nil
}

// normalizerJSON is the normalizer of a tokenizer.json of the model.
func (m *SentencePiece) normalizerJSON() json.RawMessage {
	var parts []any
	if m.Form != "" {
		parts = append(parts, map[string]string{"type": m.Form})
	}
	if len(m.Charsmap) > 0 {
		parts = append(parts, map[string]any{"type": "Precompiled", "precompiled_charsmap": m.Charsmap})
	}
	if m.Collapse {
		parts = append(parts, strip{"Strip", true, true},
			map[string]any{"type": "Replace", "pattern": map[string]string{"Regex": " {2,}"}, "content": " "})
	}
	if m.Prefix {
		parts = append(parts, prepend{"Prepend", "▁"})
	}
	parts = append(parts,
		map[string]any{"type": "Replace", "pattern": map[string]string{"String": " "}, "content": "▁"})
	data, err := encode(map[string]any{"type": "Sequence", "normalizers": parts})
	if err != nil {
		panic(err)
	}
	return data
}

// merges makes byte-pair encoding of the pieces: two that stand side by side become a piece that is spelt like both,
// that of the highest score first.
func (m *SentencePiece) merges(tokens []string, numbers map[string]int32, unknown int32,
	reserved func(int32) bool) (*bpe, error) {
	set := bpeSettings{Unknown: &tokens[unknown], FuseUnknown: true, Fallback: m.Fallback}
	b, err := newBPE(set, tokens, numbers, nil, false, reserved)
	if err != nil {
		return nil, err
	}
	type pair struct {
		left, right, token int32
		score              float32
	}
	var pairs []pair
	for x, s := range tokens {
		if m.Pieces[x].Type != Normal {
			continue
		}
		for i := range s {
			if i == 0 {
				continue
			}
			left, okLeft := numbers[s[:i]]
			right, okRight := numbers[s[i:]]
			if okLeft && okRight && m.Pieces[left].Type == Normal && m.Pieces[right].Type == Normal {
				pairs = append(pairs, pair{left, right, int32(x), m.Pieces[x].Score})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(b.score, a.score) })
	rank := int32(0)
	for i, p := range pairs {
		if i > 0 && p.score != pairs[i-1].score {
			rank = int32(i)
		}
		b.merges.Add(p.left, p.right, rank, p.token)
		b.pairs = append(b.pairs, subword.Pair{Left: p.left, Right: p.right})
	}
	b.findJoins(tokens)
	return b, nil
}

// spmNormalizer normalizes as the SentencePiece library does.
type spmNormalizer struct {
	rules    *charsmap
	symbols  finder // user-defined pieces, which are left as they are
	prefix   bool
	collapse bool
}

// next is the normalized form of the beginning of s, which is not empty, and the length of that beginning.
func (n *spmNormalizer) next(s string) (form string, length int) {
	for _, l := range n.symbols.lengths[s[0]] {
		if l <= len(s) {
			if _, ok := n.symbols.tokens[s[:l]]; ok {
				return s[:l], l
			}
		}
	}
	if n.rules != nil {
		if l, by := n.rules.match(s, true); l > 0 {
			return by, l
		}
	}
	_, size := utf8.DecodeRuneInString(s)
	return s[:size], size
}

func (n *spmNormalizer) normalize(s string) string {
	if n.collapse {
		for len(s) > 0 {
			form, l := n.next(s)
			if form != " " {
				break
			}
			s = s[l:]
		}
	}
	if s == "" {
		return ""
	}
	var b strings.Builder
	b.Grow(len(s) + len(s)/4 + 4)
	if n.prefix {
		b.WriteString("▁")
	}
	for blank := n.collapse; len(s) > 0; { // blank: a blank was the last
		form, l := n.next(s)
		s = s[l:]
		for blank && strings.HasPrefix(form, " ") {
			form = form[1:]
		}
		if form == "" {
			continue
		}
		for i := 0; i < len(form); i++ {
			if form[i] == ' ' {
				b.WriteString("▁")
			} else {
				b.WriteByte(form[i])
			}
		}
		blank = n.collapse && form[len(form)-1] == ' '
	}
	out := b.String()
	if n.collapse {
		for strings.HasSuffix(out, "▁") {
			out = out[:len(out)-len("▁")]
		}
	}
	return out
}

// SentencePiece is the tokenizer as a SentencePiece model, or an error that says what such a model cannot hold.
func (t *Tokenizer) SentencePiece() (*SentencePiece, error) {
	if t.origin != nil {
		return t.origin, nil
	}
	m := &SentencePiece{Rules: "identity"}
	if err := m.takeNormalizer("normalizer", t.normalizer); err != nil {
		return nil, err
	}
	switch s := t.splitter.(type) {
	case nil:
	case delimiters, splitters, matches, pieces, byteLevel:
		// Gemma's splits at blanks, of which none are left.
		if string(t.raw.PreTokenizer) != `{"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious","invert":false}` {
			return nil, errors.New("a SentencePiece model cannot hold the pre_tokenizer")
		}
	case metaspace:
		if s.mark != "▁" || m.Prefix {
			return nil, errors.New("a SentencePiece model cannot hold the pre_tokenizer")
		}
		m.Prefix = s.prefix != "never"
	}
	unknown := int32(-1)
	m.Pieces = make([]ScoredPiece, len(t.tokens))
	for i, s := range t.tokens {
		if s == "" {
			return nil, fmt.Errorf("a SentencePiece model has a piece for each number, and %d has none", i)
		}
		m.Pieces[i] = ScoredPiece{Text: s, Type: Normal}
	}
	switch v := t.model.(type) {
	case *unigram:
		m.Fallback = v.set.Fallback
		for i, s := range v.scores {
			m.Pieces[i].Score = float32(s)
		}
		if v.set.Unknown != nil {
			unknown = *v.set.Unknown
		}
	case *bpe:
		if v.bytewise || v.spelt != nil || v.whole != nil {
			return nil, errors.New("a SentencePiece model cannot hold byte-pair encoding over bytes, with prefixes " +
				"or suffixes, or past its merges")
		}
		m.BPE, m.Fallback, unknown = true, v.set.Fallback, v.unknown
		for i := range m.Pieces {
			m.Pieces[i].Score = -float32(len(v.pairs)) // characters, which no merge makes
		}
		for rank := len(v.pairs) - 1; rank >= 0; rank-- {
			p := v.pairs[rank]
			token, _, _ := v.merges.Find(p.Left, p.Right)
			m.Pieces[token].Score = -float32(rank)
		}
	default:
		return nil, fmt.Errorf("a SentencePiece model cannot hold a model %s", t.Kind())
	}
	if unknown < 0 {
		return nil, errors.New("a SentencePiece model has a token for what is unknown, and the tokenizer has none")
	}
	for i := range m.Pieces {
		if _, ok := fallbackByte(m.Pieces[i].Text); ok && m.Fallback {
			m.Pieces[i].Type = Byte
		}
	}
	for _, a := range t.added {
		m.Pieces[a.ID].Type = UserDefined
		if a.Special {
			m.Pieces[a.ID].Type = Control
		}
	}
	m.Pieces[unknown].Type = Unknown
	return m, nil
}

// takeNormalizer takes over what a SentencePiece model can hold of a normalizer.
func (m *SentencePiece) takeNormalizer(path string, n normalizer) error {
	cannot := fmt.Errorf("a SentencePiece model cannot hold the %s", path)
	switch n := n.(type) {
	case nil:
	case normalizers:
		for i, x := range n {
			if err := m.takeNormalizer(fmt.Sprintf("%s.normalizers[%d]", path, i), x); err != nil {
				return err
			}
		}
	case prepend:
		if n.Prepend != "▁" {
			return cannot
		}
		m.Prefix = true
	case strip:
		if !n.Left || !n.Right {
			return cannot
		}
		m.Collapse = true
	case replace:
		switch {
		case n.expression == nil && n.old == " " && n.new == "▁":
		case n.expression != nil && n.expression.String() == " {2,}" && (n.new == " " || n.new == "▁"):
			m.Collapse = true
		default:
			return cannot
		}
	case *charsmap:
		m.Rules, m.Charsmap = "user_defined", n.bytes()
	default:
		return cannot
	}
	return nil
}
