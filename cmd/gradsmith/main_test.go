package main

import (
	"bytes"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/spec"
)

const smallSpec = "kind: rnn\nlayers: [one_hot, {rnn: {units: 3}}, dense]\n"

// command runs gradsmith in a folder and returns what it prints.
func command(t *testing.T, dir string, args ...string) (code int, out, errOut string) {
	t.Helper()
	t.Chdir(dir)
	var o, e bytes.Buffer
	code = run(args, &o, &e)
	return code, o.String(), e.String()
}

// fails checks that a command fails with exactly one line that has all the parts.
func fails(t *testing.T, dir string, args []string, parts ...string) {
	t.Helper()
	code, out, errOut := command(t, dir, args...)
	if code != 1 || out != "" || strings.Count(errOut, "\n") != 1 {
		t.Errorf("%v: exit code %d, output %q, errors %q; want one line and exit code 1", args, code, out, errOut)
	}
	for _, p := range parts {
		if !strings.Contains(errOut, p) {
			t.Errorf("%v: %q does not say %q", args, errOut, p)
		}
	}
}

func write(t *testing.T, path, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o666); err != nil {
		t.Fatal(err)
	}
}

// tree lists the files below dir.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			all = append(all, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestInit(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module example.com/mine\n\ngo 1.26\n")
	code, out, errOut := command(t, dir, "init", "rnn", "models/poet")
	if code != 0 || errOut != "" {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	for _, want := range []string{"models/poet/poet.yaml", "go get -tool", "go generate ./models/poet\n",
		"go run ./models/poet/cmd/poet train"} {
		if !strings.Contains(out, want) {
			t.Errorf("the explanation does not say %q:\n%s", want, out)
		}
	}
	want := []string{"cmd/poet/main.go", "generate.go", "poet.yaml", "spec.schema.json"}
	if got := tree(t, filepath.Join(dir, "models/poet")); !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	main, err := os.ReadFile(filepath.Join(dir, "models/poet/cmd/poet/main.go"))
	if err != nil || !strings.Contains(string(main), `"example.com/mine/models/poet"`) {
		t.Errorf("%v: the program does not import the package:\n%s", err, main)
	}
	if m, err := spec.Load(filepath.Join(dir, "models/poet/poet.yaml")); err != nil || m.Name != "poet" {
		t.Errorf("the spec: %v", err)
	}
	fails(t, dir, []string{"init", "rnn", "models/poet"}, "models/poet/poet.yaml", "exists")
}

// TestBeginnings writes every model to begin with and checks that all kinds have one, whose spec and program are valid.
func TestBeginnings(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module example.com/mine\n\ngo 1.26\n")
	kinds := map[string]bool{}
	for i, b := range beginnings {
		kinds[b.kind] = true
		name := fmt.Sprintf("model%d", i)
		args := []string{"init", b.kind, name}
		if b.as != "" {
			args = append(args, "--as", b.as)
		}
		code, out, errOut := command(t, dir, args...)
		if code != 0 || !strings.Contains(out, b.use[1]) {
			t.Errorf("%v: exit code %d, %s%s", args, code, out, errOut)
			continue
		}
		m, err := spec.Load(filepath.Join(name, name+".yaml"))
		if err != nil || m.Kind != b.kind {
			t.Errorf("%v: %v", args, err)
		}
		src, err := os.ReadFile(filepath.Join(name, "cmd", name, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		formatted, err := format.Source(src)
		if err != nil || !bytes.Equal(formatted, src) {
			t.Errorf("%v: the program is not formatted: %v\n%s", args, err, src)
		}
	}
	for _, k := range spec.Kinds() {
		if !kinds[k] {
			t.Errorf("kind %s has no model to begin with", k)
		}
	}
	if code, _, errOut := command(t, dir, "init", "attention", "first"); code != 0 {
		t.Error(errOut)
	}
	if m, err := spec.Load("first/first.yaml"); err != nil || !m.DecoderOnly() {
		t.Errorf("the first of kind attention is no decoder: %v", err)
	}
	fails(t, dir, []string{"init", "attention", "x", "--as", "gtp"}, `"gtp"`, "gpt, bert, translate")
	fails(t, dir, []string{"init", "rnn", "x", "--as", "gpt"}, "--as", "leave the flag out")
}

func TestInitModule(t *testing.T) {
	dir := t.TempDir()
	if code, out, errOut := command(t, dir, "init", "rnn", "poet", "--module", "example.com/poet"); code != 0 ||
		!strings.Contains(out, "cd poet\n") {
		t.Errorf("exit code %d, %s%s", code, out, errOut)
	}
	mod, err := os.ReadFile(filepath.Join(dir, "poet/go.mod"))
	if err != nil || !strings.HasPrefix(string(mod), "module example.com/poet\n") {
		t.Errorf("%v: %s", err, mod)
	}
	fails(t, dir, []string{"init", "rnn", "poet", "--module", "example.com/poet"}, "already a module")
}

func TestInitErrors(t *testing.T) {
	dir := t.TempDir()
	fails(t, dir, []string{"init", "rnn", "poet"}, "lies in no Go module", "--module")
	fails(t, dir, []string{"init", "rnn", "poet", "--module", "a b"}, "--module", "a b")
	write(t, filepath.Join(dir, "go.mod"), "module example.com/mine\n\ngo 1.26\n")
	fails(t, dir, []string{"init", "gnn", "poet"}, `"gnn"`, "rnn")
	fails(t, dir, []string{"init", "rnn", "my-poet"}, `"my-poet"`, "--name")
	fails(t, dir, []string{"init", "rnn", "func"}, `"func"`, "--name")
	fails(t, dir, []string{"init", "rnn"}, "DIR is missing", "such as `gradsmith init rnn poet`")
	write(t, filepath.Join(dir, "file"), "")
	fails(t, dir, []string{"init", "rnn", "file"}, "file")
	if code, _, errOut := command(t, dir, "init", "rnn", "my-poet", "--name", "poet"); code != 0 {
		t.Error(errOut)
	}
	if got := tree(t, dir); slices.Contains(got, "poet/poet.yaml") || !slices.Contains(got, "my-poet/poet.yaml") {
		t.Errorf("files %v", got)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "good.yaml"), smallSpec)
	write(t, filepath.Join(dir, "bad.yaml"), smallSpec+"sead: 1\nclap: 2\n")
	code, out, errOut := command(t, dir, "check", "good.yaml")
	if code != 0 || errOut != "" || !strings.HasPrefix(out, "good.yaml is valid: ") {
		t.Errorf("exit code %d, %q, %q", code, out, errOut)
	}
	code, out, errOut = command(t, dir, "check", "bad.yaml", "good.yaml", "missing.yaml")
	const want = `bad.yaml:3:1: unknown key "sead"; did you mean "seed"?
bad.yaml:4:1: unknown key "clap"; did you mean "clip"?
missing.yaml: the spec cannot be read: no such file or directory
`
	if code != 1 || errOut != want || !strings.HasPrefix(out, "good.yaml is valid: ") {
		t.Errorf("exit code %d, %q, errors\n%s--- want\n%s", code, out, errOut, want)
	}
	fails(t, dir, []string{"check"}, "SPEC is missing")
	fails(t, dir, []string{"chekc", "x"}, "chekc", "check")
	fails(t, dir, []string{"check", "--frob"}, "--frob")
}

func TestSchema(t *testing.T) {
	dir := t.TempDir()
	code, out, _ := command(t, dir, "schema")
	if code != 0 || out != string(spec.Schema()) {
		t.Errorf("exit code %d, %d bytes", code, len(out))
	}
	if code, _, errOut := command(t, dir, "schema", "-o", "s.json"); code != 0 ||
		!slices.Equal(tree(t, dir), []string{"s.json"}) {
		t.Errorf("exit code %d, %s; files %v", code, errOut, tree(t, dir))
	}
	fails(t, dir, []string{"schema", "-o", "nowhere/s.json"}, "nowhere/s.json cannot be written", "no such file")
	fails(t, dir, []string{"schema", "-o", "."}, "it is a folder")
}

func TestVocab(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "text"), "année\nnu")
	code, out, errOut := command(t, dir, "vocab", "text")
	const want = "# 6 characters of text\n\"\\n\"\n\"a\"\n\"e\"\n\"n\"\n\"u\"\n\"é\"\n"
	if code != 0 || out != want {
		t.Errorf("exit code %d, %s\n%s", code, errOut, out)
	}
	if code, _, _ := command(t, dir, "vocab", "text", "-o", "v", "--least", "2"); code == 0 {
		t.Error("a vocabulary of one character was written")
	}
	if code, _, errOut := command(t, dir, "vocab", "text", "text", "-o", "v", "--least", "2"); code != 0 ||
		!strings.Contains(errOut, "6 characters of text, text") {
		t.Errorf("exit code %d, %s", code, errOut)
	}
	write(t, filepath.Join(dir, "m.yaml"),
		"kind: rnn\ntokenizer: {chars: v}\nlayers: [one_hot, {rnn: {units: 3}}, dense]\n")
	if m, err := spec.Load("m.yaml"); err != nil || m.Vocab() != 6 {
		t.Errorf("%v", err)
	}
	write(t, filepath.Join(dir, "latin1"), "ab\nann\xe9e")
	for i := range 5 {
		write(t, filepath.Join(dir, "texts", fmt.Sprintf("%d.txt", i)), "abc")
	}
	write(t, filepath.Join(dir, "texts/other"), "xyz")
	if code, _, errOut := command(t, dir, "vocab", "texts", "--match", "*.txt", "-o", "v"); code != 0 ||
		!strings.Contains(errOut, "3 characters of texts") {
		t.Errorf("a folder: %d, %s", code, errOut)
	}
	if code, _, errOut := command(t, dir, "vocab", "texts/0.txt", "texts/1.txt", "texts/2.txt", "texts/3.txt",
		"texts/4.txt", "-o", "v"); code != 0 || !strings.Contains(errOut, "of 0.txt, 1.txt, 2.txt, and 2 more") {
		t.Errorf("many texts: %d, %s", code, errOut)
	}
	fails(t, dir, []string{"vocab", "texts", "--match", "*.go"}, "texts: no file", "*.go")
	fails(t, dir, []string{"vocab", "latin1"}, "latin1:2:4", "not UTF-8")
	write(t, filepath.Join(dir, "empty"), "")
	fails(t, dir, []string{"vocab", "empty"}, "empty: ", "at least 2 characters")
	fails(t, dir, []string{"vocab", "missing"}, "missing cannot be read")
	if got := tree(t, dir); slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(s, ".tmp") }) {
		t.Errorf("temporary files are left: %v", got)
	}
}

func TestVocabOfPieces(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "text"), "the cat and the dog and the end\nthe cat\n")
	code, out, errOut := command(t, dir, "vocab", "text", "--words", "3")
	if want := "# 3 words of text, 50.0% of the text\n\"\\n\"\n\" and\"\n\" cat\"\n"; code != 0 || out != want {
		t.Errorf("exit code %d, %s\n%s--- want\n%s", code, errOut, out, want)
	}
	code, out, errOut = command(t, dir, "vocab", "text", "--bpe", "258")
	if want := "# 258 tokens of text\nh e\nt he\n"; code != 0 || out != want {
		t.Errorf("exit code %d, %s\n%s--- want\n%s", code, errOut, out, want)
	}
	if code, _, errOut := command(t, dir, "vocab", "text", "--bpe", "4000", "-o", "v.bpe"); code != 0 ||
		!strings.Contains(errOut, "fewer than the 4000") {
		t.Errorf("exit code %d, %s", code, errOut)
	}
	if code, _, errOut := command(t, dir, "vocab", "text", "--words", "4000", "-o", "v.words", "--least",
		"2"); code != 0 {
		t.Errorf("exit code %d, %s", code, errOut)
	}
	// What the language reads is what the tokenizers of programs read.
	for kind, tokenizer := range map[string]func(string) text.Tokenizer{"bpe": text.BPE, "words": text.Words} {
		write(t, filepath.Join(dir, "m.yaml"),
			"kind: rnn\ntokenizer: {"+kind+": v."+kind+"}\nlayers: [one_hot, {rnn: {units: 3}}, dense]\n")
		m, err := spec.Load("m.yaml")
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile("v." + kind)
		if err != nil {
			t.Fatal(err)
		}
		written := spec.FormatMerges(m.Tokenizer.Merges, "")
		if kind == "words" {
			written = spec.FormatWords(m.Tokenizer.Words, "")
		}
		a, b := tokenizer(string(data)), tokenizer(string(written))
		if a.Digest() != b.Digest() || a.Vocab() != m.Vocab() {
			t.Errorf("%s: %d tokens of the file, %d of the spec", kind, a.Vocab(), m.Vocab())
		}
	}
	fails(t, dir, []string{"vocab", "text", "--bpe", "256"}, "--bpe", "257")
	fails(t, dir, []string{"vocab", "text", "--words", "1"}, "--words", "at least 2")
	fails(t, dir, []string{"vocab", "text", "--words", "9", "--bpe", "900"}, "words", "bpe")
	fails(t, dir, []string{"vocab", "missing", "--bpe", "900"}, "missing cannot be read")
	write(t, filepath.Join(dir, "empty"), "")
	fails(t, dir, []string{"vocab", "empty", "--words", "9"}, "empty: ", "at least 2 words")
}

// What check says of a valid spec names the layers of every network, and what it reads.
func TestCheckSays(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "digits.yaml"),
		"kind: vae\nvectors: 9\nencoder: [{dense: {name: read, units: 8}}]\nlatent: 4\ndecoder: [{dense: {name: "+
			"out}}]\n")
	code, out, errOut := command(t, dir, "check", "digits.yaml")
	if want := "digits.yaml is valid: a model of kind vae: encoder read (dense); latent vector of 4 numbers; decoder " +
		"out (dense); vectors of 9 numbers\n"; code != 0 || out != want {
		t.Errorf("exit code %d, %q %s, want %q", code, out, errOut, want)
	}
}

// The shapes of a summary are those that the layers give, behind pooling over time as well.
func TestInspectShapes(t *testing.T) {
	code, out, errOut := command(t, "../../generated/seqgan", "inspect", "seqgan.yaml")
	if code != 0 {
		t.Fatal(errOut)
	}
	for _, want := range []string{`filters +conv1d +steps × batch × 160`, `max_pool +max_pool +batch × 160`,
		`verdict +dense +batch × 1 `} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("the summary has no %q:\n%s", want, out)
		}
	}
	_, out, _ = command(t, "../translate", "inspect", "translate.yaml")
	if want := `reader +gru +source steps × batch × 512`; !regexp.MustCompile(want).MatchString(out) {
		t.Errorf("the summary has no %q:\n%s", want, out)
	}
}
