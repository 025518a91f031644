package app_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/generated/bertmini"
	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/runtime/app"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/parallel"
	"github.com/gradsmith/gradsmith/runtime/sample"
)

// hooked is a model that tells of every training step.
type hooked struct {
	model.LanguageModel
	stepped func(step int)
}

func (h hooked) TrainStep(b *model.Batch, rate float64) (loss, norm float64, err error) {
	loss, norm, err = h.LanguageModel.TrainStep(b, rate)
	h.stepped(h.Step())
	return loss, norm, err
}

func (h hooked) Logits(b *model.Batch) ([]float32, error) {
	return h.LanguageModel.(model.Predictor).Logits(b)
}

// TestGenerated takes a generated package through the commands: a training that runs through on one thread and one that
// is interrupted and resumed on two leave the same file, bit by bit, and the model has learnt its text.
func TestGenerated(t *testing.T) {
	t.Chdir(t.TempDir())
	defer parallel.SetThreads(parallel.Threads())
	var book strings.Builder
	for i := range 50 {
		fmt.Fprintf(&book, "%d bottles of beer on the wall, take %d down\n", i, i%7)
	}
	if err := os.WriteFile("book.txt", []byte(book.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(ctx context.Context, p app.Program, args ...string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		if status := app.Run(ctx, p, args, &out, &errOut); status != 0 {
			t.Fatalf("%v: status %d, %s", args, status, errOut.String())
		}
		return out.String()
	}
	background := context.Background()
	args := []string{"train", "--data", "book.txt", "--steps", "30", "--eval-every", "13", "--batch", "4", "--window",
		"12", "--rate", "0.005", "--samples", "0"}
	out := run(background, rnn.Program(), append(args, "--threads", "1", "--out", "whole.safetensors")...)
	loss := regexp.MustCompile(`validation  (\d+\.\d+) nats`).FindStringSubmatch(out)
	if loss == nil {
		t.Fatalf("no validation loss in %s", out)
	}
	if x, _ := strconv.ParseFloat(loss[1], 64); !(x < 3.5) {
		t.Errorf("after 30 steps the validation loss is %v nats a character; guessing gives 4.6", x)
	}

	for _, stop := range []int{3, 13} {
		ctx, cancel := context.WithCancel(background)
		p := rnn.Program()
		fresh := p.New
		p.New = func(seed uint64) model.LanguageModel {
			return hooked{fresh(seed), func(step int) {
				if step == stop {
					cancel()
				}
			}}
		}
		run(ctx, p, append(args, "--threads", "2", "--out", "part.safetensors", "--overwrite")...)
		run(background, rnn.Program(), "train", "--resume", "--threads", "2", "--out", "part.safetensors", "--samples",
			"0")
		whole, err := os.ReadFile("whole.safetensors")
		if err != nil {
			t.Fatal(err)
		}
		part, err := os.ReadFile("part.safetensors")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(whole, part) {
			t.Errorf("interrupted after step %d and resumed, the training ends with other bits", stop)
		}
	}

	// The checkpoint is what the package itself loads, from a file and from memory, and both write the same text.
	data, err := os.ReadFile("whole.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := rnn.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := rnn.Load("whole.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	text := func(m *rnn.Model) (s string) {
		for part, err := range m.Generate(background, "1 bottles", sample.MaxTokens(30), sample.Temperature(0.5),
			sample.Seed(4)) {
			if err != nil {
				t.Fatal(err)
			}
			s += part
		}
		return s
	}
	printed := run(background, rnn.Program(), "sample", "--model", "whole.safetensors", "--prompt", "1 bottles",
		"--tokens", "30", "--temperature", "0.5", "--seed", "4")
	if a, b := text(parsed), text(loaded); a != b || printed != "1 bottles"+a+"\n" && printed != "1 bottles"+a {
		t.Errorf("from memory %q, from a file %q, by the command %q", a, b, printed)
	}
}

// TestScheduledSampling trains a model on some of its own tokens: not the same as without, and the same bits when it
// was interrupted and resumed.
func TestScheduledSampling(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("book.txt", []byte(strings.Repeat("To be, or not to be: that is the question.\n", 30)),
		0o644); err != nil {
		t.Fatal(err)
	}
	train := func(stop int, out string, args ...string) []byte {
		t.Helper()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		p := gptnano.Program()
		fresh := p.New
		p.New = func(seed uint64) model.LanguageModel {
			return hooked{fresh(seed), func(step int) {
				if step == stop {
					cancel()
				}
			}}
		}
		var stdout, errOut bytes.Buffer
		if status := app.Run(ctx, p, append([]string{"train", "--samples", "0", "--out", out}, args...), &stdout,
			&errOut); status != 0 {
			t.Fatalf("%v: status %d, %s", args, status, errOut.String())
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	args := []string{"--data", "book.txt", "--steps", "6", "--batch", "2", "--window", "16"}
	sampled := append(args, "--scheduled-sampling", "0.5", "--rise", "3")
	plain, whole := train(0, "plain.safetensors", args...), train(0, "whole.safetensors", sampled...)
	if bytes.Equal(plain, whole) {
		t.Error("the training is the same with scheduled sampling and without")
	}
	train(4, "part.safetensors", sampled...)
	if part := train(0, "part.safetensors", "--resume"); !bytes.Equal(whole, part) {
		t.Error("interrupted and resumed, the training ends with other bits")
	}
}

// TestMasked evaluates a model that restores masked tokens: its figures stand beside those of the baselines, where
// there is a text to count them from.
func TestMasked(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("book.txt", []byte(strings.Repeat("To be, or not to be: that is the question.\n", 60)),
		0o644); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		if status := app.Run(context.Background(), bertmini.Program(), args, &out, &errOut); status != 0 {
			t.Fatalf("%v: status %d, %s", args, status, errOut.String())
		}
		return out.String()
	}
	run("train", "--data", "book.txt", "--steps", "10", "--batch", "4", "--window", "24")
	out := run("eval", "--data", "book.txt", "--last", "0.2", "--batch", "4")
	lines := regexp.MustCompile(`(?m)^(.+?) {2,}(\d+\.\d+) {2,}(\d+\.\d+) {2,}(\d+\.\d+) %$`).FindAllStringSubmatch(out,
		-1)
	if len(lines) != 3 || lines[0][1] != "bertmini" {
		t.Fatalf("eval prints\n%s", out)
	}
	right := func(i int) float64 { x, _ := strconv.ParseFloat(lines[i][4], 64); return x }
	if !(right(1) > right(2)) || !(right(2) > 0) {
		t.Errorf("pairs of tokens do not say more than tokens:\n%s", out)
	}
	if out := run("eval", "--data", "book.txt", "--batch", "4"); strings.Contains(out, "frequency") {
		t.Errorf("a baseline without a text to count:\n%s", out)
	}
}
