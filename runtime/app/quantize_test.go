package app

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/align"
	"github.com/gradsmith/gradsmith/gen/cases/elman"
	"github.com/gradsmith/gradsmith/gen/cases/gpt"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// A file of quantize writes the same text as its checkpoint with that kind of weights, and what it cannot do is refused
// in a line.
func TestQuantize(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	run := func(p Program, args ...string) (string, string, int) {
		var out, errOut bytes.Buffer
		status := Run(context.Background(), p, args, &out, &errOut)
		return out.String(), errOut.String(), status
	}
	p := gpt.Program()
	if err := checkpoint.SaveWeights(file("m"), p.New(3)); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat(p.Tokenizer.Decode([]int32{0, 1, 2, 3, 2, 1, 3, 0}), 40)
	if err := os.WriteFile(file("text"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"f32", "bf16", "q8", "q4"} {
		out, errOut, status := run(p, "quantize", "--model", file("m"), "--weights", kind, "-o", file(kind), "--data",
			file("text"))
		if status != 0 {
			t.Fatalf("%s: %s", kind, errOut)
		}
		for _, want := range []string{kind + " weights", "a token reads ", "costs most: "} {
			if kind != "f32" && !strings.Contains(out, want) {
				t.Errorf("%s: quantize does not print %q:\n%s", kind, want, out)
			}
		}
		sample := []string{"sample", "--prompt", text[:2], "--seed", "1", "-n", "20", "--model"}
		got, errOut, _ := run(p, append(sample, file(kind))...)
		want, _, _ := run(p, append(sample, file("m"), "--weights", kind)...)
		if got != want || got == "" {
			t.Errorf("%s: %q, and with --weights %q; %s", kind, got, want, errOut)
		}
		if out, errOut, status := run(p, "eval", "--model", file(kind), "--data", file("text")); status != 0 ||
			!strings.Contains(out, "nats a token") {
			t.Errorf("%s: eval: %s", kind, errOut)
		}
		if out, _, status := run(p, "info", file(kind)); status != 0 ||
			!strings.Contains(out, kind+" weights for writing") {
			t.Errorf("%s: info: %s", kind, out)
		}
	}
	for says, args := range map[string][]string{
		"has q8 weights, not q4":   {"sample", "--model", file("q8"), "--weights", "q4"},
		"load the checkpoint that": {"export", "--model", file("q8"), "-o", file("no")},
		"has q8 weights already":   {"quantize", "--model", file("q8"), "-o", file("no")},
		"--from " + file("q8"):     {"train", "--from", file("q8"), "--data", file("text"), "--out", file("no")},
		"--tokens -1: give 0":      {"quantize", "--model", file("m"), "-o", file("no"), "--tokens", "-1"},
		"--last 2: give a share":   {"quantize", "--model", file("m"), "-o", file("no"), "--last", "2"},
		"no kind of weights":       {"quantize", "--model", file("m"), "-o", file("no"), "--weights", "q3"},
	} {
		if _, errOut, status := run(p, args...); status != 1 || !strings.Contains(errOut, says) ||
			strings.Count(errOut, "\n") != 1 {
			t.Errorf("%v: status %d, %s", args, status, errOut)
		}
	}
	if _, err := os.Stat(file("no")); err == nil {
		t.Error("a command that was refused has written a file")
	}
	if _, errOut, status := run(align.Program(), "translate", "--model", file("q8")); status != 1 ||
		!strings.Contains(errOut, "is of another spec (model ") {
		t.Errorf("weights of another spec: %s", errOut)
	}
}

// A package whose spec fixes the kind of weights has that one in every command, and refuses others.
func TestFixedWeights(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m")
	p := elman.Program()
	if err := checkpoint.SaveWeights(path, p.New(3)); err != nil {
		t.Fatal(err)
	}
	m, err := elman.Load(path)
	if err != nil || m.Kind() != weights.Q8 {
		t.Errorf("Load packs as %v, %v", m.Kind(), err)
	}
	run := func(args ...string) (string, string, int) {
		var out, errOut bytes.Buffer
		status := Run(context.Background(), p, args, &out, &errOut)
		return out.String(), errOut.String(), status
	}
	sample := []string{"sample", "--model", path, "--seed", "1", "-n", "20"}
	got, errOut, status := run(sample...)
	if want, _, _ := run(append(sample, "--weights", "q8")...); status != 0 || got != want {
		t.Errorf("%q, and with --weights q8 %q: %s", got, want, errOut)
	}
	for _, args := range [][]string{append(sample, "--weights", "f32"),
		{"quantize", "--model", path, "--weights", "q4", "-o", path + ".2"}} {
		if _, errOut, status := run(args...); status != 1 || !strings.Contains(errOut, "model.yaml says decode:") {
			t.Errorf("%v: %s", args, errOut)
		}
	}
	if out, _, _ := run("info", path); !strings.Contains(out, "q8  ") || strings.Contains(out, "q4  ") {
		t.Errorf("info of a package of one kind:\n%s", out)
	}
}
