package app_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/answer"
	"github.com/gradsmith/gradsmith/gen/cases/bert"
	"github.com/gradsmith/gradsmith/gen/cases/labeltext"
	"github.com/gradsmith/gradsmith/gen/cases/labelvae"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/runtime/app"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
)

func start(p app.Program, args ...string) (status int, out, errOut string) {
	var o, e bytes.Buffer
	status = app.Run(context.Background(), p, args, &o, &e)
	return status, o.String(), e.String()
}

// trained runs a training of two steps and gives the checkpoint and what was printed on the way.
func trained(t *testing.T, p app.Program, args ...string) (bits []byte, said string) {
	t.Helper()
	status, _, errOut := start(p,
		append([]string{"train", "--steps", "2", "--overwrite", "--out", "m.safetensors"}, args...)...)
	if status != 0 {
		t.Fatalf("%v: %s", args, errOut)
	}
	return trainedBits(t, "m.safetensors"), errOut
}

// Vectors and their labels give the same training whatever form they have, and no form is taken for another.
func TestFormsOfVectors(t *testing.T) {
	t.Chdir(t.TempDir())
	var table, kaggle, labels strings.Builder
	kaggle.WriteString("label")
	for k := range 20 {
		fmt.Fprintf(&kaggle, ",pixel%d", k)
	}
	kaggle.WriteByte('\n')
	for i := range 40 {
		label := i * 7 % 5
		m := image.NewGray(image.Rect(0, 0, 5, 4))
		fmt.Fprint(&kaggle, label)
		for k := range 20 {
			x := uint8((i*31 + k*17 + label*50) % 256)
			m.SetGray(k%5, k/5, color.Gray{Y: x})
			fmt.Fprintf(&kaggle, ",%d", x)
			fmt.Fprintf(&table, "%g", float32(x)/255)
			if k < 19 {
				table.WriteByte(',')
			}
		}
		kaggle.WriteByte('\n')
		table.WriteByte('\n')
		fmt.Fprintln(&labels, label)
		for _, dir := range []string{"images", fmt.Sprintf("classes/%d", label)} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%03d.png", i)))
			if err != nil {
				t.Fatal(err)
			}
			if err := png.Encode(f, m); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
	}
	write(t, "table.csv", table.String())
	write(t, "kaggle.csv", kaggle.String())
	write(t, "labels", labels.String())
	lines := strings.SplitAfter(table.String(), "\n")
	write(t, "first.csv", strings.Join(lines[:15], ""))
	write(t, "rest.csv", strings.Join(lines[15:], ""))
	p := labelvae.Program()
	want, said := trained(t, p, "--data", "table.csv", "--labels", "labels")
	if strings.Contains(said, "warning") {
		t.Errorf("a warning: %s", said)
	}
	for _, args := range [][]string{
		{"--data", "kaggle.csv", "--label-column", "label", "--scale", "255"},
		{"--data", "kaggle.csv", "--label-column", "1", "--scale", "255"},
		{"--data", "images", "--labels", "labels"},
		{"--data", "images", "--match", "*.png", "--labels", "labels"},
		{"--data", "first.csv", "--data", "rest.csv", "--labels", "labels"},
	} {
		if got, _ := trained(t, p, args...); !bytes.Equal(got, want) {
			t.Errorf("%v: another training", args)
		}
	}
	// In folders of classes the images are sorted by them, which is said and can be mended.
	_, said = trained(t, p, "--data", "classes")
	if !strings.Contains(said, "warning: classes: the vectors are sorted by their labels") ||
		!strings.Contains(said, "--shuffle") {
		t.Errorf("sorted images: %s", said)
	}
	if _, said = trained(t, p, "--data", "classes", "--shuffle"); strings.Contains(said, "warning") {
		t.Errorf("shuffled images: %s", said)
	}
	if status, out, errOut := start(p, "eval", "--model", "m.safetensors", "--data", "classes", "--shuffle", "--last",
		"0.1", "--samples", "2"); status != 0 || !strings.Contains(out, "4 vectors") {
		t.Errorf("eval: %s%s", out, errOut)
	}
	// A training that goes on reads the same in the same way.
	for _, args := range [][]string{
		{"--data", "kaggle.csv", "--label-column", "label", "--scale", "255", "--shuffle"},
		{"--data", "first.csv", "--data", "rest.csv", "--labels", "labels"},
	} {
		whole, _ := trained(t, p, append(args, "--steps", "6")...)
		trained(t, p, append(args, "--steps", "3")...)
		if status, _, errOut := start(p, "train", "--resume", "--out", "m.safetensors", "--steps", "6"); status != 0 {
			t.Fatalf("%v: %s", args, errOut)
		}
		trained := trainedBits(t, "m.safetensors")
		if !bytes.Equal(trained, whole) {
			t.Errorf("%v: resumed, it ends with other bits", args)
		}
	}
	for want, args := range map[string][]string{
		"as in Kaggle's digits: name it with --label-column label": {"--data", "kaggle.csv", "--labels", "labels"},
		"no labels: the model is conditional":                      {"--data", "images"},
		"classes has labels: leave out --labels":                   {"--data", "classes", "--labels", "labels"},
		"--scale -1: it must not be negative": {"--data", "table.csv", "--labels", "labels",
			"--scale", "-1"},
		"divide the data (--scale, such as 255 for bytes)": {"--data", "kaggle.csv", "--label-column", "label"},
		"no column is named \"class\"":                     {"--data", "kaggle.csv", "--label-column", "class"},
	} {
		if status, _, errOut := start(p,
			append([]string{"train", "--overwrite", "--out", "x"}, args...)...); status != 1 ||
			!strings.Contains(errOut, want) || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%v: status %d, %s, want %q", args, status, errOut, want)
		}
	}
}

// trainedBits is what a checkpoint holds, but for its metadata, which have the names of the files.
func trainedBits(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := checkpoint.Parse(content)
	if err != nil {
		t.Fatal(err)
	}
	file.Metadata = nil
	var b bytes.Buffer
	if err := file.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Texts, sentences and pairs are read from fields and columns, and from several files.
func TestFormsOfTexts(t *testing.T) {
	t.Chdir(t.TempDir())
	var text, objects, sentences, labels, tabs, labelled, pairs, three, translations strings.Builder
	for i := range 40 {
		s := strings.Repeat("ab", 1+i%3) + strings.Repeat("c", i%2)
		r := []byte(s)
		for a, b := 0, len(r)-1; a < b; a, b = a+1, b-1 {
			r[a], r[b] = r[b], r[a]
		}
		s, back := s[:min(5, len(s))], string(r[:min(5, len(r))])
		fmt.Fprintf(&text, "%s of the text\f", s)
		fmt.Fprintf(&objects, "{\"id\":%d,\"meta\":{\"text\":%q}}\n", i, s+" of the text")
		fmt.Fprintln(&sentences, s)
		fmt.Fprintln(&labels, i%4)
		fmt.Fprintf(&tabs, "%d\t%s\n", i%4, s)
		fmt.Fprintf(&labelled, "{\"s\":%q,\"n\":%d}\n", s, i%4)
		fmt.Fprintf(&pairs, "%s\t%s\n", s, back)
		fmt.Fprintf(&three, "%s\t%s\tCC-BY %d\n", s, back, i)
		fmt.Fprintf(&translations, "{\"en\":%q,\"de\":%q}\n", s, back)
	}
	for name, s := range map[string]string{"text": text.String(), "text.jsonl": objects.String(),
		"sentences": sentences.String(), "labels": labels.String(), "tabs": tabs.String(),
		"labelled.jsonl": labelled.String(), "pairs": pairs.String(), "three": three.String(),
		"pairs.jsonl": translations.String()} {
		write(t, name, s)
	}
	for i, half := range [][]string{strings.SplitAfter(sentences.String(), "\n")[:13],
		strings.SplitAfter(sentences.String(), "\n")[13:]} {
		write(t, fmt.Sprintf("part%d", i), strings.Join(half, ""))
	}
	same := func(p app.Program, want []string, others ...[]string) {
		t.Helper()
		bits, _ := trained(t, p, want...)
		for _, args := range others {
			if got, _ := trained(t, p, args...); !bytes.Equal(got, bits) {
				t.Errorf("%v: another training than %v", args, want)
			}
		}
	}
	same(labeltext.Program(), []string{"--data", "sentences", "--labels", "labels"},
		[]string{"--data", "part0", "--data", "part1", "--labels", "labels"},
		[]string{"--data", "tabs", "--field", "2", "--label-column", "1"},
		[]string{"--data", "labelled.jsonl", "--field", "s", "--label-column", "n"})
	same(answer.Program(), []string{"--source", "pairs"},
		[]string{"--source", "three", "--columns", "1,2"},
		[]string{"--source", "pairs.jsonl", "--columns", "en,de"})
	small := []string{"--batch", "2", "--window", "8"}
	same(rnn.Program(), append([]string{"--data", "text.jsonl", "--field", "meta.text"}, small...),
		append([]string{"--data", "text.jsonl", "--field", "meta.text", "--validation", "0.1"}, small...))

	write(t, "binary", strings.Repeat("ab\x00cd", 40))
	for want, args := range map[string][]string{
		"three:1: the line has 3 columns with tabs in between: say which two": {"--source", "three"},
		"two columns are needed":                 {"--source", "three", "--columns", "1,2,3"},
		"there can be no answers in pairs as we": {"--source", "three", "--target", "pairs", "--columns", "1,2"},
	} {
		if status, _, errOut := start(answer.Program(),
			append([]string{"train", "--overwrite", "--out", "x"}, args...)...); status != 1 ||
			!strings.Contains(errOut, want) || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%v: status %d, %s, want %q", args, status, errOut, want)
		}
	}
	for want, args := range map[string][]string{
		"binary: is not text: byte 2 is zero":          {"--data", "binary"},
		"the object has no field \"t\": it has id, me": {"--data", "text.jsonl", "--field", "t"},
		"has no flag --raw":                            {"--data", "binary", "--raw"},
	} {
		if status, _, errOut := start(bert.Program(),
			append([]string{"train", "--overwrite", "--out", "x"}, args...)...); status != 1 ||
			!strings.Contains(errOut, want) || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%v: status %d, %s, want %q", args, status, errOut, want)
		}
	}
	if status, _, errOut := start(labeltext.Program(), "train", "--out", "x", "--data", "sentences", "--label-column",
		"n"); status != 1 || !strings.Contains(errOut, "with --field") {
		t.Errorf("status %d, %s", status, errOut)
	}
}
