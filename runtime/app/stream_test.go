package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/answer"
	"github.com/gradsmith/gradsmith/gen/cases/bert"
	"github.com/gradsmith/gradsmith/gen/cases/labeltext"
	"github.com/gradsmith/gradsmith/gen/cases/sentence"
	"github.com/gradsmith/gradsmith/gen/cases/verses"
	"github.com/gradsmith/gradsmith/runtime/app"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// withInput runs a command with a standard input.
func withInput(t *testing.T, p app.Program, in *os.File, out, errOut io.Writer, args ...string) int {
	t.Helper()
	keep := os.Stdin
	os.Stdin = in
	defer func() { os.Stdin = keep }()
	return app.Run(context.Background(), p, args, out, errOut)
}

// piped runs a command whose standard input holds a text.
func piped(t *testing.T, p app.Program, input string, args ...string) (status int, out, errOut string) {
	t.Helper()
	write(t, "input", input)
	in, err := os.Open("input")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var o, e bytes.Buffer
	status = withInput(t, p, in, &o, &e, args...)
	return status, o.String(), e.String()
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// reader is a command that answers lines, of a model that takes the letters a and b.
type reader struct {
	p     app.Program
	train []string
	args  []string
	long  string // a line that is too long
}

// readers are one of each kind of such a command.
func readers(t *testing.T) map[string]reader {
	t.Helper()
	t.Chdir(t.TempDir())
	letters := strings.Repeat("ab\nb\nabb\nba\n", 5)
	write(t, "pairs", strings.Repeat("ab\tba\nb\tb\nabb\tbba\n", 5))
	write(t, "letters", letters)
	write(t, "book", strings.Repeat("abba", 30))
	write(t, "numbers", strings.Repeat("1 2 3 4 5 6\n2 3 4 5 6 7\n", 40))
	write(t, "labels", strings.Repeat("0\n1\n1\n0\n", 5))
	rs := map[string]reader{
		"translate": {answer.Program(), []string{"--source", "pairs"}, []string{"translate"}, "abababababab"},
		"beam": {answer.Program(), []string{"--source", "pairs"}, []string{"translate", "--beam", "2"},
			"abababababab"},
		"reconstruct": {sentence.Program(), []string{"--data", "letters"}, []string{"reconstruct"}, "abababababab"},
		"drawn": {sentence.Program(), []string{"--data", "letters"},
			[]string{"reconstruct", "--temperature", "1"}, "abababababab"},
		"encode": {sentence.Program(), []string{"--data", "letters"}, []string{"encode"}, "abababababab"},
		"labelled": {labeltext.Program(), []string{"--data", "letters", "--labels", "labels"},
			[]string{"reconstruct", "--label", "1"}, "abababababab"},
		"fill":  {bert.Program(), []string{"--data", "book"}, []string{"fill"}, "[MASK]abababababab"},
		"score": {verses.Program(), []string{"--data", "numbers"}, []string{"score"}, "1 2 3 4 5 6 7 8 9 10 11 12"},
	}
	trained := map[string]bool{}
	for name, r := range rs {
		if trained[r.p.Info.Name] {
			continue
		}
		trained[r.p.Info.Name] = true
		var out, errOut bytes.Buffer
		args := append([]string{"train", "--steps", "2", "--validation", "0"}, r.train...)
		if r.p.Info.Source == nil || r.p.Info.Latent != nil {
			args = slices.Concat(args, []string{"--batch", "2"})
		}
		if status := app.Run(context.Background(), r.p, args, &out, &errOut); status != 0 {
			t.Fatalf("%s: %s", name, errOut.String())
		}
	}
	return rs
}

func (r reader) line(i int) string {
	if r.p.Info.Name == "verses" {
		return fmt.Sprintf("%d %d %d 4 5 6", i%7, i%5, i%3)
	}
	s := strings.Repeat("ab", 1+i%2) + strings.Repeat("b", i%2)
	if r.args[0] == "fill" {
		s += "[MASK]"
	}
	return s
}

// A command on a pipe answers each line before the next one comes.
func TestEachLineIsAnsweredAsItComes(t *testing.T) {
	for name, r := range readers(t) {
		inRead, inWrite, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		outRead, outWrite := io.Pipe()
		ended := make(chan int)
		var errOut bytes.Buffer
		go func() {
			status := withInput(t, r.p, inRead, outWrite, &errOut, r.args...)
			outWrite.Close()
			ended <- status
		}()
		out := bufio.NewReader(outRead)
		var answers []string
		for i := range 5 {
			fmt.Fprintln(inWrite, r.line(i))
			s, err := out.ReadString('\n') // the test ends here for ever where nothing is answered
			if err != nil {
				t.Fatalf("%s: %v, %s", name, err, errOut.String())
			}
			answers = append(answers, s)
		}
		inWrite.Close()
		if rest, err := io.ReadAll(out); err != nil || len(rest) > 0 {
			t.Errorf("%s: %q behind the last answer, %v", name, rest, err)
		}
		if status := <-ended; status != 0 {
			t.Errorf("%s: status %d, %s", name, status, errOut.String())
		}
		// All at once, the answers are the same.
		var input strings.Builder
		for i := range 5 {
			fmt.Fprintln(&input, r.line(i))
		}
		if status, got, failed := piped(t, r.p, input.String(), r.args...); status != 0 ||
			got != strings.Join(answers, "") {
			t.Errorf("%s: at once %q, one by one %q: %d, %s", name, got, answers, status, failed)
		}
	}
}

// A line that a model cannot take is an error of that line alone, in its place.
func TestLinesThatAreRefused(t *testing.T) {
	for name, r := range readers(t) {
		var good, input strings.Builder
		for i := range 9 {
			fmt.Fprintln(&good, r.line(i))
			if fmt.Fprintln(&input, r.line(i)); i%4 == 1 {
				fmt.Fprintln(&input, r.long)
			}
		}
		fmt.Fprintln(&input, "é")
		want := 3
		if r.args[0] == "fill" {
			want = 2 // a text without a mask has nothing to fill in
		}
		status, all, failed := piped(t, r.p, good.String(), r.args...)
		if status != 0 {
			t.Fatalf("%s: %s", name, failed)
		}
		status, got, failed := piped(t, r.p, input.String(), r.args...)
		if status != 1 || strings.Count(failed, "\n") != want+1 || !strings.Contains(failed, "input:3: ") ||
			!strings.Contains(failed, "input:8: ") ||
			!strings.HasSuffix(failed, fmt.Sprintf(": %d of 12 lines have no answer\n", want)) {
			t.Errorf("%s: status %d, %s", name, status, failed)
		}
		lines := strings.SplitAfter(got, "\n")
		if len(lines) != 13 {
			t.Fatalf("%s: %d lines of output for 12 of input:\n%s", name, len(lines)-1, got)
		}
		if name == "encode" {
			var code struct{ Text, Error string }
			if err := json.Unmarshal([]byte(lines[2]), &code); err != nil || code.Text != r.long || code.Error == "" {
				t.Errorf("%s: %q, %v", name, lines[2], err)
			}
		} else if lines[2] != "\n" || lines[7] != "\n" {
			t.Errorf("%s: refused lines are answered by %q and %q", name, lines[2], lines[7])
		}
		if name == "drawn" {
			continue // what is drawn follows from the number of a line
		}
		if kept := strings.Join(slices.Concat(lines[:2], lines[3:7], lines[8:11]), ""); kept != all {
			t.Errorf("%s: %q, without those that are refused %q", name, kept, all)
		}
	}
}

// An answer with line breaks is one line, and with --json it is what it was.
func TestAnswersWithBreaks(t *testing.T) {
	all := readers(t)
	for name, args := range map[string][]string{
		"score":       {"sample", "-n", "3"},
		"reconstruct": {"sample", "-n", "3"},
		"labelled":    {"sample", "-n", "3", "--label", "1"},
		"drawn":       {"interpolate", "ab", "ba", "--steps", "3"},
	} {
		p := all[name].p
		p.Tokenizer = breaking{p.Tokenizer}
		if status, out, errOut := piped(t, p, "", args...); status != 0 || strings.Count(out, "\n") != 3 ||
			strings.Contains(out, "\r") {
			t.Errorf("%s %v: status %d, %q, %s", p.Info.Name, args, status, out, errOut)
		}
	}
	p := all["translate"].p
	p.Tokenizer = breaking{p.Tokenizer}
	status, out, errOut := piped(t, p, "ab\nb\nabababababab\n", "translate")
	if status != 1 || strings.Count(out, "\n") != 3 || !strings.HasPrefix(out, `one\ntwo\r\n`) {
		t.Errorf("status %d, %q, %s", status, out, errOut)
	}
	_, out, _ = piped(t, p, "ab\nabababababab\n", "translate", "--json")
	if want := `{"line":1,"text":"one\ntwo\r\n"}` + "\n" +
		`{"line":2,"error":"the source has 12 tokens, the model takes 5: shorten it"}` + "\n"; out != want {
		t.Errorf("%q, want %q", out, want)
	}
}

// breaking is a tokenizer whose texts have line breaks.
type breaking struct{ model.Tokenizer }

func (breaking) Decode([]int32) string { return "one\ntwo\r\n" }

// Labels of a file go with lines in their order, and must be as many.
func TestLabelsOfLines(t *testing.T) {
	r := readers(t)["labelled"]
	for want, labels := range map[string]string{"": "0\n1\n",
		"has 1 labels, and the standard input has more sentences": "1\n",
		"has 3 labels and the standard input has 2 sentences":     "1\n1\n1\n"} {
		write(t, "some", labels)
		status, _, errOut := piped(t, r.p, "ab\nb\n", "reconstruct", "--labels", "some")
		if (status == 0) != (want == "") || !strings.Contains(errOut, want) {
			t.Errorf("status %d, %q, want %q", status, errOut, want)
		}
	}
	if status, _, errOut := piped(t, r.p, "ab\n", "encode"); status != 1 || !strings.Contains(errOut, "--labels FILE") {
		t.Errorf("status %d, %s", status, errOut)
	}
}
