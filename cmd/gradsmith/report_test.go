package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/filestest"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// trainingLog is the log of a training that ends at a loss.
func trainingLog(loss float64) string {
	var b bytes.Buffer
	l := train.NewLog(&b)
	l.Describe(train.Description{Model: "poet", Unit: "token", Total: 2,
		Settings: map[string]string{"rate": fmt.Sprint(loss)}})
	l.Step(train.Progress{Step: 1, Loss: loss + 1, Tokens: 8})
	l.Step(train.Progress{Step: 2, Loss: loss, Tokens: 8})
	l.Evaluated(train.Evaluation{Step: 2, Loss: loss})
	return b.String()
}

// Report shows the runs that it can read and names the others, compares two sets, and writes over nothing but its own
// pages.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	for i, loss := range []float64{2, 2.01, 2.02, 1, 1.01, 1.02} {
		write(t, filepath.Join(dir, "runs", fmt.Sprintf("%c%d.jsonl", "ab"[i/3], i)), trainingLog(loss))
	}
	write(t, filepath.Join(dir, "broken.jsonl"), "no log\n")
	write(t, filepath.Join(dir, "letter.html"), "<!doctype html>\n<p>Dear friend")

	code, out, errOut := command(t, dir, "report", "runs", "broken.jsonl")
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if code != 0 || err != nil || !strings.Contains(out, "report.html: 6 of 7 runs") ||
		!strings.Contains(errOut, "broken.jsonl: is no log of a training") ||
		!bytes.Contains(page, []byte("6 trainings")) {
		t.Errorf("exit code %d, %q, %q, %v", code, out, errOut, err)
	}
	if code, out, errOut := command(t, dir, "report", "runs/a0.jsonl"); code != 0 ||
		out != "report.html: 1 of 1 runs\n" {
		t.Errorf("over its own page: exit code %d, %q, %q", code, out, errOut)
	}
	code, out, errOut = command(t, dir, "report", "--compare", "runs/a*", "runs/b*", "-o", "both.html")
	if page, _ := os.ReadFile(filepath.Join(dir, "both.html")); code != 0 || !strings.Contains(out,
		"runs/b* is better: its mean is lower by 1 ") || !bytes.Contains(page, []byte("runs/b* is better")) {
		t.Errorf("exit code %d, %q, %q", code, out, errOut)
	}
	if code, out, _ := command(t, dir, "report", "--compare", "runs/a0.jsonl", "runs/b3.jsonl"); code != 0 ||
		!strings.Contains(out, "Too few runs: ") {
		t.Errorf("exit code %d, %q", code, out)
	}

	fails(t, dir, []string{"report"}, "report takes one RUN or more")
	fails(t, dir, []string{"report", "none"}, "there is no log none")
	fails(t, dir, []string{"report", "runs", "-o", "letter.html"}, "letter.html is no page of gradsmith report")
	fails(t, dir, []string{"report", "runs", "-o", "runs/a0.jsonl"}, "runs/a0.jsonl is no page of gradsmith report")
	fails(t, dir, []string{"report", "--compare", "runs"}, "--compare takes two, A and B, not 1")
	fails(t, dir, []string{"report", "--compare", "runs/a*", "runs"}, "is on both sides")
	fails(t, dir, []string{"report", "--compare", "runs/a*", "broken.jsonl"}, "broken.jsonl is no log of a training")
	if code, out, errOut := command(t, dir, "report", "broken.jsonl"); code != 1 ||
		!strings.Contains(errOut, "is no log of a training") {
		t.Errorf("exit code %d, %q, %q", code, out, errOut)
	}
}

// TestReportFaults lets each call of the disk fail: the page is the old one or the new one.
func TestReportFaults(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.jsonl")
	write(t, path, trainingLog(2))
	old := filepath.Join(dir, "report.html")
	if code, _, errOut := command(t, dir, "report", path); code != 0 {
		t.Fatal(errOut)
	}
	before, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, trainingLog(3))
	whole := ""
	filestest.Each(t, func(t *testing.T, do func(func() error) (filestest.Fault, error)) {
		write(t, old, string(before))
		code := 0
		fault, _ := do(func() error {
			var out, errOut bytes.Buffer
			code = run([]string{"report", path, "-o", old}, &out, &errOut)
			return nil
		})
		got, err := os.ReadFile(old)
		if err != nil {
			t.Fatal(err)
		}
		switch s := string(got); {
		case s == string(before) && code != 0:
		case strings.HasSuffix(s, "</html>\n") && strings.Contains(s, "Training a"):
			whole = s
		default:
			t.Errorf("%v: exit code %d, the page holds %d bytes", fault, code, len(s))
		}
	})
	if !strings.Contains(whole, ">3.0000 at step 2<") {
		t.Error("the new page was never written")
	}
}
