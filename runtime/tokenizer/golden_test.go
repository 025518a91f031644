package tokenizer_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/tokenizer"
)

// The files of published tokenizers are too large to keep. TOKENIZER_FILES names a folder that has them, as `make
// tokenizers` makes one: NAME.json, and golden.jsonl with texts, their tokens and what these decode to, by the Hugging
// Face library.
func files(t testing.TB) string {
	dir := os.Getenv("TOKENIZER_FILES")
	if dir == "" {
		t.Skip("TOKENIZER_FILES names no folder with published tokenizers: see make tokenizers")
	}
	return dir
}

func load(t testing.TB, path string) *tokenizer.Tokenizer {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse(data)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return tok
}

func TestGolden(t *testing.T) {
	dir := files(t)
	f, err := os.Open(filepath.Join(dir, "golden.jsonl"))
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	toks := map[string]*tokenizer.Tokenizer{}
	counts := map[string]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var g struct {
			Tokenizer, Text, Decoded string
			IDs                      []int32
		}
		if err := json.Unmarshal(lines.Bytes(), &g); err != nil {
			t.Fatal(err)
		}
		tok := toks[g.Tokenizer]
		if tok == nil {
			tok = load(t, filepath.Join(dir, g.Tokenizer+".json"))
			toks[g.Tokenizer] = tok
		}
		// The library makes special tokens of what spells one.
		got, err := tok.EncodeWith(g.Text, tokenizer.Options{Special: true})
		if err != nil {
			t.Errorf("%s: %q: %v", g.Tokenizer, g.Text, err)
			continue
		}
		if !slices.Equal(got, g.IDs) {
			t.Errorf("%s: %q:\n got %v\nwant %v", g.Tokenizer, g.Text, got, g.IDs)
		}
		if got := tok.DecodeAll(g.IDs); got != g.Decoded {
			t.Errorf("%s: %v decodes to %q, want %q", g.Tokenizer, g.IDs, got, g.Decoded)
		}
		counts[g.Tokenizer]++
	}
	t.Log(counts)
}
