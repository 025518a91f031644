package generated_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image/png"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/labelgan"
	"github.com/gradsmith/gradsmith/gen/cases/labeltext"
	"github.com/gradsmith/gradsmith/gen/cases/labelvae"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// resumed checks that a training that was stopped and resumed, on another number of threads and without being told its
// options again, ends with the same bits.
func resumed(t *testing.T, p model.Program, half, all string, args ...string) {
	t.Helper()
	args = append([]string{"train", "--overwrite"}, args...)
	must(t, p, "", append(args, "--steps", all, "--out", "whole.safetensors", "--threads", "1")...)
	must(t, p, "", append(args, "--steps", half, "--out", "part.safetensors")...)
	must(t, p, "", "train", "--resume", "--steps", all, "--out", "part.safetensors", "--threads", "2")
	var parts [2][]byte
	for i, name := range []string{"whole.safetensors", "part.safetensors"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		parts[i] = data[8+binary.LittleEndian.Uint64(data):] // without the header, which has the options
	}
	if !bytes.Equal(parts[0], parts[1]) {
		t.Errorf("%s: a training that was interrupted and resumed ends with other bits", p.Info.Name)
	}
}

// stepsOf is how long a model is trained that has to have learnt something.
func stepsOf(n int) string {
	if kernel.Level() == "generic" {
		n /= 5
	}
	return fmt.Sprint(n)
}

// labelled makes n vectors of size numbers, of which a stripe that the label chooses is high, as CSV, and the labels.
func labelled(n, size, count int, low float64) (vectors, labels string) {
	var v, l strings.Builder
	for i := range n {
		label := i * 7 % count
		for k := range size {
			x := low
			if k*count/size == label {
				x = 1
			}
			if k == i%size {
				x = 0.5 // no two the same
			}
			fmt.Fprint(&v, x)
			if k < size-1 {
				v.WriteByte(',')
			}
		}
		v.WriteByte('\n')
		fmt.Fprintln(&l, label)
	}
	return v.String(), l.String()
}

// highest checks that of each row of CSV the stripe of its label is the highest.
func highest(t *testing.T, csv string, size, count int, label func(row int) int) {
	t.Helper()
	for i, row := range strings.Split(strings.TrimSpace(csv), "\n") {
		sums := make([]float64, count)
		for k, s := range strings.Split(row, ",") {
			x, err := strconv.ParseFloat(s, 64)
			if err != nil {
				t.Fatal(err)
			}
			sums[k*count/size] += x
		}
		for l, s := range sums {
			if want := label(i); l != want && s >= sums[want] {
				t.Errorf("row %d is of label %d, but stripe %d is %v and its own %v", i, want, l, s, sums[want])
			}
		}
	}
}

// TestConditionalVectors takes a conditional autoencoder of vectors through its commands: a label decides what is
// written.
func TestConditionalVectors(t *testing.T) {
	t.Chdir(t.TempDir())
	vectors, labels := labelled(210, 20, 5, 0)
	write(t, "v.csv", vectors)
	write(t, "l.txt", labels)
	p := labelvae.Program()
	data := []string{"--data", "v.csv", "--labels", "l.txt"}
	resumed(t, p, "41", "97", append(data, "--eval-every", "30")...)
	must(t, p, "", append([]string{"train", "--steps", stepsOf(1500), "--rate", "0.01"}, data...)...)
	if out := must(t, p, "",
		append([]string{"eval", "--last", "0.2", "--samples", "5"}, data...)...); !strings.Contains(out, "42 vectors") {
		t.Errorf("eval says %s", out)
	}
	// Every label in turn, with the same latent vectors: a row of pictures each.
	all := must(t, p, "", "sample", "-n", "3", "--out", "")
	highest(t, all, 20, 5, func(row int) int { return row / 3 })
	one := must(t, p, "", "sample", "-n", "3", "--label", "4", "--out", "")
	highest(t, one, 20, 5, func(int) int { return 4 })
	if !strings.HasSuffix(all, one) {
		t.Error("the samples of a label alone are others than with those of all labels")
	}
	must(t, p, "", "sample", "-n", "3", "--width", "5", "--out", "grid.png")
	f, err := os.Open("grid.png")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if img, err := png.DecodeConfig(f); err != nil || img.Width != 3*6+1 || img.Height != 5*5+1 {
		t.Errorf("the picture is %d × %d, %v", img.Width, img.Height, err)
	}
	highest(t, must(t, p, "", append([]string{"reconstruct", "-n", "12", "--out", ""}, data...)...), 20, 5,
		func(row int) int { return row * 7 % 5 })
	highest(t, must(t, p, "", "interpolate", "1", "6", "--label", "0", "--data", "v.csv", "--out", ""), 20, 5,
		func(int) int { return 0 })
	if out := must(t, p, "", append([]string{"encode"}, data...)...); strings.Count(out, "\n") != 210 {
		t.Errorf("encode prints %d lines", strings.Count(out, "\n"))
	}
	if out := must(t, p, "", "info"); !strings.Contains(out, "labels 0 to 4") ||
		!strings.Contains(out, "encoder_labels  labels") {
		t.Errorf("info says %s", out)
	}

	write(t, "few.txt", "1\n2\n")
	write(t, "high.txt", strings.Repeat("1\n", 209)+"5\n")
	for want, args := range map[string][]string{
		"few.txt has 2 labels and v.csv has 210 vectors": {"train", "--data", "v.csv", "--labels", "few.txt",
			"--out", "x"},
		"high.txt: line 210: 5 is not one of the model's labels": {"train", "--data", "v.csv", "--labels", "high.txt",
			"--out", "x"},
		"no labels: the model is conditional":                     {"train", "--data", "v.csv", "--out", "x"},
		"--label 5: the model's labels are 0 to 4":                {"sample", "--label", "5"},
		"--number 200001: give 1 to 200000":                       {"sample", "-n", "200001"},
		"--label -1: the model's labels are 0 to 4":               {"sample", "--label", "-1"},
		"no label: the model is conditional, so name one of 0 to": {"interpolate", "1", "2", "--data", "v.csv"},
		"with the label of each vector of v.csv":                  {"eval", "--data", "v.csv"},
	} {
		refused(t, p, "", want, args...)
	}
}

// TestConditionalPair does the same for a conditional pair of adversarial networks.
func TestConditionalPair(t *testing.T) {
	t.Chdir(t.TempDir())
	vectors, labels := labelled(240, 12, 3, -1)
	write(t, "v.csv", vectors)
	write(t, "l.txt", labels)
	p := labelgan.Program()
	data := []string{"--data", "v.csv", "--labels", "l.txt"}
	resumed(t, p, "33", "71", append(data, "--eval-every", "20")...)
	must(t, p, "", append([]string{"train", "--steps", stepsOf(2000), "--rate", "0.002"}, data...)...)
	if kernel.Level() != "generic" {
		all := must(t, p, "", "sample", "-n", "4", "--out", "")
		highest(t, all, 12, 3, func(row int) int { return row / 4 })
		one := must(t, p, "", "sample", "-n", "4", "--label", "2", "--out", "")
		if !strings.HasSuffix(all, one) {
			t.Error("the samples of a label alone are others than with those of all labels")
		}
	}
	if out := must(t, p, "", append([]string{"eval", "--samples", "100"}, data...)...); !strings.Contains(out,
		"precision") {
		t.Errorf("eval says %s", out)
	}
	if out := must(t, p, "", append([]string{"score"}, data...)...); strings.Count(out, "\n") != 240 {
		t.Errorf("score prints %d lines", strings.Count(out, "\n"))
	}
	refused(t, p, "", "no labels: the model is conditional", "score", "--data", "v.csv")
	refused(t, p, "", "--label 3", "sample", "--label", "3")
}

// TestConditionalSentences does the same for a conditional autoencoder of sentences, of up to seven characters: the
// label chooses the letter.
func TestConditionalSentences(t *testing.T) {
	t.Chdir(t.TempDir())
	var text, labels strings.Builder
	for i := range 240 {
		fmt.Fprintln(&text, strings.Repeat(string(rune('a'+i%4)), 1+i/4%6))
		fmt.Fprintln(&labels, i%4)
	}
	text.WriteString("longer than it takes\n") // left out, and so is its label
	labels.WriteString("3\n")
	write(t, "t.txt", text.String())
	write(t, "l.txt", labels.String())
	p := labeltext.Program()
	data := []string{"--data", "t.txt", "--labels", "l.txt"}
	resumed(t, p, "23", "61", append(data, "--valid", "t.txt", "--valid-labels", "l.txt", "--eval-every", "20")...)
	must(t, p, "", append([]string{"train", "--steps", stepsOf(1200), "--rate", "0.01"}, data...)...)
	if out := must(t, p, "", append([]string{"eval", "--samples", "5"}, data...)...); !strings.Contains(out,
		"240 sentences") {
		t.Errorf("eval says %s", out)
	}
	all := must(t, p, "", "sample", "-n", "2")
	if kernel.Level() != "generic" {
		for i, line := range strings.Split(strings.TrimSpace(all), "\n") {
			label, s, ok := strings.Cut(line, "\t")
			if !ok || label != fmt.Sprint(i/2) || strings.Trim(s, string(rune('a'+i/2))) != "" {
				t.Errorf("sample %d is %q", i, line)
			}
		}
		if out := must(t, p, "aaa\nbbbb\n", "reconstruct", "--label", "2"); strings.Trim(out, "c\n") != "" {
			t.Errorf("sentences of label 2 are %q", out)
		}
		if out := must(t, p, "", "interpolate", "a", "aaaaa", "--label", "0"); strings.Trim(out, "a\n") != "" ||
			strings.Count(out, "\n") != 7 {
			t.Errorf("between sentences of label 0 are %q", out)
		}
	}
	write(t, "two.txt", "1\n0\n")
	one, two := must(t, p, "b\nb\n", "encode", "--label", "1"), must(t, p, "b\nb\n", "encode", "--labels", "two.txt")
	if a, b := strings.Split(one, "\n"), strings.Split(two, "\n"); len(a) != 3 || len(b) != 3 || a[0] != b[0] ||
		a[1] == b[1] {
		t.Errorf("encode prints %q and %q", one, two)
	}
	refused(t, p, "", "--valid: the model is conditional", "train", "--data", "t.txt", "--labels", "l.txt", "--valid",
		"t.txt", "--out", "x")
	refused(t, p, "aaa\n", "l.txt has 241 labels and the standard input has 1 sentence", "reconstruct", "--labels",
		"l.txt")
	refused(t, p, "aaa\n", "of the standard input", "reconstruct")
}
