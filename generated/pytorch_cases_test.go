package generated_test

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/albert"
	"github.com/gradsmith/gradsmith/gen/cases/elman"
	"github.com/gradsmith/gradsmith/gen/cases/gemma"
	"github.com/gradsmith/gradsmith/gen/cases/gptj"
	"github.com/gradsmith/gradsmith/gen/cases/heads"
	"github.com/gradsmith/gradsmith/gen/cases/llama"
	"github.com/gradsmith/gradsmith/gen/cases/peephole"
	"github.com/gradsmith/gradsmith/gen/cases/qwen"
	"github.com/gradsmith/gradsmith/gen/cases/scores"
	"github.com/gradsmith/gradsmith/gen/cases/t5"
	"github.com/gradsmith/gradsmith/gen/cases/textbookattention"
	"github.com/gradsmith/gradsmith/gen/cases/textbookgan"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// caseStep is what PyTorch computes of one step of a model, and of its logits.
type caseStep struct {
	step
	Logits *gradient
}

type caseFile struct {
	Models      map[string]caseStep
	Adversaries map[string]struct{ Discriminator, Generator step }
}

func readCases(t *testing.T) *caseFile {
	t.Helper()
	data, err := os.ReadFile("testdata/pytorch_cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden caseFile
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	return &golden
}

// fillCase gives a model the parameters of testdata/pytorch_cases.py.
func fillCase(ts []model.Tensor) {
	for i, t := range ts {
		copy(t.Value, numbers(uint64(100+i), len(t.Value), 0.5))
		if strings.HasSuffix(t.Name, "gain") {
			for j := range t.Value {
				t.Value[j]++
			}
		}
	}
}

// compareCase compares a loss and gradients in float32 with those that PyTorch computes in float64: the loss to 1e-6,
// each tensor's gradient to 2e-5 of its norm.
func compareCase(t *testing.T, want step, loss float64, ts []model.Tensor, first int) {
	t.Helper()
	if e := math.Abs(loss-want.Loss) / want.Loss; !(e < 1e-6) {
		t.Errorf("loss %v, PyTorch's is %v", loss, want.Loss)
	}
	worst := 0.0
	for i, w := range want.Tensors {
		if ts[first+i].Name != w.Name {
			t.Fatalf("tensor %d is %s, PyTorch's %s", first+i, ts[first+i].Name, w.Name)
		}
		e := w.compare(ts[first+i].Grad, first+i)
		if worst = max(worst, e); !(e <= 2e-5) {
			t.Errorf("%s: relative error %.2g", w.Name, e)
		}
	}
	t.Logf("largest relative error of %d gradients %.2g", len(want.Tensors), worst)
}

// TestPyTorchCases compares models that are composed, or defined by formula, in their specs with what PyTorch makes of
// the papers: the logits, the loss and the gradient of every tensor, from the same parameters and tokens.
func TestPyTorchCases(t *testing.T) {
	golden := readCases(t)
	models := []trainable{gptj.New(), llama.New(), qwen.New(), gemma.New(), t5.New(), albert.New(), elman.New(),
		peephole.New(), scores.New(), textbookattention.New(), heads.New()}
	if len(models) != len(golden.Models) {
		t.Errorf("%d models, PyTorch has %d", len(models), len(golden.Models))
	}
	for _, m := range models {
		info := m.Info()
		t.Run(info.Name, func(t *testing.T) {
			want, ok := golden.Models[info.Name]
			if !ok {
				t.Fatal("PyTorch has no such model")
			}
			b := &model.Batch{Steps: info.Steps, Batch: info.Batch}
			n := b.Steps * b.Batch
			if info.Vector != nil {
				b.Vectors = numbers(1, n*info.Vector.Width, 0.5)
				for i := range b.Vectors {
					b.Vectors[i] += 0.5
				}
			} else {
				b.Tokens, b.Targets, b.Reset = tokens(1, n, info.Vocab), tokens(2, n, info.Vocab), make([]int32, n)
			}
			shorter := func(x []int32, steps int) { // the last sequence
				for s := steps; s < len(x)/b.Batch; s++ {
					x[s*b.Batch+b.Batch-1] = -1
				}
			}
			if info.Source != nil {
				b.SourceSteps = info.Source.Steps
				b.Source = tokens(3, b.SourceSteps*b.Batch, info.Source.Vocab)
				shorter(b.Source, 5)
			}
			if info.Masking != nil { // every third token is to be restored
				for i := range b.Targets {
					if i%3 > 0 {
						b.Targets[i] = -1
					}
				}
			}
			if info.Source != nil || info.Masking != nil {
				shorter(b.Tokens, 4)
				shorter(b.Targets, 4)
			}
			fillCase(m.Tensors())
			if want.Logits != nil {
				logits, err := m.(model.Predictor).Logits(b)
				if err != nil {
					t.Fatal(err)
				}
				if e := want.Logits.compare(logits, 0); !(e <= 5e-6) {
					t.Errorf("logits: relative error %.2g", e)
				}
			}
			clear(m.State()) // which Logits has moved on
			loss, err := m.Gradients(b)
			if err != nil {
				t.Fatal(err)
			}
			if len(want.Tensors) != len(m.Tensors()) {
				t.Fatalf("%d tensors, PyTorch has %d", len(m.Tensors()), len(want.Tensors))
			}
			compareCase(t, want.step, loss, m.Tensors(), 0)
		})
	}
}

// TestPyTorchFormulaGAN does the same for both steps of a generator and a discriminator that are formulas.
func TestPyTorchFormulaGAN(t *testing.T) {
	want := readCases(t).Adversaries["textbookgan"]
	m := textbookgan.New()
	info := m.Info()
	b := &model.Batch{Batch: info.Batch, Vectors: numbers(1, info.Batch*info.Vector.Width, 1),
		Noise: numbers(2, info.Batch*info.Adversary.Noise, 1)}
	fillCase(m.Tensors())
	loss, err := m.DiscriminatorGradients(b)
	if err != nil {
		t.Fatal(err)
	}
	compareCase(t, want.Discriminator, loss, m.Tensors(), 2)
	if loss, err = m.GeneratorGradients(b); err != nil {
		t.Fatal(err)
	}
	compareCase(t, want.Generator, loss, m.Tensors(), 0)
}
