// Package tiktoken reads and writes the vocabularies of the tiktoken library: a line a token, its bytes in base64 and
// its number. The files say neither how a text is split nor which tokens are special; an [Encoding] does. The package
// must not know how merges are made.
package tiktoken

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/subword"
	"github.com/gradsmith/gradsmith/runtime/tokenizer"
)

// Encoding is what a file does not say.
type Encoding struct {
	Name    string
	Tokens  int              // lines of the published file, by which it is recognised; 0: not published
	Split   string           // the expression of the split
	Special map[string]int32 // numbers of special tokens
}

// Encodings are the published ones, with the numbers that their libraries give.
var Encodings = []Encoding{
	{"r50k_base", 50256, subword.GPT2, map[string]int32{"<|endoftext|>": 50256}},
	{"p50k_base", 50280, subword.GPT2, map[string]int32{"<|endoftext|>": 50256}},
	{"cl100k_base", 100256, subword.CL100K,
		map[string]int32{"<|endoftext|>": 100257, "<|fim_prefix|>": 100258, "<|fim_middle|>": 100259,
			"<|fim_suffix|>": 100260, "<|endofprompt|>": 100276}},
	{"o200k_base", 199998, subword.O200K, map[string]int32{"<|endoftext|>": 199999, "<|endofprompt|>": 200018}},
	{"llama3", 128000, subword.CL100K, llama3()},
	{"qwen", 151643, subword.Qwen2,
		map[string]int32{"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645}},
}

// llama3 is the special tokens of Llama 3, most of them reserved.
func llama3() map[string]int32 {
	names := []string{"<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>",
		"<|reserved_special_token_1|>", "<|finetune_right_pad_id|>", "<|step_id|>",
		"<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>"}
	special := map[string]int32{}
	for i := range 256 {
		name := fmt.Sprintf("<|reserved_special_token_%d|>", i-len(names)+2)
		if i < len(names) {
			name = names[i]
		}
		special[name] = 128000 + int32(i)
	}
	return special
}

// Named finds an encoding by its name; gpt2 is r50k_base.
func Named(name string) (Encoding, error) {
	if name == "gpt2" {
		name = "r50k_base"
	}
	var names []string
	for _, e := range Encodings {
		if e.Name == name {
			return e, nil
		}
		names = append(names, e.Name)
	}
	return Encoding{}, fmt.Errorf("the encoding %q is not known; known are %s", name, strings.Join(names, ", "))
}

// Parse reads a published file, which it recognises by the number of its tokens.
func Parse(data []byte) (*tokenizer.Tokenizer, error) {
	tokens, err := read(data)
	if err != nil {
		return nil, err
	}
	for _, e := range Encodings {
		if e.Tokens == len(tokens) {
			return e.make(tokens)
		}
	}
	return nil, fmt.Errorf("the file has %d tokens, as no published encoding has: name the encoding that says how it "+
		"splits", len(tokens))
}

// Parse reads a file of an encoding.
func (e Encoding) Parse(data []byte) (*tokenizer.Tokenizer, error) {
	tokens, err := read(data)
	if err != nil {
		return nil, err
	}
	return e.make(tokens)
}

// Is tells whether a file looks like one of this form.
func Is(data []byte) bool {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	_, _, err := parseLine(string(bytes.TrimRight(line, "\r")))
	return err == nil
}

func parseLine(line string) (token string, rank int, err error) {
	text, number, ok := strings.Cut(line, " ")
	if !ok {
		return "", 0, errors.New("expected the base64 of a token and its number, with a blank in between")
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", 0, err
	}
	if len(b) == 0 {
		return "", 0, errors.New("the token is empty")
	}
	n, err := strconv.ParseUint(number, 10, 22)
	return string(b), int(n), err
}

// read gives the tokens of a file by their numbers.
func read(data []byte) (map[string]int32, error) {
	tokens := map[string]int32{}
	line := 0
	for text := range strings.Lines(string(data)) {
		line++
		if text = strings.TrimRight(text, "\r\n"); text == "" {
			continue
		}
		token, rank, err := parseLine(text)
		if err != nil {
			return nil, fmt.Errorf("line %d of the tiktoken file: %w", line, err)
		}
		if _, twice := tokens[token]; twice {
			return nil, fmt.Errorf("line %d of the tiktoken file: the token %q is in it twice", line, token)
		}
		tokens[token] = int32(rank)
	}
	if len(tokens) == 0 {
		return nil, errors.New("the tiktoken file has no tokens")
	}
	return tokens, nil
}

func (e Encoding) make(tokens map[string]int32) (*tokenizer.Tokenizer, error) {
	t, err := tokenizer.NewByteLevel(e.Split, tokens, nil, e.Special)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", e.Name, err)
	}
	return t, nil
}

// Format writes the vocabulary of a tokenizer. It is an error where the form cannot hold it: byte-pair encoding over
// bytes, whose merges come in the order of their tokens, can be written.
func Format(t *tokenizer.Tokenizer) ([]byte, error) {
	tokens, err := t.ByteTokens()
	if err != nil {
		return nil, err
	}
	type line struct {
		token string
		rank  int32
	}
	lines := make([]line, 0, len(tokens))
	for token, rank := range tokens {
		lines = append(lines, line{token, rank})
	}
	slices.SortFunc(lines, func(a, b line) int { return int(a.rank) - int(b.rank) })
	var b bytes.Buffer
	for _, l := range lines {
		fmt.Fprintf(&b, "%s %d\n", base64.StdEncoding.EncodeToString([]byte(l.token)), l.rank)
	}
	return b.Bytes(), nil
}
