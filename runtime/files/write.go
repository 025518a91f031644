package files

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
)

// Reasons why nothing can be written at a path.
var (
	ErrFolder   = errors.New("it is a folder")
	ErrReadOnly = errors.New("it is read-only")
)

// WriteFile is [Write] of bytes.
func WriteFile(path string, data []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Write puts what the function writes in place of the file at path: into a temporary file beside it, which is synced
// and then takes its place. On an error the file is as it was. A file that is replaced keeps its permissions; a new
// one gets those that the process's mask leaves of 0666. A symbolic link is followed; a device or a pipe is written to
// as it is.
//
// Before that it removes the temporary files beside it that processes have left which were killed.
func Write(path string, write func(io.Writer) error) error {
	target, info, err := destination(path)
	if err != nil {
		return writeError(path, err)
	}
	if info != nil && !info.Mode().IsRegular() {
		f, err := sys().OpenFile(target, os.O_WRONLY, 0)
		if err != nil {
			return writeError(path, err)
		}
		return writeError(path, errors.Join(write(f), f.Close()))
	}
	dir := filepath.Dir(target)
	sweep(dir)
	f, temp, err := createTemp(dir)
	if err != nil {
		return writeError(path, err)
	}
	if err := fill(f, info, write); err != nil {
		f.Close()
		sys().Remove(temp)
		return writeError(path, err)
	}
	if !renameOpen {
		f.Close()
	}
	if err := sys().Rename(temp, target); err != nil {
		f.Close()
		sys().Remove(temp)
		return writeError(path, err)
	}
	f.Close() // all of it is on the disk, so that nothing can come of this any more
	syncFolder(dir)
	return nil
}

// fill writes a temporary file for the one that info describes, if any.
func fill(f File, info fs.FileInfo, write func(io.Writer) error) error {
	b := bufio.NewWriterSize(f, 1<<16)
	if err := write(b); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	if info != nil {
		if err := f.Like(info); err != nil {
			return err
		}
	}
	return f.Sync()
}

func writeError(path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: "write", Path: path, Err: Cause(err)}
}

// Writable tells why [Write] would fail at path, as far as that can be known before, so that hours of work are not lost
// to it. It leaves nothing behind.
func Writable(path string) error {
	target, info, err := destination(path)
	if err != nil {
		return writeError(path, err)
	}
	if info != nil && !info.Mode().IsRegular() {
		return nil
	}
	f, temp, err := createTemp(filepath.Dir(target))
	if err != nil {
		return writeError(path, err)
	}
	f.Close()
	return writeError(path, sys().Remove(temp))
}

// destination is the file that a path leads to, through symbolic links, and what is there; info is nil when nothing is.
func destination(path string) (target string, info fs.FileInfo, err error) {
	if target, err = follow(path); err != nil {
		return "", nil, err
	}
	info, err = sys().Stat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return target, nil, nil
	case err != nil:
		return "", nil, err
	case info.IsDir():
		return "", nil, ErrFolder
	case info.Mode().IsRegular() && info.Mode().Perm()&0o222 == 0:
		return "", nil, ErrReadOnly // renaming would work, but somebody wants to keep it
	}
	return target, info, nil
}

// follow is the path that symbolic links in the last part of a path lead to; nothing need be there.
func follow(path string) (string, error) {
	if path == "" {
		return "", fs.ErrNotExist
	}
	for range 255 {
		info, err := sys().Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			return path, nil
		}
		to, err := sys().Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return "", errors.New("too many symbolic links")
}

// tempName matches the names of temporary files. They do not have the name of the file in them, which may be as long
// as a name can be; they begin with a dot, so that no reader of a folder takes them for data.
var tempName = regexp.MustCompile(`^\.gradsmith-[0-9a-f]{16}\.tmp$`)

// createTemp makes a temporary file in dir, which no sweep removes as long as it is open.
func createTemp(dir string) (File, string, error) {
	for range 1000 {
		name := filepath.Join(dir, fmt.Sprintf(".gradsmith-%016x.tmp", rand.Uint64()))
		f, err := sys().OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		// A sweep may have come between the two calls: then the file is locked, or gone.
		err = f.Lock()
		if err == nil || errors.Is(err, errors.ErrUnsupported) {
			var here bool
			if here, err = stands(name, f); err == nil && here {
				return f, name, nil
			}
		}
		f.Close()
		if err != nil && !errors.Is(err, ErrLocked) {
			sys().Remove(name)
			return nil, "", err
		}
	}
	return nil, "", errors.New("no temporary file can be made")
}

// stands tells whether the open file is still the one of that name.
func stands(name string, f File) (bool, error) {
	is, err := f.Stat()
	if err != nil {
		return false, err
	}
	named, err := sys().Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(is, named), err
}

// sweep removes the temporary files in dir whose process has ended: those that can be locked.
func sweep(dir string) {
	entries, err := sys().ReadDir(dir)
	if err != nil {
		return // whoever writes there will say so
	}
	for _, e := range entries {
		if tempName.MatchString(e.Name()) && e.Type().IsRegular() {
			removeStale(filepath.Join(dir, e.Name()))
		}
	}
}

func removeStale(name string) {
	f, err := sys().OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if f.Lock() != nil {
		return
	}
	if here, err := stands(name, f); err != nil || !here {
		return
	}
	if !renameOpen {
		f.Close() // a file that another process has open cannot be removed there
	}
	sys().Remove(name)
}

// syncFolder makes names in a folder durable. Where a system can't do that, the files are complete all the same.
func syncFolder(dir string) {
	if d, err := sys().OpenFile(dir, os.O_RDONLY, 0); err == nil {
		d.Sync()
		d.Close()
	}
}
