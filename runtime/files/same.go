package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Same tells whether two paths lead to one file, or would when something is written at them: through links of both
// kinds, in other spellings, and in other letter cases where the file system makes no difference or nothing is there
// yet to tell. Devices and pipes are nobody's file, so that they are never the same.
func Same(a, b string) bool {
	ia, errA := sys().Stat(a)
	ib, errB := sys().Stat(b)
	switch {
	case errA == nil && errB == nil:
		return os.SameFile(ia, ib) && (ia.Mode().IsRegular() || ia.IsDir())
	case !errors.Is(errA, fs.ErrNotExist) || !errors.Is(errB, fs.ErrNotExist):
		return false // one is there and the other is not, or cannot be looked at
	}
	pa, errA := place(a)
	pb, errB := place(b)
	return errA == nil && errB == nil && strings.EqualFold(pa, pb)
}

// place is where a file would come to stand that is not there yet: an absolute path without links in it.
func place(path string) (string, error) {
	path, err := follow(path)
	if err != nil {
		return "", err
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return path, nil // the folder is missing too
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}
