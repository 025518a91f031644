package app

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// kindsOf are programs of the bigram's that say they are of each kind, to look at their commands.
func kindsOf() map[string]Program {
	all := map[string]Program{}
	add := func(name string, change func(p *Program)) {
		p := bigramProgram(nil)
		p.SourceTokenizer = p.Tokenizer
		change(&p)
		all[name] = p
	}
	add("text", func(p *Program) {})
	add("tapped", func(p *Program) { p.Info.Taps = true })
	add("decoder", func(p *Program) {
		p.Info.Kind = "attention"
		p.Info.Layers = append(p.Info.Layers, model.Layer{Name: "embed", Kind: "embedding"})
	})
	add("masked", func(p *Program) { p.Info.Masking = &model.Masking{Token: 28} })
	add("pairs", func(p *Program) { p.Info.Source, p.Info.Kind = &model.Source{Steps: 8, Vocab: 29}, "attention" })
	add("vectors", func(p *Program) {
		p.Info.Vector, p.Info.Latent, p.Info.Labels = &model.Vector{Width: 9}, &model.Latent{Width: 2}, 3
		p.Tokenizer = nil
	})
	add("sentences", func(p *Program) {
		p.Info.Source, p.Info.Latent, p.Info.Labels = &model.Source{Steps: 8, Vocab: 29}, &model.Latent{Width: 2}, 3
	})
	add("images", func(p *Program) {
		p.Info.Vector, p.Info.Adversary = &model.Vector{Width: 9}, &model.Adversary{Noise: 2, Steps: 1}
		p.Tokenizer = nil
	})
	add("lines", func(p *Program) { p.Info.Adversary = &model.Adversary{Text: &model.Imitation{}} })
	return all
}

// TestActing checks that the table of flags that act names flags that there are, and that every command's help can be
// shown.
func TestActing(t *testing.T) {
	known := map[string]bool{}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		cmd.InitDefaultHelpFlag()
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	for name, p := range kindsOf() {
		root := newRoot(p)
		walk(root)
		for _, c := range root.Commands() {
			var out, errOut bytes.Buffer
			if status := Run(context.Background(), p, []string{c.Name(), "--help"}, &out, &errOut); status != 0 ||
				out.Len() == 0 {
				t.Errorf("%s %s --help: status %d, %s", name, c.Name(), status, errOut.String())
			}
			for _, line := range strings.Split(out.String(), "\n") {
				if strings.Contains(line, "%!") {
					t.Errorf("%s %s: help has a verb without a value: %s", name, c.Name(), line)
				}
			}
		}
	}
	for _, r := range acting {
		for _, name := range r.Flags {
			if !known[name] {
				t.Errorf("the table of flags that act has --%s, which no command has", name)
			}
		}
	}
}

// failsOf runs a command of a program, which must fail with one line that has the words.
func failsOf(t *testing.T, p Program, want string, args ...string) {
	t.Helper()
	var out, errOut bytes.Buffer
	status := Run(context.Background(), p, args, &out, &errOut)
	if status != 1 || out.Len() > 0 || strings.Count(errOut.String(), "\n") != 1 ||
		!strings.Contains(errOut.String(), want) {
		t.Errorf("%v: status %d, %q, %q; want one line with %q", args, status, out.String(), errOut.String(), want)
	}
}

// Flags that would have no effect, numbers that float32 cannot hold, negative counts, flags of other programs and
// mistyped ones: each is refused before anything else happens, in one line that says what to do.
func TestRefusedFlags(t *testing.T) {
	t.Chdir(t.TempDir())
	all := kindsOf()
	for _, c := range []struct{ kind, want, args string }{
		{"text", "--top-k has no effect here: a beam searches for the likeliest text and draws nothing; leave it " +
			"out, or leave out --beam", "sample --beam 3 --top-k 1 --repetition-penalty 2"},
		{"text", "--repetition-penalty has no effect here", "sample --beam 3 --repetition-penalty 2"},
		{"text", "--number has no effect here", "sample --beam 3 --number 2"},
		{"text", "--top-p has no effect here: at a temperature of 0", "sample --temperature 0 --top-p 0.5"},
		{"text", "--passes has no effect here: --steps says how long", "train --passes 3 --steps 10"},
		{"pairs", "--length-penalty has no effect here: without a beam", "translate --length-penalty 0.5"},
		{"pairs", "--coverage-penalty has no effect here: without a beam", "eval --beam 1 --coverage-penalty 0.5"},
		{"pairs", "--rise has no effect here", "train --source a --rise 10"},
		{"pairs", "--target has no effect here", "train --target a"},
		{"pairs", "--valid-target has no effect here", "train --source a --valid-target a"},
		{"pairs", "--validation has no effect here", "train --source a --valid-source b --validation 0.2"},
		{"sentences", "--labels has no effect here: --label gives", "encode --label 1 --labels x"},
		{"sentences", "--valid-labels has no effect here", "train --data x --valid-labels y"},
		{"vectors", "--width has no effect here: numbers have no pictures", "sample --out x.csv --width 3"},
		{"lines", "--curve has no effect here", "eval --curve x"},

		{"text", "--rate 1e-46: models compute with numbers from 1.175e-38 on (float32), for which this is 0",
			"train --rate 1e-46"},
		{"text", "--rate 1e+39: models compute with numbers up to 3.403e+38 (float32)", "train --rate 1e39"},
		{"text", "--rate NaN: give a finite number", "train --rate nan"},
		{"text", "--rate -1: it must not be negative", "train --rate -1"},
		{"text", "--number -3: give 0 or more", "sample --number -3"},
		{"text", "--tokens -2: give -1 or more", "sample --tokens -2"},
		{"text", "--samples -1: give 0 or more", "train --samples -1"},
		{"vectors", "--number -3: give 0 or more", "reconstruct -n -3"},
		{"vectors", "no label: the model is conditional", "interpolate 1 2"},
		{"vectors", "--label 3: the model's labels are 0 to 2", "interpolate 1 2 --label 1,3"},
		{"pairs", "--length-penalty +Inf: give a finite number", "translate --beam 2 --length-penalty inf"},

		{"pairs", "train has no flag --data: it takes --source FILE and --target FILE", "train --data x"},
		{"text", "train has no flag --source: it takes --data FILE", "train --source x"},
		{"text", "train has no flag --epochs: it takes --passes N", "train --epochs 3"},
		{"text", "train has no flag --lr: it takes --rate RATE", "train --lr 3"},
		{"text", "train has no flag --valdation: did you mean --validation?", "train --valdation 0.1"},
		{"text", "sample has no flag --temprature: did you mean --temperature?", "sample --temprature 0.1"},
		{"text", "sample has no flag --data: it is a flag of eval and quantize and train", "sample --data x"},
		{"text", "train has no flag --frobnicate: see bigram train --help", "train --frobnicate"},
		{"text", "train has no flag -q: see bigram train --help", "train -q"},
		{"text", `unknown command "trian" for "bigram"`, "trian"},

		{"text", `--prompt" flag: \d means nothing; write \\ for a backslash`, `sample --prompt \d`},
		{"masked", `\d means nothing`, `fill \d[MASK]`},
	} {
		failsOf(t, all[c.kind], c.want, strings.Fields(c.args)...)
	}
}

// One rule for all text of a command line: \n is a newline in a prompt, a stop string and a separator.
func TestEscapedText(t *testing.T) {
	b := newBench(t)
	b.run("train", "--data", "book.txt", "--passes", "20", "--samples", "0", "--separator", `log.\n`)
	out, _ := b.run("sample", "--prompt", `mat.\nthe`, "--tokens", "30", "--seed", "1", "--stop", `\n`)
	if !strings.HasPrefix(out, "mat.\nthe") || strings.Count(out, "\n") != 2 {
		t.Errorf("the sample is %q", out)
	}
	// What a checkpoint keeps of a flag is what was given, read by the same rule.
	out, _ = b.run("info", "bigram.safetensors")
	contains(t, "info", out, `--separator log.\n`+"\n")
	b.run("train", "--resume", "--steps", "1100", "--samples", "0")
	out, _ = b.run("sample", "--help")
	contains(t, "help", out, `In TEXT, \n is a newline, \t a tab, \\ a backslash`, `bigram sample --prompt "it was"`)
}

// A blank at the end of a prompt spoils what comes next where words have the blank before them in their first token,
// and only there is it warned of.
func TestBlanks(t *testing.T) {
	a := &program{Program: Program{Info: &model.Info{Name: "m", Vocab: 258}, Tokenizer: text.BPE("Ġ t\nh e\n")}}
	letters := &program{Program: Program{Info: &model.Info{Name: "m", Vocab: 256}, Tokenizer: text.Bytes()}}
	for _, c := range []struct {
		a    *program
		s    string
		warn bool
	}{{a, "It was ", true}, {a, "It was", false}, {a, "", false}, {a, "It was\n", false}, {letters, "It was ", false}} {
		var errOut bytes.Buffer
		c.a.warnBlank(&errOut, c.s, "at the end of the prompt")
		if got := strings.Contains(errOut.String(), "warning: a blank stands at the end of the prompt"); got != c.warn {
			t.Errorf("%q: warning %q", c.s, errOut.String())
		}
	}
	if help := a.aboutBlanks("before [MASK]"); !strings.Contains(help, "leave no blank before [MASK]") ||
		letters.aboutBlanks("x") != "" {
		t.Errorf("help says %q", help)
	}
}

// Help has examples that the model can read, and names the text that comes with Go only where it can learn that.
func TestExamples(t *testing.T) {
	for _, c := range []struct {
		tok  text.Tokenizer
		want string
	}{{text.ASCII(), "It was"}, {text.Chars("abc\n"), "abc"}, {text.Chars("\n 你好世界"), "你好世"},
		{text.Chars("0123456789 \n"), "1 2 3"}, {text.Numbers(9), "1 2 3"}} {
		a := &program{Program: Program{Info: &model.Info{Name: "m", Vocab: c.tok.Vocab()}, Tokenizer: c.tok}}
		if got := a.example(); got != c.want || !a.spells(got) {
			t.Errorf("the example is %q, want %q", got, c.want)
		}
		knows := c.want == "It was"
		if (a.orOpticks() != "") != knows {
			t.Errorf("%q: help says %q of the default text", c.want, a.orOpticks())
		}
		if _, err := a.data(t.Context(), ""); knows != (err == nil) {
			t.Errorf("%q: the default text: %v", c.want, err)
		}
	}
}

// What is filled in is never the mask or another token that no text has, however likely the model finds it.
func TestFillsWithText(t *testing.T) {
	t.Chdir(t.TempDir())
	p := bigramProgram(nil)
	n := p.Info.Vocab - 2
	p.Tokenizer = text.WithSpecials(text.Chars(letters[:n]), "[MASK]", "[OTHER]")
	p.Info.Masking = &model.Masking{Token: int32(n)}
	m := p.New(1).(*bigram)
	for i := range m.w {
		if i%p.Info.Vocab >= n {
			m.w[i] = 50 // the specials are what the model expects everywhere
		}
	}
	if err := checkpoint.SaveWeights("bigram.safetensors", m); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	if status := Run(context.Background(), p, []string{"fill", "th[MASK] ca[MASK]", "--top", "27"}, &out,
		&errOut); status != 0 {
		t.Fatal(errOut.String())
	}
	if strings.Contains(out.String(), "[MASK]") || strings.Contains(out.String(), "[OTHER]") ||
		strings.Contains(out.String(), " 0.0 %  \"a\" 0.0 %") {
		t.Errorf("filled in is\n%s", out.String())
	}
	failsOf(t, p, "--top 28: give 1 to 27", "fill", "th[MASK]", "--top", "28")
}

// What is shown while a model is trained changes nothing of what is learnt, and the picture of the losses is whole.
func TestWatchedTraining(t *testing.T) {
	b := newBench(t)
	args := []string{"train", "--data", "book.txt", "--steps", "90", "--eval-every", "30", "--samples", "0"}
	b.run(append(args, "--out", "plain.safetensors")...)
	_, lines := b.run(append(args, "--out", "watched.safetensors", "--sample-every", "40", "--plot", "loss.svg")...)
	if b.read("plain.safetensors") != b.read("watched.safetensors") {
		t.Error("a training that shows samples and a picture ends with other bits")
	}
	contains(t, "the progress", lines, "--- sample after step 40 ---\n", "--- sample after step 80 ---\n")
	d := xml.NewDecoder(strings.NewReader(b.read("loss.svg")))
	curves := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			for _, attr := range e.Attr {
				if attr.Name.Local == "points" && strings.Contains(attr.Value, "NaN") {
					t.Errorf("a curve has points that are not numbers: %s", attr.Value)
				}
			}
			curves++
		}
	}
	if curves != 2 {
		t.Errorf("the picture has %d curves", curves)
	}
	b.fails("--plot loss.png: give the name of a .svg file", append(args, "--overwrite", "--plot", "loss.png")...)
	b.fails("no/loss.svg", append(args, "--overwrite", "--plot", "no/loss.svg")...)
}

// A curve keeps its form however many points it is given.
func TestThinned(t *testing.T) {
	var c thinned
	for i := range 100000 {
		c.add(float64(i+1), float64(i+1))
	}
	if len(c.x) > 2*curvePoints || len(c.x) < curvePoints/2 {
		t.Errorf("%d points", len(c.x))
	}
	for i, x := range c.x {
		if d := x - c.y[i]; d < 0 || d > 100 {
			t.Fatalf("at %v the mean of the values up to there is %v", x, c.y[i])
		}
	}
}

// Each line is a prompt of its own; one that the model cannot read is answered by an error, and the next one goes on.
func TestConverse(t *testing.T) {
	b := newBench(t)
	b.run("train", "--data", "book.txt", "--passes", "20", "--samples", "0")
	root := newRoot(b.program)
	var out, errOut bytes.Buffer
	root.SetArgs([]string{"sample", "--interactive", "--tokens", "12", "--seed", "1"})
	root.SetIn(strings.NewReader("the cat\nÉ\nthe dog\n"))
	root.SetOut(&out)
	root.SetErr(&errOut)
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "the cat") || !strings.Contains(out.String(), "\nthe dog") ||
		!strings.Contains(errOut.String(), `the character "É"`) {
		t.Errorf("%q, %q", out.String(), errOut.String())
	}
}

// A loss that says nothing, or too much, is printed in few digits.
func TestPerplexity(t *testing.T) {
	for nats, want := range map[float64]string{0: "1.000", 2: "7.389", 20: "4.85e+08", 709: "8.22e+307",
		1e6: "beyond 1e308"} {
		if got := perplexity(nats); got != want {
			t.Errorf("the perplexity of %v nats is %s, want %s", nats, got, want)
		}
	}
}

// A training that was done already says so, and what its model loses, not 0.
func TestDoneAlready(t *testing.T) {
	b := newBench(t)
	out, _ := b.run("train", "--data", "book.txt", "--steps", "60", "--samples", "0")
	want := regexp.MustCompile(`validation  .*`).FindString(out)
	out, lines := b.run("train", "--resume", "--samples", "0")
	if got := regexp.MustCompile(`validation  .*`).FindString(out); got != want ||
		strings.Contains(out+lines, "loss 0.0000") || strings.Contains(out, "training  ") {
		t.Errorf("a training that was done prints %q and %q, not %q", out, lines, want)
	}
}
