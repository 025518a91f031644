package generated_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/examples/reverse"
	"github.com/gradsmith/gradsmith/generated/bertmini"
	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/runtime/app"
	"github.com/gradsmith/gradsmith/runtime/kernel"
)

// command runs a command of a model's program, and gives its output, its status and its error.
func command(p app.Program, input string, args ...string) (string, int, string) {
	if input != "" {
		if err := os.WriteFile("input", []byte(input), 0o644); err != nil {
			panic(err)
		}
		in, err := os.Open("input")
		if err != nil {
			panic(err)
		}
		defer in.Close()
		keep := os.Stdin
		os.Stdin = in
		defer func() { os.Stdin = keep }()
	}
	var out, errOut bytes.Buffer
	status := app.Run(context.Background(), p, args, &out, &errOut)
	return out.String(), status, errOut.String()
}

func must(t *testing.T, p app.Program, input string, args ...string) string {
	t.Helper()
	out, status, message := command(p, input, args...)
	if status != 0 {
		t.Fatalf("%v: status %d, %s", args, status, message)
	}
	return out
}

// refused checks that a command fails with one line that says what is wrong.
func refused(t *testing.T, p app.Program, input, want string, args ...string) {
	t.Helper()
	out, status, message := command(p, input, args...)
	if status != 1 || strings.Count(message, "\n") != 1 || !strings.Contains(message, want) {
		t.Errorf("%v: status %d, %q, %q; want one line with %q", args, status, out, message, want)
	}
}

// unanswered checks that a command on two lines answers the first, and says what is wrong with the second.
func unanswered(t *testing.T, p app.Program, input, want string, args ...string) {
	t.Helper()
	out, status, message := command(p, input, args...)
	if status != 1 || strings.Count(message, "\n") != 2 || !strings.Contains(message, want) ||
		!strings.HasSuffix(message, "1 of 2 lines have no answer\n") || !strings.HasSuffix(out, "\n\n") ||
		strings.Count(out, "\n") != 2 {
		t.Errorf("%v: status %d, %q, %q; want one line with %q", args, status, out, message, want)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestPairs takes a model with an encoder through its commands: training, resumed to the bit, answers, scores and a
// picture.
func TestPairs(t *testing.T) {
	steps := "400"
	if kernel.Level() == "generic" {
		steps = "50"
	}
	t.Chdir(t.TempDir())
	var pairs, left, right strings.Builder
	for i := range 300 {
		s := fmt.Sprint(i * 37 % 1000)
		r := []byte(s)
		for k := range r {
			r[k] = s[len(s)-1-k]
		}
		fmt.Fprintf(&pairs, "%s\t%s\n", s, r)
		fmt.Fprintln(&left, s)
		fmt.Fprintln(&right, string(r))
	}
	write(t, "pairs.tsv", pairs.String())
	write(t, "left", left.String())
	write(t, "right", right.String())
	p := reverse.Program()
	train := []string{"train", "--source", "pairs.tsv", "--validation", "0.1", "--steps", "40", "--batch", "16"}
	must(t, p, "", append(train, "--out", "whole.safetensors", "--threads", "1")...)
	must(t, p, "", append(train, "--out", "part.safetensors", "--threads", "2", "--max-time", "1ns")...)
	must(t, p, "", "train", "--resume", "--out", "part.safetensors")
	must(t, p, "", "train", "--source", "left", "--target", "right", "--validation", "0.1", "--steps", "40", "--batch",
		"16", "--out", "files.safetensors")
	whole, _ := os.ReadFile("whole.safetensors")
	for _, name := range []string{"part.safetensors"} {
		if other, _ := os.ReadFile(name); !bytes.Equal(whole, other) {
			t.Errorf("%s has other bits than a training that ran through", name)
		}
	}
	must(t, p, "", append(train, "--out", "reverse.safetensors", "--steps", steps, "--rate", "0.01")...)
	if out := must(t, p, "", "eval", "--source", "pairs.tsv", "--beam", "2"); !strings.Contains(out, "300 lines, ") ||
		!strings.Contains(out, "tok:13a") {
		t.Errorf("eval says %s", out)
	}
	greedy := must(t, p, "123\n\n45\n", "translate")
	if strings.Count(greedy, "\n") != 3 {
		t.Errorf("three lines are answered by %q", greedy)
	}
	must(t, p, "", "align", "123")
	if svg, err := os.ReadFile("alignment.svg"); err != nil || !bytes.Contains(svg, []byte("<title>")) {
		t.Errorf("the picture is %.100q, %v", svg, err)
	}

	write(t, "short", "1\n")
	refused(t, p, "", "line n of one must answer line n", "train", "--source", "left", "--target", "short",
		"--overwrite")
	refused(t, p, "", "none cannot be read", "train", "--source", "none", "--overwrite")
	refused(t, p, "", "--source FILE", "train", "--overwrite")
	refused(t, p, "", "no tab", "train", "--source", "left", "--overwrite")
	unanswered(t, p, "1\n12345678901234567890\n", "standard input:2: the source has 20 tokens, the model takes 16",
		"translate", "--beam", "2")
	unanswered(t, p, "1\nx\n", "is not in the vocabulary", "translate")
	refused(t, p, "", "give 1 or more", "translate", "--beam", "0")
	refused(t, p, "", "takes one TEXT", "align")
	if whole2, _ := os.ReadFile("whole.safetensors"); !bytes.Equal(whole, whole2) {
		t.Error("a command that failed changed a checkpoint")
	}
}

// TestFill takes a model that restores masked tokens through its commands.
func TestFill(t *testing.T) {
	if testing.Short() || kernel.Level() == "generic" {
		t.Skip("trains a model of five million parameters for a step")
	}
	t.Chdir(t.TempDir())
	write(t, "book.txt", strings.Repeat("To be, or not to be, that is the question:\n", 40))
	p := bertmini.Program()
	must(t, p, "", "train", "--data", "book.txt", "--steps", "1", "--batch", "2", "--window", "32")
	out := must(t, p, "", "fill", "To [MASK], or not to [MASK]", "--top", "3")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[1], "1:  ") ||
		strings.Count(lines[2], "%") != 3 {
		t.Errorf("fill prints %q", out)
	}
	if again := must(t, p, "", "fill", "To [MASK], or not to [MASK]", "--top", "3"); again != out {
		t.Errorf("the second time fill prints %q", again)
	}
	must(t, p, "", "eval", "--data", "book.txt", "--batch", "4")
	refused(t, p, "", "no [MASK]", "fill", "To be")
	refused(t, p, "", "takes one TEXT", "fill", "[MASK]", "two")
	if out := must(t, p, "To [MASK], or not\nto be\n", "fill"); strings.Count(out, "\n") != 2 ||
		!strings.HasSuffix(out, "\nto be\n") || strings.Contains(out, "[MASK]") {
		t.Errorf("of lines fill prints %q", out)
	}
	refused(t, p, "", "the model takes 128", "fill", strings.Repeat("question ", 200)+"[MASK]")
	refused(t, p, "", "give 1 to 8191", "fill", "[MASK]", "--top", "0")
}

// TestLongSample holds that a model with a window writes texts that are longer than it.
func TestLongSample(t *testing.T) {
	if kernel.Level() == "generic" {
		t.Skip("decodes 230 tokens of a model of 800,000 parameters")
	}
	t.Chdir(t.TempDir())
	write(t, "book.txt", strings.Repeat("To be, or not to be, that is the question:\n", 60))
	p := gptnano.Program()
	must(t, p, "", "train", "--data", "book.txt", "--steps", "2", "--samples", "0")
	if out := must(t, p, "", "sample", "--tokens", "200", "--seed", "3", "--prompt",
		strings.Repeat("To be ", 20)); len(out) < 300 {
		t.Errorf("wrote %d bytes: %q", len(out), out)
	}
	must(t, p, "", "sample", "--tokens", "30", "--beam", "3", "--prompt", "To be")
	refused(t, p, "", "has room for", "sample", "--tokens", "10", "--beam", "3", "--prompt",
		strings.Repeat("To be ", 20))
}
