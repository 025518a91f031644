package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
)

// TestCompare holds what is said of tensors that are the same, differ, or are in one file alone.
func TestCompare(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, tensors ...checkpoint.Tensor) {
		f := &checkpoint.File{Tensors: tensors}
		if err := f.WriteFile(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	tensor := func(name string, x ...float32) checkpoint.Tensor {
		return checkpoint.Tensor{Name: name, Shape: []int{len(x)}, Value: x}
	}
	file("a", tensor("same", 1, 2), tensor("near", 3, 4), tensor("gone", 1), tensor("short", 1))
	file("b", tensor("same", 1, 2), tensor("near", 3, 4.5), tensor("new", 1), tensor("short", 1, 2))
	code, out, errOut := command(t, dir, "compare", "a", "b")
	if code != 1 || errOut != "" {
		t.Errorf("exit code %d, %q", code, errOut)
	}
	for _, want := range []string{"near    [2]    0.5                 0.1", "only in a", "only in b",
		"has the shape [2] in b",
		"1 tensors have the same numbers, 4 differ"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "same    ") {
		t.Errorf("it lists what is the same:\n%s", out)
	}
	if code, out, _ := command(t, dir, "compare", "a", "a", "--all"); code != 0 ||
		!strings.Contains(out, "same") || !strings.Contains(out, "4 tensors have the same numbers, 0 differ") {
		t.Errorf("exit code %d, %s", code, out)
	}
	fails(t, dir, []string{"compare", "a", "c"}, "c can't be read")
}
