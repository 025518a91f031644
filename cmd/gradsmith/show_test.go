package main

import (
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/spec"
)

// Show lists the library with a line for each name, prints what a name stands for, and knows what is meant by one that
// is not quite right.
func TestShow(t *testing.T) {
	names, docs := spec.Library()
	code, out, errOut := command(t, ".", "show")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); code != 0 || errOut != "" || len(lines) != len(names) {
		t.Fatalf("code %d, %q: %d lines for %d names:\n%s", code, errOut, len(lines), len(names), out)
	}
	for i, name := range names {
		if len(docs[i]) > 200 || strings.Contains(docs[i], "\n") || !strings.HasSuffix(docs[i], ".") {
			t.Errorf("%s has no sentence of its own: %q", name, docs[i])
		}
		code, out, errOut := command(t, ".", "show", name)
		if text, err := spec.LibraryText(name); err != nil || code != 0 || errOut != "" || out != text {
			t.Errorf("show %s: code %d, %q, %v, printed\n%s", name, code, errOut, err, out)
		}
	}
	fails(t, ".", []string{"show", "lstn"}, `did you mean "lstm"`)
}
