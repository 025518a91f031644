package main

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/gen"
	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/filestest"
	"github.com/gradsmith/gradsmith/spec"
)

// A disk that syncs nothing: the tests write thousands of files.
func init() { files.Use(filestest.NewDisk(-1, filestest.Way{})) }

// contents are the files below dir, and the folders with "/", without what is only for writing them.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		switch {
		case err != nil || path == dir:
			return err
		case d.Name() == files.StageName:
			return filepath.SkipDir
		case d.IsDir():
			all[rel] = "/"
		case !strings.HasPrefix(d.Name(), ".gradsmith-"):
			data, err := os.ReadFile(path)
			all[rel] = string(data)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestCommandFaults runs each command that writes with every one of its calls failing in every way: it leaves the old
// state or the new one, and says so in one line. A run that was killed is ended by the next.
func TestCommandFaults(t *testing.T) {
	tokenizer, log := learnt(t), trainingLog(1) // which says when it was made
	type writer struct {
		name string
		args []string
		only []string // ways of calls to fail; nil for all
	}
	cases := []writer{
		{"schema", []string{"schema", "-o", "out"}, nil},
		{"vocab", []string{"vocab", "text", "-o", "out"}, nil},
		{"words", []string{"vocab", "text", "--words", "3", "-o", "out"}, nil},
		{"merges", []string{"vocab", "text", "--bpe", "258", "-o", "out"}, nil},
		{"tokens", []string{"tokens", "imported/imported.yaml", "text", "-o", "own.tokens"}, nil},
		{"docs", []string{"docs", "-o", "out"}, []string{"disk full"}}, // as schema, and slower
		{"learn", []string{"tokenizer", "train", "text", "--size", "270", "-o", "out"}, nil},
		{"convert", []string{"tokenizer", "convert", "learnt.json", "-o", "out"}, nil},
		{"init", []string{"init", "rnn", "poet"}, nil},
		{"import", []string{"import", "published", "-o", "own"}, []string{"disk full"}}, // as init, and slower
		{"export", []string{"export", "imported", "--gguf", "out"}, nil},
		{"onnx", []string{"export", "imported", "--onnx", "out"}, nil},
		// it shows what it can read
		{"report", []string{"report", "run.jsonl", "-o", "page.html"}, []string{"disk full"}},
		{"folder", []string{"export", "imported", "--huggingface", "own"}, []string{"disk full"}}, // as import
	}
	// Each command with a flag of a file that is written is one of them.
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		words := strings.Fields(cmd.CommandPath())[1:]
		if written, _ := fileFlags.Of(cmd); len(written) > 0 && cmd.Name() != "generate" && // of TestGenerateFaults
			!slices.ContainsFunc(cases,
				func(c writer) bool { return len(c.args) >= len(words) && slices.Equal(c.args[:len(words)], words) }) {
			t.Errorf("nobody has said how %v writes", words)
		}
		for _, sub := range cmd.Commands() {
			look(sub)
		}
	}
	look(newRoot())
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var new map[string]string
			setUp := func(t *testing.T) (dir string, old map[string]string) {
				dir = t.TempDir()
				write(t, filepath.Join(dir, "go.mod"), "module example.com/mine\n\ngo 1.26\n")
				write(t, filepath.Join(dir, "text"), "the cat and the dog and the end\nthe cat\n")
				write(t, filepath.Join(dir, "learnt.json"), tokenizer)
				write(t, filepath.Join(dir, "out"), "old")
				write(t, filepath.Join(dir, "run.jsonl"), log)
				for name, content := range published(t, tokenizer) {
					write(t, filepath.Join(dir, name), content)
				}
				for name, content := range imported(t) {
					write(t, filepath.Join(dir, name), content)
				}
				return dir, contents(t, dir)
			}
			dir, _ := setUp(t)
			if code, _, errOut := command(t, dir, c.args...); code != 0 {
				t.Fatal(errOut)
			}
			new = contents(t, dir)
			filestest.Each(t, func(t *testing.T, do func(func() error) (filestest.Fault, error)) {
				dir, old := setUp(t)
				t.Chdir(dir)
				var errOut bytes.Buffer
				code := 0
				fault, _ := do(func() error {
					code = run(c.args, &bytes.Buffer{}, &errOut)
					return nil
				})
				text := errOut.String()
				if code != 0 && (strings.Count(text, "\n") != 1 || strings.Contains(text, ".tmp")) {
					t.Errorf("%v: exit code %d, %q", fault, code, text)
				}
				got := contents(t, dir)
				if fault.Way.Rest && fault.Call != "" && (c.args[0] == "init" || c.args[0] == "import") {
					code, _, _ = command(t, dir, c.args...) // which ends what was begun, and may then find it there
					if got = contents(t, dir); !maps.Equal(got, new) {
						t.Errorf("%v: the next run ends with exit code %d and the files %v", fault, code,
							slices.Sorted(maps.Keys(got)))
					}
					return
				}
				// an empty folder may be left, of a call that said it had failed
				if fault.Way.After && code != 0 && !maps.Equal(got, new) {
					maps.DeleteFunc(got, func(name, data string) bool { return data == "/" && old[name] == "" })
				}
				if !maps.Equal(got, new) && !(maps.Equal(got, old) && code != 0) {
					t.Errorf("%v: exit code %d, %q, files %v", fault, code, text, slices.Sorted(maps.Keys(got)))
				}
			}, c.only...)
		})
	}
}

// TestGenerateFaults does so for generate, in a folder with the code of an earlier spec and files of a person's.
func TestGenerateFaults(t *testing.T) {
	load := func(text string) (*spec.Model, []gen.File) {
		m, err := spec.Parse("tiny.yaml", []byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		generated, err := gen.Generate(m)
		if err != nil {
			t.Fatal(err)
		}
		return m, generated
	}
	_, first := load(smallSpec)
	after, second := load(smallSpec + "seed: 7\n")
	// Some of the files, so that some change, one is new, one is gone, and the rest is the same.
	without := func(all []gen.File, names ...string) []gen.File {
		return slices.DeleteFunc(slices.Clone(all), func(f gen.File) bool { return slices.Contains(names, f.Name) })
	}
	first = without(first, "text.go", "model_test.go", "backward.go")
	second = without(second, "decode.go", "model_test.go", "backward.go")
	setUp := func(t *testing.T) string {
		dir := t.TempDir()
		for _, f := range first {
			write(t, filepath.Join(dir, f.Name), string(f.Data))
		}
		write(t, filepath.Join(dir, "own.go"), "package tiny\n")
		write(t, filepath.Join(dir, "notes.txt"), string(first[0].Data))
		return dir
	}
	old := contents(t, setUp(t))
	dir := setUp(t)
	if err := install(after, second, dir, false); err != nil {
		t.Fatal(err)
	}
	new := contents(t, dir)
	if old["decode.go"] == "" || new["decode.go"] != "" || new["text.go"] == "" || new["train.go"] == "" ||
		maps.Equal(old, new) || new["notes.txt"] != old["notes.txt"] {
		t.Fatal("the two packages are not what the test is for")
	}
	filestest.Each(t, func(t *testing.T, do func(func() error) (filestest.Fault, error)) {
		dir := setUp(t)
		fault, err := do(func() error { return install(after, second, dir, false) })
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %q", fault, err)
		}
		got := contents(t, dir)
		if !fault.Way.Rest && !maps.Equal(got, new) && !(maps.Equal(got, old) && err != nil) {
			t.Errorf("%v: %v, files %v", fault, err, slices.Sorted(maps.Keys(got)))
		}
		if fault.Way.Rest && fault.Call != "" {
			// Whoever comes next ends it: the same spec, or the one before, which finds the old files or the new ones.
			if err := install(after, second, dir, false); err != nil {
				t.Errorf("%v: the next generate: %v", fault, err)
			}
			if got := contents(t, dir); !maps.Equal(got, new) || files.Interrupted(dir) {
				t.Errorf("%v: the next generate leaves %v", fault, slices.Sorted(maps.Keys(got)))
			}
		}
	})
}

// TestGenerateLosesNothing has what people keep beside generated code.
func TestGenerateLosesNothing(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, at("tiny.yaml"), smallSpec)
	if code, _, errOut := command(t, dir, "generate", "tiny.yaml"); code != 0 {
		t.Fatal(errOut)
	}
	read := func(name string) string {
		data, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	// Notes made of generated code, and copies of it under other names.
	notes := read("doc.go") + read("forward.go")
	own := map[string]string{"notes.txt": notes, "words.txt": notes, "forward_old.go.txt": read("forward.go"),
		"doc_windows.go": "// Code generated by gradsmith from tiny.yaml; DO NOT EDIT.\n\npackage tiny\n"}
	for name, data := range own {
		write(t, at(name), data)
	}
	write(t, at("tiny.yaml"), smallSpec+"seed: 7\n")
	if code, _, errOut := command(t, dir, "generate", "tiny.yaml"); code != 0 {
		t.Fatal(errOut)
	}
	for name, data := range own {
		if read(name) != data {
			t.Errorf("%s is another file", name)
		}
	}
	if code, _, errOut := command(t, dir, "verify"); code != 0 {
		t.Error(errOut)
	}

	// A change by hand is refused by name, before anything is written, unless it is wanted.
	fresh := contents(t, dir)
	changed := read("forward.go") + "\n// mine\n"
	write(t, at("forward.go"), changed)
	write(t, at("tiny.yaml"), smallSpec+"seed: 8\n")
	fails(t, dir, []string{"generate", "tiny.yaml"}, "forward.go was changed since it was generated", "--overwrite")
	if read("forward.go") != changed || read("train.go") != fresh["train.go"] {
		t.Error("a generate that was refused has written")
	}
	if code, _, errOut := command(t, dir, "generate", "tiny.yaml", "--overwrite"); code != 0 ||
		strings.Contains(read("forward.go"), "mine") {
		t.Error(errOut)
	}
	// So is one in a file that is to go.
	write(t, at("latent.go"), strings.Replace(read("forward.go"), "package tiny", "package tiny // mine", 1))
	fails(t, dir, []string{"generate", "tiny.yaml"}, "latent.go was changed since")
	os.Remove(at("latent.go"))

	// Code of gradsmith 0.4.0, which had no digest, makes way.
	old := "// Code generated by gradsmith from tiny.yaml; DO NOT EDIT.\n\npackage tiny\n"
	write(t, at("forward.go"), old)
	if code, _, errOut := command(t, dir, "generate", "tiny.yaml"); code != 0 || read("forward.go") == old {
		t.Error(errOut)
	}

	// A package of another name is refused before anything is written, what takes no part in it is not.
	write(t, at("other/main.go"), "package main\n")
	write(t, at("other/gen.go"), "//go:build ignore\n\npackage other\n")
	fails(t, dir, []string{"generate", "tiny.yaml", "--out", "other"}, "other holds the Go package main (main.go)",
		"--out")
	if got := tree(t, at("other")); !slices.Equal(got, []string{"gen.go", "main.go"}) {
		t.Errorf("files %v", got)
	}
	os.Remove(at("other/main.go"))
	write(t, at("other/x_test.go"), "package tiny_test\n")
	write(t, at("other/broken.go"), "pakage\n")
	if code, _, errOut := command(t, dir, "generate", "tiny.yaml", "--out", "other"); code != 0 {
		t.Error(errOut)
	}
}
