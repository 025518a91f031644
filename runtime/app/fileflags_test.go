package app

import (
	"os"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// everyKind is a program of every kind of model that has commands of its own. Its models cannot be made.
func everyKind() []Program {
	var all []Program
	tokens := bigramProgram(nil).Tokenizer
	for _, labels := range []int{0, 3} {
		for _, info := range []model.Info{
			{Kind: "rnn"},
			{Kind: "attention"},
			{Kind: "attention", Masking: &model.Masking{}},
			{Kind: "attention", Source: &model.Source{}},
			{Kind: "vae", Latent: &model.Latent{}},
			{Kind: "vae", Latent: &model.Latent{}, Vector: &model.Vector{Width: 4}},
			{Kind: "gan", Adversary: &model.Adversary{}, Vector: &model.Vector{Width: 4}},
			{Kind: "gan", Adversary: &model.Adversary{Text: &model.Imitation{}}},
		} {
			info.Name, info.Labels, info.Taps = "stub", labels, true
			all = append(all, Program{Info: &info, Tokenizer: tokens, SourceTokenizer: tokens})
		}
	}
	return all
}

// TestFileFlags finds flags and arguments of which nobody has said whether they name files.
func TestFileFlags(t *testing.T) {
	for _, p := range everyKind() {
		if err := fileFlags.Missing(newRoot(p)); err != nil {
			t.Errorf("kind %s: %v", p.Info.Kind, err)
		}
	}
}

// TestNoFileTwice tries every flag of a file that is written against every other file of its command, of every kind of
// model: each is refused, and both files stay as they are.
func TestNoFileTwice(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("texts", 0o777); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, p := range everyKind() {
		for _, cmd := range newRoot(p).Commands() {
			written, others := fileFlags.Of(cmd)
			for _, out := range written {
				for _, other := range others {
					if out == other {
						continue
					}
					for value, to := range map[string]string{"a.txt": "./a.txt", "texts/b.txt": "texts"} {
						if to == "texts" && !strings.Contains(" --data --valid --source --target ", " "+other+" ") {
							continue // of folders there are texts alone
						}
						b := &bench{t, t.Context(), p}
						b.file("a.txt", "kept")
						b.file("texts/b.txt", "kept")
						args := []string{cmd.Name(), out, value, other, to}
						var errOut strings.Builder
						if status := Run(b.ctx, p, args, &errOut, &errOut); status != 1 ||
							strings.Count(errOut.String(), "\n") != 1 ||
							!strings.Contains(errOut.String(), "same file") && !strings.Contains(errOut.String(),
								"one of the files of") &&
								!strings.Contains(errOut.String(), "has no effect here") { // which needs others
							t.Errorf("%v: status %d, %q", args, status, errOut.String())
						}
						if b.read("a.txt") != "kept" || b.read("texts/b.txt") != "kept" {
							t.Fatalf("%v: a file is lost", args)
						}
						tried++
					}
				}
			}
		}
	}
	if tried < 100 {
		t.Errorf("only %d pairs of flags were tried", tried)
	}
}

// TestLinksAndSpellings does so for one command, with a file under its other names.
func TestLinksAndSpellings(t *testing.T) {
	b := newBench(t)
	before := b.read("book.txt")
	for _, err := range []error{os.Symlink("book.txt", "link"), os.Link("book.txt", "hard"), os.Mkdir("folder", 0o777),
		os.Symlink("../book.txt", "folder/deep"), os.Link("book.txt", "folder/hard")} {
		if err != nil {
			t.Skip("the file system has no links: ", err)
		}
	}
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"book.txt", "./folder/../book.txt", cwd + "/book.txt", "link", "hard",
		"folder/deep"} {
		b.fails("--log "+name+" is the same file as --data book.txt, which would be lost", "train", "--data",
			"book.txt", "--log", name)
		b.fails("which would be lost", "train", "--data", name, "--best", "book.txt")
		b.fails("which would be lost", "train", "--data", name, "--out", "book.txt", "--overwrite")
	}
	b.fails("--out hard is one of the files of --data folder", "train", "--data", "folder", "--out", "hard",
		"--overwrite")
	b.fails("--best new and --log ./NEW are the same file: name another", "train", "--data", "book.txt", "--log",
		"./NEW", "--best", "new")
	// the default counts
	b.fails("--out bigram.safetensors and --log", "train", "--data", "book.txt", "--log", "Bigram.safetensors")
	if b.read("book.txt") != before {
		t.Error("the text has changed")
	}
	// A checkpoint in the folder of the texts is none of them.
	b.file("texts/a.txt", before)
	b.run("train", "--data", "texts", "--out", "texts/bigram.safetensors", "--log", "texts/log.jsonl", "--steps", "3",
		"--samples", "0")
	b.run("train", "--data", "texts", "--match", "*.txt", "--out", "texts/bigram.safetensors", "--log",
		"texts/log.jsonl", "--steps", "3", "--samples", "0", "--overwrite")
	b.run("train", "--data", "book.txt", "--log", os.DevNull, "--steps", "3", "--samples", "0")
	// What a training is resumed with counts too.
	b.fails("--data book.txt", "train", "--resume", "--out", "bigram.safetensors", "--log", "hard")
}
