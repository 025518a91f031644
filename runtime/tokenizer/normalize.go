package tokenizer

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"github.com/gradsmith/gradsmith/runtime/normalize"
)

// normalizer changes a text before it is split.
type normalizer interface{ normalize(s string) string }

type normalizers []normalizer

func (n normalizers) normalize(s string) string {
	for _, x := range n {
		s = x.normalize(s)
	}
	return s
}

// normalizerFunc is a normalizer without settings.
type normalizerFunc func(string) string

func (f normalizerFunc) normalize(s string) string { return f(s) }

// parseNormalizer makes the normalizer of the value at a path of the file.
func parseNormalizer(path string, raw json.RawMessage) (normalizer, error) {
	kind, err := typeOf(path, raw)
	if err != nil || kind == "" {
		return nil, err
	}
	switch kind {
	case "Sequence":
		list, err := sequence(path, raw, "normalizers", parseNormalizer)
		return normalizers(list), err
	case "NFC":
		return form(normalize.NFC), nil
	case "NFD":
		return form(normalize.NFD), nil
	case "NFKC":
		return form(normalize.NFKC), nil
	case "NFKD":
		return form(normalize.NFKD), nil
	case "Lowercase":
		return normalizerFunc(lowercase), nil
	case "StripAccents":
		return normalizerFunc(func(s string) string { return without(s, unicode.IsMark) }), nil
	case "Nmt":
		return normalizerFunc(nmt), nil
	case "Strip":
		n := strip{Left: true, Right: true}
		return n, settings(path, raw, &n)
	case "Prepend":
		var n prepend
		err := settings(path, raw, &n)
		return n, err
	case "Replace":
		return parseReplace(path, raw)
	case "BertNormalizer":
		n := bertNormalizer{Clean: true, Chinese: true, Lower: true}
		err := settings(path, raw, &n)
		return n, err
	case "Precompiled":
		var p struct {
			Type string `json:"type"`
			Map  []byte `json:"precompiled_charsmap"` // base64
		}
		if err := settings(path, raw, &p); err != nil {
			return nil, err
		}
		c, err := newCharsmap(p.Map)
		if err != nil {
			return nil, fmt.Errorf("%s: precompiled_charsmap: %w", path, err)
		}
		return c, nil
	}
	return nil, unsupported(path, "normalizer", kind,
		"BertNormalizer, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend, Replace, Sequence, Strip, "+
			"StripAccents")
}

func form(f normalize.Form) normalizer {
	return normalizerFunc(func(s string) string { return normalize.String(f, s) })
}

// lowercase maps each character by itself, as Rust does: İ becomes two.
func lowercase(s string) string {
	if strings.Contains(s, "İ") {
		s = strings.ReplaceAll(s, "İ", "i\u0307")
	}
	return strings.ToLower(s)
}

// without leaves characters out.
func without(s string, drop func(rune) bool) string {
	if strings.IndexFunc(s, drop) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if drop(r) {
			return -1
		}
		return r
	}, s)
}

// nmt cleans a text as the data of WMT is cleaned for SentencePiece's nmt rules.
func nmt(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 1 && r <= 8, r == 0x0B, r >= 0x0E && r <= 0x1F, r == 0x7F, r == 0x8F, r == 0x9F:
			return -1
		case r == 9, r == 0x0A, r == 0x0C, r == 0x0D, r == 0x1680, r >= 0x200B &&
			r <= 0x200F, r == 0x2028, r == 0x2029, r == 0x2581, r == 0xFEFF, r == utf8.RuneError:
			return ' '
		}
		return r
	}, s)
}

// strip takes white space off the ends.
type strip struct {
	Type  string `json:"type"`
	Left  bool   `json:"strip_left"`
	Right bool   `json:"strip_right"`
}

func (n strip) normalize(s string) string {
	if n.Left {
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
	}
	if n.Right {
		s = strings.TrimRightFunc(s, unicode.IsSpace)
	}
	return s
}

// prepend puts a text in front.
type prepend struct {
	Type    string `json:"type"`
	Prepend string `json:"prepend"`
}

func (n prepend) normalize(s string) string {
	if s == "" {
		return s
	}
	return n.Prepend + s
}

// replace writes one text where another stands, or what an expression matches.
type replace struct {
	old        string
	expression *regexp.Regexp
	new        string
}

func parseReplace(path string, raw json.RawMessage) (replace, error) {
	var p struct {
		Type    string  `json:"type"`
		Pattern pattern `json:"pattern"`
		Content string  `json:"content"`
	}
	if err := settings(path, raw, &p); err != nil {
		return replace{}, err
	}
	if p.Pattern.Regex == nil {
		return replace{old: p.Pattern.text(), new: p.Content}, nil
	}
	x, err := regexp.Compile(*p.Pattern.Regex)
	if err != nil {
		return replace{}, fmt.Errorf("%s: the expression %q is not supported: %w", path, *p.Pattern.Regex, err)
	}
	return replace{expression: x, new: p.Content}, nil
}

func (n replace) normalize(s string) string {
	if n.expression != nil {
		return n.expression.ReplaceAllLiteralString(s, n.new)
	}
	if n.old == "" {
		return s
	}
	return strings.ReplaceAll(s, n.old, n.new)
}

func (n replace) decode(tokens []string) []string {
	for i, t := range tokens {
		tokens[i] = n.normalize(t)
	}
	return tokens
}

func (n replace) piece(s string) string { return n.normalize(s) }

// bertNormalizer is the cleaning of BERT.
type bertNormalizer struct {
	Type    string `json:"type"`
	Clean   bool   `json:"clean_text"`
	Chinese bool   `json:"handle_chinese_chars"`
	Accents *bool  `json:"strip_accents"` // nil: as lowercase
	Lower   bool   `json:"lowercase"`
}

func (n bertNormalizer) normalize(s string) string {
	if n.Clean {
		s = strings.Map(func(r rune) rune {
			switch {
			case r == '\t', r == '\n', r == '\r':
				return ' '
			case r > ' ' && r < 0x7F:
				return r
			case unicode.IsSpace(r) && r > 0x7F && r != 0x85:
				return ' '
			case r != utf8.RuneError && unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z):
				return r
			}
			return -1 // control characters, and what is not assigned
		}, s)
	}
	if n.Chinese && strings.IndexFunc(s, isChinese) >= 0 {
		var b strings.Builder
		for _, r := range s {
			if isChinese(r) {
				b.WriteByte(' ')
				b.WriteRune(r)
				b.WriteByte(' ')
			} else {
				b.WriteRune(r)
			}
		}
		s = b.String()
	}
	if n.Accents == nil && n.Lower || n.Accents != nil && *n.Accents {
		s = without(normalize.String(normalize.NFD, s), func(r rune) bool { return unicode.Is(unicode.Mn, r) })
	}
	if n.Lower {
		s = lowercase(s)
	}
	return s
}

// isChinese tells whether BERT takes a character for a word of its own: the blocks of ideographs.
func isChinese(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2A6DF ||
		r >= 0x2A700 && r <= 0x2B73F ||
		r >= 0x2B740 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF || r >= 0xF900 && r <= 0xFAFF ||
		r >= 0x2F800 && r <= 0x2FA1F
}

// charsmap is the table of rules that a SentencePiece model carries: a trie in a double array, as darts-clone writes
// it, whose values are places in a list of texts that end with a zero byte.
type charsmap struct {
	units []uint32
	texts string
}

func newCharsmap(data []byte) (*charsmap, error) {
	if len(data) < 4 {
		return nil, fmt.Errorf("it has %d bytes and needs 4 at least", len(data))
	}
	size := binary.LittleEndian.Uint32(data)
	if size%4 != 0 || uint64(size) > uint64(len(data)-4) {
		return nil, fmt.Errorf("its trie is to have %d bytes, and %d are there", size, len(data)-4)
	}
	c := &charsmap{units: make([]uint32, size/4), texts: string(data[4+size:])}
	for i := range c.units {
		c.units[i] = binary.LittleEndian.Uint32(data[4+4*i:])
	}
	return c, nil
}

// bytes is the way back from newCharsmap.
func (c *charsmap) bytes() []byte {
	data := binary.LittleEndian.AppendUint32(nil, uint32(4*len(c.units)))
	for _, u := range c.units {
		data = binary.LittleEndian.AppendUint32(data, u)
	}
	return append(data, c.texts...)
}

// match is the length of a prefix of s that a rule replaces, and by what: the longest or the shortest one. The length
// is 0 where there is none.
func (c *charsmap) match(s string, longest bool) (length int, by string) {
	offset := func(u uint32) uint32 { return u >> 10 << (u >> 6 & 8) }
	if len(c.units) == 0 {
		return 0, ""
	}
	at := offset(c.units[0])
	for i := range len(s) {
		at ^= uint32(s[i])
		if uint64(at) >= uint64(len(c.units)) {
			break
		}
		u := c.units[at]
		if u&(1<<31|0xFF) != uint32(s[i]) {
			break
		}
		at ^= offset(u)
		if u>>8&1 == 1 && uint64(at) < uint64(len(c.units)) {
			if place := c.units[at] &^ (1 << 31); uint64(place) <= uint64(len(c.texts)) {
				by, _, _ = strings.Cut(c.texts[place:], "\x00")
				length = i + 1
				if !longest {
					break
				}
			}
		}
	}
	return length, by
}

// normalize does what the Hugging Face library does with the table: a cluster of up to five bytes is replaced as a
// whole by the rule of its first characters, other clusters character by character.
func (c *charsmap) normalize(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	state := -1
	for len(s) > 0 {
		var cluster string
		if len(s) == 1 || s[0] < utf8.RuneSelf && s[0] != '\r' && s[1] < utf8.RuneSelf {
			cluster, s, state = s[:1], s[1:], -1
		} else {
			cluster, s, _, state = uniseg.FirstGraphemeClusterInString(s, state)
		}
		if len(cluster) < 6 {
			if n, by := c.match(cluster, false); n > 0 {
				b.WriteString(by)
				continue
			}
		}
		for len(cluster) > 0 {
			_, size := utf8.DecodeRuneInString(cluster)
			if n, by := c.match(cluster[:size], false); n > 0 {
				b.WriteString(by)
			} else {
				b.WriteString(cluster[:size])
			}
			cluster = cluster[size:]
		}
	}
	return b.String()
}
