package app

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// inTrained goes to a folder with data and a checkpoint of the program of that name, and gives what runs its commands.
func inTrained(t *testing.T, base, name string) (run func(args ...string) string) {
	t.Helper()
	all := programs()
	i := slices.IndexFunc(all, func(p Program) bool { return p.Info.Name == name })
	t.Chdir(filepath.Join(base, fmt.Sprint(i)))
	return func(args ...string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		if status := Run(context.Background(), all[i], args, &out, &errOut); status != 0 {
			t.Fatalf("%v: status %d, %s", args, status, errOut.String())
		}
		return out.String()
	}
}

// TestBetweenLabels: a way from one label to another begins at the reconstruction under the first and ends at that
// under the second, whether they come in one flag or in two; between two equal ones it is that of one label.
func TestBetweenLabels(t *testing.T) {
	base := trainedPrograms(t)
	run := inTrained(t, base, "labelvae")
	data := []string{"--data", "vectors"}
	rows := func(args ...string) []string {
		t.Helper()
		return strings.Split(strings.TrimSuffix(run(slices.Concat(args, data, []string{"--out", ""})...), "\n"), "\n")
	}
	under := func(label string) []string {
		t.Helper()
		if err := os.WriteFile("under", []byte(strings.Repeat(label+"\n", 80)), 0o644); err != nil {
			t.Fatal(err)
		}
		return rows("reconstruct", "-n", "2", "--labels", "under")
	}
	first, second := under("1"), under("3")
	for _, flags := range [][]string{{"--label", "1,3"}, {"--label", "1", "--label", "3"}} {
		way := rows(slices.Concat([]string{"interpolate", "1", "2", "--steps", "5"}, flags)...)
		if len(way) != 5 || way[0] != first[0] || way[4] != second[1] {
			t.Errorf("%v: the way is\n%q, want one from\n%q to\n%q", flags, way, first[0], second[1])
		}
	}
	if one, two := rows("interpolate", "1", "2", "--label", "2"), rows("interpolate", "1", "2", "--label",
		"2,2"); !slices.Equal(one, two) || len(one) != 10 {
		t.Error("two equal labels are another way than one")
	}

	run = inTrained(t, base, "labeltext")
	if out := run("interpolate", "ab", "bc", "--label", "1,3", "--steps", "6"); strings.Count(out, "\n") != 6 {
		t.Errorf("a way of 6 sentences is %q", out)
	}
	if one, two := run("interpolate", "ab", "bc", "--label", "2"), run("interpolate", "ab", "bc", "--label",
		"2,2"); one != two {
		t.Errorf("%q between two equal labels, %q with one", two, one)
	}
}

// TestLabelGuidance: sentences are guided by their label, also to a constraint, and a scale of 1 is none.
func TestLabelGuidance(t *testing.T) {
	run := inTrained(t, trainedPrograms(t), "labeltext")
	sample := []string{"sample", "--label", "2", "--number", "20", "--temperature", "1"}
	plain := run(sample...)
	if one := run(append(sample, "--guidance", "1")...); one != plain {
		t.Errorf("guidance of 1 writes %q, without it is %q", one, plain)
	}
	if guided := run(append(sample, "--guidance", "20")...); guided == plain || strings.Count(guided, "\n") != 20 {
		t.Errorf("guidance of 20 writes %q", guided)
	}
	if digits := run(append(sample, "--guidance", "3", "--regex", "[0-9]{4}")...); !regexp.MustCompile(
		`\A([0-9]{4}\n){20}\z`).MatchString(digits) {
		t.Errorf("guided to four digits it writes %q", digits)
	}
	run("train", "--data", "lines", "--labels", "labels", "--label-drop", "0.5", "--steps", "2", "--out",
		"dropped.safetensors")
	if again := run("reconstruct", "--guidance", "2", "--data", "lines", "--labels", "labels"); again == "" {
		t.Error("guided reconstruct writes nothing")
	}
}

// TestReconstructMany: reconstruct shows as many as are asked for, in as many rows as they take.
func TestReconstructMany(t *testing.T) {
	run := inTrained(t, trainedPrograms(t), "labelvae")
	for _, c := range []struct{ n, columns, rows int }{{1, 1, 2}, {16, 16, 2}, {17, 9, 4}, {20, 10, 4}, {33, 11, 6},
		{80, 16, 10}, {1000, 16, 10}} {
		n := fmt.Sprint(c.n)
		all := min(c.n, 80) // that there are
		if out := run("reconstruct", "-n", n, "--data", "vectors", "--labels", "labels", "--out",
			""); strings.Count(out, "\n") != all {
			t.Errorf("of %d vectors there are %d lines", c.n, strings.Count(out, "\n"))
		}
		out := run("reconstruct", "-n", n, "--data", "vectors", "--labels", "labels", "--out", "shown.png", "--width",
			"5")
		if !strings.Contains(out, fmt.Sprintf(": %d vectors in rows of %d", all, c.columns)) {
			t.Errorf("of %d vectors reconstruct says %q", c.n, out)
		}
		f, err := os.Open("shown.png")
		if err != nil {
			t.Fatal(err)
		}
		size, err := png.DecodeConfig(f)
		f.Close()
		if err != nil || size.Width != 6*c.columns+1 || size.Height != 5*c.rows+1 { // images of 5 by 4
			t.Errorf("%d vectors are a picture of %d by %d, %v", c.n, size.Width, size.Height, err)
		}
	}
}

// TestBesideEachOther: trainings of every kind of model at the same time in one process end with the same bits as one
// after the other.
func TestBesideEachOther(t *testing.T) {
	base := trainedPrograms(t)
	train := func(i int, p Program, out string) error {
		at := func(name string) string { return filepath.Join(base, fmt.Sprint(i), name) }
		args := []string{"train", "--steps", "25", "--out", at(out)}
		for _, arg := range dataOf(p) {
			if !strings.HasPrefix(arg, "-") {
				arg = at(arg)
			}
			args = append(args, arg)
		}
		var printed, errOut bytes.Buffer
		if status := Run(context.Background(), p, args, &printed, &errOut); status != 0 {
			return fmt.Errorf("%s: status %d, %s", p.Info.Name, status, errOut.String())
		}
		return nil
	}
	all := programs()
	done := make(chan error)
	for i, p := range all {
		if err := train(i, p, "alone"); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range programs() { // each twice, so that those of one kind meet too
		for _, out := range []string{"beside", "besides"} {
			go func() { done <- train(i, p, out) }()
		}
	}
	for range 2 * len(all) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for i, p := range all {
		read := func(name string) string {
			data, err := os.ReadFile(filepath.Join(base, fmt.Sprint(i), name))
			if err != nil {
				t.Fatal(err)
			}
			return string(data)
		}
		if alone := read("alone"); read("beside") != alone || read("besides") != alone {
			t.Errorf("%s: trained beside others it has other bits", p.Info.Name)
		}
	}
}
