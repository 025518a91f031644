//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package files

import (
	"errors"
	"io/fs"
	"os"
)

// renameOpen says that a file may be renamed and removed while it is open.
const renameOpen = false

func lock(*os.File) error { return errors.ErrUnsupported }

func chown(*os.File, fs.FileInfo) {}
