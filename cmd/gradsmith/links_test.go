package main

import (
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/spec"
)

func link(t *testing.T, old, new string) {
	t.Helper()
	if err := os.Symlink(old, new); err != nil {
		t.Skip(err)
	}
}

// Vocab and verify follow links, and name those that lead back.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "real/a.txt"), "ab")
	write(t, filepath.Join(dir, "elsewhere/b.txt"), "cd")
	link(t, filepath.Join(dir, "real"), filepath.Join(dir, "door"))
	link(t, filepath.Join(dir, "elsewhere"), filepath.Join(dir, "real/linked"))
	code, out, errOut := command(t, dir, "vocab", "door")
	if want := "# 4 characters of door\n\"a\"\n\"b\"\n\"c\"\n\"d\"\n"; code != 0 || out != want {
		t.Errorf("exit code %d, %q, %s", code, out, errOut)
	}
	write(t, filepath.Join(dir, "tiny/tiny.yaml"), smallSpec)
	if code, _, errOut := command(t, dir, "generate", "tiny/tiny.yaml"); code != 0 {
		t.Fatal(errOut)
	}
	write(t, filepath.Join(dir, "tree/x.txt"), "")
	link(t, filepath.Join(dir, "tiny"), filepath.Join(dir, "tree/model"))
	if code, _, errOut := command(t, dir, "verify", "tree/..."); code != 0 {
		t.Errorf("exit code %d, %s", code, errOut)
	}
	link(t, filepath.Join(dir, "tree"), filepath.Join(dir, "tree/loop"))
	link(t, filepath.Join(dir, "real"), filepath.Join(dir, "real/loop"))
	if code, _, errOut := command(t, dir, "verify", "tree"); code != 0 ||
		!strings.Contains(errOut, "tree/loop is a link that leads back to tree") {
		t.Errorf("exit code %d, %s", code, errOut)
	}
	fails(t, dir, []string{"vocab", "real"}, "real/loop is a link that leads back to real, which holds it")
}

// Vocab reads texts in all the forms that training reads.
func TestVocabForms(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "text.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	fmt.Fprint(z, "\ufeffab")
	z.Close()
	f.Close()
	write(t, filepath.Join(dir, "text"), "\xff\xfea\x00b\x00")
	write(t, filepath.Join(dir, "text.jsonl"), `{"id":1,"t":"ab"}`+"\n"+`{"id":2,"t":"ba"}`)
	for _, args := range [][]string{{"text.gz"}, {"text"}, {"text.jsonl", "--field", "t"}, {"text", "text.gz"}} {
		code, out, errOut := command(t, dir, append([]string{"vocab"}, args...)...)
		if code != 0 || !strings.HasSuffix(out, "\n\"a\"\n\"b\"\n") || strings.Count(out, "\n") != 3 {
			t.Errorf("%v: exit code %d, %q, %s", args, code, out, errOut)
		}
	}
	write(t, filepath.Join(dir, "picture"), "\x89PNG\r\n\x1a\n\x00")
	fails(t, dir, []string{"vocab", "picture"}, "picture: is a PNG image, not text")
}

// TestVocabLineBreaks: characters and words are the same whether lines end in \n or in \r\n; byte-pair encoding sees
// bytes.
func TestVocabLineBreaks(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "unix/text"), "a b\n\na\n")
	write(t, filepath.Join(dir, "windows/text"), "a b\r\n\r\na\r\n")
	for _, flags := range [][]string{nil, {"--words", "9"}, {"--words", "9", "--least", "2"}} {
		_, unix, _ := command(t, dir, append([]string{"vocab", "unix/text"}, flags...)...)
		code, windows, errOut := command(t, dir, append([]string{"vocab", "windows/text"}, flags...)...)
		if code != 0 || unix == "" || unix != windows {
			t.Errorf("%v: exit code %d, %q, want %q; %s", flags, code, windows, unix, errOut)
		}
	}
	if code, out, errOut := command(t, dir, "vocab", "windows/text", "--bpe", "258"); code != 0 ||
		!strings.Contains(out, "č Ċ") {
		t.Errorf("exit code %d, %q, %s", code, out, errOut)
	}
}

// No vocabulary is written that no spec can name.
func TestVocabTooLarge(t *testing.T) {
	dir := t.TempDir()
	var b strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&b, "%s%c%c%c%c ", strings.Repeat("word", 20), 'a'+i/17576%26, 'a'+i/676%26, 'a'+i/26%26, 'a'+i%26)
	}
	write(t, filepath.Join(dir, "text"), b.String())
	fails(t, dir, []string{"vocab", "text", "--words", "60000", "-o", "v"}, "text: the vocabulary has 5",
		"more than the 4194304 that are allowed")
	fails(t, dir, []string{"vocab", "text", "--words", "600000", "-o", "v"},
		"--words 600000: a spec takes at most 524288")
	fails(t, dir, []string{"vocab", "text", "--bpe", "600000", "-o", "v"},
		"--bpe 600000: a spec takes at most 524288 tokens")
	if got := tree(t, dir); len(got) != 1 {
		t.Errorf("files %v", got)
	}
}

// A byte order mark in front of a spec or a vocabulary changes nothing.
func TestMarks(t *testing.T) {
	for name, content := range map[string]string{"chars": "\"a\"\n\"b\"\n", "words": "\"a\"\n\"b\"\n",
		"bpe": "#version: 0.2\nh e\n"} {
		load := func(mark string) *spec.Model {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "v"), mark+content)
			write(t, filepath.Join(dir, "m.yaml"),
				mark+"kind: rnn\ntokenizer: {"+name+": v}\nlayers: [one_hot, {rnn: {units: 3}}, dense]\n")
			m, err := spec.Load(filepath.Join(dir, "m.yaml"))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return m
		}
		if a, b := load(""), load("\ufeff"); a.Vocab() != b.Vocab() {
			t.Errorf("%s: %d tokens with a mark, %d without", name, b.Vocab(), a.Vocab())
		}
	}
}
