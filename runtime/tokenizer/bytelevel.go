package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// NewByteLevel makes byte-pair encoding over bytes, as GPT-2, Llama 3 and Qwen have it. Split is the expression that
// takes a text apart; tokens are the numbers of the tokens, as bytes; merges are the pairs that become tokens, the
// first merged first. Without merges any two tokens become the one that both make together, that of the smallest
// number first, and a piece that is a token is left whole: the order of tiktoken. Special tokens are in no text.
func NewByteLevel(split string, tokens map[string]int32, merges [][2]string, special map[string]int32) (*Tokenizer,
	error) {
	return NewByteLevelIn("", split, tokens, merges, special)
}

// NewByteLevelIn is [NewByteLevel] of texts that are brought to a normal form first: NFC, NFD, NFKC or NFKD; "" takes
// them as they are.
func NewByteLevelIn(form, split string, tokens map[string]int32, merges [][2]string,
	special map[string]int32) (*Tokenizer, error) {
	set := bpeSettings{Type: "BPE"}
	if merges == nil {
		set.IgnoreMerges = true
		merges = allMerges(tokens)
	}
	vocab := make(map[string]int32, len(tokens))
	for s, x := range tokens {
		vocab[charsOf(s)] = x
	}
	for i := range merges {
		merges[i] = [2]string{charsOf(merges[i][0]), charsOf(merges[i][1])}
	}
	added := make([]Added, 0, len(special))
	for s, x := range special {
		added = append(added, Added{ID: x, Content: s, Special: true})
	}
	slices.SortFunc(added, func(a, b Added) int { return cmp.Compare(a.ID, b.ID) })
	pattern, err := encode(split)
	if err != nil {
		return nil, err
	}
	const bytewise = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`
	null := json.RawMessage("null")
	t := &Tokenizer{special: map[int32]bool{}, ofAdded: map[int32]bool{}, content: map[int32]string{}, byteLevel: true}
	t.raw = rawFile{
		Version: "1.0", Truncation: null, Padding: null, Normalizer: null, PostProcessor: null,
		Decoder: json.RawMessage(bytewise),
		PreTokenizer: json.RawMessage(`{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":` +
			string(pattern) + `},"behavior":"Isolated","invert":false},` + bytewise + `]}`),
	}
	if form != "" {
		t.raw.Normalizer = json.RawMessage(`{"type":"` + form + `"}`)
		if t.normalizer, err = parseNormalizer("normalizer", t.raw.Normalizer); err != nil {
			return nil, err
		}
	}
	if t.splitter, err = parseSplitter("pre_tokenizer", t.raw.PreTokenizer); err != nil {
		return nil, err
	}
	t.decoder = byteDecoder{}
	if err := t.list(vocab); err != nil {
		return nil, err
	}
	if t.model, err = newBPE(set, t.tokens, t.numbers, merges, true, t.Special); err != nil {
		return nil, err
	}
	if err := t.add(added); err != nil {
		return nil, err
	}
	t.finish()
	return t, nil
}

// allMerges lists the pairs of tokens that together are one, in the order of their numbers.
func allMerges(tokens map[string]int32) [][2]string {
	sorted := make([]string, 0, len(tokens))
	for s := range tokens {
		sorted = append(sorted, s)
	}
	slices.SortFunc(sorted, func(a, b string) int { return cmp.Compare(tokens[a], tokens[b]) })
	merges := [][2]string{}
	for _, s := range sorted {
		for i := 1; i < len(s); i++ {
			_, okLeft := tokens[s[:i]]
			_, okRight := tokens[s[i:]]
			if okLeft && okRight {
				merges = append(merges, [2]string{s[:i], s[i:]})
			}
		}
	}
	return merges
}

// ByteTokens is the vocabulary of byte-pair encoding over bytes whose tokens alone say which merge comes first: for
// each token, as bytes, its number. Other tokenizers are errors.
func (t *Tokenizer) ByteTokens() (map[string]int32, error) {
	m, ok := t.model.(*bpe)
	if !ok || !m.bytewise {
		return nil, errors.New("the model is not byte-pair encoding over bytes")
	}
	if t.normalizer != nil {
		return nil, errors.New("the tokenizer normalizes texts, which the form cannot say")
	}
	tokens := map[string]int32{}
	for x, s := range t.tokens {
		if s == "" || t.ofAdded[int32(x)] {
			continue
		}
		b, ok := bytesOf(s)
		if !ok {
			return nil, fmt.Errorf("the token %s stands for no bytes", quote(s))
		}
		tokens[b] = int32(x)
	}
	// The order that the numbers give has to be that of the merges, and each pair has to be one of them.
	last := int32(-1)
	for _, p := range m.pairs {
		token, _, _ := m.merges.Find(p.Left, p.Right)
		if token < last {
			return nil, fmt.Errorf("the token %s is made after one with a larger number", quote(t.tokens[token]))
		}
		last = token
	}
	return tokens, nil
}

// ByteOrder is the bytes in the order of their tokens in GPT-2: first those that print, then the others.
func ByteOrder() []byte {
	order := make([]byte, 0, 256)
	for _, prints := range []bool{true, false} {
		for b := range 256 {
			if (byteChars[b] < 256) == prints {
				order = append(order, byte(b))
			}
		}
	}
	return order
}
