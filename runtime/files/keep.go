package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// Keep gives the file at path a second name, under which it stays what it is when [Write] puts another one at path. A
// file that has that name already is replaced. Where a file system has no hard links, the file is copied.
func Keep(path, name string) error {
	target, err := follow(path)
	if err != nil {
		return writeError(name, err)
	}
	is, err := sys().Stat(target)
	if err != nil {
		return writeError(name, err)
	}
	at, err := sys().Lstat(name)
	if err == nil && os.SameFile(is, at) {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) && sys().Link(target, name) == nil {
		return nil
	}
	return Write(name, func(w io.Writer) error { return read(target, w) })
}
