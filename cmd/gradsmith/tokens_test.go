package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/generated/bertmini"
	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/generated/translate"
	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/spec"
)

// TestTokenizerOf makes the tokenizers of specs: they are those of the generated code.
func TestTokenizerOf(t *testing.T) {
	for name, want := range map[string]text.Tokenizer{"rnn": rnn.Tokenizer, "gptnano": gptnano.Tokenizer,
		"bertmini": bertmini.Tokenizer, "translate": translate.Tokenizer} {
		m, err := spec.Load(filepath.Join("..", "..", "generated", name, name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := tokenizerOf(&m.Tokenizer)
		if err != nil || got.Digest() != want.Digest() || got.Vocab() != want.Vocab() {
			t.Errorf("%s: %v, another tokenizer than that of the generated code", name, err)
		}
	}
}

// TestTokens makes token files of texts, one and several, and verifies them, also where they are damaged.
func TestTokens(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir)
	words := strings.Repeat("it was a dark and stormy night\n", 30)
	if err := os.WriteFile(filepath.Join(dir, "night"), []byte(words), 0o666); err != nil {
		t.Fatal(err)
	}
	for out, want := range map[string]string{"n.tokens": "n.tokens: 930 tokens of night in 1 files, 1 bytes a token\n",
		"shards": "shards: 930 tokens of night in 3 files, 1 bytes a token\n"} {
		code, _, said := command(t, dir, "tokens", "model.yaml", "night", "-o", out, "--shard", "400")
		if code != 0 || said != want {
			t.Errorf("%d, %q, want %q", code, said, want)
		}
		code, said, errOut := command(t, dir, "tokens", "model.yaml", out, "--verify")
		if code != 0 || !strings.HasPrefix(said, out+": 930 tokens of night in ") || !strings.HasSuffix(said,
			"sound\n") {
			t.Errorf("%d, %q, %q", code, said, errOut)
		}
	}
	path := filepath.Join(dir, "n.tokens")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[100] ^= 1
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	fails(t, dir, []string{"tokens", "model.yaml", "n.tokens", "--verify"}, "n.tokens is damaged: its content")
	fails(t, dir, []string{"tokens", "model.yaml", "night", "-o", "shards"}, "00000.tokens exists")
	fails(t, dir, []string{"tokens", "model.yaml", "night"}, "name the file to write with -o FILE.tokens")
	fails(t, dir, []string{"tokens", "model.yaml", "n.tokens", "-o", "m.tokens"}, "is a token file of gradsmith")
}
