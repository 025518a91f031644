package generated_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/latentgpt"
	"github.com/gradsmith/gradsmith/runtime/kernel"
)

// TestTransformerAutoencoder takes an autoencoder of sentences made of Transformers through its commands: it learns to
// write a sentence again from the latent vector alone.
func TestTransformerAutoencoder(t *testing.T) {
	t.Chdir(t.TempDir())
	var text strings.Builder
	for i := range 120 {
		fmt.Fprintln(&text, strings.Repeat(string(rune('a'+i%4)), 2+i/4%3))
	}
	write(t, "t.txt", text.String())
	p := latentgpt.Program()
	resumed(t, p, "31", "61", "--data", "t.txt", "--eval-every", "20")
	must(t, p, "", "train", "--data", "t.txt", "--steps", stepsOf(1500), "--rate", "0.005")
	if out := must(t, p, "", "eval", "--data", "t.txt", "--samples", "5"); !strings.Contains(out, "120 sentences") {
		t.Errorf("eval says %s", out)
	}
	again := must(t, p, "aaa\nbb\ndddd\nccc\n", "reconstruct")
	if lines := strings.Split(again, "\n"); len(lines) != 5 {
		t.Errorf("four sentences come back as %q", again)
	} else if kernel.Level() != "generic" {
		for i, c := range "abdc" {
			if lines[i] == "" || strings.Trim(lines[i], string(c)) != "" {
				t.Errorf("sentence %d, of %q, comes back as %q", i+1, c, lines[i])
			}
		}
	}
	if out := must(t, p, "", "interpolate", "aa", "dddd", "--steps", "4"); strings.Count(out, "\n") != 4 {
		t.Errorf("interpolate prints %q", out)
	}
	if a, b := must(t, p, "", "sample", "-n", "7"), must(t, p, "", "sample", "-n", "7", "--threads", "2"); a != b ||
		strings.Count(a, "\n") != 7 {
		t.Errorf("7 samples are %q, then %q", a, b)
	}
	unanswered(t, p, "a\n"+strings.Repeat("a", 12)+"\n", "the model takes 11", "reconstruct")
}
