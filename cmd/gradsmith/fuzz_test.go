package main

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/gen"
	"github.com/gradsmith/gradsmith/spec"
)

// hurtful are values that flags do not expect.
var hurtful = []string{"", "-1", "0", "1", "257", "NaN", "99999999999999999999", "\x00", "model.yaml", "text", "none",
	"é", ".", "--", "a,b", "%s", "\n"}

// calls are the commands, each with the arguments that it needs to succeed. Those that measure take minutes and are
// left out, and so is serve, which goes on until it is ended.
func calls() map[*cobra.Command][]string {
	arguments := map[string][]string{
		"vocab": {"text"}, "init": {"rnn", "made"}, "verify": {"generated"}, "check": {"model.yaml"},
		"generate": {"model.yaml"}, "inspect": {"model.yaml"}, "schema": {}, "docs": {}, "version": {},
		"tokenizer train": {"text", "--size", "260"}, "tokenizer encode": {"learnt.json", "text"},
		"tokenizer decode": {"learnt.json", "numbers"}, "tokenizer stats": {"learnt.json", "text"},
		"tokenizer convert": {"learnt.json"}, "import": {"published", "-o", "own"},
		"export":  {"imported", "--gguf", "own.gguf"},
		"compare": {"imported/pretrained.safetensors", "imported/pretrained.safetensors"},
		"report":  {"run.jsonl"}, "explain-spec": {"model.yaml"},
		"tokens": {"model.yaml", "text", "-o", "own.tokens"},
	}
	all := map[*cobra.Command][]string{}
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		words := strings.Fields(cmd.CommandPath())[1:]
		if cmd.Runnable() && len(words) > 0 && words[0] != "bench" && words[0] != "serve" {
			all[cmd] = append(words, arguments[strings.Join(words, " ")]...)
		}
		for _, sub := range cmd.Commands() {
			look(sub)
		}
	}
	look(newRoot())
	return all
}

// lay puts files for the commands into a folder.
func lay(t testing.TB, dir string) {
	t.Helper()
	all := maps.Clone(generatedFiles())
	if all == nil {
		t.Fatal("no package is generated")
	}
	for name, content := range map[string]string{
		"model.yaml": smallSpec, "broken.yaml": "kind: rnn\nlayers: [x, {y: -1}]\n\t\n", "text": "ab ab\nba",
		"go.mod": "module example.com/x\n\ngo 1.26\n", "numbers": "97 98\n",
		"learnt.json": learntOnce(t), "run.jsonl": trainingLog(1),
	} {
		all[name] = content
	}
	maps.Copy(all, published(t, learntOnce(t)))
	maps.Copy(all, imported(t))
	for name, content := range all {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// generatedFiles are a folder with a spec and its code.
var generatedFiles = sync.OnceValue(func() map[string]string {
	m, err := spec.Parse("model.yaml", []byte(smallSpec), nil)
	if err != nil {
		return nil
	}
	files, err := gen.Generate(m)
	if err != nil {
		return nil
	}
	all := map[string]string{"generated/model.yaml": smallSpec}
	for _, f := range files {
		all["generated/"+f.Name] = string(f.Data)
	}
	return all
})

// learnt is a tokenizer.
func learnt(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "learnt-*")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "text")
	if err := os.WriteFile(path, []byte("the cat and the dog and the end\nthe cat\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	if run([]string{"tokenizer", "train", path, "--size", "270"}, &out, &errOut) != 0 {
		t.Fatal(errOut.String())
	}
	return out.String()
}

var learntBefore string

func learntOnce(t testing.TB) string {
	if learntBefore == "" {
		learntBefore = learnt(t)
	}
	return learntBefore
}

// attempt runs a command: it does not panic, nor end the process, and where it fails it says why.
func attempt(t *testing.T, args []string) (status int, said string) {
	t.Helper()
	dir := t.TempDir()
	lay(t, dir)
	t.Chdir(dir)
	var out, errOut bytes.Buffer
	status = run(args, &out, &errOut)
	said = errOut.String()
	if status != 0 && status != 1 || status == 1 && (said == "" || !strings.HasSuffix(said, "\n")) {
		t.Errorf("%q: status %d, %q", args, status, said)
	}
	if strings.Contains(said, "goroutine ") {
		t.Errorf("%q panics: %s", args, said)
	}
	return status, said
}

var everyFlag = flag.Bool("every-flag", false,
	"TestEveryFlag gives each flag of each command each hurtful value, not one")

// TestEveryFlag gives the flags of all commands the values that they do not expect: with -every-flag each of them, else
// one. Without them each command succeeds.
func TestEveryFlag(t *testing.T) {
	n := 0
	for cmd, args := range calls() {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			if status, said := attempt(t, args); status != 0 {
				t.Errorf("status %d, %s", status, said)
			}
			cmd.Flags().VisitAll(func(f *pflag.Flag) {
				n++
				for k, value := range hurtful {
					if *everyFlag || k == n*7%len(hurtful) {
						t.Run(f.Name, func(t *testing.T) {
							attempt(t,
								append(slices.Clip(args), "--"+f.Name+"="+value))
						})
					}
				}
			})
		})
	}
}

// FuzzFlags is TestEveryFlag with any arguments, which stand in lines; errors begin with the program's name or with a
// place in a file.
func FuzzFlags(f *testing.F) {
	for _, args := range calls() {
		f.Add(strings.Join(args, "\n"))
	}
	f.Add("chekc\nmodel.yaml")
	f.Add("check\nbroken.yaml")
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\n")
		for _, a := range args {
			// Files of others are not to be written, and what is measured takes minutes.
			if strings.ContainsAny(a, `/\`) || strings.Contains(a, "..") || a == "bench" {
				t.Skip()
			}
		}
		attempt(t, args)
	})
}
