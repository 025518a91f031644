package files

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Hold is the right of this process to a file that it writes more than once, such as the checkpoint of a training. It
// is made by [Take].
type Hold struct {
	name string // of the lock's file
	lock File   // nil where the file system has no locks
}

// InUse is the error of [Take] for a file that is taken.
type InUse struct {
	PID  int    // of the process that has it; 0 where that is not known
	Host string // that it runs on; empty where that is not known
}

// Error names the process and its machine, as far as they are known.
func (e *InUse) Error() string {
	switch {
	case e.PID == 0:
		return "another process is writing it"
	case e.Host == "":
		return fmt.Sprintf("process %d is writing it", e.PID)
	}
	return fmt.Sprintf("process %d on %s is writing it", e.PID, e.Host)
}

// Is makes it an [ErrLocked].
func (e *InUse) Is(target error) bool { return target == ErrLocked }

// Take takes the file at path, which need not be there, until Release or the end of the process, however that ends.
// Another Take of it, in this process too, is an [*InUse]. The file itself is not touched, and may be replaced: what is
// locked is a file beside it, .gradsmith-….lock, which has the number and the host of the process in it. Where a file
// system has no locks, and of what is no file, such as a pipe, nothing is taken, and the error is nil.
func Take(path string) (*Hold, error) {
	target, info, err := destination(path)
	if err != nil {
		return nil, writeError(path, err)
	}
	if info != nil && !info.Mode().IsRegular() {
		return &Hold{}, nil
	}
	name := lockOf(target)
	for range 1000 {
		f, err := sys().OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
		if errors.Is(err, fs.ErrPermission) { // left by a process of another user: reading is enough to lock it
			if g, e := sys().OpenFile(name, os.O_RDONLY, 0); e == nil {
				f, err = g, nil
			}
		}
		if err != nil {
			return nil, writeError(path, err)
		}
		err = f.Lock()
		switch {
		case errors.Is(err, ErrLocked):
			in := &InUse{}
			if text, err := io.ReadAll(io.LimitReader(f, 1<<10)); err == nil {
				in = ownerIn(string(text))
			}
			f.Close()
			return nil, in
		case errors.Is(err, errors.ErrUnsupported):
			f.Close()
			sys().Remove(name)
			return &Hold{}, nil
		}
		here := false
		if err == nil {
			here, err = stands(name, f)
		}
		if err == nil && here {
			if f.Truncate(0) == nil { // who has it is good to know, and not worth failing for
				host, _ := os.Hostname()
				fmt.Fprintf(f, "%d %s\n", os.Getpid(), host)
			}
			return &Hold{name, f}, nil
		}
		f.Close()
		if err != nil {
			return nil, writeError(path, err)
		}
	}
	return nil, writeError(path, errors.New("it cannot be taken"))
}

// ownerIn reads what Take has written.
func ownerIn(text string) *InUse {
	pid, host, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
	n, err := strconv.Atoi(pid)
	if err != nil || n < 1 {
		return &InUse{}
	}
	return &InUse{n, host}
}

// lockOf is the name of the lock of a file: not its own with something added, which may be too long for a name.
func lockOf(target string) string {
	base := filepath.Base(target)
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		base = strings.ToLower(base) // which name the same file there
	}
	sum := sha256.Sum256([]byte(base))
	return filepath.Join(filepath.Dir(target), fmt.Sprintf(".gradsmith-%x.lock", sum[:8]))
}

// Release gives the file free. Of a nil Hold it does nothing.
func (h *Hold) Release() {
	if h == nil || h.lock == nil {
		return
	}
	if !renameOpen {
		h.lock.Close() // a file that is open cannot be removed there
	}
	sys().Remove(h.name)
	if renameOpen {
		h.lock.Close()
	}
	h.lock = nil
}
