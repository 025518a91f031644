package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/files"
)

// TestKeep keeps three checkpoints and the best parameters, damages the newest one, and goes on from the one before.
func TestKeep(t *testing.T) {
	b := newBench(t)
	begin := []string{"train", "--data", "book.txt", "--window", "4", "--batch", "2", "--eval-every", "3", "--steps",
		"15",
		"--samples", "0", "--keep", "3", "--log", "log"}
	b.run(begin...)
	all, err := filepath.Glob("bigram*")
	if err != nil || strings.Join(all, " ") != "bigram.best.safetensors bigram.safetensors "+
		"bigram.step-00000009.safetensors bigram.step-00000012.safetensors" {
		t.Fatalf("what stays is %v, %v", all, err)
	}
	whole, log := b.read("bigram.safetensors"), b.read("log")
	if err := os.WriteFile("bigram.safetensors", []byte(whole[:len(whole)-7]), 0o666); err != nil {
		t.Fatal(err)
	}
	_, said := b.run("train", "--resume", "--samples", "0")
	if want := "bigram: warning: checkpoint bigram.safetensors: is truncated"; !strings.Contains(said, want) ||
		!strings.Contains(said, "goes on from the checkpoint before, bigram.step-00000012.safetensors") {
		t.Errorf("it says %q", said)
	}
	if b.read("bigram.safetensors") != whole || strings.Count(b.read("log"), "\n") != strings.Count(log, "\n") ||
		len(b.read("bigram.damaged.safetensors")) != len(whole)-7 {
		t.Error("it leaves other files than before")
	}
	if err := os.Remove("bigram.safetensors"); err != nil {
		t.Fatal(err)
	}
	b.fails("bigram.step-00000012.safetensors exists", append(begin, "--out", "bigram.safetensors", "--log", "log2",
		"--best", "best")...)
	b.fails("--keep 0: give 1 or more", append(begin, "--overwrite", "--keep", "0")...)
	b.run(append(begin, "--overwrite", "--keep", "1")...)
	if all, _ := filepath.Glob("bigram.step*"); len(all) > 0 {
		t.Errorf("a training that began anew leaves %v", all)
	}
}

// TestInUse begins a training while another process has its checkpoint, or its log.
func TestInUse(t *testing.T) {
	b := newBench(t)
	args := []string{"train", "--data", "book.txt", "--window", "4", "--batch", "2", "--steps", "4", "--samples", "0"}
	for name, what := range map[string]string{"bigram.safetensors": "checkpoint", "log": "log"} {
		h, err := files.Take(name)
		if err != nil {
			t.Fatal(err)
		}
		b.fails(fmt.Sprintf("the %s %s is in use: process %d on ", what, name, os.Getpid()), append(args, "--log",
			"log")...)
		h.Release()
		if all, _ := filepath.Glob("*.safetensors"); len(all) > 0 {
			t.Errorf("it leaves %v", all)
		}
	}
	b.run(append(args, "--log", "log")...)
}
