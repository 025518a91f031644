package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/sentence"
	"github.com/gradsmith/gradsmith/runtime/app"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// TestSentences takes an autoencoder of sentences, of up to 8 letters, through its commands.
func TestSentences(t *testing.T) {
	t.Chdir(t.TempDir())
	var lines strings.Builder
	for i := range 200 {
		fmt.Fprintln(&lines, strings.Repeat(string(rune('a'+i%3)), 2+i%4))
	}
	lines.WriteString("much too long for it\n")
	for name, s := range map[string]string{"words.txt": lines.String()} {
		if err := os.WriteFile(name, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	background := context.Background()
	start := func(ctx context.Context, p app.Program, args ...string) (int, string, string) {
		var out, errOut bytes.Buffer
		status := app.Run(ctx, p, args, &out, &errOut)
		return status, out.String(), errOut.String()
	}
	run := func(args ...string) string {
		t.Helper()
		status, out, errOut := start(background, sentence.Program(), args...)
		if status != 0 {
			t.Fatalf("%v: status %d, %s", args, status, errOut)
		}
		return out
	}
	args := []string{"train", "--data", "words.txt", "--passes", "8", "--rate", "0.01"}
	out := run(append(args, "--out", "sentence.safetensors", "--threads", "1")...)
	if !strings.Contains(out, "nats a sentence") {
		t.Errorf("training prints\n%s", out)
	}
	ctx, cancel := context.WithCancel(background)
	p := sentence.Program()
	fresh := p.New
	p.New = func(seed uint64) model.LanguageModel {
		return hooked{fresh(seed), func(step int) {
			if step == 150 {
				cancel()
			}
		}}
	}
	if status, _, errOut := start(ctx, p, append(args, "--out", "part.safetensors", "--threads", "2")...); status != 0 {
		t.Fatal(errOut)
	}
	run("train", "--resume", "--out", "part.safetensors")
	whole, err := os.ReadFile("sentence.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if part, err := os.ReadFile("part.safetensors"); err != nil || !bytes.Equal(whole, part) {
		t.Errorf("interrupted and resumed, the training ends with other bits (%v)", err)
	}

	eval := run("eval", "--data", "words.txt", "--samples", "20")
	bound, nll := number(t, eval, `bound \(−ELBO\) +([\d.]+)`), number(t, eval, `−log p\(x\) +([\d.]+)`)
	if !(nll < bound && bound < 12) || !strings.Contains(eval, "200 sentences") ||
		!strings.Contains(eval, "of tokens in their place") {
		t.Errorf("after training eval says\n%s", eval)
	}
	count := func(s string) int { return strings.Count(s, "\n") }
	if a, b := run("sample", "-n", "9"), run("sample", "-n", "9"); a != b || count(a) != 9 {
		t.Errorf("9 samples are %q, then %q", a, b)
	}
	drawn := run("sample", "-n", "9", "--temperature", "1")
	if a := run("sample", "-n", "9", "--temperature", "1"); a != drawn || count(a) != 9 {
		t.Errorf("9 drawn samples are %q, then %q", drawn, a)
	}
}

// TestSentenceErrors holds what is said of input that does not fit.
func TestSentenceErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, s := range map[string]string{"words.txt": "ab\nabc\nb\nbb\n", "bad.txt": "ab\nköln\n", "empty.txt": "",
		"long.txt": "ab\nmuch too long for it\n"} {
		if err := os.WriteFile(name, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) (int, string, string) {
		var out, errOut bytes.Buffer
		status := app.Run(context.Background(), sentence.Program(), args, &out, &errOut)
		return status, out.String(), errOut.String()
	}
	if status, _, errOut := run("train", "--data", "words.txt", "--steps", "2", "--validation", "0.3"); status != 0 {
		t.Fatal(errOut)
	} else if !strings.Contains(errOut,
		"warning: the weight of the divergence rises over 200 steps, the training has 2") {
		t.Errorf("no warning of a short training: %s", errOut)
	}
	if status, out, errOut := run("interpolate", "ab", "bb", "--steps", "4"); status != 0 ||
		strings.Count(out, "\n") != 4 {
		t.Errorf("four points are %q, %s", out, errOut)
	}
	status, out, errOut := run("encode", "--data", "words.txt")
	var line struct {
		Text string
		Mean []float32
	}
	if status != 0 || json.Unmarshal([]byte(strings.Split(out, "\n")[3]), &line) != nil || line.Text != "bb" ||
		len(line.Mean) != 5 {
		t.Errorf("encode prints %q, %s", out, errOut)
	}
	if status, out, errOut := run("reconstruct", "--data", "long.txt"); status != 1 || strings.Count(out, "\n") != 2 ||
		!strings.Contains(errOut, "long.txt:2: the source has 20 tokens, the model takes") {
		t.Errorf("status %d, %q, %s", status, out, errOut)
	}
	for want, args := range map[string][]string{
		"no sentences: name a file":       {"eval"},
		"none cannot be read":             {"eval", "--data", "none"},
		"bad.txt: source 2":               {"eval", "--data", "bad.txt"},
		"empty.txt: there are no lines\n": {"eval", "--data", "empty.txt"},
		"empty.txt: there are no lines":   {"reconstruct", "--data", "empty.txt"},
		"interpolate takes two sentences": {"interpolate", "ab"},
		"--steps 1":                       {"interpolate", "ab", "bb", "--steps", "1"},
		"--number 0":                      {"sample", "-n", "0"},
		"temperature":                     {"sample", "--temperature", "-1"},
	} {
		status, out, errOut := run(args...)
		if status != 1 || !strings.Contains(errOut, want) || strings.Contains(errOut, "goroutine") || out != "" {
			t.Errorf("%v: status %d, %q, %q, want %q", args, status, out, errOut, want)
		}
	}
}
