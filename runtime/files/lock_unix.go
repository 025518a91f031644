//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package files

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// renameOpen says that a file may be renamed and removed while it is open.
const renameOpen = true

// lock uses flock, whose locks belong to the open file: the system gives them back when the process ends, however it
// ends.
func lock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK):
			return ErrLocked
		case errors.Is(err, syscall.EIO):
			return &fs.PathError{Op: "flock", Path: f.Name(), Err: err}
		}
		return errors.ErrUnsupported // as of network file systems without a lock server
	}
}

// chown gives the file the owner of another, where the process may: a file that root replaces stays its owner's.
func chown(f *os.File, info fs.FileInfo) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok && (int(s.Uid) != os.Getuid() || int(s.Gid) != os.Getgid()) {
		f.Chown(int(s.Uid), int(s.Gid))
	}
}
