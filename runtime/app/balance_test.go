package app_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/answer"
	"github.com/gradsmith/gradsmith/gen/cases/sentence"
)

// Trainings draw from groups as they are told, in pairs and in sentences, go on with what they were told, and refuse
// what would do nothing. An evaluation tells of each file.
func TestBalance(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("languages", 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, "languages/large.tsv", strings.Repeat("ab\tba\nb\tb\nabb\tbba\n", 20))
	write(t, "languages/small.tsv", strings.Repeat("aa\taa\n", 5))
	write(t, "letters", strings.Repeat("ab\nb\n", 20))
	write(t, "others", strings.Repeat("aa\n", 5))

	p := answer.Program()
	plain, _ := trained(t, p, "--source", "languages", "--shuffle")
	one, _ := trained(t, p, "--source", "languages", "--shuffle", "--balance", "1")
	three, _ := trained(t, p, "--source", "languages", "--shuffle", "--balance", "3")
	named, said := trained(t, p, "--source", "languages/large.tsv", "--source", "languages/small.tsv", "--balance", "3",
		"--shuffle")
	if !bytes.Equal(plain, one) || bytes.Equal(plain, three) {
		t.Error("a temperature of 1 changes what is drawn, or one of 3 does not")
	}
	if !bytes.Equal(three, named) || strings.Contains(said, "warning") {
		t.Errorf("files that are named are drawn from in another way than those of a folder: %s", said)
	}
	if _, said := trained(t, p, "--source", "languages", "--balance", "3", "--validation",
		"0.05"); !strings.Contains(said, "1 group of the data have no part") {
		t.Errorf("no word of the end, which is all of one file: %s", said)
	}

	through, _ := trained(t, p, "--source", "languages", "--shuffle", "--balance", "3", "--steps", "6")
	trained(t, p, "--source", "languages", "--shuffle", "--balance", "3", "--steps", "3")
	if status, _, errOut := start(p, "train", "--resume", "--out", "m.safetensors", "--steps", "6"); status != 0 {
		t.Fatal(errOut)
	}
	if !bytes.Equal(through, trainedBits(t, "m.safetensors")) {
		t.Error("a training that went on drew other pairs")
	}

	status, out, errOut := start(p, "eval", "--model", "m.safetensors", "--source", "languages")
	if status != 0 || !strings.Contains(out, "languages/large.tsv: 60 lines, ") ||
		!strings.Contains(out, "\n65 lines, ") || !strings.Contains(out, "\nROUGE-1 ") {
		t.Errorf("%s%s", out, errOut)
	}

	s := sentence.Program()
	plain, _ = trained(t, s, "--data", "letters", "--data", "others", "--shuffle", "--batch", "2")
	three, _ = trained(t, s, "--data", "letters", "--data", "others", "--shuffle", "--batch", "2", "--balance", "3")
	if bytes.Equal(plain, three) {
		t.Error("sentences are not balanced")
	}

	for want, args := range map[string][]string{
		"one group":            {"--source", "languages/large.tsv", "--balance", "3"},
		"a temperature of 0.5": {"--source", "languages", "--balance", "0.5"},
		"a temperature of 0:":  {"--source", "languages", "--balance", "0"},
	} {
		status, _, errOut := start(p, append([]string{"train", "--out", "n.safetensors"}, args...)...)
		if status != 1 || !strings.Contains(errOut, want) || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%v: status %d, %s", args, status, errOut)
		}
	}
}
