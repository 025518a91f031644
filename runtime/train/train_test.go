package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
)

// bigram is a language model of one table of logits: small enough to be obviously right. Its state counts windows, so
// that a state that is lost shows.
type bigram struct {
	vocab    int
	w, g     []float32
	momentum []float32
	state    []float32
	step     int
	poison   int // step whose loss is NaN
	stepped  func(step int)

	evaluated func() // after a loss without a gradient
}

func newBigram(vocab int) *bigram {
	n := vocab * vocab
	return &bigram{vocab: vocab, w: make([]float32, n), g: make([]float32, n), momentum: make([]float32, n),
		state: make([]float32, 1), poison: -1}
}

func (m *bigram) Info() *model.Info {
	return &model.Info{Name: "bigram", Architecture: "bigram", SpecDigest: "x", Vocab: m.vocab, Spec: "bigram.yaml"}
}
func (m *bigram) Tensors() []model.Tensor {
	return []model.Tensor{{Name: "w", Shape: []int{m.vocab, m.vocab}, Value: m.w, Grad: m.g}}
}
func (m *bigram) Slots() []model.Slot           { return []model.Slot{{Name: "momentum", Value: m.momentum}} }
func (m *bigram) Step() int                     { return m.step }
func (m *bigram) SetStep(s int)                 { m.step = s }
func (m *bigram) State() []float32              { return m.state }
func (m *bigram) MakeDecoder(int) model.Decoder { return nil }

func (m *bigram) forward(b *model.Batch, grad bool) float64 {
	clear(m.g)
	sum, n := 0.0, 0
	for i := range b.Steps * b.Batch {
		if b.Targets[i] < 0 {
			continue
		}
		n++
		row := m.w[int(b.Tokens[i])*m.vocab:][:m.vocab]
		z := 0.0
		for _, x := range row {
			z += math.Exp(float64(x))
		}
		sum += math.Log(z) - float64(row[b.Targets[i]])
		if grad {
			for j, x := range row {
				m.g[int(b.Tokens[i])*m.vocab+j] += float32(math.Exp(float64(x)) / z)
			}
			m.g[int(b.Tokens[i])*m.vocab+int(b.Targets[i])]--
		}
	}
	m.state[0]++
	return sum / float64(n)
}

func (m *bigram) TrainStep(b *model.Batch, rate float64) (loss, norm float64, err error) {
	loss = m.forward(b, true)
	if m.step == m.poison {
		return math.NaN(), 1, nil
	}
	for i, g := range m.g {
		m.momentum[i] = 0.9*m.momentum[i] + g + m.state[0]*1e-4
		m.w[i] -= float32(rate) * m.momentum[i]
	}
	m.step++
	if m.stepped != nil {
		m.stepped(m.step)
	}
	return loss, 1, nil
}

func (m *bigram) Loss(b *model.Batch) (float64, error) {
	if m.evaluated != nil {
		m.evaluated()
	}
	return m.forward(b, false), nil
}

func (m *bigram) Logits(b *model.Batch) ([]float32, error) {
	var out []float32
	for _, t := range b.Tokens {
		out = append(out, m.w[int(t)*m.vocab:][:m.vocab]...)
	}
	return out, nil
}

// windows is a text in windows of one sequence and two steps.
type windows struct {
	tokens []int32
	at     int
	reset  []int32 // made afresh for every window when it is nil
}

func (w *windows) Windows() int               { return (len(w.tokens) - 1) / 2 }
func (w *windows) Tokens() int                { return len(w.tokens) }
func (w *windows) Rewind()                    { w.at = 0 }
func (w *windows) NextPass()                  { w.at = 0 }
func (w *windows) Position() int64            { return int64(w.at) }
func (w *windows) SetPosition(_ int, p int64) { w.at = int(p) }
func (w *windows) Next(b *model.Batch) bool {
	if w.at >= w.Windows() {
		return false
	}
	t := w.tokens[2*w.at:]
	reset := w.reset
	if reset == nil {
		reset = make([]int32, 2)
	}
	*b = model.Batch{Steps: 2, Batch: 1, Tokens: t[:2], Targets: t[1:3], Reset: reset}
	w.at++
	return true
}

func text(n int) *windows {
	w := &windows{}
	for i := range n {
		w.tokens = append(w.tokens, int32(i*i%7%4))
	}
	return w
}

func data() Data { return Data{Train: text(41), Validation: text(15), Digest: "d"} }

func options(path string) Options {
	return Options{Schedule: optim.Schedule{Kind: "cosine", Rate: 0.05, Warmup: 3, Floor: 0.001}, Passes: 3, Path: path,
		EvalEvery: 7}
}

// TestResume stops a training after every number of steps and goes on: the bits must be those of a training that ran
// through.
func TestResume(t *testing.T) {
	whole := newBigram(4)
	want, err := Run(context.Background(), whole, data(), options(filepath.Join(t.TempDir(), "whole")))
	if err != nil {
		t.Fatal(err)
	}
	if want.Steps != 60 || want.Total != 60 || !(want.Best <= want.Loss) || want.Tokens != 120 {
		t.Errorf("%+v", want)
	}
	for stop := 1; stop < 60; stop += 3 { // meets every place within a pass and between validations
		path := filepath.Join(t.TempDir(), "c")
		ctx, cancel := context.WithCancel(context.Background())
		m := newBigram(4)
		m.stepped = func(step int) {
			if step == stop {
				cancel()
			}
		}
		r, err := Run(ctx, m, data(), options(path))
		if err != nil || !r.Interrupted || r.Steps != stop {
			t.Fatalf("stopped at %d: %+v, %v", stop, r, err)
		}
		n, o := newBigram(4), options(path)
		o.Resume = true
		got, err := Run(context.Background(), n, data(), o)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(n.w, n.momentum, n.state, n.step) != fmt.Sprint(whole.w, whole.momentum, whole.state,
			whole.step) || got.Loss != want.Loss || got.Best != want.Best {
			t.Fatalf("stopped at step %d and resumed, the training ends elsewhere", stop)
		}
	}
}

// TestDone resumes a training that is complete: nothing happens to it.
func TestDone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	m := newBigram(4)
	if _, err := Run(context.Background(), m, data(), options(path)); err != nil {
		t.Fatal(err)
	}
	o := options(path)
	o.Resume = true
	n := newBigram(4)
	r, err := Run(context.Background(), n, data(), o)
	if err != nil || r.Steps != 60 || fmt.Sprint(n.w) != fmt.Sprint(m.w) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	expect := func(err error, words ...string) {
		t.Helper()
		for _, w := range words {
			if err == nil || !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, w)
			}
		}
	}
	m := newBigram(4)
	m.poison = 30
	o := options(path)
	o.Guard.Off = true
	_, err := Run(context.Background(), m, data(), o)
	expect(err, "in step 31, at rate ", "the loss became NaN", "lower the optimizer's rate",
		"the checkpoint of step 28 is kept in "+path)
	n := newBigram(4)
	if tr, _, err := checkpoint.Load(path, n); err != nil || tr.Step != 28 {
		t.Errorf("the last checkpoint: %+v, %v", tr, err)
	}
	o.Resume = true
	d := data()
	d.Digest = "other"
	_, err = Run(context.Background(), newBigram(4), d, o)
	expect(err, "another text")
	o.Seed = 5
	_, err = Run(context.Background(), newBigram(4), data(), o)
	expect(err, "was trained with seed 0")
	_, err = Run(context.Background(), newBigram(5), data(), options(filepath.Join(t.TempDir(), "no", "c")))
	expect(err, "can't write the checkpoint")
	_, err = Run(context.Background(), newBigram(5), data(), Options{Schedule: optim.Schedule{Rate: 1}})
	expect(err, "does nothing")
	_, err = Run(context.Background(), newBigram(5), data(), Options{Steps: 1})
	expect(err, "rate is 0")
	_, _, err = Evaluate(context.Background(), newBigram(4), &windows{})
	expect(err, "no token to predict")
}

// record is a Reporter that keeps what it is told.
type record struct {
	steps, evals, saves int
	warned              []string
	resumed             int
}

func (r *record) Resumed(step, total int) { r.resumed = step }
func (r *record) Step(p Progress)         { r.steps++ }
func (r *record) Evaluated(e Evaluation)  { r.evals++ }
func (r *record) Saved(string, int)       { r.saves++ }
func (r *record) Warn(s string)           { r.warned = append(r.warned, s) }

func TestReports(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "c"))
	rec := &record{}
	o.Reporter, o.EvalEvery, o.SaveEvery, o.Best = rec, 0, 25, filepath.Join(t.TempDir(), "best")
	if _, err := Run(context.Background(), newBigram(4), data(), o); err != nil {
		t.Fatal(err)
	}
	if rec.steps != 60 || rec.evals != 3 || rec.saves < 3 {
		t.Errorf("%+v", rec)
	}
	if err := checkpoint.LoadWeights(o.Best, newBigram(4)); err != nil {
		t.Error(err)
	}
}

// TestNoStep holds that a run that is interrupted before its first step leaves the checkpoint that was there.
func TestNoStep(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "c"))
	if err := os.WriteFile(o.Path, []byte("a year of training"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r, err := Run(ctx, newBigram(4), data(), o); err != nil || !r.Interrupted {
		t.Errorf("%+v, %v", r, err)
	}
	if kept, _ := os.ReadFile(o.Path); string(kept) != "a year of training" {
		t.Error("the checkpoint is lost")
	}
}

// TestTime stops at once when no time is left, with a checkpoint.
func TestTime(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "c"))
	o.MaxTime = time.Nanosecond
	r, err := Run(context.Background(), newBigram(4), data(), o)
	if err != nil || !r.OutOfTime || r.Steps != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := checkpoint.Describe(o.Path); err != nil {
		t.Error(err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := Evaluate(ctx, newBigram(4), text(9)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestLog(t *testing.T) {
	var out strings.Builder
	log := NewLog(&out)
	o := options("")
	rec := &record{}
	o.Passes, o.EvalEvery, o.Reporter = 1, 10, Reporters(rec, log)
	if _, err := Run(context.Background(), newBigram(4), data(), o); err != nil || log.Err() != nil {
		t.Fatal(err, log.Err())
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if rec.steps != 20 || rec.evals != 2 || len(lines) != 22 {
		t.Fatalf("%+v, %d lines", rec, len(lines))
	}
	var first struct{ Step, Tokens, Loss, Norm, Rate, Seconds float64 }
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil || first.Step != 1 || first.Tokens != 2 ||
		!(first.Loss > 1) || first.Rate != 0.0125 {
		t.Errorf("%s: %+v, %v", lines[0], first, err)
	}
	if !strings.HasPrefix(lines[10], `{"step":10,"seconds":`) || !strings.Contains(lines[10], `"validation":`) ||
		!strings.HasSuffix(lines[10], `,"best":true}`) {
		t.Errorf("%s", lines[10])
	}
	// An error of the writer is kept and does not end the training.
	log = NewLog(failing{})
	o.Reporter = log
	if _, err := Run(context.Background(), newBigram(4), data(), o); err != nil || log.Err() == nil {
		t.Error(err, log.Err())
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestKept(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "c"))
	o.Keep = map[string]string{"rate": "0.1", "window": "7"}
	if _, err := Run(context.Background(), newBigram(4), data(), o); err != nil {
		t.Fatal(err)
	}
	i, err := checkpoint.Describe(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	if got := Kept(i.Training); !maps.Equal(got, o.Keep) {
		t.Errorf("kept %v, want %v", got, o.Keep)
	}
	if got := Kept(nil); len(got) != 0 {
		t.Errorf("nothing keeps %v", got)
	}
}

// TestAstray warns, once, of a training that makes a model worse than guessing.
func TestAstray(t *testing.T) {
	o, rec := options(""), &record{}
	o.Schedule, o.EvalEvery, o.Reporter = optim.Schedule{Rate: 100}, 5, rec
	if _, err := Run(context.Background(), newBigram(4), data(), o); err != nil {
		t.Fatal(err)
	}
	if len(rec.warned) != 1 || !strings.Contains(rec.warned[0], "guessing gives 1.386: the training goes astray; "+
		"lower the optimizer's rate") {
		t.Errorf("warned %q", rec.warned)
	}
}

// TestAllocations holds that steps and validations allocate nothing, once the memory is made.
func TestAllocations(t *testing.T) {
	count := func(steps int) float64 {
		d := data()
		d.Train.(*windows).reset, d.Validation.(*windows).reset = make([]int32, 2), make([]int32, 2)
		o := options("")
		o.Steps, o.EvalEvery = steps, 10
		return testing.AllocsPerRun(5, func() {
			if _, err := Run(context.Background(), newBigram(4), d, o); err != nil {
				t.Fatal(err)
			}
		})
	}
	if short, long := count(11), count(500); long > short {
		t.Errorf("11 steps allocate %v times, 500 steps %v times", short, long)
	}
}
