package app_test

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/generated/bertmini"
	"github.com/gradsmith/gradsmith/generated/gru"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/generated/seqgan"
	"github.com/gradsmith/gradsmith/generated/textvae"
	"github.com/gradsmith/gradsmith/generated/translate"
	"github.com/gradsmith/gradsmith/runtime/app"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
)

// untrained writes the checkpoint of a program's model as it is made.
func untrained(t *testing.T, p app.Program) {
	t.Helper()
	if err := checkpoint.SaveWeights(p.Info.Name+".safetensors", p.New(1)); err != nil {
		t.Fatal(err)
	}
}

// TestConstraintFlags writes texts of languages with every family that yields tokens, none of which has learnt
// anything.
func TestConstraintFlags(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "g.gbnf", "root ::= word (\" \" word){1,3} \".\"\nword ::= [a-z]{2,5}\n")
	pattern := regexp.MustCompile(`^[a-z]{2,5}( [a-z]{2,5}){1,3}\.$`)
	for _, c := range []struct {
		p    app.Program
		args []string
		in   string
	}{
		{rnn.Program(), []string{"sample", "--tokens", "60", "--prompt", "", "--seed", "1"}, ""},
		{rnn.Program(), []string{"sample", "--tokens", "60", "--beam", "3", "--prompt", ""}, ""},
		{gru.Program(), []string{"sample", "--tokens", "60", "--prompt", "", "--contrastive", "0.6"}, ""},
		{gru.Program(), []string{"sample", "--tokens", "60", "--prompt", "", "--best-of", "2", "--seed", "1"}, ""},
		{textvae.Program(), []string{"sample", "-n", "4"}, ""},
		{textvae.Program(), []string{"sample", "-n", "4", "--temperature", "1"}, ""},
		{textvae.Program(), []string{"reconstruct"}, "a man is here\na dog\n"},
		{translate.Program(), []string{"translate"}, "a man is here\na dog\n"},
		{translate.Program(), []string{"translate", "--beam", "3"}, "a man is here\na dog\n"},
	} {
		t.Run(c.p.Info.Name+" "+strings.Join(c.args, " "), func(t *testing.T) {
			untrained(t, c.p)
			for i, flag := range [][]string{{"--grammar", "g.gbnf"}, {"--regex", `[a-z]{2,5}( [a-z]{2,5}){1,3}\.`},
				{"--choices", "it is.", "--choices", "so what."}} {
				if i > 0 && c.in != "" {
					break // one will do for those that take longer
				}
				status, out, errOut := piped(t, c.p, c.in, append(c.args, flag...)...)
				if status != 0 {
					t.Fatalf("status %d: %s", status, errOut)
				}
				lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
				if len(lines) < 1 {
					t.Fatal("nothing is written")
				}
				for _, line := range lines {
					if strings.HasPrefix(line, "(log-probability") {
						continue
					}
					if !pattern.MatchString(line) {
						t.Errorf("%q is not of the language", line)
					}
				}
			}
		})
	}
	t.Run("lines", func(t *testing.T) {
		untrained(t, seqgan.Program())
		_, out, errOut := piped(t, seqgan.Program(), "", "sample", "-n", "5", "--regex", `[0-9]{2,3}( [0-9]{3}){2}`)
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		if len(lines) != 5 {
			t.Fatalf("%q: %s", out, errOut)
		}
		for _, line := range lines {
			if !regexp.MustCompile(`^[0-9]{2,3}( [0-9]{3}){2}$`).MatchString(line) {
				t.Errorf("%q is not of the language", line)
			}
		}
	})
	t.Run("fill", func(t *testing.T) {
		untrained(t, bertmini.Program())
		mask := bertmini.Tokenizer.Piece(bertmini.Program().Info.Masking.Token)
		_, out, errOut := piped(t, bertmini.Program(), "the"+mask+mask+mask+" and"+mask+" nothing\nno mask\n", "fill",
			"--regex", " (king|queen)[a-z]+| no[a-z]{0,3}")
		if !regexp.MustCompile(`\Athe( (king|queen)[a-z]+| no[a-z]{0,3}) and` +
			`( (king|queen)[a-z]+| no[a-z]{0,3}) nothing\nno mask\n\z`).MatchString(out) {
			t.Errorf("%q: %s", out, errOut)
		}
		if status, out, errOut := piped(t, bertmini.Program(), "", "fill", "the"+mask, "--regex",
			"[a-z]{60,}"); status == 0 || !strings.Contains(errOut, "try another number of masks") {
			t.Errorf("status %d, %q: %s", status, out, errOut)
		}
	})
	untrained(t, rnn.Program())
	write(t, "s.json", `{"type":"object","properties":{"a":{"not":{}}}}`)
	for want, args := range map[string][]string{
		"--regex: ":               {"--regex", "(a"},
		"#/properties/a/not":      {"--json-schema", "s.json"},
		"can't read the grammar":  {"--grammar", "none.gbnf"},
		"tokens are too few":      {"--regex", "a{50}", "--tokens", "20"},
		"give TEXT=NUMBER":        {"--bias", "x"},
		"the text is 2 tokens":    {"--bias", "xy=3"},
		"--json-spacing \"wide\"": {"--json-schema", "s.json", "--json-spacing", "wide"},
		"there is no guidance":    {"--negative-prompt", "x"},
		"draws nothing":           {"--contrastive", "0.5", "--dry", "1"},
		"there is no schema":      {"--json-spacing", "none"},
		"need another model":      {"--mix", "0.5"},
		"give two checkpoints":    {"--toward", "rnn.safetensors"},
		"there is no attribute":   {"--attribute-weight", "2"},
		"--away: ":                {"--toward", "rnn.safetensors", "--away", "none.safetensors"},
		"from 0 to 1000": {"--toward", "rnn.safetensors", "--away", "rnn.safetensors",
			"--attribute-weight", "1e9"},
		"say what it is for":          {"--other-model", "rnn.safetensors"},
		"into 2 equal groups":         {"--beam", "3", "--beam-groups", "2"},
		"mirostat":                    {"--mirostat", "-1"},
		"can't be split":              {"--beam", "4", "--beam-groups", "3"},
		"contains a phrase that is b": {"--require", "abc", "--ban", "b"},
	} {
		if status, out, errOut := piped(t, rnn.Program(), "", append([]string{"sample"}, args...)...); status != 1 ||
			!strings.Contains(errOut, want) || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%v: status %d, %q, %q; want %q", args, status, out, errOut, want)
		}
	}
	// All that steers, at once.
	status, out, errOut := piped(t, rnn.Program(), "", "sample", "--tokens", "40", "--min-tokens", "40", "--stop", "a",
		"--no-repeat", "3", "--dry", "0.8", "--epsilon", "0.001", "--eta", "0.001", "--xtc", "0.2",
		"--dynamic-temperature", "0.3", "--mirostat", "4", "--bias", "e=2", "--guidance", "1.5", "--negative-prompt",
		"x", "--other-model", "rnn.safetensors", "--mix", "0.3", "--seed", "3", "--prompt", "b")
	if status != 0 || len([]rune(out)) < 40 {
		t.Errorf("status %d, %q, %s", status, out, errOut)
	}
}

// TestAttribute writes texts of an attribute by two checkpoints, and lines by the discriminator of their model.
func TestAttribute(t *testing.T) {
	t.Chdir(t.TempDir())
	p := rnn.Program()
	untrained(t, p)
	// Models that know one letter each: their outputs' bias says so.
	for name, letter := range map[string]string{"e.safetensors": "e", "x.safetensors": "x"} {
		m := rnn.NewSeeded(2)
		token, err := rnn.Tokenizer.Encode(letter)
		if err != nil {
			t.Fatal(err)
		}
		m.Params().Out.B[token[0]] = 6
		if err := checkpoint.SaveWeights(name, m); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"sample", "--tokens", "200", "--seed", "1", "--temperature", "1", "--prompt", ""}
	with := func(more ...string) string {
		status, out, errOut := piped(t, p, "", append(args, more...)...)
		if status != 0 {
			t.Fatal(errOut)
		}
		return out
	}
	// The first letter tells all; what comes behind it says no more.
	none := with()
	for _, letters := range []string{"ex", "xe"} {
		got := with("--toward", letters[:1]+".safetensors", "--away", letters[1:]+".safetensors", "--attribute-tokens",
			"97", "--attribute-weight", "30")
		if !strings.HasPrefix(got, letters[:1]) || got == none {
			t.Errorf("toward %q: %q", letters[:1], got)
		}
	}
	if zero := with("--toward", "e.safetensors", "--away", "x.safetensors", "--attribute-tokens", "96",
		"--attribute-weight", "0"); zero != none {
		t.Errorf("with a weight of 0 %q, without %q", zero, none)
	}
	q := seqgan.Program()
	untrained(t, q)
	status, out, errOut := piped(t, q, "", "sample", "-n", "3", "--judge", "2", "--judge-tokens", "5")
	if q.Info.Adversary.Text.End >= 0 && (status != 0 || strings.Count(out, "\n") != 3) ||
		q.Info.Adversary.Text.End < 0 && !strings.Contains(errOut, "of one length only") {
		t.Errorf("status %d, %q: %s", status, out, errOut)
	}
}

// TestScores holds the commands that score against each other.
func TestScores(t *testing.T) {
	t.Chdir(t.TempDir())
	p := rnn.Program()
	untrained(t, p)
	write(t, "a.txt", "to be or not")
	write(t, "b.txt", "")
	status, out, errOut := piped(t, p, "", "perplexity", "a.txt", "b.txt")
	if status != 0 {
		t.Fatal(errOut)
	}
	type fit struct {
		File          string
		Tokens, Bytes int
		LogProb       float64 `json:"log_prob"`
		BitsPerByte   float64 `json:"bits_per_byte"`
		Perplexity    float64
	}
	var fits []fit
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		var f fit
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		fits = append(fits, f)
	}
	a, b := fits[0], fits[1]
	if a.File != "a.txt" || a.Bytes != 12 || a.Tokens != 12 || math.Abs(a.BitsPerByte+a.LogProb/math.Ln2/12) > 1e-9 ||
		math.Abs(a.Perplexity-math.Exp(-a.LogProb/12)) > 1e-9 || b.Tokens != 0 || b.Perplexity != 1 {
		t.Errorf("%+v", fits)
	}
	// A prompt and what follows it have together the probability of the whole.
	in := ""
	for _, q := range []string{`{"prompt":"","continuations":["to be or not","to be"]}`,
		`{"prompt":"\nto be","continuations":[" or not"]}`, `{"prompt":1}`, `{"continuations":[]}`} {
		in += q + "\n"
	}
	status, out, errOut = piped(t, p, in, "choose")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if status != 1 || len(lines) != 4 {
		t.Fatalf("status %d: %q, %s", status, out, errOut)
	}
	var x, y struct {
		LogProb []float64 `json:"log_prob"`
		Best    int
	}
	if json.Unmarshal([]byte(lines[0]), &x) != nil || json.Unmarshal([]byte(lines[1]), &y) != nil {
		t.Fatal(out)
	}
	if math.Abs(x.LogProb[0]-a.LogProb) > 1e-6 || math.Abs(x.LogProb[1]+y.LogProb[0]-a.LogProb) > 1e-3 || x.Best != 1 {
		t.Errorf("%v and %v, the file has %v", x, y, a.LogProb)
	}
	if !strings.Contains(lines[2], `"line":3,"error":`) || !strings.Contains(lines[3], "no continuations") {
		t.Errorf("%q", lines[2:])
	}
	_, out, errOut = piped(t, p, "to be\nto be\nor not\n", "embed")
	var vectors [][]float64
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		var v struct{ Embedding []float64 }
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err, errOut)
		}
		sum := 0.0
		for _, x := range v.Embedding {
			sum += x * x
		}
		if math.Abs(sum-1) > 1e-5 {
			t.Errorf("a length of %v", sum)
		}
		vectors = append(vectors, v.Embedding)
	}
	if fmt.Sprint(vectors[0]) != fmt.Sprint(vectors[1]) || fmt.Sprint(vectors[0]) == fmt.Sprint(vectors[2]) {
		t.Error("equal lines have different vectors, or others the same")
	}
}

// TestMove leaves sentences where they are with a way of nothing, and says what is missing.
func TestMove(t *testing.T) {
	t.Chdir(t.TempDir())
	p := textvae.Program()
	untrained(t, p)
	write(t, "a.txt", "a man is here\na man\n")
	write(t, "b.txt", "a dog\n")
	in := "a man is here\na dog runs\n"
	_, want, _ := piped(t, p, in, "reconstruct")
	status, out, errOut := piped(t, p, in, "move", "--toward", "a.txt", "--from", "b.txt", "--by", "0")
	if status != 0 || out != want {
		t.Errorf("status %d, %q instead of %q: %s", status, out, want, errOut)
	}
	if status, out, errOut = piped(t, p, in, "move", "--toward", "a.txt", "--from", "b.txt"); status != 0 ||
		strings.Count(out, "\n") != 2 {
		t.Errorf("status %d, %q: %s", status, out, errOut)
	}
	if status, _, errOut = piped(t, p, in, "move", "--toward", "a.txt"); status != 1 ||
		!strings.Contains(errOut, "--from FILE") {
		t.Errorf("status %d: %s", status, errOut)
	}
}
