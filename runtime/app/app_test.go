package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// bench is a folder to run commands in, with a text.
type bench struct {
	t       *testing.T
	ctx     context.Context
	program Program
}

func newBench(t *testing.T) *bench {
	t.Chdir(t.TempDir())
	b := &bench{t, context.Background(), bigramProgram(nil)}
	b.file("book.txt", strings.Repeat("the cat sat on the mat. the dog sat on the log.\n", 40))
	return b
}

func (b *bench) file(name, content string) {
	b.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o777),
		os.WriteFile(name, []byte(content), 0o644)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) read(name string) string {
	b.t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(data)
}

// run runs a command that must succeed, and gives what it printed.
func (b *bench) run(args ...string) (out, errOut string) {
	b.t.Helper()
	var o, e bytes.Buffer
	if status := Run(b.ctx, b.program, args, &o, &e); status != 0 {
		b.t.Fatalf("%v: status %d, %s", args, status, e.String())
	}
	return o.String(), e.String()
}

// fails runs a command that must fail, with one line that has the words.
func (b *bench) fails(want string, args ...string) {
	b.t.Helper()
	var o, e bytes.Buffer
	status := Run(b.ctx, b.program, args, &o, &e)
	lines := strings.Split(strings.TrimSuffix(e.String(), "\n"), "\n")
	last := lines[len(lines)-1]
	if status != 1 || !strings.HasPrefix(last, "bigram: ") || !strings.Contains(last, want) {
		b.t.Errorf("%v: status %d, %q, want status 1 and one line with %q", args, status, e.String(), want)
	}
	if o.Len() > 0 {
		b.t.Errorf("%v: an error prints %q as its result", args, o.String())
	}
	if strings.Contains(e.String(), "goroutine") {
		b.t.Errorf("%v: a stack trace: %s", args, e.String())
	}
}

func contains(t *testing.T, what, s string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(s, want) {
			t.Errorf("%s is\n%s\nwithout %q", what, s, want)
		}
	}
}

func TestTrain(t *testing.T) {
	b := newBench(t)
	out, lines := b.run("train", "--data", "book.txt", "--samples", "2", "--verbose", "--log", "log.jsonl", "--best",
		"best.safetensors")
	contains(t, "the output", out, "step 106 of 106, done\n", "training    ", "validation  ",
		" nats a token, perplexity ", " bits a character", "checkpoint  bigram.safetensors\n", "--- sample 1 ---\n",
		"--- sample 2 ---\n")
	contains(t, "the progress", lines, "bigram: 841 parameters; book.txt: 1,728 tokens to learn, 192 to validate\n",
		"step 53/106  pass 1  loss ", "  validation ", "  best\n", "step 106 saved in bigram.safetensors\n")

	// The log has a line a step and a validation.
	steps, validations := 0, 0
	for line := range strings.Lines(b.read("log.jsonl")) {
		var l struct {
			Step             int
			Loss, Validation *float64
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.Loss != nil {
			steps++
		}
		if l.Validation != nil {
			validations++
		}
	}
	if steps != 106 || validations != 2 {
		t.Errorf("the log has %d steps and %d validations", steps, validations)
	}

	// What the training says of the validation text is what eval says of it.
	eval, _ := b.run("eval", "--data", "book.txt", "--last", "0.1")
	loss := regexp.MustCompile(`validation  (\d\.\d+ nats a token, perplexity [\d.]+)`).FindStringSubmatch(out)
	if loss == nil {
		t.Fatal("no validation loss")
	}
	contains(t, "eval", eval, "book.txt: 191 tokens, 192 characters\n", loss[1])
	b.run("eval", "--data", "book.txt", "--batch", "1")
	b.run("sample", "--model", "best.safetensors")
}

// A training that is interrupted and resumed, with the options of its beginning, ends with the same file.
func TestResume(t *testing.T) {
	b := newBench(t)
	args := []string{"train", "--data", "book.txt", "--steps", "90", "--rate", "0.3", "--window", "7", "--batch", "3",
		"--validation", "0.2", "--eval-every", "20", "--samples", "0", "--seed", "9"}
	b.run(append(args, "--out", "whole.safetensors")...)
	for _, stop := range []int{1, 20, 47, 89} {
		ctx, cancel := context.WithCancel(context.Background())
		c := *b
		c.ctx = ctx
		c.program = bigramProgram(func(m *bigram) {
			m.stepped = func(step int) {
				if step == stop {
					cancel()
				}
			}
		})
		out, _ := c.run(append(args, "--out", "part.safetensors", "--overwrite")...)
		contains(t, "the output", out, "interrupted; go on with bigram train --resume --out part.safetensors")
		_, lines := b.run("train", "--resume", "--out", "part.safetensors", "--samples", "0")
		contains(t, "the progress", lines, "going on after step")
		if b.read("part.safetensors") != b.read("whole.safetensors") {
			t.Errorf("stopped after step %d and resumed, the checkpoint has other bits", stop)
		}
	}
	// More steps than at first: flags that are given again count.
	out, _ := b.run("train", "--resume", "--out", "part.safetensors", "--steps", "95", "--samples", "0")
	contains(t, "the output", out, "step 95 of 95, done")
	out, _ = b.run("train", "--resume", "--out", "part.safetensors", "--passes", "2", "--samples", "0")
	contains(t, "the output", out, "step 146 of 146, done")
}

// A training that is resumed goes on with its log and its best parameters, in which nothing stands twice.
func TestResumeKeepsFiles(t *testing.T) {
	b := newBench(t)
	args := []string{"train", "--data", "book.txt", "--steps", "90", "--eval-every", "20", "--samples", "0"}
	b.run(append(args, "--log", "whole.jsonl", "--best", "whole.best", "--out", "whole.safetensors")...)
	ctx, cancel := context.WithCancel(context.Background())
	c := *b
	c.ctx = ctx
	c.program = bigramProgram(func(m *bigram) {
		m.stepped = func(step int) {
			if step == 47 {
				cancel()
			}
		}
	})
	c.run(append(args, "--log", "log.jsonl", "--best", "best")...)
	// As if it had been killed some steps later.
	b.file("log.jsonl", b.read("log.jsonl")+`{"step":48,"seconds":9,"loss":1,"norm":1,"rate":1,"tokens":32}`+"\n"+
		`{"step":49,"sec`)
	b.fails("log.jsonl exists: write over it with --overwrite", "train", "--data", "book.txt", "--out", "other",
		"--log", "log.jsonl")
	b.run("train", "--resume", "--samples", "0")
	timeless := func(name string) string {
		return regexp.MustCompile(`"(seconds|peak)":[-+\d.e]+`).ReplaceAllString(b.read(name), "")
	}
	if timeless("log.jsonl") != timeless("whole.jsonl") {
		t.Errorf("the log of a training that was resumed is\n%s", b.read("log.jsonl"))
	}
	if b.read("best") != b.read("whole.best") {
		t.Error("the best parameters are others")
	}
	before := b.read("log.jsonl")
	b.run("train", "--resume", "--samples", "0", "--steps", "95", "--log", "")
	if b.read("log.jsonl") != before {
		t.Error("a log that was left out is written")
	}
}

func TestMaxTime(t *testing.T) {
	b := newBench(t)
	out, _ := b.run("train", "--data", "book.txt", "--passes", "1000000", "--max-time", "50ms", "--samples", "0")
	contains(t, "the output", out, ", out of time\n",
		"warning     the cosine schedule was cut at a rate of 0.5, before its end at 0: with --steps ")
}

// Documents within a file; the separator is written as in Go.
func TestSeparator(t *testing.T) {
	b := newBench(t)
	b.run("train", "--data", "book.txt", "--steps", "3", "--separator", `log.\n`, "--samples", "0")
	one, _ := b.run("eval", "--data", "book.txt", "--batch", "1")
	two, _ := b.run("eval", "--data", "book.txt", "--batch", "1", "--separator", `.\n`)
	contains(t, "eval of one document", one, "book.txt: 1,919 tokens, 1,920 characters\n")
	contains(t, "eval of 40 documents", two, "book.txt: 1,880 tokens, 1,920 characters\n")
}

// A checkpoint is never lost, nor is a file of something else.
func TestNothingIsLost(t *testing.T) {
	b := newBench(t)
	b.run("train", "--data", "book.txt", "--steps", "3")
	before := b.read("bigram.safetensors")
	b.fails("bigram.safetensors exists: go on from it with --resume, begin anew with --overwrite", "train", "--data",
		"book.txt")
	b.fails("contradict", "train", "--resume", "--overwrite")
	b.fails("contradict", "train", "--resume", "--from", "x")
	b.file("notes.txt", "notes")
	for _, flag := range []string{"--out", "--best", "--log"} {
		b.fails("notes.txt is not a ", "train", "--data", "book.txt", flag, "notes.txt", "--overwrite")
	}
	if b.read("notes.txt") != "notes" {
		t.Error("a file is lost")
	}
	foreign := &checkpoint.File{Tensors: []checkpoint.Tensor{{Name: "x", Shape: []int{1}, Value: []float32{1}}}}
	if err := foreign.WriteFile("foreign.safetensors"); err != nil {
		t.Fatal(err)
	}
	b.fails("is not overwritten", "train", "--data", "book.txt", "--out", "foreign.safetensors", "--overwrite")
	// Errors that come after the checkpoint was looked at.
	b.fails("none.txt cannot be read", "train", "--data", "none.txt", "--overwrite")
	b.fails("in step 1, at rate 1e+07, the loss became NaN: lower the optimizer's rate, or clip the gradient's norm; "+
		"no checkpoint was written", "train", "--data", "book.txt", "--overwrite", "--rate", "1e7", "--guard",
		"none")
	b.fails("another text", "train", "--data", "book.txt", "--resume", "--validation", "0.3", "--steps", "9")
	b.fails("was trained with seed 1, this training has 2", "train", "--resume", "--seed", "2")
	if b.read("bigram.safetensors") != before {
		t.Error("the checkpoint has changed")
	}
	b.run("train", "--data", "book.txt", "--steps", "4", "--overwrite")
	if b.read("bigram.safetensors") == before {
		t.Error("--overwrite leaves the checkpoint")
	}
}

func TestTrainFrom(t *testing.T) {
	b := newBench(t)
	b.run("train", "--data", "book.txt", "--steps", "30", "--samples", "0")
	out, _ := b.run("train", "--data", "book.txt", "--steps", "1", "--from", "bigram.safetensors", "--out",
		"more.safetensors", "--samples", "0")
	contains(t, "the output", out, "step 1 of 1")
	m := b.program.New(1)
	if err := checkpoint.LoadWeights("bigram.safetensors", m); err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.SaveWeights("weights.safetensors", m); err != nil {
		t.Fatal(err)
	}
	b.fails("holds parameters alone and cannot be resumed: begin with them through --from", "train", "--resume",
		"--out", "weights.safetensors")
}

func TestBadInput(t *testing.T) {
	b := newBench(t)
	b.file("empty.txt", "")
	b.file("short.txt", "the cat sat on the mat.\n")
	b.file("unknown.txt", "the cat\nsat Ön the mat")
	b.file("latin1.txt", "the caf\xe9")
	if err := os.Mkdir("folder", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ want, args string }{
		{"none.txt cannot be read", "train --data none.txt"},
		{"empty.txt: the text is empty", "train --data empty.txt"},
		{"short.txt: the text has 21 tokens for training, one window of 4 sequences × 8 steps takes 33: give a " +
			"longer text", "train --data short.txt"},
		{`unknown.txt: line 2, column 5 (byte 12): the character "Ö" (U+00D6) is not in the vocabulary; add it to the vocabulary file`, "train --data unknown.txt"},
		{`latin1.txt: line 1, column 8 (byte 7): "\xe9" is not valid UTF-8; convert the text to UTF-8`,
			"train --data latin1.txt"},
		{"folder: no file is in it", "train --data folder"},
		{"a validation share of 1: it must be from 0 to below 1", "train --data book.txt --validation 1"},
		{"--batch 0: give 1 or more", "train --data book.txt --batch 0"},
		{"--batch 5: the model was made for at most 4, the shape in bigram.yaml", "train --data book.txt --batch 5"},
		{"--window 9: the model was made for at most 8", "train --data book.txt --window 9"},
		{"--passes 0 and --steps 0", "train --data book.txt --passes 0"},
		{"--steps -1: give 0 or more", "train --data book.txt --steps -1"},
		{"--eval-every -1", "train --data book.txt --eval-every -1"},
		{"--max-time -1s", "train --data book.txt --max-time -1s"},
		{"the learning rate is 0; it must be above 0", "train --data book.txt --rate 0"},
		{"--threads 0: give 1 or more", "train --data book.txt --threads 0"},
		{"can't write the checkpoint none/x.safetensors", "train --data book.txt --out none/x.safetensors"},
		{"can't write the checkpoint folder: it is not a file", "train --data book.txt --best folder"},
		{"can't write the log", "train --data book.txt --log none/log"},
		{"there is no checkpoint bigram.safetensors to resume", "train --resume"},
		{"can't read the checkpoint: open none", "train --data book.txt --from none"},
		{"there is no checkpoint bigram.safetensors: train the model first", "sample"},
		{"there is no checkpoint none: train the model first, or name one with --model", "eval --model none"},
		{"not a safetensors file", "sample --model book.txt"},
		{`unknown command "trian" for "bigram" Did you mean this? train`, "trian"},
		{"has no flag --bogus", "train --bogus"},
		{`train takes flags only, not "book.txt"`, "train book.txt"},
		{`invalid argument "x" for "--steps"`, "train --steps x"},
		{"--last 0: give a share", "eval --last 0"},
		{"--batch 9: give 1 to 4", "eval --batch 9"},
		{"--number 0", "sample --number 0"},
	} {
		b.fails(c.want, strings.Fields(c.args)...)
	}
	left, _ := filepath.Glob("*safetensors*")
	if len(left) > 0 {
		t.Errorf("files are left behind: %v", left)
	}
}

func TestBadSampling(t *testing.T) {
	b := newBench(t)
	b.run("train", "--data", "book.txt", "--steps", "3", "--samples", "0")
	b.fails(`prompt: line 1, column 1 (byte 0): the character "É"`, "sample", "--prompt", "É")
	b.fails("top-p 2", "sample", "--top-p", "2")
	b.fails("temperature -1", "sample", "--temperature", "-1")
	b.fails("--beam -1: give 0 or more", "sample", "--beam", "-1")
	data := b.read("bigram.safetensors")
	b.file("truncated.safetensors", data[:len(data)-5])
	b.fails(`truncated.safetensors: is truncated: tensor "training/state"`, "sample", "--model",
		"truncated.safetensors")
	b.fails("is truncated", "train", "--resume", "--out", "truncated.safetensors")
	b.program.Info.Architecture = "another"
	b.fails("is of another spec (model bigram)", "sample")
	b.fails("is of another spec (model bigram)", "train", "--resume")
}

func TestSample(t *testing.T) {
	b := newBench(t)
	b.run("train", "--data", "book.txt", "--passes", "20", "--samples", "0")
	one, _ := b.run("sample", "--prompt", "the ", "--tokens", "40", "--seed", "3")
	two, _ := b.run("sample", "--prompt", "the ", "--tokens", "40", "--seed", "3")
	if one != two || !strings.HasPrefix(one, "the ") || !strings.HasSuffix(one, "\n") ||
		len(strings.TrimSuffix(one, "\n")) < 43 {
		t.Errorf("samples %q and %q", one, two)
	}
	greedy, _ := b.run("sample", "--prompt", "the c", "--tokens", "8", "--temperature", "0")
	contains(t, "the greedy sample", greedy, "the cat")
	stopped, _ := b.run("sample", "--prompt", "t", "--tokens", "-1", "--seed", "1", "--stop", `\n`)
	if strings.Count(stopped, "\n") != 1 {
		t.Errorf("the sample is %q", stopped)
	}
	many, _ := b.run("sample", "--number", "2", "--tokens", "5", "--seed", "1", "--top-k", "3", "--top-p", "0.9",
		"--min-p", "0.1", "--typical", "0.9", "--repetition-penalty", "1.1", "--frequency-penalty", "0.1",
		"--presence-penalty", "0.1")
	contains(t, "the samples", many, "--- sample 1 ---\n", "--- sample 2 ---\n")
	beam, _ := b.run("sample", "--prompt", "the c", "--tokens", "3", "--beam", "2")
	contains(t, "the beam", beam, "the c", "(log-probability -")
	nothing, _ := b.run("sample", "--prompt", "the c", "--tokens", "0")
	if nothing != "the c\n" {
		t.Errorf("no tokens are %q", nothing)
	}

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, errOut bytes.Buffer
	if status := Run(ctx, b.program, []string{"sample"}, &out, &errOut); status != 130 || errOut.Len() > 0 {
		t.Errorf("interrupted: status %d, %q", status, errOut.String())
	}
}

func TestInfo(t *testing.T) {
	b := newBench(t)
	out, _ := b.run("info")
	contains(t, "info", out, "bigram, a model of kind rnn, from bigram.yaml\n",
		"table  dense  steps × batch × 29  841         29\n", "29 tokens; windows of up to 4 sequences × 8 steps\n",
		"memory: 9.9 KiB to train, 3.3 KiB to write text\n", "spec 0123456789ab,")
	b.run("train", "--data", "book.txt", "--steps", "3", "--samples", "0")
	out, _ = b.run("info")
	contains(t, "info", out, "bigram.safetensors: 1,686 numbers of type f32 in 3 tensors, of the model bigram, spec "+
		"0123456789ab\n", "step 3, seed 1\n", "  window 3\n", "  --steps 3\n",
		"whole: it has the digests that were written with it\n")
	b.failsAfterwards("can't read the checkpoint", "info", "none")
	b.program.Info.Architecture = "another"
	b.failsAfterwards("is of another spec", "info", "bigram.safetensors")
}

// failsAfterwards is fails for a command that prints before its error.
func (b *bench) failsAfterwards(want string, args ...string) {
	b.t.Helper()
	var o, e bytes.Buffer
	if status := Run(b.ctx, b.program, args, &o, &e); status != 1 || !strings.Contains(e.String(), want) {
		b.t.Errorf("%v: status %d, %q, want %q", args, status, e.String(), want)
	}
}

func TestHelp(t *testing.T) {
	b := newBench(t)
	for _, args := range [][]string{{}, {"--help"}, {"help"}} {
		out, _ := b.run(args...)
		contains(t, "help", out, "bigram train --data book.txt", "Available Commands:", "completion")
	}
	out, _ := b.run("train", "--help")
	contains(t, "help of train", out, "--resume", "--max-time TIME", "(default \"bigram.safetensors\")")
	out, _ = b.run("completion", "bash")
	contains(t, "completion", out, "bash completion")
}

// The text that is learnt when no flag says otherwise.
func TestData(t *testing.T) {
	b := newBench(t)
	a := &program{Program: b.program}
	if got, err := a.data(b.ctx, "x"); got != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	a.Data = "book.txt"
	if got, err := a.data(b.ctx, ""); got != "book.txt" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	a.Data = "none.txt"
	if _, err := a.data(b.ctx, ""); err == nil ||
		!strings.Contains(err.Error(), "the default text is missing (stat none.txt: no such file or directory): name "+
			"a text with --data FILE") {
		t.Errorf("%v", err)
	}
	a.Data, a.Tokenizer = "", text.Bytes()
	if got, err := a.data(b.ctx, ""); err != nil || !strings.HasSuffix(filepath.ToSlash(got), opticks) {
		t.Errorf("%q, %v", got, err)
	}
	t.Setenv("PATH", "")
	if _, err := a.data(b.ctx, ""); err == nil || !strings.Contains(err.Error(), "name one with --data FILE") {
		t.Errorf("%v", err)
	}
}

// Lines come every few seconds by the clock, and speed and time left leave validations out.
func TestProgressLines(t *testing.T) {
	var out bytes.Buffer
	clock := time.Unix(0, 0)
	p := newProgress(&out, false, 120*time.Second)
	p.made = clock
	p.now = func() time.Time { return clock }
	p.Resumed(100, 200)
	for step := 101; step <= 120; step++ {
		p.Step(train.Progress{Step: step, Total: 200, Pass: 1, Loss: 2, Tokens: 1000})
		clock = clock.Add(time.Second)
		if step == 110 {
			clock = clock.Add(30 * time.Second)
			p.Evaluated(train.Evaluation{Step: step, Total: 200, Pass: 1, Loss: 2.5, Best: true,
				Took: 30 * time.Second})
		}
	}
	p.Saved("x", 3)
	p.Warn("careful")
	p.end()
	want := `going on after step 100 of 200
step 106/200  loss 2.0000  1.0k tokens/s  1m34s left
step 110/200  pass 1  loss 2.0000  validation 2.5000  best
step 111/200  loss 2.0000  1.0k tokens/s  1m20s left
step 116/200  loss 2.0000  1.0k tokens/s  1m15s left
warning: careful
`
	if out.String() != want {
		t.Errorf("the lines are\n%swant\n%s", out.String(), want)
	}
}

// Steps that are not made as pretraining ends early take no time, so those that are left take as long as the others.
func TestProgressSkips(t *testing.T) {
	var out bytes.Buffer
	clock := time.Unix(0, 0)
	p := newProgress(&out, false, 0)
	p.now = func() time.Time { return clock }
	for _, step := range []int{1, 2, 3, 4, 5, 91, 92, 93, 94, 95, 96} {
		p.Step(train.Progress{Step: step, Total: 100, Pass: 1, Loss: 2, Tokens: 1000})
		clock = clock.Add(time.Second)
	}
	want := "step 91/100  loss 2.0000  1.0k tokens/s  9.0s left\n" +
		"step 96/100  loss 2.0000  1.0k tokens/s  4.0s left\n"
	if out.String() != want {
		t.Errorf("the lines are\n%swant\n%s", out.String(), want)
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{thousands(0), "0"}, {thousands(999), "999"}, {thousands(1000), "1,000"}, {thousands(-1234567), "-1,234,567"},
		{short(950), "950"}, {short(12345), "12.3k"}, {short(123456), "123k"}, {short(4.56e6), "4.56M"},
		{duration(1200 * time.Millisecond), "1.2s"}, {duration(59 * time.Second), "59s"},
		{duration(200 * time.Second), "3m20s"}, {duration(7500 * time.Second), "2h05m"},
		{duration(-time.Second), "0.0s"},
		{bytesize(999), "999 B"}, {bytesize(1536), "1.5 KiB"}, {bytesize(52921856), "50.5 MiB"},
		{bytesize(int64(3) << 30), "3.00 GiB"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

var _ model.LanguageModel = (*bigram)(nil)

// TestExport writes parameters alone, in both types, and reads them back.
func TestExport(t *testing.T) {
	t.Chdir(t.TempDir())
	book := strings.Repeat("to be or not to be\n", 40)
	if err := os.WriteFile("book.txt", []byte(book), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, string, int) {
		var out, errOut bytes.Buffer
		status := Run(context.Background(), bigramProgram(nil), args, &out, &errOut)
		return out.String(), errOut.String(), status
	}
	ok := func(args ...string) string {
		t.Helper()
		out, errOut, status := run(args...)
		if status != 0 {
			t.Fatalf("%v: status %d, %s", args, status, errOut)
		}
		return out
	}
	ok("train", "--data", "book.txt", "--steps", "3")
	for _, c := range []struct{ as, want string }{{"f32", "numbers of type f32"}, {"bf16", "numbers of type bf16"}} {
		ok("export", "-o", c.as, "--type", c.as)
		if out := ok("info", c.as); !strings.Contains(out, c.want) || !strings.Contains(out, "parameters alone") {
			t.Errorf("info of %s says\n%s", c.as, out)
		}
		ok("sample", "--model", c.as, "--tokens", "5", "--seed", "1")
	}
	wide, err := os.Stat("f32")
	if err != nil {
		t.Fatal(err)
	}
	if narrow, err := os.Stat("bf16"); err != nil || narrow.Size() > wide.Size() {
		t.Errorf("bf16 has %v bytes and f32 %d", narrow, wide.Size())
	}
	for want, args := range map[string][]string{
		"give f32 or bf16":  {"export", "--type", "int8"},
		"is the same file":  {"export", "-o", "bigram.safetensors"},
		"there is no":       {"export", "--model", "none"},
		"cannot be resumed": {"train", "--resume", "--out", "f32"},
	} {
		if _, errOut, status := run(args...); status == 0 || !strings.Contains(errOut, want) {
			t.Errorf("%v: status %d, %q, want %q", args, status, errOut, want)
		}
	}
}
