package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ownModule makes a package of a kind in a module outside of this repository, whose folder it returns, and what runs a
// command there and gives what it prints.
func ownModule(t *testing.T, name string, init ...string) (dir string, run func(name string, args ...string) string) {
	if testing.Short() {
		t.Skip("it builds programs")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), name)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	run = func(name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = dir
		// Modules come from where the user's come from: a module of one's own also asks for the go.mod of those that
		// this one only needs on other systems, and no build of ours has fetched these.
		cmd.Env = append(os.Environ(), "PWD="+dir, "GOFLAGS=-mod=mod", "GOWORK=off", "GOTOOLCHAIN=local")
		var out, errOut bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errOut
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.String(), errOut.String())
		}
		return out.String()
	}
	if code, _, errOut := command(t, filepath.Dir(dir),
		append(append([]string{"init"}, init...), "--module", "example.com/"+name)...); code != 0 {
		t.Fatal(errOut)
	}
	// A user has the versions of go.mod and go.sum from `go get`. Here the module is not published, so the checkout
	// stands in for it, with its own sums.
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "go.sum"), string(sums))
	run("go", "mod", "edit", "-require", self+"@v0.0.0", "-replace", self+"="+root)
	return dir, run
}

// TestGPT2 compiles the spec of GPT-2 small. In place of its vocabulary, which is large, are as many pairs of bytes.
func TestGPT2(t *testing.T) {
	src, err := os.ReadFile("../../examples/gpt2/gpt2small.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir, run := ownModule(t, "gpt2small", "attention", "gpt2small", "--as", "gpt")
	write(t, filepath.Join(dir, "gpt2small.yaml"), string(src))
	letters := strings.Split(
		"!#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~", "")
	var merges strings.Builder
	var pairs []string
	for _, a := range letters {
		for _, b := range letters {
			pairs = append(pairs, a+b)
			fmt.Fprintln(&merges, a, b)
		}
	}
	for n := len(pairs); n < 50257-256; n++ {
		fmt.Fprintln(&merges, pairs[n%len(pairs)], letters[n/len(pairs)])
	}
	write(t, filepath.Join(dir, "tokens.bpe"), merges.String())
	run("go", "generate", "./...")
	run("go", "vet", "./...")
	run("go", "build", "-o", "gpt2", "./cmd/gpt2small")
	// With 1024 places GPT-2 small has 124,439,808 parameters; the spec has 64, of 768 features each.
	if out := run("./gpt2", "info"); !strings.Contains(out, "123,702,528") {
		t.Errorf("GPT-2 small has other sizes:\n%s", out)
	}
}
