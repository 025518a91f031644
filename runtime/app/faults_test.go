package app

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/filestest"
)

// TestMain takes a disk that syncs nothing: the tests write thousands of files.
func TestMain(m *testing.M) {
	files.Use(filestest.NewDisk(-1, filestest.Way{}))
	os.Exit(m.Run())
}

// TestTrainFaults lets every call fail that a training makes of the disk, as it begins and as it is resumed. It ends with one
// line, and what is there is a checkpoint of before or of after, from which the training goes on to the same bits.
func TestTrainFaults(t *testing.T) {
	wait = func(time.Duration) bool { return true }
	defer func() { wait = nil }()
	b := newBench(t)
	b.file("book.txt", b.read("book.txt")[:400])
	begin := []string{"train", "--data", "book.txt", "--window", "4", "--batch", "2", "--eval-every", "2", "--validation", "0.2", "--samples", "0", "--log", "log", "--best", "best", "--steps", "4"}
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
			if last := lines[len(lines)-1]; status != 0 && (!strings.HasPrefix(last, "bigram: ") || strings.Contains(last, ".tmp")) {
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
