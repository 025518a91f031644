// Package train learns the vocabularies of tokenizers from texts: byte-pair encoding, WordPiece and Unigram. A program
// that only uses a tokenizer does not need it. It must not know where texts come from.
package train

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gradsmith/gradsmith/runtime/data"
	"github.com/gradsmith/gradsmith/runtime/subword"
	"github.com/gradsmith/gradsmith/runtime/tokenizer"
)

// Style is the shape of a tokenizer: what is done to texts before and behind the model.
type Style string

// The styles.
const (
	GPT2   Style = "gpt2"   // byte-pair encoding over bytes; words with the blank before them
	Llama3 Style = "llama3" // the same with the split of Llama 3 and GPT-4: numbers in groups of three digits
	Qwen   Style = "qwen"   // the same with the split of Qwen: digits by themselves, texts in NFC
	Llama2 Style = "llama2" // byte-pair encoding over characters; others are their bytes
	T5     Style = "t5"     // Unigram over characters of texts in NFKC; others are their bytes
	BERT   Style = "bert"   // WordPiece over words in lower case without accents
)

// Styles lists the styles.
var Styles = []Style{GPT2, Llama3, Qwen, Llama2, T5, BERT}

// Options say what is learnt.
type Options struct {
	Style   Style
	Size    int      // tokens, special ones included
	Least   int      // pairs that occur fewer times are not merged; at least 2
	Special []string // special tokens besides those of the style
	Cased   bool     // BERT: letters and accents stay as they are
	// Coverage is the share of the texts' characters that have tokens of their own, the most frequent ones; 0 is
	// 0.9995. In styles over bytes all do.
	Coverage float64
}

// special is the special tokens of each style, in the order of their numbers.
var special = map[Style][]string{
	GPT2: {"<|endoftext|>"}, Llama3: {"<|begin_of_text|>", "<|end_of_text|>"}, Qwen: {"<|endoftext|>"},
	Llama2: {"<unk>", "<s>", "</s>"}, T5: {"<pad>", "</s>", "<unk>"},
	BERT: {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"},
}

var splits = map[Style]string{GPT2: subword.GPT2, Llama3: subword.CL100K, Qwen: subword.Qwen2}

// A Learner counts the pieces of texts, from which it learns a vocabulary.
type Learner struct {
	o      Options
	shape  *tokenizer.Tokenizer // with hardly any vocabulary, for its pieces
	groups []map[string]int
	bytes  []int
}

// New makes a Learner.
func New(o Options) (*Learner, error) {
	own, ok := special[o.Style]
	if !ok {
		return nil, fmt.Errorf("the style %q is not known: known are %v", o.Style, Styles)
	}
	o.Special = slices.Concat(own, o.Special)
	for i, s := range o.Special {
		if s == "" || slices.Contains(o.Special[:i], s) {
			return nil, fmt.Errorf("the special token %q is empty or there already", s)
		}
	}
	if o.Coverage == 0 {
		o.Coverage = 0.9995
	}
	if !(o.Coverage > 0 && o.Coverage <= 1) {
		return nil, fmt.Errorf("a coverage of %v: it must be above 0 and at most 1", o.Coverage)
	}
	o.Least = max(o.Least, 2)
	l := &Learner{o: o}
	if least := l.least(); o.Size < least {
		return nil, fmt.Errorf("%d tokens: the style %s needs %d at least, its special tokens and bytes included",
			o.Size, o.Style, least)
	}
	var err error
	switch o.Style {
	case Llama2, T5:
		l.shape, err = l.sentencePiece(nil).New()
	case BERT:
		l.shape, err = l.bert(map[string]int32{"[UNK]": 0})
	default:
		l.shape, err = l.byteLevel(nil)
	}
	return l, err
}

// least is how many tokens there are before anything is learnt.
func (l *Learner) least() int {
	n := len(l.o.Special) + 1
	if l.o.Style != BERT {
		n += 256
	}
	return n
}

// Group begins a new group of texts, such as those of one language: see Balance.
func (l *Learner) Group() {
	l.groups = append(l.groups, map[string]int{})
	l.bytes = append(l.bytes, 0)
}

// Add counts the pieces of a text.
func (l *Learner) Add(text string) {
	if len(l.groups) == 0 {
		l.Group()
	}
	counts := l.groups[len(l.groups)-1]
	l.bytes[len(l.bytes)-1] += len(text)
	l.shape.EachPiece(text, func(s string) {
		if n, ok := counts[s]; ok {
			counts[s] = n + 1
		} else {
			counts[strings.Clone(s)] = 1
		}
	})
}

// Learn makes the tokenizer of what was counted. Groups count as data.Shares says; a temperature of 1 leaves them as
// they are.
func (l *Learner) Learn(temperature float64) (*tokenizer.Tokenizer, error) {
	if err := data.CheckTemperature(temperature); err != nil {
		return nil, err
	}
	counts := l.balanced(temperature)
	if len(counts) == 0 {
		return nil, fmt.Errorf("there is no text to learn from")
	}
	switch l.o.Style {
	case Llama2:
		return l.learnCharacters(counts)
	case T5:
		return l.learnUnigram(counts)
	case BERT:
		return l.learnWordPiece(counts)
	}
	return l.learnBytes(counts)
}

// balanced adds the groups up.
func (l *Learner) balanced(temperature float64) map[string]int {
	if len(l.groups) == 1 || temperature == 1 {
		all := map[string]int{}
		for _, g := range l.groups {
			for s, n := range g {
				all[s] += n
			}
		}
		return all
	}
	total := 0
	for _, n := range l.bytes {
		total += n
	}
	shares := data.Shares(l.bytes, temperature)
	sums := map[string]float64{}
	for i, g := range l.groups {
		// Each group is as long as its share of the whole.
		weight := shares[i] * float64(total) / float64(max(l.bytes[i], 1))
		for s, n := range g {
			sums[s] += float64(n) * weight
		}
	}
	all := make(map[string]int, len(sums))
	for s, x := range sums {
		all[s] = max(1, int(math.Round(x)))
	}
	return all
}

// sorted lists pieces in an order that is the same every time.
func sorted(counts map[string]int) []string { return slices.Sorted(maps.Keys(counts)) }

// learnBytes learns byte-pair encoding over bytes.
func (l *Learner) learnBytes(counts map[string]int) (*tokenizer.Tokenizer, error) {
	var words [][]int32
	var weights []int
	for _, s := range sorted(counts) {
		w := make([]int32, len(s))
		for i := range len(s) {
			w[i] = int32(s[i])
		}
		words, weights = append(words, w), append(weights, counts[s])
	}
	spelt := make([]string, 256)
	for b := range spelt {
		spelt[b] = string([]byte{byte(b)})
	}
	return l.byteLevel(l.merges(words, weights, &spelt, l.o.Size-len(l.o.Special)-256))
}

// merges learns merges and appends what they make to the spellings of the symbols.
func (l *Learner) merges(words [][]int32, weights []int, spelt *[]string, limit int) [][2]string {
	known := map[string]bool{}
	for _, s := range *spelt {
		known[s] = true
	}
	names := slices.Clone(*spelt)
	first := int32(len(names))
	pairs := subword.Learn(words, weights, first, limit, l.o.Least, func(a, b int32) bool {
		both := names[a] + names[b]
		if known[both] {
			return false // another pair has made it
		}
		known[both] = true
		names = append(names, both)
		return true
	})
	merges := make([][2]string, len(pairs))
	for i, p := range pairs {
		merges[i] = [2]string{names[p.Left], names[p.Right]}
	}
	*spelt = names
	return merges
}

// byteLevel makes a tokenizer over bytes: special tokens come behind the others.
func (l *Learner) byteLevel(merges [][2]string) (*tokenizer.Tokenizer, error) {
	tokens := map[string]int32{}
	for _, b := range tokenizer.ByteOrder() {
		tokens[string([]byte{b})] = int32(len(tokens))
	}
	for _, m := range merges {
		tokens[m[0]+m[1]] = int32(len(tokens))
	}
	extra := map[string]int32{}
	for i, s := range l.o.Special {
		extra[s] = int32(len(tokens) + i)
	}
	if merges == nil {
		merges = [][2]string{}
	}
	form := ""
	if l.o.Style == Qwen {
		form = "NFC"
	}
	return tokenizer.NewByteLevelIn(form, splits[l.o.Style], tokens, merges, extra)
}

// alphabet lists characters, the most frequent first, until they make up the share of all that is to be covered.
func (l *Learner) alphabet(counts map[string]int) []rune {
	chars := map[rune]int{}
	total := 0
	for s, n := range counts {
		for _, c := range s {
			if c != utf8.RuneError {
				chars[c] += n
				total += n
			}
		}
	}
	list := slices.SortedFunc(maps.Keys(chars), func(a, b rune) int {
		return cmp.Or(cmp.Compare(chars[b], chars[a]), cmp.Compare(a, b))
	})
	covered := 0
	for i, c := range list {
		if float64(covered) >= l.o.Coverage*float64(total) && c != '▁' {
			return list[:i]
		}
		covered += chars[c]
	}
	return list
}

// runs cuts words where a character is not in the alphabet: nothing is learnt of those.
func runs(counts map[string]int, alphabet map[rune]int32) (words [][]rune, weights []int) {
	for _, s := range sorted(counts) {
		var w []rune
		flush := func() {
			if len(w) > 0 {
				words, weights = append(words, w), append(weights, counts[s])
			}
			w = nil
		}
		for _, c := range s {
			if _, ok := alphabet[c]; !ok {
				flush()
				continue
			}
			w = append(w, c)
		}
		flush()
	}
	return words, weights
}

// numbered gives characters the numbers of their places.
func numbered(chars []rune) map[rune]int32 {
	m := make(map[rune]int32, len(chars))
	for i, c := range chars {
		m[c] = int32(i)
	}
	return m
}

// learnCharacters learns byte-pair encoding over characters, as SentencePiece does: what is merged first has the
// highest score.
func (l *Learner) learnCharacters(counts map[string]int) (*tokenizer.Tokenizer, error) {
	room := l.o.Size - l.least() + 1
	chars := l.alphabet(counts)
	if len(chars) > room {
		return nil, fmt.Errorf("%d tokens: the texts have %d characters that are to have tokens of their own; give "+
			"more tokens, or a lower coverage", l.o.Size, len(chars))
	}
	numbers := numbered(chars)
	texts, weights := runs(counts, numbers)
	words := make([][]int32, len(texts))
	for i, w := range texts {
		for _, c := range w {
			words[i] = append(words[i], numbers[c])
		}
	}
	spelt := make([]string, len(chars))
	for i, c := range chars {
		spelt[i] = string(c)
	}
	merges := l.merges(words, weights, &spelt, room-len(chars))
	var pieces []tokenizer.ScoredPiece
	for i, m := range merges {
		pieces = append(pieces, tokenizer.ScoredPiece{Text: m[0] + m[1], Score: -float32(i), Type: tokenizer.Normal})
	}
	for i, c := range chars {
		pieces = append(pieces,
			tokenizer.ScoredPiece{Text: string(c), Score: -float32(len(merges) + i), Type: tokenizer.Normal})
	}
	return l.sentencePiece(pieces).New()
}

// sentencePiece puts special tokens and bytes in front of pieces.
func (l *Learner) sentencePiece(pieces []tokenizer.ScoredPiece) *tokenizer.SentencePiece {
	m := &tokenizer.SentencePiece{BPE: l.o.Style == Llama2, Fallback: true, Rules: "identity", Prefix: true}
	if l.o.Style == T5 {
		m.Form = "NFKC"
	}
	for _, s := range l.o.Special {
		kind := tokenizer.Control
		if s == "<unk>" {
			kind = tokenizer.Unknown
		}
		m.Pieces = append(m.Pieces, tokenizer.ScoredPiece{Text: s, Type: kind})
	}
	for b := range 256 {
		m.Pieces = append(m.Pieces, tokenizer.ScoredPiece{Text: fmt.Sprintf("<0x%02X>", b), Type: tokenizer.Byte})
	}
	m.Pieces = append(m.Pieces, pieces...)
	return m
}

// later marks the parts of words behind the first.
const later = "##"

// learnWordPiece learns WordPiece by merging the most frequent pairs, as the Hugging Face library does.
func (l *Learner) learnWordPiece(counts map[string]int) (*tokenizer.Tokenizer, error) {
	chars := l.alphabet(counts)
	numbers := numbered(chars)
	texts, weights := runs(counts, numbers)
	// A character that begins a word is one symbol, elsewhere another.
	symbols := map[string]int32{}
	var spelt []string
	symbol := func(s string) int32 {
		x, ok := symbols[s]
		if !ok {
			x = int32(len(spelt))
			symbols[s] = x
			spelt = append(spelt, s)
		}
		return x
	}
	for _, c := range chars {
		symbol(string(c))
	}
	words := make([][]int32, len(texts))
	for i, w := range texts {
		for j, c := range w {
			s := string(c)
			if j > 0 {
				s = later + s
			}
			words[i] = append(words[i], symbol(s))
		}
	}
	room := l.o.Size - len(l.o.Special)
	if len(spelt) > room {
		return nil, fmt.Errorf("%d tokens: the texts have %d characters that are to have tokens of their own, at the "+
			"beginning of words and within them; give more tokens, or a lower coverage", l.o.Size, len(spelt))
	}
	vocab := map[string]int32{}
	for _, s := range slices.Concat(l.o.Special, spelt) {
		if _, ok := vocab[s]; !ok {
			vocab[s] = int32(len(vocab))
		}
	}
	names := slices.Clone(spelt)
	subword.Learn(words, weights, int32(len(names)), room-len(spelt), l.o.Least, func(a, b int32) bool {
		both := names[a] + strings.TrimPrefix(names[b], later)
		if _, ok := vocab[both]; ok {
			return false
		}
		vocab[both] = int32(len(vocab))
		names = append(names, both)
		return true
	})
	return l.bert(vocab)
}

// bert makes a WordPiece tokenizer with the parts of BERT.
func (l *Learner) bert(vocab map[string]int32) (*tokenizer.Tokenizer, error) {
	type object map[string]any
	added := []object{}
	for _, s := range l.o.Special {
		if x, ok := vocab[s]; ok {
			added = append(added,
				object{"id": x, "content": s, "single_word": false, "lstrip": false, "rstrip": false,
					"normalized": false, "special": true})
		}
	}
	file := object{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added,
		"normalizer": object{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
			"strip_accents": nil, "lowercase": !l.o.Cased},
		"pre_tokenizer": object{"type": "BertPreTokenizer"}, "post_processor": nil,
		"decoder": object{"type": "WordPiece", "prefix": later, "cleanup": true},
		"model": object{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": later,
			"max_input_chars_per_word": 100, "vocab": vocab},
	}
	if cls, ok := vocab["[CLS]"]; ok {
		token := func(s string, kind int) object { return object{"SpecialToken": object{"id": s, "type_id": kind}} }
		text := func(s string, kind int) object { return object{"Sequence": object{"id": s, "type_id": kind}} }
		file["post_processor"] = object{
			"type": "TemplateProcessing", "single": []object{token("[CLS]", 0), text("A", 0), token("[SEP]", 0)},
			"pair": []object{token("[CLS]", 0), text("A", 0), token("[SEP]", 0), text("B", 1), token("[SEP]", 1)},
			"special_tokens": object{
				"[CLS]": object{"id": "[CLS]", "ids": []int32{cls}, "tokens": []string{"[CLS]"}},
				"[SEP]": object{"id": "[SEP]", "ids": []int32{vocab["[SEP]"]}, "tokens": []string{"[SEP]"}},
			},
		}
	}
	data, err := json.Marshal(file)
	if err != nil {
		return nil, err
	}
	return tokenizer.Parse(data)
}
