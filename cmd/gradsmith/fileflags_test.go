package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestFileFlags finds flags and arguments of which nobody has said whether they name files, and checks that those which
// do are kept apart.
func TestFileFlags(t *testing.T) {
	if err := fileFlags.Missing(newRoot()); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	const content = "the cat and the dog\n"
	for _, name := range []string{"a.txt", "texts/b.txt", "texts/c.md"} {
		write(t, filepath.Join(dir, name), content)
	}
	fails(t, dir, []string{"vocab", "a.txt", "-o", "a.txt"},
		"--out a.txt is the same file as the argument a.txt, which would be lost")
	fails(t, dir, []string{"vocab", "texts/b.txt", "a.txt", "-o", "./texts/../a.txt", "--bpe", "300"}, "would be lost")
	fails(t, dir, []string{"vocab", "texts", "-o", "texts/c.md"},
		"--out texts/c.md is one of the files of the argument texts")
	for _, name := range []string{"a.txt", "texts/b.txt", "texts/c.md"} {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != content {
			t.Errorf("%s holds %q, %v", name, data, err)
		}
	}
	if code, _, errOut := command(t, dir, "vocab", "texts", "--match", "*.txt", "-o", "texts/c.md"); code != 0 {
		t.Errorf("a file that is not read is not written: %s", errOut)
	}
}
