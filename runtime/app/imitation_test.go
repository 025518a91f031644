package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/verses"
	"github.com/gradsmith/gradsmith/runtime/app"
	"github.com/gradsmith/gradsmith/runtime/cluster"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
	"github.com/gradsmith/gradsmith/runtime/schedule"
	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// TestLines takes adversarial networks of text through their commands.
func TestLines(t *testing.T) {
	t.Chdir(t.TempDir())
	// Lines that rise by one, from numbers of their own.
	var lines strings.Builder
	for i := range 300 {
		for k := range 6 {
			fmt.Fprintf(&lines, "%d ", (i+k)%23)
		}
		lines.WriteByte('\n')
	}
	for name, data := range map[string]string{"rising.txt": lines.String(), "short.txt": "1 2 3 4 5 6\n1 2 3\n",
		"wrong.txt": "1 2 3 4 5 23\n", "few.txt": "1 2 3 4 5 6\n2 3 4 5 6 7\n", "empty.txt": ""} {
		if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
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
		status, out, errOut := start(background, verses.Program(), args...)
		if status != 0 {
			t.Fatalf("%v: status %d, %s", args, status, errOut)
		}
		return out
	}
	args := []string{"train", "--data", "rising.txt", "--passes", "2", "--log", "log.json"}
	if out := run(append(args, "--out", "verses.safetensors", "--threads", "1")...); !strings.Contains(out,
		"nats a token") {
		t.Errorf("train says\n%s", out)
	}

	// Stopped among the steps of both networks, and resumed, it ends with the same bits.
	for _, at := range []int{20, 32, 50} {
		ctx, cancel := context.WithCancel(background)
		p := verses.Program()
		fresh := p.New
		p.New = func(seed uint64) model.LanguageModel {
			return dueling{hooked{fresh(seed), func(step int) {
				if step == at {
					cancel()
				}
			}}}
		}
		if status, _, errOut := start(ctx, p,
			append(args, "--out", "part.safetensors", "--overwrite", "--threads", "2")...); status != 0 {
			t.Fatal(errOut)
		}
		run("train", "--resume", "--out", "part.safetensors")
		whole, err := os.ReadFile("verses.safetensors")
		if err != nil {
			t.Fatal(err)
		}
		if part, err := os.ReadFile("part.safetensors"); err != nil || !bytes.Equal(whole, part) {
			t.Errorf("interrupted at step %d and resumed, the training ends with other bits (%v)", at, err)
		}
	}

	eval := run("eval", "--data", "rising.txt", "--samples", "200")
	if nll := number(t, eval, `NLL-gen ([\d.]+)`); !(nll > 0 && nll < 3.2) || !strings.Contains(eval, "self-BLEU") {
		t.Errorf("eval says\n%s", eval)
	}
	eval = run("eval", "--data", "rising.txt", "--samples", "200", "--temperatures", "0.2,1", "--plane", "plane.json",
		"--curve", "short")
	cold, warm := number(t, eval, `temperature 0\.2 +([\d.]+)`), number(t, eval, `temperature 1 +([\d.]+)`)
	if !(cold > warm) || strings.Count(eval, "NLL-gen") != 1 || !strings.Contains(eval, "the file") {
		t.Errorf("eval at two temperatures says\n%s", eval)
	}
	run("eval", "--data", "rising.txt", "--samples", "20", "--plane", "plane.json", "--temperature", "0.9")
	run("eval", "--data", "rising.txt", "--samples", "20", "--plane", "plane.json", "--temperatures", "0.5,0.7,1.1")
	var plane struct {
		X, Y   string
		Curves []struct {
			Name   string
			Points []struct {
				X, Y  float64
				Label string
			}
		}
	}
	if data, err := os.ReadFile("plane.json"); err != nil || json.Unmarshal(data, &plane) != nil ||
		len(plane.Curves) != 2 {
		t.Fatalf("the curves are\n%s (%v)", data, err)
	}
	first, second := plane.Curves[0], plane.Curves[1]
	if first.Name != "short" || len(first.Points) != 2 || second.Name != "verses" || len(second.Points) != 3 ||
		second.Points[2].Label != "1.1" {
		t.Errorf("the curves are %+v", plane.Curves)
	}
	for _, p := range first.Points {
		if !(p.X > 0 && p.X <= 1 && p.Y > 0 && p.Y <= 1) {
			t.Errorf("a point is at %v of BLEU-5 and %v of self-BLEU-5", p.X, p.Y)
		}
	}
	if err := os.WriteFile("other.json", []byte(`{"a": 1}`), 0o644); err != nil {
		t.Fatal(err)
	}

	sample := run("sample", "-n", "20")
	if sample != run("sample", "-n", "20") || sample == run("sample", "-n", "20", "--seed", "2") ||
		strings.Count(sample, "\n") != 20 {
		t.Errorf("20 samples are\n%s", sample)
	}
	if err := os.WriteFile("samples.txt", []byte(sample), 0o644); err != nil {
		t.Fatal(err)
	}
	if s := run("score", "--data", "samples.txt"); strings.Count(s, "\n") != 20 {
		t.Errorf("the scores of 20 lines are\n%s", s)
	}
	if s := run("info"); !strings.Contains(s, "conv1d") {
		t.Errorf("info says\n%s", s)
	}

	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"train", "--data", "short.txt", "--out", "x"}, "short.txt:2: "},
		{[]string{"train", "--data", "wrong.txt", "--out", "x"}, "wrong.txt:1: "},
		{[]string{"train", "--data", "few.txt", "--validation", "0", "--out", "x"}, "do not fill a batch"},
		{[]string{"train", "--data", "empty.txt", "--out", "x"}, "there are no lines"},
		{[]string{"train", "--data", "none.txt", "--out", "x"}, "none.txt cannot be read"},
		{[]string{"train", "--out", "x"}, "--data"},
		{[]string{"eval", "--data", "short.txt"}, "short.txt:2: "},
		{[]string{"eval", "--data", "rising.txt", "--samples", "1"}, "two lines"},
		{[]string{"eval", "--data", "rising.txt", "--temperatures", "1,0"}, "above 0"},
		{[]string{"eval", "--data", "rising.txt", "--plane", "other.json"}, "other.json: not a file of curves"},
		{[]string{"sample", "-n", "0"}, "1 to 1000000"},
		{[]string{"sample", "--temperature", "0"}, "above 0"},
		{[]string{"score", "--data", "wrong.txt"}, "wrong.txt:1: "},
		{[]string{"score", "--data", "rising.txt", "--model", "none"}, "no checkpoint"},
	} {
		if status, _, errOut := start(background, verses.Program(), c.args...); status != 1 ||
			!strings.Contains(errOut, c.want) {
			t.Errorf("%v: status %d, %q, want %q", c.args, status, errOut, c.want)
		}
	}
}

// TestLinesEarly holds that networks of text with an average, whose pretraining ends early and which stop for their
// tolerance, go on to the same files from wherever they are stopped, on any number of threads, and that what was best
// is kept.
func TestLinesEarly(t *testing.T) {
	t.Chdir(t.TempDir())
	var lines strings.Builder
	for i := range 300 {
		for k := range 6 {
			fmt.Fprintf(&lines, "%d ", (i+k)%23)
		}
		lines.WriteByte('\n')
	}
	if err := os.WriteFile("rising.txt", []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	start := func(ctx context.Context, p app.Program, args ...string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		if status := app.Run(ctx, p, args, &out, &errOut); status != 0 {
			t.Fatalf("%v: status %d, %s", args, status, errOut.String())
		}
		return out.String() + errOut.String()
	}
	// At this rate the loss of pretraining does not fall for long.
	args := []string{"train", "--data", "rising.txt", "--steps", "90", "--rate", "0.05", "--eval-every", "3", "--ema",
		"0.5", "--pretraining-patience", "2", "--tolerance", "0.3", "--patience", "2", "--out"}
	background := context.Background()
	said := start(background, verses.Program(), append(args, "whole.safetensors", "--threads", "1")...)
	for _, text := range []string{": pretraining ends: the validation loss has not become lower for ",
		": the training stops: the validation loss has been more than 0.3 above the lowest, ",
		"stopped: 2 validations with a loss more than 0.3 above the lowest\n", "best        whole.best.safetensors, "} {
		if !strings.Contains(said, text) {
			t.Errorf("train says\n%s\nwithout %q", said, text)
		}
	}
	ended := int(number(t, said, `step (\d+): pretraining ends`))
	stopped := int(number(t, said, `step (\d+): the training stops`))
	if ended >= 30 || stopped >= 90 {
		t.Errorf("pretraining ends at step %d, and the training stops at %d", ended, stopped)
	}
	for _, at := range []int{2, ended - 1, ended, 31, 35, stopped - 1} {
		ctx, cancel := context.WithCancel(background)
		p := verses.Program()
		fresh := p.New
		p.New = func(seed uint64) model.LanguageModel {
			return dueling{hooked{fresh(seed), func(step int) {
				if step == at {
					cancel()
				}
			}}}
		}
		start(ctx, p, append(args, "part.safetensors", "--overwrite", "--threads", "2")...)
		start(background, verses.Program(), "train", "--resume", "--out", "part.safetensors", "--threads", "2")
		for _, file := range []string{"", ".best", ".pretrained"} {
			whole, err := os.ReadFile("whole" + file + ".safetensors")
			if err != nil {
				t.Fatal(err)
			}
			if part, err := os.ReadFile("part" + file + ".safetensors"); err != nil || !bytes.Equal(whole, part) {
				t.Errorf("interrupted at step %d and resumed, the training leaves another part%s.safetensors (%v)", at,
					file, err)
			}
		}
	}
	first := number(t, start(background, verses.Program(), "eval", "--data", "rising.txt", "--model",
		"whole.pretrained.safetensors"), `NLL-gen ([\d.]+)`)
	best := number(t, start(background, verses.Program(), "eval", "--data", "rising.txt", "--model",
		"whole.best.safetensors"), `NLL-gen ([\d.]+)`)
	if first == best {
		t.Error("the best networks have the generator of pretraining")
	}
	var out, errOut bytes.Buffer
	if status := app.Run(background, verses.Program(), append(args, "x.safetensors", "--validation", "0"), &out,
		&errOut); status != 1 || !strings.Contains(errOut.String(), "there is nothing to validate on") {
		t.Errorf("without validation it says %s", errOut.String())
	}
}

// TestLinesEarlyTogether trains networks of text, whose pretraining ends early, in two processes, which are goroutines
// here, and compares what they leave with what one leaves that computes both shards.
func TestLinesEarlyTogether(t *testing.T) {
	dir := t.TempDir()
	p := verses.Program()
	var lines []string
	for i := range 60 {
		lines = append(lines, fmt.Sprint(i%18, i%18+1, i%18+2, i%18+3, i%18+4, i%18+5))
	}
	run := func(name string, g *cluster.Group) error {
		set, err := text.NewLineSet("lines", lines, p.Tokenizer, *p.Info.Adversary.Text, p.Info.Steps)
		if err != nil {
			return err
		}
		learn, err := set.Shuffled(8, 1)
		if err != nil {
			return err
		}
		validate, err := set.Whole(5)
		if err != nil {
			return err
		}
		m := p.New(1)
		if err := train.Divide(m, 2); err != nil {
			return err
		}
		path := filepath.Join(dir, name)
		r, err := train.Run(context.Background(), m, train.Data{Train: learn, Validation: validate}, train.Options{
			Schedule: optim.Schedule{Kind: "constant", Rate: 0.05}, Steps: 60, EvalEvery: 3, Average: 0.5,
			Pretraining: 2,
			Patience:    2, Tolerance: 0.3, Path: path, Best: path + ".best", Pretrained: path + ".pretrained", Seed: 1,
			Group: g})
		if err == nil && r.Steps < 31 {
			err = fmt.Errorf("pretraining has not ended: %+v", r)
		}
		return err
	}
	if err := run("one", nil); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for _, link := range cluster.Local(2) {
		wait.Go(func() {
			g, err := cluster.New(link, false)
			if err == nil {
				err = run("two", g)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, file := range []string{"", ".best", ".pretrained"} {
		one, e1 := os.ReadFile(filepath.Join(dir, "one"+file))
		two, e2 := os.ReadFile(filepath.Join(dir, "two"+file))
		if e1 != nil || e2 != nil || !bytes.Equal(one, two) {
			t.Errorf("two processes leave another file %q than one (%v, %v)", file, e1, e2)
		}
	}
}

// dueling is a hooked model that also tells how its networks do.
type dueling struct{ hooked }

func (d dueling) Duel() *model.Duel {
	return d.LanguageModel.(model.Imitators).Duel()
}

func (d dueling) Training() *schedule.Training {
	return d.LanguageModel.(interface{ Training() *schedule.Training }).Training()
}
