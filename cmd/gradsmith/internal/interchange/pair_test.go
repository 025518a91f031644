package interchange

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/tokenizer"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/sentencepiece"
)

// pairOf puts the tokenizers of two languages into the folder of a checkpoint, in place of its own. The first language
// has a piece without a number.
func pairOf(t *testing.T, dir string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	put := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	numbers := map[string]int{"</s>": 0, "<unk>": 1, "▁": 2, "a": 3, "b": 4, "c": 5, "▁ab": 6, "ca": 7, "x": 8, "y": 9,
		"▁xy": 10, "<pad>": vocab - 1}
	for i := len(numbers) - 1; i < vocab-1; i++ { // of a third language
		numbers["ö"+string(rune('a'+i))] = i
	}
	for name, words := range map[string][]string{
		sourcePieces: {"<unk>", "<s>", "</s>", "▁", "a", "b", "c", "▁ab", "ca", "abc"},
		targetPieces: {"<unk>", "<s>", "</s>", "▁", "a", "x", "y", "▁xy"},
	} {
		m := &tokenizer.SentencePiece{Rules: "identity", Prefix: true, Collapse: true}
		for i, w := range words {
			p := tokenizer.ScoredPiece{Text: w, Score: -float32(i) / 4, Type: tokenizer.Normal}
			switch i {
			case 0:
				p = tokenizer.ScoredPiece{Text: w, Type: tokenizer.Unknown}
			case 1, 2:
				p = tokenizer.ScoredPiece{Text: w, Type: tokenizer.Control}
			}
			m.Pieces = append(m.Pieces, p)
		}
		data, err := sentencepiece.Format(m)
		if err != nil {
			t.Fatal(err)
		}
		put(name, data)
	}
	data, err := json.Marshal(numbers)
	if err != nil {
		t.Fatal(err)
	}
	put(pieceNumbers, data)
}

// TestPair imports a model for two languages: each has a tokenizer of its own, whose tokens have the numbers that the
// checkpoint gives them.
func TestPair(t *testing.T) {
	p := readPublished(t)["marian"]
	config := map[string]any{}
	for k, v := range p.Config {
		config[k] = v
	}
	config["eos_token_id"], config["pad_token_id"], config["decoder_start_token_id"] = 0, vocab-1, vocab-1
	p.Config = config
	dir := p.write(t, 1)
	pairOf(t, dir)
	m, err := Read(dir, Options{Name: "small"})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, want := range []string{`tokenizer: {file: {file: target.model, begin: "<pad>", end: "</s>"}}`,
		`source: {steps: 16, tokenizer: {file: {file: source.model, begin: "<pad>", end: "</s>"}}}`} {
		if !strings.Contains(string(m.Spec), want) {
			t.Errorf("the spec has no line %s:\n%s", want, m.Spec)
		}
	}
	if !strings.Contains(string(m.Report), "1 of 10 pieces of source.spm have no number in vocab.json") &&
		!strings.Contains(string(m.Report), "2 of 10 pieces of source.spm have no number in vocab.json") {
		t.Errorf("the report says nothing of the piece without a number:\n%s", m.Report)
	}
	for _, c := range []struct {
		data []byte
		text string
		want []int32
	}{
		{m.Source, "ab ca", []int32{6, 2, 7}},
		{m.Source, "abc x", []int32{6, 5, 2, 1}}, // neither the piece without a number nor one of the other language
		{m.Tokenizer, "xy a", []int32{10, 2, 3}},
		{m.Tokenizer, "b", []int32{2, 1}},
	} {
		tok, err := sentencepiece.Parse(c.data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tok.Encode(c.text)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q is %v, %v, want %v", c.text, got, err, c.want)
		}
	}
	tok, err := sentencepiece.Parse(m.Tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	if text := tok.Decode([]int32{10, 2, 3, 9}); text != "xy ay" {
		t.Errorf("what is written is %q", text)
	}
	p.compare(t, m, 1e-6)
	for _, c := range []struct{ name, file, content, want string }{
		{"no numbers", pieceNumbers, "[]", "is not an object of numbers"},
		{"numbers", pieceNumbers, `{"a": 7}`, "has the number 7, of 1 pieces"},
		{"twice", pieceNumbers, `{"a": 0, "b": 0}`, "have the number 0"},
		{"model", targetPieces, "nonsense", "target.spm"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(dir, c.file)
			was, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			defer os.WriteFile(path, was, 0o666)
			if err := os.WriteFile(path, []byte(c.content), 0o666); err != nil {
				t.Fatal(err)
			}
			m, err := Read(dir, Options{Name: "small"})
			if err == nil {
				m.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}
