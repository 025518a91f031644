package tokenizer

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gradsmith/gradsmith/runtime/subword"
)

// vocabulary is the model of a tokenizer: pieces to tokens.
type vocabulary interface {
	kind() string
	// encode appends the tokens of a piece, which is not empty, to e.dst, or sets e.err.
	encode(e *encoder, s string)
	// complete tells whether all bytes have tokens that give them back.
	complete() bool
	// settings is what the file says of the model, without its lists.
	settings() any
	// write writes what decides which tokens come out, besides the tokens and the settings.
	write(w io.Writer)
}

// byteChars has the character that stands for each byte in the vocabularies of GPT-2 and its descendants, and
// charBytes the way back: bytes that print stand for themselves, the others are the characters from U+0100 on.
var byteChars, charBytes = func() (chars [256]rune, back [512]int16) {
	for i := range back {
		back[i] = -1
	}
	next := rune(256)
	for b := range 256 {
		c := rune(b)
		if !(b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE) {
			c = next
			next++
		}
		chars[b], back[c] = c, int16(b)
	}
	return chars, back
}()

// bytesOf is the bytes that the characters of a token stand for, or false where one stands for none.
func bytesOf(s string) (string, bool) {
	b := make([]byte, 0, len(s))
	for _, c := range s {
		if c >= 512 || charBytes[c] < 0 {
			return "", false
		}
		b = append(b, byte(charBytes[c]))
	}
	return string(b), true
}

// charsOf writes bytes in the characters that stand for them.
func charsOf(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(byteChars[s[i]])
	}
	return b.String()
}

// bpe is byte-pair encoding, over bytes or over characters.
type bpe struct {
	set      bpeSettings
	bytewise bool
	pairs    []subword.Pair // the merges in their order
	merges   *subword.Merges
	whole    map[string]int32 // pieces that are a token, where merges may be passed by
	bytes    [256]int32       // of a byte, or of a character that is not in the vocabulary; -1 where there is none
	ascii    [utf8.RuneSelf]int32
	wide     map[rune]int32
	spelt    map[string]int32 // characters with a prefix or a suffix
	unknown  int32
	// pairs of characters that stand side by side in a token; nil: texts are not cut between them
	joined    map[uint64]struct{}
	joinASCII [utf8.RuneSelf][2]uint64
}

// bpeSettings is what the file says of the model.
type bpeSettings struct {
	Type         string   `json:"type"`
	Dropout      *float64 `json:"dropout"`
	Unknown      *string  `json:"unk_token"`
	Prefix       *string  `json:"continuing_subword_prefix"`
	Suffix       *string  `json:"end_of_word_suffix"`
	FuseUnknown  bool     `json:"fuse_unk"`
	Fallback     bool     `json:"byte_fallback"`
	IgnoreMerges bool     `json:"ignore_merges"`
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// newBPE makes a model of a list of tokens and of merges. No text becomes a special token, here and in the other
// models.
func newBPE(set bpeSettings, tokens []string, numbers map[string]int32, merges [][2]string, bytewise bool,
	special func(int32) bool) (*bpe, error) {
	set.Type = "BPE"
	m := &bpe{set: set, bytewise: bytewise, merges: subword.NewMerges(len(merges)), wide: map[rune]int32{}, unknown: -1}
	prefix, suffix := text(set.Prefix), text(set.Suffix)
	if set.Dropout != nil && *set.Dropout != 0 {
		return nil, fmt.Errorf("model.dropout: a dropout of %v makes other tokens each time, which is not supported",
			*set.Dropout)
	}
	if bytewise && prefix+suffix != "" {
		return nil, fmt.Errorf("model: continuing_subword_prefix and end_of_word_suffix are not supported where " +
			"pieces are bytes")
	}
	if set.Unknown != nil && *set.Unknown != "" {
		x, ok := numbers[*set.Unknown]
		if !ok {
			return nil, fmt.Errorf("model.unk_token: %q is not in the vocabulary", *set.Unknown)
		}
		m.unknown = x
	}
	for i := range m.bytes {
		m.bytes[i] = -1
	}
	for i := range m.ascii {
		m.ascii[i] = -1
	}
	if prefix+suffix != "" {
		m.spelt = numbers
	}
	if set.IgnoreMerges {
		m.whole = make(map[string]int32, len(tokens))
	}
	for x, s := range tokens {
		if b, ok := fallbackByte(s); ok && set.Fallback && !bytewise {
			m.bytes[b] = int32(x)
		}
		if s == "" || numbers[s] != int32(x) || special(int32(x)) {
			continue
		}
		key := s
		if bytewise {
			var ok bool
			if key, ok = bytesOf(s); !ok {
				continue // no piece is spelt so
			}
			if len(key) == 1 {
				m.bytes[key[0]] = int32(x)
			}
		} else if c, size := utf8.DecodeRuneInString(s); size == len(s) {
			if c < utf8.RuneSelf {
				m.ascii[c] = int32(x)
			} else {
				m.wide[c] = int32(x)
			}
		}
		if m.whole != nil {
			m.whole[key] = int32(x)
		}
	}
	for rank, pair := range merges {
		a, okA := numbers[pair[0]]
		b, okB := numbers[pair[1]]
		whole, okWhole := numbers[pair[0]+strings.TrimPrefix(pair[1], prefix)]
		for i, ok := range []bool{okA, okB, okWhole} {
			if !ok {
				return nil, fmt.Errorf("model.merges[%d]: the token %q is not in the vocabulary", rank,
					[]string{pair[0], pair[1], pair[0] + strings.TrimPrefix(pair[1], prefix)}[i])
			}
		}
		if !special(whole) {
			m.merges.Add(a, b, int32(rank), whole)
		}
		m.pairs = append(m.pairs, subword.Pair{Left: a, Right: b})
	}
	if !bytewise && m.spelt == nil {
		m.findJoins(tokens)
	}
	return m, nil
}

// findJoins lists the pairs of characters that stand side by side in a token that a merge makes. No merge reaches
// across two others, so that a text may be cut between them: the parts repeat themselves, and each is short.
func (m *bpe) findJoins(tokens []string) {
	fallback := map[int32]bool{m.unknown: true}
	for _, x := range m.bytes {
		fallback[x] = true
	}
	joined := map[uint64]struct{}{}
	for _, p := range m.pairs {
		if fallback[p.Left] || fallback[p.Right] {
			return // such a token is spelt by other characters than those that it stands for
		}
		left, _ := utf8.DecodeLastRuneInString(tokens[p.Left])
		right, _ := utf8.DecodeRuneInString(tokens[p.Right])
		if left < utf8.RuneSelf && right < utf8.RuneSelf {
			m.joinASCII[left][right>>6] |= 1 << (right & 63)
		} else {
			joined[uint64(left)<<32|uint64(right)] = struct{}{}
		}
	}
	m.joined = joined
}

// cut is the length of the part of s, which is not empty, that no token reaches beyond.
func (m *bpe) cut(s string) int {
	left, n := utf8.DecodeRuneInString(s)
	for n < len(s) {
		right, size := utf8.DecodeRuneInString(s[n:])
		if left < utf8.RuneSelf && right < utf8.RuneSelf {
			if m.joinASCII[left][right>>6]>>(right&63)&1 == 0 {
				break
			}
		} else if _, ok := m.joined[uint64(left)<<32|uint64(right)]; !ok {
			break
		}
		left = right
		n += size
	}
	return n
}

func (m *bpe) kind() string  { return "BPE" }
func (m *bpe) settings() any { return m.set }

func (m *bpe) write(w io.Writer) {
	for _, p := range m.pairs {
		fmt.Fprintln(w, p.Left, p.Right)
	}
}

func (m *bpe) complete() bool { return !slices.Contains(m.bytes[:], -1) }

func (m *bpe) encode(e *encoder, s string) {
	if m.whole != nil {
		if x, ok := m.whole[s]; ok {
			e.dst = append(e.dst, x)
			return
		}
	}
	if m.joined == nil {
		m.part(e, s)
		return
	}
	// The token for what is unknown stands for a run of unknown characters, wherever it is cut.
	for len(s) > 0 {
		n := m.cut(s)
		if m.set.FuseUnknown && m.unknown >= 0 {
			for n < len(s) && !m.known(s[n:]) {
				n += m.cut(s[n:])
			}
		}
		m.part(e, s[:n])
		s = s[n:]
	}
}

// known tells whether the first character has a token, or its bytes have.
func (m *bpe) known(s string) bool {
	r, size := utf8.DecodeRuneInString(s)
	return m.char(r, size) >= 0 || m.fallback(s[:size])
}

// char is the token of a character, or -1.
func (m *bpe) char(r rune, size int) int32 {
	switch {
	case r < utf8.RuneSelf:
		return m.ascii[r]
	case r == utf8.RuneError && size == 1:
		return -1
	}
	if x, ok := m.wide[r]; ok {
		return x
	}
	return -1
}

// fallback tells whether all bytes of a character have tokens.
func (m *bpe) fallback(s string) bool {
	if !m.set.Fallback {
		return false
	}
	for i := range len(s) {
		if m.bytes[s[i]] < 0 {
			return false
		}
	}
	return true
}

// part appends the tokens of a piece, or of a part of one.
func (m *bpe) part(e *encoder, s string) {
	if e.recall(s) {
		return
	}
	from := len(e.dst)
	if m.bytewise {
		for i := range len(s) {
			x := m.bytes[s[i]]
			if x < 0 {
				if x = m.unknown; x < 0 {
					e.unknown(s[i : i+1])
					return
				}
			}
			e.dst = append(e.dst, x)
		}
	} else if !m.symbols(e, s) {
		return
	}
	e.dst = e.dst[:from+len(m.merges.Apply(e.dst[from:]))]
	e.learn(s, from)
}

// symbols appends the tokens of the characters of a piece.
func (m *bpe) symbols(e *encoder, s string) bool {
	unknown := false // the last character was unknown
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		var x int32
		if m.spelt == nil {
			x = m.char(r, size)
		} else {
			spelt := s[i : i+size]
			if i > 0 {
				spelt = text(m.set.Prefix) + spelt
			}
			if i+size == len(s) {
				spelt += text(m.set.Suffix)
			}
			var ok bool
			if x, ok = m.spelt[spelt]; !ok {
				x = -1
			}
		}
		switch {
		case x >= 0:
			e.dst = append(e.dst, x)
			unknown = false
		case m.fallback(s[i : i+size]):
			for j := range size {
				e.dst = append(e.dst, m.bytes[s[i+j]])
			}
			unknown = false
		case m.unknown < 0:
			e.unknown(s[i : i+size])
			return false
		default:
			if !unknown || !m.set.FuseUnknown {
				e.dst = append(e.dst, m.unknown)
			}
			unknown = true
		}
		i += size
	}
	return true
}

// wordPiece takes the longest token that fits, from the left of a word.
type wordPiece struct {
	set     wordSettings
	numbers map[string]int32 // those that begin a word
	later   map[string]int32 // those that go on with one, without the prefix
	longest int              // bytes of a token
	unknown int32
}

type wordSettings struct {
	Type    string `json:"type"`
	Unknown string `json:"unk_token"`
	Prefix  string `json:"continuing_subword_prefix"`
	Longest int    `json:"max_input_chars_per_word"`
}

func newWordPiece(set wordSettings, numbers map[string]int32, special func(int32) bool) (*wordPiece, error) {
	set.Type = "WordPiece"
	m := &wordPiece{set: set, numbers: make(map[string]int32, len(numbers))}
	var ok bool
	if m.unknown, ok = numbers[set.Unknown]; !ok {
		return nil, fmt.Errorf("model.unk_token: %q is not in the vocabulary", set.Unknown)
	}
	if set.Longest < 1 {
		return nil, fmt.Errorf("model.max_input_chars_per_word: expected 1 or more, found %d", set.Longest)
	}
	m.later = m.numbers
	if set.Prefix != "" {
		m.later = map[string]int32{}
	}
	for s, x := range numbers {
		if special(x) {
			continue
		}
		m.numbers[s] = x
		if rest, ok := strings.CutPrefix(s, set.Prefix); ok && set.Prefix != "" {
			m.later[rest] = x
		}
		m.longest = max(m.longest, len(s))
	}
	return m, nil
}

func (m *wordPiece) kind() string    { return "WordPiece" }
func (m *wordPiece) settings() any   { return m.set }
func (m *wordPiece) write(io.Writer) {}
func (m *wordPiece) complete() bool  { return false }

func (m *wordPiece) encode(e *encoder, s string) {
	if e.recall(s) {
		return
	}
	from := len(e.dst)
	if utf8.RuneCountInString(s) > m.set.Longest {
		e.dst = append(e.dst, m.unknown)
		return
	}
	table := m.numbers
	for at := 0; at < len(s); {
		end, found := min(len(s), at+m.longest), false
		for ; end > at; end-- {
			if end < len(s) && !utf8.RuneStart(s[end]) {
				continue
			}
			if x, ok := table[s[at:end]]; ok {
				e.dst = append(e.dst, x)
				found = true
				break
			}
		}
		if !found {
			e.dst = append(e.dst[:from], m.unknown)
			break
		}
		at, table = end, m.later
	}
	e.learn(s, from)
}

// wordLevel has a token a piece.
type wordLevel struct {
	set     levelSettings
	numbers map[string]int32
	unknown int32
}

type levelSettings struct {
	Type    string `json:"type"`
	Unknown string `json:"unk_token"`
}

func newWordLevel(set levelSettings, numbers map[string]int32, special func(int32) bool) *wordLevel {
	set.Type = "WordLevel"
	m := &wordLevel{set: set, numbers: make(map[string]int32, len(numbers)), unknown: -1}
	for s, x := range numbers {
		if !special(x) {
			m.numbers[s] = x
		}
	}
	if x, ok := numbers[set.Unknown]; ok {
		m.unknown = x
	}
	return m
}

func (m *wordLevel) kind() string    { return "WordLevel" }
func (m *wordLevel) settings() any   { return m.set }
func (m *wordLevel) write(io.Writer) {}
func (m *wordLevel) complete() bool  { return false }

func (m *wordLevel) encode(e *encoder, s string) {
	x, ok := m.numbers[s]
	if !ok {
		x = m.unknown
	}
	if x < 0 {
		e.unknown(s)
		return
	}
	e.dst = append(e.dst, x)
}

// unigram takes the tokens whose scores, the logarithms of their probabilities, have the largest sum (Kudo 2018): the
// path that Viterbi's algorithm finds. The time is that of the text's length times that of the longest token.
type unigram struct {
	set     unigramSettings
	scores  []float64
	trie    trie
	numbers map[string]int32
	special func(int32) bool
	bytes   [256]int32 // -1 where there is none
	least   float64    // the lowest score
	cut     string     // a text may be cut in front of this character: no token has it behind another; "" cuts nothing
	single  bool       // sums are kept in 32 bits, as the SentencePiece library does
}

type unigramSettings struct {
	Type     string `json:"type"`
	Unknown  *int32 `json:"unk_id"`
	Fallback bool   `json:"byte_fallback"`
}

// unknownPenalty is how much less likely than the least likely token a character is that is none, as in SentencePiece.
const unknownPenalty = 10

func newUnigram(set unigramSettings, tokens []string, numbers map[string]int32, scores []float64,
	special func(int32) bool) (*unigram, error) {
	set.Type = "Unigram"
	m := &unigram{set: set, scores: scores, numbers: numbers, special: special}
	if set.Unknown != nil && (*set.Unknown < 0 || int(*set.Unknown) >= len(tokens)) {
		return nil, fmt.Errorf("model.unk_id: %d is not one of the %d tokens", *set.Unknown, len(tokens))
	}
	for i := range m.bytes {
		m.bytes[i] = -1
	}
	size := 0
	for _, s := range tokens {
		size += len(s)
	}
	m.trie.init(size)
	m.cut = "▁"
	for x, s := range tokens {
		if x == 0 || scores[x] < m.least {
			m.least = scores[x]
		}
		if b, ok := fallbackByte(s); ok {
			m.bytes[b] = int32(x)
		}
		if numbers[s] != int32(x) || s == "" || special(int32(x)) {
			continue
		}
		m.trie.add(s, int32(x))
		// Only a token that begins with ▁ may have it, and only at its beginning.
		if strings.Contains(strings.TrimLeft(s, "▁"), "▁") {
			m.cut = ""
		}
	}
	return m, nil
}

func (m *unigram) kind() string  { return "Unigram" }
func (m *unigram) settings() any { return m.set }
func (m *unigram) complete() bool {
	return m.set.Fallback && !slices.Contains(m.bytes[:], -1)
}

func (m *unigram) write(w io.Writer) { binary.Write(w, binary.LittleEndian, m.scores) }

// path is the best way to a place of a piece.
type path struct {
	score float64
	from  int32 // -1: no way leads here
	token int32
}

func (m *unigram) encode(e *encoder, s string) {
	for len(s) > 0 {
		n := len(s)
		if m.cut != "" {
			// Behind the marks at the beginning, up to the next one.
			begin := len(s) - len(strings.TrimLeft(s, m.cut))
			if i := strings.Index(s[begin:], m.cut); i >= 0 && begin+i > 0 {
				n = begin + i
			}
		}
		m.part(e, s[:n])
		s = s[n:]
	}
}

func (m *unigram) part(e *encoder, s string) {
	if e.recall(s) {
		return
	}
	begin := len(e.dst)
	n := len(s)
	if cap(e.paths) < n+1 {
		e.paths = make([]path, n+1)
	}
	paths := e.paths[:n+1]
	for i := range paths {
		paths[i] = path{from: -1}
	}
	unknown := int32(-1)
	if m.set.Unknown != nil {
		unknown = *m.set.Unknown
	}
	for at := 0; at < n; {
		here := paths[at].score
		_, size := utf8.DecodeRuneInString(s[at:])
		single := false
		node := int32(0)
		for end := at; end < n; {
			var token int32
			if node, token = m.trie.step(node, s[end]); node < 0 {
				break
			}
			end++
			if token < 0 {
				continue
			}
			p := &paths[end]
			if score := m.scores[token] + here; p.from < 0 || score > p.score {
				*p = path{m.round(score), int32(at), token}
			}
			single = single || end == at+size
		}
		if !single {
			p := &paths[at+size]
			if score := m.round(m.round(m.least-unknownPenalty) + here); p.from < 0 || score > p.score {
				*p = path{score, int32(at), unknownRun}
			}
		}
		at += size
	}
	// From the end to the beginning; a run of unknown characters is one.
	e.buffer = e.buffer[:0]
	for at := n; at > 0; {
		p := paths[at]
		if p.token != unknownRun && p.token != unknown {
			e.buffer = append(e.buffer, p.token)
			at = int(p.from)
			continue
		}
		end := at
		for at > 0 && (paths[at].token == unknownRun || paths[at].token == unknown) {
			at = int(paths[at].from)
		}
		run := s[at:end]
		if x, ok := m.numbers[run]; ok && unknown >= 0 && !m.special(x) {
			e.buffer = append(e.buffer, x)
			continue
		}
		bytes := m.set.Fallback
		for i := 0; i < len(run) && bytes; i++ {
			bytes = m.bytes[run[i]] >= 0
		}
		switch {
		case bytes:
			for i := len(run) - 1; i >= 0; i-- {
				e.buffer = append(e.buffer, m.bytes[run[i]])
			}
		case unknown < 0:
			e.unknown(run)
			return
		default:
			e.buffer = append(e.buffer, unknown)
		}
	}
	slices.Reverse(e.buffer)
	e.dst = append(e.dst, e.buffer...)
	e.learn(s, begin)
}

// round is what is kept of a sum: that library compares in 64 bits and keeps 32.
func (m *unigram) round(x float64) float64 {
	if m.single {
		return float64(float32(x))
	}
	return x
}

// unknownRun stands in paths for a character without a token.
const unknownRun = -2

// trie finds the tokens that a text begins with. Its edges are a table of open addressing.
type trie struct {
	keys  []uint32 // node·256 + byte, plus one
	nodes []int32
	token []int32 // of each node, or -1
	shift uint
}

// init makes room for tokens of that many bytes together.
func (t *trie) init(bytes int) {
	size := 4
	for 1<<size < 2*(bytes+1) {
		size++
	}
	t.keys, t.nodes, t.shift = make([]uint32, 1<<size), make([]int32, 1<<size), uint(32-size)
	t.token = []int32{-1}
}

func (t *trie) slot(key uint32) int {
	mask := len(t.keys) - 1
	for i := int(key * 0x9E3779B1 >> t.shift); ; i = (i + 1) & mask {
		if t.keys[i] == key || t.keys[i] == 0 {
			return i
		}
	}
}

func (t *trie) add(s string, token int32) {
	node := int32(0)
	for i := range len(s) {
		key := uint32(node)<<8 + uint32(s[i]) + 1
		at := t.slot(key)
		if t.keys[at] == 0 {
			t.keys[at], t.nodes[at] = key, int32(len(t.token))
			t.token = append(t.token, -1)
		}
		node = t.nodes[at]
	}
	t.token[node] = token
}

// step goes from a node along a byte: the node there, or -1, and its token, or -1.
func (t *trie) step(node int32, b byte) (int32, int32) {
	key := uint32(node)<<8 + uint32(b) + 1
	at := t.slot(key)
	if t.keys[at] == 0 {
		return -1, -1
	}
	node = t.nodes[at]
	return node, t.token[node]
}

// quote shortens what an error shows.
func quote(s string) string {
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:57], "") + "..."
	}
	return strconv.Quote(s)
}

// typeOf is the type of a part of the file; "" where it is null.
func typeOf(path string, raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	var t struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &t); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if t.Type == "" {
		return "", fmt.Errorf("%s: it has no type", path)
	}
	return t.Type, nil
}
