package files

import (
	"os"
	"path/filepath"
	"testing"
)

// A scratch folder is empty, another one each time, and gone when it was removed.
func TestScratch(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	one, remove, err := Scratch("x")
	if err != nil {
		t.Fatal(err)
	}
	two, removeTwo, err := Scratch("x")
	if err != nil {
		t.Fatal(err)
	}
	defer removeTwo()
	if found, err := os.ReadDir(one); err != nil || len(found) != 0 || one == two {
		t.Errorf("%s and %s, with %v, %v", one, two, found, err)
	}
	if err := os.WriteFile(filepath.Join(one, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	remove()
	if _, err := os.Stat(one); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}
