package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/align"
	"github.com/gradsmith/gradsmith/gen/cases/labelgan"
	"github.com/gradsmith/gradsmith/gen/cases/vae"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/runtime/app"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// logged is what stands in a log.
type logged struct {
	about   train.Description
	steps   int
	layers  [][]train.Layer
	samples []train.Sample
}

func readLogged(t *testing.T, path string) (l logged) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for in := bufio.NewScanner(bytes.NewReader(data)); in.Scan(); {
		var x struct {
			Run    *train.Description
			Loss   *float64
			Layers []train.Layer
			Sample *train.Sample
		}
		if err := json.Unmarshal(in.Bytes(), &x); err != nil {
			t.Fatalf("%s: %v", in.Text(), err)
		}
		if x.Run != nil {
			l.about = *x.Run
		}
		if x.Loss != nil {
			l.steps++
		}
		if x.Layers != nil {
			l.layers = append(l.layers, x.Layers)
		}
		if x.Sample != nil {
			l.samples = append(l.samples, *x.Sample)
		}
	}
	return l
}

// TestLogs trains models of text, of pairs, and of vectors with everything logged: the log and the event files have
// what each kind makes, and the trained model has the bits of one whose training was not logged.
func TestLogs(t *testing.T) {
	t.Chdir(t.TempDir())
	var vectors, labels strings.Builder
	for i := range 64 {
		for k := range rows(vae.Program()) {
			if k > 0 {
				vectors.WriteByte(',')
			}
			fmt.Fprint(&vectors, (i+k)%2)
		}
		vectors.WriteByte('\n')
		fmt.Fprintln(&labels, i%2)
	}
	for name, content := range map[string]string{
		"book.txt":    strings.Repeat("the cat sat on the mat, the dog on the log.\n", 60),
		"vectors.csv": vectors.String(), "labels.txt": labels.String(),
		"pairs.tsv": strings.Repeat("ab\tba\nba\tab\n", 40),
	} {
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		p     app.Program
		data  []string
		check func(s train.Sample) string
	}{
		{rnn.Program(), []string{"--data", "book.txt"}, func(s train.Sample) string { return s.Text }},
		{vae.Program(), []string{"--data", "vectors.csv"}, pictured},
		{align.Program(), []string{"--source", "pairs.tsv"}, func(s train.Sample) string {
			x := s.Alignment
			if x == nil || len(x.Weights) != len(x.Answer) || len(x.Weights[0]) != len(x.Source) {
				return ""
			}
			return s.Text
		}},
	} {
		name := c.p.Info.Name
		run := func(args ...string) {
			t.Helper()
			var out, errOut bytes.Buffer
			all := append(append([]string{"train"}, c.data...), args...)
			if status := app.Run(context.Background(), c.p, all, &out, &errOut); status != 0 {
				t.Fatalf("%s: %v: status %d, %s", name, args, status, errOut.String())
			}
		}
		length := []string{"--steps", "7", "--batch", "2", "--eval-every", "3"}
		run(append(length, "--out", "plain.safetensors", "--overwrite")...)
		run(append(length, "--out", name+".safetensors", "--log", name+".jsonl", "--tensorboard", "runs/"+name,
			"--layers-every", "2", "--sample-every", "3")...)
		plain, _ := os.ReadFile("plain.safetensors")
		l := readLogged(t, name+".jsonl")
		if l.steps != 7 || len(l.layers) != 3 || len(l.samples) != 3 || l.about.Model != name || l.about.Total != 7 ||
			l.about.Settings["batch"] != "2" || l.about.Settings["out"] != "" {
			t.Errorf("%s: %d steps, %d times layers, %d samples of %+v", name, l.steps, len(l.layers), len(l.samples),
				l.about)
		}
		for _, s := range l.samples {
			if c.check(s) == "" {
				t.Errorf("%s: the sample %+v", name, s)
			}
		}
		for _, x := range l.layers[0] {
			if x.Weight <= 0 && x.Update <= 0 {
				t.Errorf("%s: %+v", name, x)
			}
		}
		if !sameTensors(t, plain, name+".safetensors") {
			t.Errorf("%s: a training that is logged has other bits", name)
		}
		// What goes on adds a file; what begins anew must be told so.
		run("--resume", "--steps", "9", "--out", name+".safetensors")
		if files, _ := filepath.Glob("runs/" + name + "/*tfevents*"); len(files) != 2 {
			t.Errorf("%s: the event files %v", name, files)
		}
		if l := readLogged(t, name+".jsonl"); l.steps != 9 {
			t.Errorf("%s: a training that goes on has logged %d steps", name, l.steps)
		}
		var out, errOut bytes.Buffer
		if status := app.Run(context.Background(), c.p, append(append([]string{"train"}, c.data...), "--out", "new",
			"--tensorboard", "runs/"+name), &out, &errOut); status != 1 ||
			!strings.Contains(errOut.String(), "holds event files of a training") {
			t.Errorf("%s: status %d, %s", name, status, errOut.String())
		}
	}
}

func rows(p app.Program) int { return p.Info.Vector.Width }

// pictured is not empty where a sample is a picture.
func pictured(s train.Sample) string {
	if size, err := png.DecodeConfig(bytes.NewReader(s.PNG)); err != nil || size.Width < 2 {
		return ""
	}
	return "a picture"
}

// A pair of adversarial networks makes pictures, of each label in turn where it is conditional, and a log of it tells
// of both.
func TestLogsOfAdversaries(t *testing.T) {
	t.Chdir(t.TempDir())
	p := labelgan.Program()
	var vectors, labels strings.Builder
	for i := range 64 {
		vectors.WriteString(strings.TrimSuffix(strings.Repeat(fmt.Sprint(i%2)+",", rows(p)), ",") + "\n")
		fmt.Fprintln(&labels, i%p.Info.Labels)
	}
	for name, content := range map[string]string{"vectors.csv": vectors.String(), "labels.txt": labels.String()} {
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"train", "--data", "vectors.csv", "--labels", "labels.txt", "--steps", "6"}
	for _, more := range [][]string{{"--out", "plain"},
		{"--out", "logged", "--log", "log", "--tensorboard", "runs", "--sample-every", "2", "--layers-every", "1"}} {
		var out, errOut bytes.Buffer
		if status := app.Run(context.Background(), p, append(args, more...), &out, &errOut); status != 0 {
			t.Fatalf("%v: status %d, %s", more, status, errOut.String())
		}
	}
	plain, _ := os.ReadFile("plain")
	l := readLogged(t, "log")
	if !sameTensors(t, plain, "logged") || l.steps != 6 || len(l.samples) != 3 || len(l.layers) != 6 {
		t.Errorf("%d steps, %d samples, %d times layers", l.steps, len(l.samples), len(l.layers))
	}
	for _, s := range l.samples {
		if pictured(s) == "" {
			t.Errorf("no picture: %q", s.PNG)
		}
	}
}

// sameTensors reports whether a checkpoint has the numbers of another, whose metadata may differ.
func sameTensors(t *testing.T, a []byte, path string) bool {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(numbers(a), numbers(b))
}

// numbers is a safetensors file without its header.
func numbers(x []byte) []byte {
	n := 8
	for i, b := range x[:8] {
		n += int(b) << (8 * i)
	}
	return x[n:]
}
