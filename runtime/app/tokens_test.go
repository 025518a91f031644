package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// TestTokenData trains and evaluates on token files: a model that reads its text in order ends with the parameters that
// the text gives. A training is resumed on them, and not on others.
func TestTokenData(t *testing.T) {
	b := newBench(t)
	tok := b.program.Tokenizer
	for out, shard := range map[string]int{"book.tokens": 0, "shards": 500} {
		if _, err := text.WriteTokens(out, text.Paths("book.txt"), tok, text.Options{}, shard); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := text.WriteTokens("ended.tokens", text.Paths("book.txt"), tok, text.Options{Separator: "\n"},
		0); err != nil {
		t.Fatal(err)
	}
	tensors := func(name string) string {
		m := b.program.Empty()
		if err := checkpoint.LoadWeights(name, m); err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, x := range m.Tensors() {
			for _, v := range x.Value {
				all.WriteString(string(rune(int32(v * 1e6))))
			}
		}
		return all.String()
	}
	train := func(data, out string, more ...string) (string, string) {
		return b.run(append([]string{"train", "--data", data, "--out", out, "--window", "4", "--batch", "2", "--steps",
			"150", "--eval-every", "20", "--samples", "0"}, more...)...)
	}
	said, _ := train("book.txt", "text")
	want, loss := tensors("text"), lines(said, "validation")
	for _, data := range []string{"book.tokens", "shards", "shards/00000.tokens"} {
		out := filepath.Base(data) + ".out"
		if data == "shards/00000.tokens" {
			b.fails("shards/00000.tokens is shard 0 of a text, which has more", "train", "--data", data, "--out", out)
			continue
		}
		said, _ := train(data, out)
		if tensors(out) != want || lines(said, "validation") != loss {
			t.Errorf("%s: other parameters than those of the text; %s", data, said)
		}
		one, _ := b.run("eval", "--model", "text", "--data", "book.txt", "--last", "0.3")
		two, _ := b.run("eval", "--model", "text", "--data", data, "--last", "0.3")
		if lines(one, "nats") != lines(two, "nats") {
			t.Errorf("%s: evaluated %q, the text %q", data, two, one)
		}
	}
	train("ended.tokens", "ended", "--separator", "\n")
	b.fails(`ended.tokens was made with the separator "\n", and "" is asked for`, "train", "--data", "ended.tokens",
		"--out", "x")
	b.fails("are texts and token files", "train", "--data", "book.txt", "--data", "book.tokens", "--out", "x")
	b.fails("--field, --raw and --match are for texts", "train", "--data", "book.tokens", "--field", "x", "--out", "x")

	// Half of the training on other tokens: the second half is refused.
	train("book.tokens", "half", "--steps", "20")
	b.file("other.txt", strings.Repeat("other text of the same letters\n", 80))
	if _, err := text.WriteTokens("book.tokens", text.Paths("other.txt"), tok, text.Options{}, 0); err != nil {
		t.Fatal(err)
	}
	b.fails("was written in a training on another text", "train", "--out", "half", "--resume", "--steps", "40")
	if err := os.Truncate("book.tokens", 300); err != nil {
		t.Fatal(err)
	}
	b.fails("book.tokens is cut short", "train", "--data", "book.tokens", "--out", "x")
}

// TestTokenDataChanges changes a token file while a training reads it: it ends with an error that names the file, and
// leaves a checkpoint of what it came to.
func TestTokenDataChanges(t *testing.T) {
	b := newBench(t)
	if _, err := text.WriteTokens("book.tokens", text.Paths("book.txt"), b.program.Tokenizer, text.Options{},
		0); err != nil {
		t.Fatal(err)
	}
	b.program = bigramProgram(func(m *bigram) {
		m.stepped = func(step int) {
			if step == 7 {
				if err := os.Truncate("book.tokens", 200); err != nil {
					t.Error(err)
				}
			}
		}
	})
	b.fails("after step 7, book.tokens has changed while it was read: it had ", "train", "--data", "book.tokens",
		"--window", "4", "--batch", "2", "--steps", "20", "--eval-every", "5", "--samples", "0")
	if i, err := checkpoint.Describe("bigram.safetensors"); err != nil || i.Training.Step != 7 {
		t.Errorf("it leaves %+v, %v", i, err)
	}
}

// lines are the lines of a text that have a word.
func lines(s, word string) string {
	var all []string
	for line := range strings.Lines(s) {
		if strings.Contains(line, word) {
			all = append(all, line)
		}
	}
	return strings.Join(all, "")
}
