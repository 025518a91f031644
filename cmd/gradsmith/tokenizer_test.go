package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/spec"
)

func TestTokenizer(t *testing.T) {
	dir := t.TempDir()
	sample := strings.Repeat("the cat and the dog, and größer and größer than both of them\n", 20)
	write(t, filepath.Join(dir, "text"), sample)
	write(t, filepath.Join(dir, "line"), "the größer dog — </s>")
	for _, c := range []struct{ like, out, special string }{
		{"gpt2", "a.json", "1 of them special"}, {"gpt2", "a.tiktoken", ""}, {"llama3", "b.json", "2 of them special"},
		{"qwen", "c.json", "1 of them special"},
		{"llama2", "d.json", "3 of them special"}, {"llama2", "d.model", "3 of them special"},
		{"t5", "e.json", "3 of them special"}, {"bert", "f.json", "5 of them special"},
	} {
		code, out, errOut := command(t, dir, "tokenizer", "train", "text", "--like", c.like, "--size", "300", "-o",
			c.out)
		if code != 0 || out != "" || !strings.Contains(errOut, c.out+": ") {
			t.Fatalf("%s: exit code %d, %s%s", c.out, code, out, errOut)
		}
		encoding := []string{}
		if c.special == "" {
			encoding = []string{"--encoding", "r50k_base"}
			if code, _, errOut := command(t, dir, "tokenizer", "stats", c.out); code == 0 ||
				!strings.Contains(errOut, "name the encoding") {
				t.Errorf("a tiktoken file without its encoding: exit code %d, %s", code, errOut)
			}
		}
		code, out, errOut = command(t, dir, append([]string{"tokenizer", "stats", c.out, "line"}, encoding...)...)
		if code != 0 || !strings.Contains(out, c.special) ||
			c.like != "bert" && !strings.Contains(out, "come back as they were") {
			t.Errorf("%s: exit code %d, %s%s", c.out, code, out, errOut)
		}
		code, out, errOut = command(t, dir, append([]string{"tokenizer", "encode", c.out, "line"}, encoding...)...)
		if code != 0 {
			t.Fatalf("%s: exit code %d, %s", c.out, code, errOut)
		}
		write(t, filepath.Join(dir, "numbers"), out)
		code, out, errOut = command(t, dir, append([]string{"tokenizer", "decode", c.out, "numbers"}, encoding...)...)
		if want := "the größer dog — </s>\n"; code != 0 || c.like != "bert" && out != want {
			t.Errorf("%s: exit code %d, %q, want %q; %s", c.out, code, out, want, errOut)
		}
	}
	if code, _, errOut := command(t, dir, "tokenizer", "convert", "d.json", "-o", "again.model"); code != 0 {
		t.Errorf("exit code %d, %s", code, errOut)
	}
	for want, args := range map[string][]string{
		"a SentencePiece model cannot hold": {"tokenizer", "convert", "f.json", "-o", "f.model"},
		"the style \"odd\" is not known":    {"tokenizer", "train", "text", "--like", "odd"},
		"needs 260": {"tokenizer", "train", "text", "--like", "t5", "--size",
			"10"},
		"is not the number of a token":                    {"tokenizer", "decode", "a.json", "line"},
		"give 1, which leaves sizes as they are, or more": {"tokenizer", "train", "text", "--balance", "0.5"},
		"text: the file is no tokenizer":                  {"tokenizer", "stats", "text"},
		"missing cannot be read":                          {"tokenizer", "stats", "missing"},
	} {
		if code, _, errOut := command(t, dir, args...); code == 0 || !strings.Contains(errOut, want) {
			t.Errorf("%v: exit code %d, %s, want %q", args, code, errOut, want)
		}
	}

	// In a spec.
	write(t, filepath.Join(dir, "v"), "\"a\"\n\"b\"\n")
	for tokenizer, want := range map[string]int{
		"{file: a.json}": 0, "{file: d.model}": 0, "{file: {file: a.tiktoken, encoding: r50k_base}}": 0,
		"{chars: {file: v, fallback: bytes}}": 258, "{words: {file: v, fallback: bytes, normalize: nfkc}}": 258,
		"{bytes: {normalize: nfc}}": 256, "{ascii: {fallback: bytes}}": 352,
	} {
		write(t, filepath.Join(dir, "m.yaml"),
			"kind: rnn\ntokenizer: "+tokenizer+"\nlayers: [one_hot, {rnn: {units: 3}}, dense]\n")
		m, err := spec.Load("m.yaml")
		if err != nil || want > 0 && m.Vocab() != want {
			t.Errorf("%s: %v", tokenizer, err)
		}
	}
	for tokenizer, want := range map[string]string{
		"{file: text}":    "m.yaml:2:19: tokenizer.file: text: the file is no tokenizer",
		"{file: missing}": "`gradsmith tokenizer train TEXT -o FILE` makes one",
		"{chars: {file: v, fallback: bytes, unknown: a}}": "with `fallback: bytes` no character is unknown",
		"{file: {file: a.json, encoding: r50k_base}}":     "an encoding is for tiktoken files",
	} {
		write(t, filepath.Join(dir, "m.yaml"),
			"kind: rnn\ntokenizer: "+tokenizer+"\nlayers: [one_hot, {rnn: {units: 3}}, dense]\n")
		if _, err := spec.Load("m.yaml"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", tokenizer, err, want)
		}
	}
}
