package spec

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestHostile holds Parse to a bound of time on inputs that are made to be slow.
func TestHostile(t *testing.T) {
	const n = 100_000
	for name, src := range map[string]string{
		"open lists":    strings.Repeat("[", n),
		"open maps":     strings.Repeat("{a: ", n),
		"nested items":  strings.Repeat("- ", n),
		"complex keys":  strings.Repeat("? ", n),
		"long line":     "kind: rnn\nname: " + strings.Repeat("a", 10*n),
		"long key":      "kind: rnn\n" + strings.Repeat("a", 10*n) + ": 1",
		"many keys":     "kind: rnn\n" + strings.Repeat("a: 1\n", n),
		"many layers":   "kind: rnn\nlayers:\n" + strings.Repeat("  - lstm: {units: 8}\n", n),
		"many blocks":   "kind: attention\ndecoder:\n" + strings.Repeat("  - transformer: {heads: 7}\n", n),
		"deep indent":   "kind: rnn\nlayers:\n" + strings.Repeat(" ", 10*n) + "- dense",
		"comments":      "kind: rnn\n" + strings.Repeat("# c\n", 10*n),
		"anchors":       "kind: rnn\nlayers: [" + strings.Repeat("&a x, ", n) + "]",
		"tabs":          "kind: rnn\n" + strings.Repeat("\t", 10*n),
		"quotes":        strings.Repeat("\"", 10*n),
		"blank lines":   strings.Repeat("\n", 10*n),
		"document ends": strings.Repeat("---\n", n),
		"spaces":        "a:" + strings.Repeat(" ", 10*n) + "b",
		"colons":        strings.Repeat("a:", n),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := Parse("m.yaml", []byte(src), nil)
			if err == nil {
				t.Error("no error")
			}
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("%v for %d bytes", d, len(src))
			}
			if lines := strings.Count(err.Error(), "\n"); lines > 100 {
				t.Errorf("%d lines of errors", lines)
			}
		})
	}
}

// TestBlockFaultOnce checks that what is wrong with a block is said of its first use, not of thousands, and that a
// wrong setting of one use hides nothing of another.
func TestBlockFaultOnce(t *testing.T) {
	faults := func(layers string) int {
		_, err := Parse("model.yaml", []byte(`kind: rnn
tokenizer: ascii
shape: {batch: 2, steps: 4}
blocks:
  bad: [eropout: 0.1]
  sized: {settings: {units: 4}, layers: [lstm: {units: $units}]}
layers: [embedding: {size: 8}, `+layers+`, dense]
optimizer: {adam: {rate: 0.1}}
`), nil)
		var all Errors
		if !errors.As(err, &all) {
			t.Fatalf("%s: %v", layers, err)
		}
		return len(all)
	}
	if n := faults("bad, bad, bad"); n != 1 {
		t.Errorf("three uses of a bad block give %d faults, want 1", n)
	}
	if n := faults("sized: {units: -1}, sized: {units: -2}, sized"); n != 2 {
		t.Errorf("two bad settings and a good use give %d faults, want 2", n)
	}
}
