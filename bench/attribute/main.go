// Command attribute shows what control of an attribute costs and gives: how many of the lines that a language model of
// Go writes have it, and how likely another model finds them, with no control and with each of several.
//
//	cd bench && go run ./attribute
//
// The lines are statements of one line from the toolchain's own src, and the attribute is that a line is an
// assignment, as go/parser says, of which the beginning of a line tells something and never all. Half of the packages
// train the models that write, the other half a model of another kind by which they are judged. Statements that are no
// assignments are also written again by an autoencoder, with their latent vectors moved. Checkpoints are kept in
// demo/attribute, and used again.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gradsmith/gradsmith/generated/gru"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
)

var (
	number = flag.Int("n", 1000, "lines to write with each control")
	steps  = flag.Int("steps", 2000, "training steps of each model that writes a character at a time")
	only   = flag.String("control", "", "show the controls alone whose names contain this `TEXT`")
	dir    = flag.String("dir", "../demo/attribute", "`FOLDER` of checkpoints")
)

// Conditions are a letter in front of a newline; a text without one begins with the newline alone.
const (
	with    = "A\n"
	without = "B\n"
	none    = "\n"
)

// Lines are as long as a window, with the condition.
const longest = 60

type line struct {
	text    string
	assigns bool
	held    bool // it is of the packages that the judging model learns from
}

func main() {
	flag.Parse()
	check(os.MkdirAll(*dir, 0o755))
	lines := read()
	var mine, others []line
	yes := 0
	for _, l := range lines {
		switch {
		case l.held:
			others = append(others, l)
		default:
			mine = append(mine, l)
			if l.assigns {
				yes++
			}
		}
	}
	fmt.Printf("%d lines to write like, of which %.1f %% are assignments; %d lines for the model that judges\n\n",
		len(mine), 100*float64(yes)/float64(len(mine)), len(others))

	plain := trained("plain", rnn.NewSeeded(1), mine, bare)
	// Of a tenth of the lines the condition is left out, as by the key train.condition of specs.
	told := trained("told", rnn.NewSeeded(2), mine, func(l line, key uint64) ([]int32, []int32) {
		condition := without
		if l.assigns {
			condition = with
		}
		if key%10 == 0 {
			condition = none
		}
		in, out := pair(condition, l.text)
		for i := range len(condition) - 1 {
			out[i] = -1
		}
		return in, out
	})
	// FUDGE's classifier: at each place of a line it predicts whether the whole line will be an assignment.
	classes := tokens(with[:1] + without[:1])
	classifier := trained("classifier", rnn.NewSeeded(3), mine, func(l line, _ uint64) ([]int32, []int32) {
		in, out := pair(none, l.text)
		for i := range out {
			if out[i] = classes[1]; l.assigns {
				out[i] = classes[0]
			}
		}
		return in, out
	})
	part := func(assigns bool) (all []line) {
		for _, l := range mine {
			if l.assigns == assigns {
				all = append(all, l)
			}
		}
		return all
	}
	toward := trained("toward", rnn.NewSeeded(4), part(true), bare)
	away := trained("away", rnn.NewSeeded(5), part(false), bare)
	judge := gru.NewSeeded(6)
	train("judge", judge, others, bare)

	const candidates = 40
	beginning := tokens(none)
	byClassifier := func(weight float64) []sample.Option {
		j, err := sample.Classifier(classifier.MakeDecoder(candidates), classes[0], classes, beginning[0], 1)
		check(err)
		return []sample.Option{sample.Judged(j, candidates, weight)}
	}
	byClasses := func(weight float64) []sample.Option {
		j, err := sample.Classes(0, beginning[0], 1, toward.MakeDecoder(1), away.MakeDecoder(1))
		check(err)
		return []sample.Option{sample.Judged(j, candidates, weight)}
	}
	guided := func(scale float64, negative string) func() []sample.Option {
		return func() []sample.Option { return []sample.Option{sample.Guidance(told.MakeDecoder(1), negative, scale)} }
	}
	fmt.Println("| control | assignments | statements | different | bits a character |")
	fmt.Println("|---|---|---|---|---|")
	for _, c := range []struct {
		name   string
		m      *rnn.Model
		prompt string
		opts   func() []sample.Option
	}{
		{"none", plain, none, nil},
		{"FUDGE, weight 1", plain, none, func() []sample.Option { return byClassifier(1) }},
		{"FUDGE, weight 2", plain, none, func() []sample.Option { return byClassifier(2) }},
		{"FUDGE, weight 4", plain, none, func() []sample.Option { return byClassifier(4) }},
		{"two models of classes (GeDi), weight 1", plain, none, func() []sample.Option { return byClasses(1) }},
		{"two models of classes (GeDi), weight 2", plain, none, func() []sample.Option { return byClasses(2) }},
		{"a condition, none given", told, none, nil},
		{"a condition", told, with, nil},
		{"a condition, guidance 1.5", told, with, guided(1.5, none)},
		{"a condition, guidance 3", told, with, guided(3, none)},
		{"a condition, the other one as negative prompt, guidance 1.5", told, with, guided(1.5, without)},
	} {
		if !strings.Contains(c.name, *only) {
			continue
		}
		dec := c.m.MakeDecoder(1)
		var texts []string
		for i := range *number {
			opts := []sample.Option{sample.Seed(uint64(i)), sample.MaxTokens(longest), sample.Stop("\n")}
			if c.opts != nil {
				opts = append(opts, c.opts()...)
			}
			dec.Reset()
			s := ""
			for part, err := range sample.Generate(context.Background(), dec, rnn.Tokenizer, c.prompt, opts...) {
				check(err)
				s += part
			}
			texts = append(texts, s)
		}
		report(c.name, judge, texts)
	}
	const again = "other statements again, their latent vectors moved by "
	if strings.Contains(again, *only) {
		m := newMover(mine)
		for _, by := range []float64{0, 0.5, 1, 1.5, 2} {
			report(fmt.Sprint(again, by), judge, m.move(by))
		}
	}
	// The measure of the judge: lines that nobody wrote for it.
	bits, chars := 0.0, 0
	for i, l := range mine {
		if i == *number {
			break
		}
		f, err := sample.Measure(context.Background(), judge.MakeDecoder(1), gru.Tokenizer, none, l.text+"\n", nil)
		check(err)
		bits -= f.LogProb / math.Ln2
		chars += f.Bytes
	}
	fmt.Printf("\nLines of the data have %.2f bits a character by the same judge.\n", bits/float64(chars))
}

// report prints a row of the table.
func report(name string, judge *gru.Model, texts []string) {
	assigns, parsed := 0, 0
	different := map[string]bool{}
	bits, chars := 0.0, 0
	for _, s := range texts {
		is, fine := assignment(s)
		if fine {
			parsed++
		}
		if is {
			assigns++
		}
		different[s] = true
		f, err := sample.Measure(context.Background(), judge.MakeDecoder(1), gru.Tokenizer, none, s+"\n", nil)
		check(err)
		bits -= f.LogProb / math.Ln2
		chars += f.Bytes
	}
	n := float64(len(texts)) / 100
	fmt.Printf("| %s | %.1f %% | %.1f %% | %.1f %% | %.2f |\n", name, float64(assigns)/n, float64(parsed)/n,
		float64(len(different))/n, bits/float64(chars))
}

// assignment reports whether s is one statement that assigns, and whether it is a statement.
func assignment(s string) (assigns, fine bool) {
	f, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc f() {\n"+s+"\n}\n", parser.SkipObjectResolution)
	if err != nil || len(f.Decls) != 1 {
		return false, false
	}
	body := f.Decls[0].(*ast.FuncDecl).Body.List
	if len(body) != 1 {
		return false, false
	}
	_, assigns = body[0].(*ast.AssignStmt)
	return assigns, true
}

// read gives the statements of one line of the toolchain's source, each once, in random order.
func read() []line {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	check(err)
	src := filepath.Join(strings.TrimSpace(string(root)), "src")
	seen := map[string]bool{}
	var lines []line
	check(filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			strings.Contains(path, "/testdata/") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		package_ := sha256.Sum256([]byte(filepath.Dir(path)))
		for s := range strings.Lines(string(b)) {
			s = strings.TrimSpace(s)
			if len(s) < 8 || len(s) > longest-3 || seen[s] || strings.Contains(s, "//") || !spelt(s) {
				continue
			}
			// Rough before exact: most other lines open a block or close one.
			if strings.HasSuffix(s, "{") || strings.HasSuffix(s, ",") || strings.HasSuffix(s, "(") ||
				strings.HasPrefix(s, "}") || strings.HasPrefix(s, ")") {
				continue
			}
			if is, fine := assignment(s); fine {
				seen[s] = true
				lines = append(lines, line{text: s, assigns: is, held: package_[0]%2 == 0})
			}
		}
		return nil
	}))
	r := rand.New(rand.NewPCG(1, 1))
	r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return lines
}

func spelt(s string) bool {
	_, err := rnn.Tokenizer.Encode(s)
	return err == nil
}

func tokens(s string) []int32 {
	t, err := rnn.Tokenizer.Encode(s)
	check(err)
	return t
}

// pair is what a model reads of a line behind its beginning, and what it predicts.
func pair(begin, s string) (in, out []int32) {
	t := tokens(begin + s + "\n")
	return t[:len(t)-1], append([]int32{}, t[1:]...)
}

// bare is a line without a condition.
func bare(l line, _ uint64) ([]int32, []int32) { return pair(none, l.text) }

func trained(name string, m *rnn.Model, lines []line, example func(l line, key uint64) (in, out []int32)) *rnn.Model {
	train(name, m, lines, example)
	return m
}

// train reads lines, one a row, for a number of steps; a checkpoint that is there is read in place of that.
func train(name string, m model.LanguageModel, lines []line, example func(l line, key uint64) (in, out []int32)) {
	path := filepath.Join(*dir, fmt.Sprintf("%s-%d.safetensors", name, *steps))
	if err := checkpoint.LoadWeights(path, m); err == nil {
		return
	} else if !errors.Is(err, fs.ErrNotExist) {
		check(err)
	}
	info := m.Info()
	rows, width := info.Batch, info.Steps
	b := &model.Batch{Steps: width, Batch: rows, Tokens: make([]int32, rows*width), Targets: make([]int32, rows*width),
		Reset: make([]int32, rows*width)}
	for i := range rows {
		b.Reset[i] = 1
	}
	mean := 0.0
	for step := range *steps {
		for i := range rows {
			n := step*rows + i
			in, out := example(lines[n%len(lines)], model.Key(uint64(n)))
			for t := range width {
				token, target := int32(0), int32(-1)
				if t < len(in) {
					token, target = in[t], out[t]
				}
				b.Tokens[t*rows+i], b.Targets[t*rows+i] = token, target
			}
		}
		rate := 0.002 * min(1, 2*(1-float64(step)/float64(*steps))) // level, then down to 0
		loss, _, err := m.TrainStep(b, rate)
		check(err)
		if mean = 0.99*mean + 0.01*loss; step%500 == 499 {
			fmt.Fprintf(os.Stderr, "%s: step %d of %d, loss %.3f\n", name, step+1, *steps, mean)
		}
	}
	check(checkpoint.SaveWeights(path, m))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "attribute:", err)
		os.Exit(1)
	}
}
