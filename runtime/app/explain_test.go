package app

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/induction"
	"github.com/gradsmith/gradsmith/gen/cases/labelgan"
	"github.com/gradsmith/gradsmith/gen/cases/labeltext"
	"github.com/gradsmith/gradsmith/gen/cases/labelvae"
	"github.com/gradsmith/gradsmith/gen/cases/tapped"
	"github.com/gradsmith/gradsmith/gen/cases/verses"
	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/generated/lstm"
	"github.com/gradsmith/gradsmith/generated/textvae"
	"github.com/gradsmith/gradsmith/generated/translate"
	"github.com/gradsmith/gradsmith/generated/vae"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/page"
)

// TestExplain writes pages of models of several kinds, and looks for what each has to have: every section that the
// model has something for, pictures, and nothing that would be fetched. What does not fit is refused in a line, and
// nothing is written.
func TestExplain(t *testing.T) {
	t.Chdir(t.TempDir())
	run := func(p Program, args ...string) (string, int) {
		var out, errOut bytes.Buffer
		status := Run(context.Background(), p, args, &out, &errOut)
		return errOut.String(), status
	}
	texts := map[string][]string{
		"tapped": {"--text", "abcdef", "--other", "abcabc", "--against", "b", "--at", "5", "--tuned-lens",
			"letters", "--lens-steps", "5"},
		"induction": {"--text", "abcdefghabcdefghabcdefgh"},
		"lstm":      {"--text", "A line,\nand <another> one & more", "--unit", "lstm.2.h[3]"},
		"translate": {"--text", "a man rides a horse", "--answer", "ein mann"},
		"textvae":   {"--text", "a man rides a horse", "--probe", "labelled"},
		"vae":       {"--data", "vectors.csv", "--row", "2", "--probe", "labels"},
		"gan":       {"--seed", "3"},
		"labeltext": {"--text", "abc", "--label", "2"},
		"labelvae":  {"--data", "narrow.csv", "--row", "2", "--label", "3"},
		"labelgan":  {"--seed", "3", "--label", "1"},
		"verses":    {"--text", "1 2 3 4 5 6"},
	}
	sections := map[string][]string{
		"tapped": {"Surprise", "Where it comes from", "Attention", "What layers would predict", "By a tuned lens",
			"another text",
			"Hidden"},
		"induction": {"Heads that go on with what repeats itself", "layer 2, head 4", "so it is"},
		"lstm":      {"Surprise", "Where it comes from", "Hidden units", "lstm.2.h[3]", "forget gate"},
		"translate": {"Alignment", "Where it comes from", "of the source", "Hidden units"},
		"textvae": {"Latent vector", "what is written", "Surprise", "Hidden units", "What a linear probe reads",
			"latent.z"},
		"vae": {"Reconstruction", "Its numbers, moved", "divergence", "What a linear probe reads", "latent.z",
			"read.y"},
		"gan":       {"What moves the verdict", "unexplained", "Its noise, moved", "the verdict rises by"},
		"labeltext": {"With another label", "What is written of the same", "label 2", "decoder_labels.x"},
		"labelvae":  {"With another label", "Labels 0 to 4", "this one is 3", "Reconstruction"},
		"labelgan":  {"What moves the verdict", "The label adds", "With another label", "Its noise, moved"},
		"verses":    {"What moves the verdict", "The discriminator&#39;s verdict on the line is", "Surprise"},
	}
	vectors := strings.Repeat(strings.TrimSuffix(strings.Repeat("0.5,0.25,", vae.Program().Info.Vector.Width/2),
		",")+"\n",
		8)
	for name, content := range map[string]string{"labels": strings.Repeat("0\n1\n", 4),
		"labelled": strings.Repeat("animal\ta horse\nperson\ta man\n\n", 4), "unlabelled": "a horse\n",
		"long": "x\tabc\ny\tabcdefa\n", "letters": strings.Repeat("abcdefabcfed", 9), "few": "abc"} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile("vectors.csv", []byte(vectors), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("narrow.csv", []byte(strings.Repeat(strings.Repeat("0.5,", 19)+"1\n", 2)),
		0o644); err != nil {
		t.Fatal(err)
	}
	for _, p := range []Program{tapped.Program(), induction.Program(), lstm.Program(), translate.Program(),
		textvae.Program(), vae.Program(),
		gan.Program(), labeltext.Program(), labelvae.Program(), labelgan.Program(), verses.Program()} {
		name := p.Info.Name
		if err := checkpoint.SaveWeights("m", p.New(3)); err != nil {
			t.Fatal(err)
		}
		args := append([]string{"explain", "--model", "m", "-o", name + ".html", "--pictures", name}, texts[name]...)
		if errOut, status := run(p, args...); status != 0 {
			t.Fatalf("%s: %s", name, errOut)
		}
		data, err := os.ReadFile(name + ".html")
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		if !strings.HasPrefix(text, page.ExplainHead) || !strings.HasSuffix(text, "</html>\n") || len(data) > 5<<20 {
			t.Errorf("%s: no page, or one of %d bytes", name, len(data))
		}
		for _, want := range sections[name] {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the page has no %q", name, want)
			}
		}
		if strings.Contains(text, "<another>") || strings.Contains(text, "ZgotmplZ") || strings.Contains(text, "NaN") {
			t.Errorf("%s: the page has what a text says as it is, or what a template refused, or no number", name)
		}
		if found := regexp.MustCompile(`(?:src|href)="[^d][^"]*"|https?://|url\(`).FindString(text); found != "" {
			t.Errorf("%s: the page would fetch %s", name, found)
		}
		if pictures, err := filepath.Glob(name + "/explain-*.png"); err != nil || len(pictures) == 0 {
			t.Errorf("%s: there are no pictures", name)
		}
	}

	for says, args := range map[string][]string{
		"name the label of the text with --label, from 0 to 3": {"--text", "abc"},
		"--label 4: the model's labels are 0 to 3":             {"--text", "abc", "--label", "4"},
	} {
		q := labeltext.Program()
		if err := checkpoint.SaveWeights("labelled", q.New(3)); err != nil {
			t.Fatal(err)
		}
		if errOut, status := run(q, append([]string{"explain", "--model", "labelled", "-o", "no.html"},
			args...)...); status != 1 || !strings.Contains(errOut, says) {
			t.Errorf("%v: status %d, %s", args, status, errOut)
		}
	}
	q := verses.Program()
	if err := checkpoint.SaveWeights("verses.m", q.New(3)); err != nil {
		t.Fatal(err)
	}
	if errOut, status := run(q, "explain", "--model", "verses.m", "-o", "no.html", "--text",
		"1 2"); status != 1 || !strings.Contains(errOut, "--text: the line has 2 tokens") {
		t.Errorf("a line that is too short: status %d, %s", status, errOut)
	}

	p := tapped.Program()
	if err := checkpoint.SaveWeights("m", p.New(3)); err != nil {
		t.Fatal(err)
	}
	data := strings.Repeat("abcdefabcafed", 40)
	if err := os.WriteFile("data", []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	if errOut, status := run(p, "quantize", "--model", "m", "--weights", "q8", "-o", "q8", "--data",
		"data"); status != 0 {
		t.Fatal(errOut)
	}
	for says, args := range map[string][]string{
		"7 tokens, and the model's window takes": {"--text", "abcdefa"},
		"name what to explain":                   {},
		"--at 9: the text has 3 tokens":          {"--text", "abc", "--at", "9"},
		"is 2 tokens, and one is explained":      {"--text", "abc", "--token", "ab"},
		"is not of the form lstm.h[17]":          {"--text", "abc", "--unit", "h"},
		"layers are counted from 1":              {"--text", "abc", "--unit", "h[0][1]"},
		"is no page of explain":                  {"--text", "abc", "-o", "data"},
		"load the checkpoint that the file":      {"--text", "abc", "--model", "q8"},
		"--text: ":                               {"--text", "xyz"},
		"unlabelled:1 is not a label, a tab":     {"--text", "abc", "--probe", "unlabelled"},
		"long:2: it has 7 tokens":                {"--text", "abc", "--probe", "long"},
		"labelled: ":                             {"--text", "abc", "--tuned-lens", "labelled"},
		"give two windows":                       {"--text", "abc", "--tuned-lens", "few"},
		"--lens-steps 0":                         {"--text", "abc", "--tuned-lens", "letters", "--lens-steps", "0"},
		"--lens-steps has no effect":             {"--text", "abc", "--lens-steps", "5"},
		"--probe has no effect":                  {"--unit", "count.h[1]", "--data", "data", "--probe", "labelled"},
		"--probe: ":                              {"--text", "abc", "--probe", "none"},
	} {
		args = append([]string{"explain", "-o", "no.html"}, args...)
		if !strings.Contains(strings.Join(args, " "), "--model") {
			args = append(args, "--model", "m")
		}
		if errOut, status := run(p, args...); status != 1 || !strings.Contains(errOut, says) ||
			strings.Count(errOut, "\n") != 1 {
			t.Errorf("%v: status %d, %s", args, status, errOut)
		}
	}
	if _, err := os.Stat("no.html"); err == nil {
		t.Error("a command that was refused has written a page")
	}
	if now, err := os.ReadFile("data"); err != nil || string(now) != data {
		t.Error("a text was written over")
	}
	// Of a long text, which the model reads by parts.
	long := strings.Repeat("abcdefab[cafed fa\nce]d bab\n", 60)
	long = strings.NewReplacer("[", "\"", "]", "\"").Replace(long)
	if err := os.WriteFile("long.txt", []byte(long), 0o644); err != nil {
		t.Fatal(err)
	}
	p = lstm.Program()
	if err := checkpoint.SaveWeights("lstm.m", p.New(3)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args, prints, shows []string
	}{
		{[]string{"--find", "line-length"}, []string{"line-length: 1,024 units", " r ", "by chance, 20 times"},
			[]string{"The units", "characters since the line began", "Its values", "data:image/png"}},
		{[]string{"--find", "quotes"}, []string{"quotes: 1,024 units", " AUC "}, []string{"a quotation is open"}},
		{[]string{"--unit", "lstm.2.h[3]", "--unit", "lstm.1.c[4]"}, []string{"lstm.2.h[3]: largest ", "lstm.1.c[4]: "},
			[]string{"lstm.1.c[4]", "Smallest, number 2", "class=\"aim\""}},
	} {
		var out, errOut bytes.Buffer
		args := append([]string{"explain", "--model", "lstm.m", "--data", "long.txt", "--positions", "300", "-o",
			"units.html"}, c.args...)
		if status := Run(context.Background(), p, args, &out, &errOut); status != 0 {
			t.Fatalf("%v: %s", c.args, errOut.String())
		}
		data, err := os.ReadFile("units.html")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.prints {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%v prints %q, and no %q", c.args, out.String(), want)
			}
		}
		for _, want := range c.shows {
			if !strings.Contains(string(data), want) {
				t.Errorf("%v: the page has no %q", c.args, want)
			}
		}
	}
	for says, args := range map[string][]string{
		"the value has 256 units, from lstm.2.h[0]": {"--unit", "lstm.2.h[256]", "--data", "long.txt"},
		"those with units are embed.x":              {"--unit", "no.h[2]", "--data", "long.txt"},
		"contradict each other: units are found":    {"--find", "quotes", "--text", "ab"},
		"contradict each other: one names":          {"--find", "quotes", "--unit", "lstm.2.h[2]"},
		"--at has no effect here: it is for --text": {"--find", "quotes", "--at", "3"},
		"--data has no effect here: it is for":      {"--text", "ab", "--data", "long.txt"},
		"and no regular expression":                 {"--find", "a(b", "--data", "long.txt"},
		"digits is 0 at all of":                     {"--find", "digits", "--data", "long.txt"},
		"--positions 99: give 100 or more":          {"--find", "quotes", "--positions", "99"},
		"and a search takes 100 or more":            {"--find", "quotes", "--data", "short"},
		"is the same file as --data long.txt":       {"--find", "quotes", "--data", "long.txt", "-o", "long.txt"},
	} {
		if err := os.WriteFile("short", []byte("a short text"), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append([]string{"explain", "--model", "lstm.m"}, args...)
		if !slices.Contains(args, "-o") {
			args = append(args, "-o", "no.html")
		}
		if errOut, status := run(p, args...); status != 1 || !strings.Contains(errOut, says) ||
			strings.Count(errOut, "\n") != 1 {
			t.Errorf("%v: status %d, %s", args, status, errOut)
		}
	}
	if _, err := os.Stat("no.html"); err == nil {
		t.Error("a search that was refused has written a page")
	}
	if now, err := os.ReadFile("long.txt"); err != nil || string(now) != long {
		t.Error("a text that was searched was written over")
	}
	p = tapped.Program()
	// What cannot be shown is said, and the rest is.
	if errOut, status := run(p, "explain", "--model", "m", "--text", "abc", "--other", "ab", "--unit", "count.h[99]",
		"-o",
		"part.html"); status != 0 {
		t.Fatal(errOut)
	}
	part, err := os.ReadFile("part.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"there is no unit count.h[99]", "patching takes texts of as many tokens",
		"Surprise"} {
		if !strings.Contains(string(part), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
