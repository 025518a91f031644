package app

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/filestest"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// TestMain takes a disk that syncs nothing: the tests write thousands of files.
func TestMain(m *testing.M) {
	files.Use(filestest.NewDisk(-1, filestest.Way{}))
	os.Exit(m.Run())
}

// TestTrainFaults lets every call fail that a training makes of the disk, as it begins and as it is resumed. It ends
// with one line, and what is there is a checkpoint of before or of after, from which the training goes on to the same
// bits.
func TestTrainFaults(t *testing.T) {
	wait = func(time.Duration) bool { return true }
	defer func() { wait = nil }()
	b := newBench(t)
	b.file("book.txt", b.read("book.txt")[:400])
	begin := []string{"train", "--data", "book.txt", "--window", "4", "--batch", "2", "--eval-every", "2",
		"--validation", "0.2", "--samples", "0", "--log", "log", "--best", "best", "--steps", "4"}
	clean := func() {
		for _, name := range []string{"bigram.safetensors", "log", "best"} {
			os.Remove(name)
		}
	}
	b.run(begin...)
	whole, best := b.read("bigram.safetensors"), b.read("best")
	clean()
	for _, resumed := range []bool{false, true} {
		filestest.Each(t, func(t *testing.T, do func(func() error) (filestest.Fault, error)) {
			clean()
			args := begin
			if resumed {
				c := *b
				ctx, cancel := context.WithCancel(b.ctx)
				c.ctx = ctx
				c.program = bigramProgram(func(m *bigram) {
					m.stepped = func(step int) {
						if step == 2 {
							cancel()
						}
					}
				})
				c.run(begin...)
				args = []string{"train", "--resume", "--samples", "0"}
			}
			var out, errOut bytes.Buffer
			status := 0
			fault, _ := do(func() error {
				status = Run(b.ctx, b.program, args, &out, &errOut)
				return nil
			})
			lines := strings.Split(strings.TrimSpace(errOut.String()), "\n")
			if last := lines[len(lines)-1]; status != 0 &&
				(!strings.HasPrefix(last, "bigram: ") || strings.Contains(last, ".tmp")) {
				t.Errorf("%v: status %d, %q", fault, status, last)
			}
			if resumed {
				if _, err := checkpoint.Describe("bigram.safetensors"); err != nil {
					t.Fatalf("%v: the checkpoint is lost: %v", fault, err)
				}
			}
			again := []string{"train", "--resume", "--samples", "0"}
			if _, err := os.Stat("bigram.safetensors"); err != nil {
				again = append(slices.Clone(begin), "--overwrite")
			}
			b.run(again...)
			if b.read("bigram.safetensors") != whole || b.read("best") != best {
				t.Errorf("%v: status %d, %q; gone on with, it has other bits", fault, status, errOut.String())
			}
		})
	}
}

// writer is a command that writes a file for a flag.
type writer struct {
	args []string                  // without the flag
	file string                    // what the flag names
	old  []string                  // the same command with what it writes first; nil where any file may be there
	any  func(content string) bool // of what is written more than once: whether a file is whole
}

// writerOf says how a flag of a command writes, and whether that is known.
func writerOf(p Program, cmd, flag string) (writer, bool) {
	labels := func(value string) []string {
		if p.Info.Labels == 0 {
			return nil
		}
		return []string{"--label", value}
	}
	args := func(some ...[]string) []string { return slices.Concat(some...) }
	switch cmd + " " + flag {
	case "train --plot":
		whole := func(s string) bool { return strings.HasPrefix(s, "<svg") && strings.HasSuffix(s, "</svg>\n") }
		return writer{args: args(dataOf(p), []string{"--steps", "2", "--overwrite"}), file: "out.svg", any: whole}, true
	case "sample --out":
		return writer{args: args([]string{"-n", "2"}, labels("1")), file: "out.csv"}, true
	case "reconstruct --out":
		return writer{args: args([]string{"-n", "2"}, dataOf(p)), file: "out.csv"}, true
	case "interpolate --out":
		return writer{args: args([]string{"1", "2", "--data", "vectors"}, labels("1,2")), file: "out.csv"}, true
	case "explain --out":
		return writer{args: args([]string{"--text", "ab"}, labels("1")), file: "out.html",
			old: args([]string{"--text", "bc"}, labels("1"))}, true
	case "align --out":
		return writer{args: []string{"ab"}, file: "out.svg"}, true
	case "eval --plane":
		few := args(dataOf(p), []string{"--samples", "3"})
		return writer{args: few, file: "out.json", old: args(few, []string{"--curve", "before"})}, true
	case "quantize --out":
		return writer{args: []string{"--weights", "q8"}, file: "out.safetensors",
			old: []string{"--weights", "q4"}}, true
	case "export --out":
		return writer{args: []string{"--type", "bf16"}, file: "out.safetensors", old: []string{"--type", "f32"}}, true
	}
	return writer{}, false
}

// TestOutputFaults lets every call fail of every command that writes, of every kind of model: what it writes is as it
// was or as it is to be, and one line says what went wrong.
func TestOutputFaults(t *testing.T) {
	wait = func(time.Duration) bool { return true }
	defer func() { wait = nil }()
	base := trainedPrograms(t)
	tried := map[string]bool{}
	for i, p := range programs() {
		for _, cmd := range newRoot(p).Commands() {
			written, _ := fileFlags.Of(cmd)
			for _, flag := range written {
				what := cmd.Name() + " " + flag
				if _, ok := p.Empty().(model.Packer); cmd.Name() == "quantize" && !ok {
					continue // which has nothing to write
				}
				if slices.Contains([]string{"train --out", "train --best", "train --log"}, what) {
					continue // of TestTrainFaults
				}
				if what == "explain --pictures" {
					continue // a folder, whose files are written as the page is
				}
				if what == "train --tensorboard" {
					continue // whose folder package tensorboard tries
				}
				w, ok := writerOf(p, cmd.Name(), flag)
				if !ok {
					t.Errorf("%s: nobody has said how %s writes", p.Info.Name, what)
					continue
				}
				if tried[what] { // another kind of model writes in the same way
					continue
				}
				tried[what] = true
				t.Run(strings.ReplaceAll(what, " --", "-"),
					func(t *testing.T) { w.faults(t, p, filepath.Join(base, fmt.Sprint(i)), cmd.Name(), flag) })
			}
		}
	}
	if len(tried) < 7 {
		t.Errorf("only %d flags that write were found", len(tried))
	}
}

func (w writer) faults(t *testing.T, p Program, from, cmd, flag string) {
	ctx := context.Background()
	command := func(t *testing.T, args []string) (int, string) {
		var out, errOut bytes.Buffer
		status := Run(ctx, p, slices.Concat([]string{cmd, flag, w.file}, args), &out, &errOut)
		return status, errOut.String()
	}
	read := func(t *testing.T) string {
		data, err := os.ReadFile(w.file)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	setUp := func(t *testing.T) string {
		t.Chdir(t.TempDir())
		if err := os.CopyFS(".", os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		if w.old == nil {
			(&bench{t: t}).file(w.file, "old")
		} else if status, errOut := command(t, w.old); status != 0 {
			t.Fatal(errOut)
		}
		return read(t)
	}
	before := ""
	var after string
	t.Run("whole", func(t *testing.T) {
		before = setUp(t)
		if status, errOut := command(t, w.args); status != 0 {
			t.Fatal(errOut)
		}
		if after = read(t); after == before {
			t.Fatal("it writes nothing new")
		}
	})
	if t.Failed() {
		return
	}
	filestest.Each(t, func(t *testing.T, do func(func() error) (filestest.Fault, error)) {
		if dir, err := os.MkdirTemp("", "faults-*"); err != nil {
			t.Fatal(err)
		} else {
			defer os.RemoveAll(dir)
			if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
			t.Chdir(dir)
		}
		(&bench{t: t}).file(w.file, before)
		status, said := 0, ""
		fault, _ := do(func() error {
			status, said = command(t, w.args)
			return nil
		})
		lines := strings.Split(strings.TrimSuffix(said, "\n"), "\n")
		last := lines[len(lines)-1]
		if status != 0 && (!strings.HasPrefix(last, p.Info.Name+": ") || strings.Contains(said, ".tmp") ||
			cmd != "train" && len(lines) != 1) {
			t.Errorf("%v: status %d, %q", fault, status, said)
		}
		switch got := read(t); {
		case got == after, got == before && status != 0:
		case w.any != nil && w.any(got) && status != 0:
		default:
			t.Errorf("%v: status %d, %q; the file holds %.40q", fault, status, said, got)
		}
	})
}
