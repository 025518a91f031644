package spec

import (
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
