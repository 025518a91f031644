package app_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/adapter"
	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/runtime/app"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// run runs a command of a program, and gives its output, its status and what it says beside.
func run(p app.Program, args ...string) (string, int, string) {
	var out, errOut bytes.Buffer
	status := app.Run(context.Background(), p, args, &out, &errOut)
	return out.String(), status, errOut.String()
}

func must(t *testing.T, p app.Program, args ...string) (out, errOut string) {
	t.Helper()
	out, status, errOut := run(p, args...)
	if status != 0 {
		t.Fatalf("%v: status %d, %s", args, status, errOut)
	}
	return out, errOut
}

func book(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("book.txt", []byte(strings.Repeat("ROMEO:\nO, she doth teach the torches to burn bright!\n"+
		"\nJULIET:\nMy bounty is as boundless as the sea.\n\n", 60)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		t.Errorf("%s and %s differ", a, b)
	}
}

// TestTune trains parts of a model: what is frozen keeps its bits and has no memory of the optimizer, what learns
// alone learns as it would, and a training that is resumed ends with the same bits.
func TestTune(t *testing.T) {
	book(t)
	p := gptnano.Program()
	_, errOut := must(t, p, "train", "--data", "book.txt", "--steps", "4", "--out", "base", "--samples", "0")
	if strings.Contains(errOut, "learn\n") {
		t.Errorf("all learns, and training says %s", errOut)
	}
	part := []string{"train", "--data", "book.txt", "--from", "base", "--samples", "0", "--train", "blocks.[2-4], ln",
		"--freeze", "blocks.3,*.wup", "--rate-of", "blocks.*=0.5,blocks.4.wo=2"}
	_, errOut = must(t, p, append(part, "--steps", "8", "--out", "through")...)
	// a block has 198,272 parameters, of which wup has 65,536
	if want := "809,856 parameters, of which 265,728 learn"; !strings.Contains(errOut, want) {
		t.Errorf("training says %s without %q", errOut, want)
	}
	must(t, p, append(part, "--steps", "3", "--out", "broken")...)
	must(t, p, "train", "--resume", "--out", "broken", "--steps", "8", "--samples", "0")
	same(t, "through", "broken")

	base, tuned := load(t, "base"), load(t, "through")
	for i, x := range base.Tensors() {
		layer, _, _ := strings.Cut(strings.TrimPrefix(x.Name, "blocks."), ".")
		moves := slices.Contains([]string{"2", "4", "ln"}, layer) && !strings.HasSuffix(x.Name, ".wup")
		if slices.Equal(x.Value, tuned.Tensors()[i].Value) == moves {
			t.Errorf("%s moves: %v, want %v", x.Name, !moves, moves)
		}
	}

	for _, c := range []struct{ want, flag, value string }{
		{`the pattern "decoder.*" matches no parameter: there are tok.table, pos.table, blocks.1.norm1_gain, `, "--train",
			"decoder.*"},
		{`the pattern "blocks.5" matches no parameter`, "--freeze", "blocks.1,blocks.5"},
		{`the pattern "[" is not valid`, "--freeze", "["},
		{`the pattern "" is not valid`, "--freeze", "ln,"},
		{"all parameters are frozen", "--freeze", "*"},
		{"--rate-of tok: give a pattern and a factor", "--rate-of", "tok"},
		{"the factor -1 of the rate of \"tok\": give a number above 0", "--rate-of", "tok=-1"},
		{"the factor NaN", "--rate-of", "tok=NaN"},
		{`the pattern "out" matches no parameter`, "--rate-of", "out=2"}, // whose matrix is the embedding's
	} {
		out, status, message := run(p, "train", "--data", "book.txt", "--out", "none", c.flag, c.value)
		if status != 1 || out != "" || strings.Count(message, "\n") != 1 || !strings.Contains(message, c.want) {
			t.Errorf("%s %s: status %d, %q, want a line with %q", c.flag, c.value, status, message, c.want)
		}
	}
	if _, err := os.Stat("none"); err == nil {
		t.Error("a training that is refused leaves a checkpoint")
	}
	if _, _, message := run(p, "train", "--resume", "--out", "broken", "--steps", "9", "--freeze", "tok"); !strings.
		Contains(message, "which parameters learn?") {
		t.Errorf("resuming with other patterns says %s", message)
	}
}

func load(t *testing.T, path string) *gptnano.Model {
	t.Helper()
	m, err := gptnano.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// window is a batch of gptnano's, another one for each n.
func window(n uint64) *model.Batch {
	b := &model.Batch{Steps: 12, Batch: 5, Tokens: make([]int32, 60), Targets: make([]int32, 60),
		Reset: make([]int32, 60)}
	for i := range b.Tokens {
		b.Tokens[i] = int32(model.Key(n, uint64(i)) % 65)
		b.Targets[i] = int32(model.Key(n, uint64(i+5)) % 65)
	}
	return b
}

// TestTuneRuns holds a training in runs to one of the whole: where all runs have one rate the bits are the same, and
// the norm is that of what moves.
func TestTuneRuns(t *testing.T) {
	train := func(by model.Tuning) (*gptnano.Model, []float64) {
		m := gptnano.New()
		if err := m.Tune(by); err != nil {
			t.Fatal(err)
		}
		var norms []float64
		for i := range uint64(3) {
			_, norm, err := m.TrainStep(window(i), 0.01)
			if err != nil {
				t.Fatal(err)
			}
			norms = append(norms, norm)
		}
		return m, norms
	}
	whole, norms := train(model.Tuning{})
	runs, same := train(model.Tuning{Train: []string{"*"}, Rates: []model.RateOf{{Pattern: "*", Factor: 2},
		{Pattern: "*", Factor: 1}, {Pattern: "blocks.*.wo", Factor: math.Nextafter(1, 2)}}}) // the same in float32
	if !slices.Equal(norms, same) || len(whole.Slots()) != 2 || len(runs.Slots()) != 2*(4+5) {
		t.Errorf("the norms are %v and %v, of %d and %d arrays", norms, same, len(whole.Slots()), len(runs.Slots()))
	}
	for i, x := range whole.Tensors() {
		if !slices.Equal(x.Value, runs.Tensors()[i].Value) {
			t.Errorf("%s has other bits", x.Name)
		}
	}
	part, less := train(model.Tuning{Freeze: []string{"blocks"}})
	sum := 0.0
	for _, x := range part.Tensors() {
		if strings.HasPrefix(x.Name, "blocks.") {
			continue
		}
		for _, g := range x.Grad {
			sum += float64(g) * float64(g)
		}
	}
	if last := less[len(less)-1]; math.Abs(last-math.Sqrt(sum)) > 1e-6*last || less[0] >= norms[0] {
		t.Errorf("the norm of what moves is %v, of all %v; want %v", less, norms, math.Sqrt(sum))
	}
	numbers := 0
	for _, s := range part.Slots() {
		numbers += len(s.Value)
	}
	if want := 2 * (part.Info().Params - 793088); numbers != want {
		t.Errorf("the optimizer keeps %d numbers, want %d", numbers, want)
	}
	if err := part.Tune(model.Tuning{}); err == nil || !strings.Contains(err.Error(), "before its first step") {
		t.Errorf("tuning a training that runs: %v", err)
	}
}

// mounted notes the matrices that its decoders read.
type mounted struct {
	*adapter.Model
	matrices map[string]*weights.Matrix
}

func (m *mounted) Mount(l *weights.Layout) error {
	l.Made = func(name string, _ weights.Form, x *weights.Matrix) { m.matrices[name] = x }
	return m.Model.Mount(l)
}

// TestAdaptersShare holds that models with adapters over one base have its matrices in common, and compute what they
// would by themselves, with weights of every kind.
func TestAdaptersShare(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := checkpoint.SaveBase(path("base"), adapter.NewSeeded(9), checkpoint.F32); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"one", "two"} {
		m := adapter.NewSeeded(uint64(i))
		for _, x := range model.Adaptions(m) {
			for j := range x.B.Value {
				x.B.Value[j] = float32(model.Key(uint64(i), uint64(j))%100)/100 - 0.5
			}
		}
		if err := checkpoint.SaveAdapter(path(name), m); err != nil {
			t.Fatal(err)
		}
	}
	load := func() *adapter.Model {
		m, err := adapter.Load(path("base"))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	step := func(m model.Writer) []float32 {
		y, err := m.MakeDecoder(1).Step([]int32{3})
		if err != nil {
			t.Fatal(err)
		}
		return y
	}
	for _, kind := range weights.Kinds() {
		base, err := checkpoint.NewBase(load(), kind)
		if err != nil {
			t.Fatal(err)
		}
		var all []*mounted
		for _, name := range []string{"one", "two", ""} {
			m := &mounted{adapter.Program().Empty().(*adapter.Model), map[string]*weights.Matrix{}}
			file, alone := "", load()
			if name != "" {
				file = path(name)
				if err := checkpoint.LoadAdapter(file, alone); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(base.Adapt(file, m), alone.Pack(kind)); err != nil {
				t.Fatal(err)
			}
			if got, want := step(m), step(alone); !slices.Equal(got, want) {
				t.Errorf("%v, %q: logits %v, and alone %v", kind, name, got, want)
			}
			all = append(all, m)
		}
		shared := 0
		for name, x := range all[0].matrices {
			own := strings.Contains(name, "_lora_")
			if same := x == all[1].matrices[name] && x == all[2].matrices[name]; same == own {
				t.Errorf("%v: %s is in common: %v", kind, name, same)
			} else if same {
				shared++
			}
		}
		if shared != 14 { // a table, four matrices of each of three blocks, and the last one
			t.Errorf("%v: %d matrices are in common", kind, shared)
		}
	}
	base, err := checkpoint.NewBase(load(), weights.F32)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{path("base"): "does not have the adapter", path("gone"): "gone"} {
		if err := base.Adapt(file, adapter.New()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
	if err := base.Adapt("", gptnano.New()); err == nil || !strings.Contains(err.Error(), "is of another spec") {
		t.Errorf("another model: %v", err)
	}
}

// TestAdapter trains an adapter on a model that was trained without one: resumed it has the same bits, the model below
// stays as it is, and merged it gives the logits that it gives beside it.
func TestAdapter(t *testing.T) {
	t.Chdir(t.TempDir())
	var text strings.Builder
	for i := range 400 {
		text.WriteString([]string{"abcabc", "cab", "abba", "aabb"}[model.Key(1, uint64(i))%4])
	}
	write := func(name, s string) {
		if err := os.WriteFile(name, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("book.txt", text.String())
	p := adapter.Program()
	refuse := func(want string, args ...string) {
		t.Helper()
		out, status, message := run(p, args...)
		if status != 1 || out != "" || strings.Count(message, "\n") != 1 || !strings.Contains(message, want) {
			t.Errorf("%v: status %d, %q, want a line with %q", args, status, message, want)
		}
	}
	train := []string{"train", "--data", "book.txt", "--samples", "0", "--rate", "0.05"}
	refuse("an adapter is trained on a model that has learnt something", train...)

	// What comes before is trained by the spec without the adapter; here it is random, which does not matter.
	if err := checkpoint.SaveBase("base", adapter.NewSeeded(9), checkpoint.F32); err != nil {
		t.Fatal(err)
	}
	train = append(train, "--from", "base")
	_, errOut := must(t, p, append(train, "--steps", "30", "--adapter", "through")...)
	if want := "1,752 parameters, of which 388 learn"; !strings.Contains(errOut, want) {
		t.Errorf("training says %s without %q", errOut, want)
	}
	must(t, p, append(train, "--steps", "11", "--out", "broken")...)
	must(t, p, "train", "--resume", "--adapter", "broken", "--steps", "30", "--samples", "0")
	same(t, "through", "broken")

	loss := func(args ...string) string {
		out, _ := must(t, p, append([]string{"eval", "--data", "book.txt"}, args...)...)
		return out
	}
	before, after := loss("--model", "base"), loss("--model", "base", "--adapter", "through")
	if before == after || before != loss("--model", "base", "--adapter", "none") {
		t.Errorf("before %s, after %s", before, after)
	}
	must(t, p, "merge", "--model", "base", "--adapter", "through", "-o", "merged")

	logits := func(m *adapter.Model) []float32 {
		b := &model.Batch{Steps: 6, Batch: 3, Tokens: make([]int32, 18), Targets: make([]int32, 18),
			Reset: make([]int32, 18)}
		for i := range b.Tokens {
			b.Tokens[i] = int32(model.Key(3, uint64(i)) % 6)
		}
		y, err := m.Logits(b)
		if err != nil {
			t.Fatal(err)
		}
		return y
	}
	read := func(base, over string) *adapter.Model {
		m, err := adapter.Load(base)
		if err != nil {
			t.Fatal(err)
		}
		if over != "" {
			if err := checkpoint.LoadAdapter(over, m); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
	beside, merged, plain := logits(read("base", "through")), logits(read("merged", "")), logits(read("base", ""))
	far := 0.0
	for i, x := range beside {
		if d := math.Abs(float64(x - merged[i])); !(d <= 1e-5) {
			t.Fatalf("logit %d is %v, merged %v", i, x, merged[i])
		}
		far = max(far, math.Abs(float64(x-plain[i])))
	}
	if far < 0.1 {
		t.Errorf("the adapter changes logits by %v at the most", far)
	}

	// What a file has of the adapter alone is read as well; tensors have the names and layout of the PEFT library.
	m := read("base", "through")
	if err := checkpoint.SaveAdapter("alone", m); err != nil {
		t.Fatal(err)
	}
	if alone := logits(read("base", "alone")); !slices.Equal(alone, beside) {
		t.Error("the adapter alone gives other logits")
	}
	header, err := os.ReadFile("alone")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"base_model.model.decoder_block_attention.2.wqkv.lora_A.weight":{"dtype":"F32","shape":[2,8],`,
		`"base_model.model.decoder_block_attention.2.wqkv.lora_B.weight":{"dtype":"F32","shape":[16,2],`,
		`"base_model.model.out.w.lora_B.weight":{"dtype":"F32","shape":[6,2],`,
	} {
		if !bytes.Contains(header, []byte(want)) {
			t.Errorf("the file has no %s: %.300s", want, header)
		}
	}
	// All of it, in one file.
	if err := m.Save("whole"); err != nil {
		t.Fatal(err)
	}
	if whole := logits(read("whole", "")); !slices.Equal(whole, beside) {
		t.Error("what Save wrote gives other logits")
	}

	refuse("is an adapter, without the parameters that it adapts", "eval", "--data", "book.txt", "--model", "through")
	refuse("does not have the adapter of model.yaml: has no tensor base_model.model.decoder_block_attention.1.wqkv.lora_A",
		"eval", "--data", "book.txt", "--model", "base", "--adapter", "base")
	refuse("no such file", "eval", "--data", "book.txt", "--model", "base", "--adapter", "nothing")
	refuse("is a folder: one of the PEFT library", "eval", "--data", "book.txt", "--model", "base", "--adapter", ".")
	refuse("--adapter is given more than once", "eval", "--model", "base", "--adapter", "a", "--adapter", "b")
	refuse("there is no adapter to merge", "merge", "--model", "base")
	refuse("both name what is written", append(train, "--adapter", "a", "--out", "b")...)
	refuse("through exists", append(train, "--adapter", "through")...)
	write("merged2", "")
	must(t, p, "merge", "--model", "base", "--adapter", "through", "-o", "merged2")
	refuse("was trained on another checkpoint than merged", "train", "--resume", "--adapter", "broken", "--from",
		"merged", "--steps", "31")
	if _, status, message := run(gptnano.Program(), "eval", "--data", "book.txt", "--model", "through"); status != 1 ||
		!strings.Contains(message, "is an adapter") {
		t.Errorf("a model without an adapter reads one: %s", message)
	}
}
