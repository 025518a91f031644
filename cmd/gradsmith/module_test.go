package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOwnModule does what the README tells a user to do: in a module outside of this repository it makes a package,
// generates it, tests it, trains it, writes text with it, and imports it in a program.
func TestOwnModule(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds programs")
	}
	goCommand, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "poet")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	// run runs a command in the module and returns what it prints.
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = dir
		// Modules come from where the user's come from: a module of one's own also asks for the go.mod of those that this
		// one only needs on other systems, and no build of ours has fetched these.
		cmd.Env = append(os.Environ(), "PWD="+dir, "GOFLAGS=-mod=mod", "GOWORK=off", "GOTOOLCHAIN=local")
		var out, errOut bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errOut
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.String(), errOut.String())
		}
		return out.String()
	}

	if code, _, errOut := command(t, filepath.Dir(dir), "init", "rnn", "poet", "--module", "example.com/poet"); code != 0 {
		t.Fatal(errOut)
	}
	// A user has the versions of go.mod and go.sum from `go get`. Here the module is not published, so the checkout stands in
	// for it, with its own sums.
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "go.sum"), string(sums))
	run(goCommand, "mod", "edit", "-require", self+"@v0.0.0", "-replace", self+"="+root)

	// A smaller model, so that the test takes seconds.
	path := filepath.Join(dir, "poet.yaml")
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	small := string(src)
	for _, change := range [][2]string{
		{"shape: {batch: 32, steps: 64}", "shape: {batch: 4, steps: 16}"},
		{"size: 64", "size: 8"},
		{"units: 256", "units: 16"},
	} {
		if !strings.Contains(small, change[0]) {
			t.Fatalf("the spec that init writes has no %q", change[0])
		}
		small = strings.Replace(small, change[0], change[1], 1)
	}
	write(t, path, small)
	write(t, filepath.Join(dir, "text.txt"), strings.Repeat("It was a dark and stormy night.\n", 200))

	run(goCommand, "generate", "./...")
	run(goCommand, "vet", "./...")
	run(goCommand, "test", "./...")
	program := filepath.Join(dir, "program.exe")
	run(goCommand, "build", "-o", program, "./cmd/poet")
	run(program, "train", "--data", "text.txt", "--steps", "40", "--out", "poet.safetensors")
	if out := run(program, "sample", "--model", "poet.safetensors", "--prompt", "It was", "--tokens", "20", "--seed", "1"); !strings.HasPrefix(out, "It was") {
		t.Errorf("sample: %q", out)
	}

	write(t, filepath.Join(dir, "cmd/own/main.go"), `package main

import (
	"context"
	"fmt"
	"log"

	"example.com/poet"
	"github.com/gradsmith/gradsmith/runtime/sample"
)

func main() {
	m, err := poet.Load("poet.safetensors")
	if err != nil {
		log.Fatal(err)
	}
	written := 0
	for text, err := range m.Generate(context.Background(), "It was", sample.TopP(0.9), sample.Temperature(0.8), sample.MaxTokens(20), sample.Seed(1)) {
		if err != nil {
			log.Fatal(err)
		}
		written += len(text)
	}
	fmt.Println(written > 0)
}
`)
	if out := run(goCommand, "run", "./cmd/own"); out != "true\n" {
		t.Errorf("the program prints %q", out)
	}

	// The code is fresh, and is not any more when the spec changes.
	if code, _, errOut := command(t, dir, "verify"); code != 0 {
		t.Error(errOut)
	}
	write(t, path, strings.Replace(small, "units: 16", "units: 17", 1))
	if code, _, _ := command(t, dir, "verify"); code == 0 {
		t.Error("verify finds code of another spec fresh")
	}
}
