package app_test

import (
	"compress/gzip"
	"os"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/answer"
	"github.com/gradsmith/gradsmith/gen/cases/sentence"
	"github.com/gradsmith/gradsmith/runtime/app"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
)

// widthOf is the numbers of a row of a table.
func widthOf(p app.Program, table string) int {
	for _, x := range p.New(1).Tensors() {
		if x.Name == table+".table" {
			return x.Shape[1]
		}
	}
	return 0
}

// An embedding begins with the vectors of a file, what is not in it with what is drawn, and what was found is said.
func TestWordVectors(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "letters", strings.Repeat("ab\nb\n", 20))
	p := sentence.Program()
	var names []string
	for _, l := range p.Info.Layers {
		if l.Kind == "embedding" {
			names = append(names, l.Name)
		}
	}
	name := names[0]
	width := widthOf(p, name)
	row := func(word, x string) string { return word + strings.Repeat(" "+x, width) + "\n" }
	write(t, "glove.txt", row("b", "0.5")+row("other", "9"))
	f, err := os.Create("glove.gz")
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	z.Write([]byte(row("b", "0.5") + row("other", "9")))
	z.Close()
	f.Close()
	for _, file := range []string{"glove.txt", "glove.gz"} {
		// At a rate next to 0 the parameters stay what they were.
		args := []string{"train", "--data", "letters", "--steps", "1", "--rate", "1e-30", "--batch", "2", "--overwrite",
			"--out", "m.safetensors", "--vectors", file}
		if len(names) > 1 {
			args = append(args, "--vectors-of", name)
		}
		status, _, errOut := start(p, args...)
		if status != 0 || !strings.Contains(errOut, " begin with vectors of "+file+" (GloVe, text)") ||
			!strings.Contains(errOut, "1 of them with that of the word in lower case; not in it: !, ") {
			t.Fatalf("status %d, %s", status, errOut)
		}
		m, plain := p.New(1), p.New(1)
		if err := checkpoint.LoadWeights("m.safetensors", m); err != nil {
			t.Fatal(err)
		}
		changed := 0
		for i, x := range m.Tensors() {
			for k, v := range x.Value {
				if d := v - plain.Tensors()[i].Value[k]; d > 1e-6 || d < -1e-6 {
					if changed++; x.Name != name+".table" || v != 0.5 {
						t.Fatalf("%s[%d] is %v", x.Name, k, v)
					}
				}
			}
		}
		if changed != 2*width { // of b and of B
			t.Errorf("%d numbers are those of the file, want %d", changed, 2*width)
		}
	}

	write(t, "none.txt", row("other", "9"))
	write(t, "wide.txt", "b"+strings.Repeat(" 1", width+1)+"\n")
	write(t, "cut.txt", row("b", "1")+"a 1\n")
	write(t, "nan.txt", row("b", "1")+row("x", "nan"))
	for want, args := range map[string]string{
		"none is a token of":                 "--vectors none.txt --vectors-of " + name,
		"numbers, and":                       "--vectors wide.txt --vectors-of " + name,
		"cut.txt: line 2 has":                "--vectors cut.txt --vectors-of " + name,
		"nan.txt: line 2: NaN":               "--vectors nan.txt --vectors-of " + name,
		"missing.txt":                        "--vectors missing.txt --vectors-of " + name,
		"no such embedding":                  "--vectors glove.txt --vectors-of nothing",
		"--vectors and --from contradict":    "--vectors glove.txt --from m.safetensors",
		"--vectors-of has no effect here":    "--vectors-of " + name,
		"--vectors has no effect here: the ": "--vectors glove.txt --resume",
	} {
		status, _, errOut := start(p,
			append([]string{"train", "--data", "letters", "--out", "n.safetensors"}, strings.Fields(args)...)...)
		if status != 1 || !strings.Contains(errOut, want) || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%s: status %d, %s", args, status, errOut)
		}
	}
	write(t, "pairs", strings.Repeat("ab\tba\n", 20))
	if status, _, errOut := start(answer.Program(), "train", "--source", "pairs", "--vectors", "glove.txt", "--out",
		"n.safetensors"); status != 1 || !strings.Contains(errOut, "say with --vectors-of which one") {
		t.Errorf("two embeddings: %s", errOut)
	}
}
