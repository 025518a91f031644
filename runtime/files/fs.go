package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
)

// FS is what the package asks of an operating system. Errors are those of the functions of package os.
type FS interface {
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	Stat(name string) (fs.FileInfo, error)
	Lstat(name string) (fs.FileInfo, error)
	Readlink(name string) (string, error)
	ReadDir(name string) ([]fs.DirEntry, error)
	Mkdir(name string, perm fs.FileMode) error
	Rename(from, to string) error
	Link(from, to string) error
	Remove(name string) error
}

// File is an open file, or an open folder, of which Sync and Close are used.
type File interface {
	io.ReadWriteCloser
	io.ReaderAt
	io.Seeker
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
	// Like gives the file the permissions of another, and its owner where the process may do that.
	Like(info fs.FileInfo) error
	// Lock takes the file for this process until it is closed. It does not wait: it returns ErrLocked where another
	// has it, and errors.ErrUnsupported where the file system has no locks.
	Lock() error
}

// ErrLocked says that another process has taken a file.
var ErrLocked = errors.New("another process has taken it")

// current is the file system in use.
var current atomic.Pointer[FS]

func sys() FS {
	if p := current.Load(); p != nil {
		return *p
	}
	return OS{}
}

// Use puts another file system in place of the operating system's, for all of the process, until restore is called. It
// is for tests.
func Use(other FS) (restore func()) {
	before := current.Swap(&other)
	return func() { current.Store(before) }
}

// OS is the file system of the operating system.
type OS struct{}

// OpenFile is os.OpenFile.
func (OS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err // no *os.File of nil in an interface
	}
	return osFile{f}, nil
}

// Stat is os.Stat.
func (OS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// Lstat is os.Lstat.
func (OS) Lstat(name string) (fs.FileInfo, error) { return os.Lstat(name) }

// Readlink is os.Readlink.
func (OS) Readlink(name string) (string, error) { return os.Readlink(name) }

// ReadDir is os.ReadDir.
func (OS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

// Mkdir is os.Mkdir.
func (OS) Mkdir(name string, perm fs.FileMode) error { return os.Mkdir(name, perm) }

// Rename is os.Rename.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Link is os.Link.
func (OS) Link(from, to string) error { return os.Link(from, to) }

// Remove is os.Remove.
func (OS) Remove(name string) error { return os.Remove(name) }

type osFile struct{ *os.File }

func (f osFile) Lock() error { return lock(f.File) }

func (f osFile) Like(info fs.FileInfo) error {
	chown(f.File, info) // first: a change of the owner takes permissions away
	if err := f.Chmod(info.Mode().Perm()); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// Open opens a file for reading.
func Open(name string) (File, error) { return sys().OpenFile(name, os.O_RDONLY, 0) }

// OpenFile is os.OpenFile, for files that grow while a program runs, as a log does. Others are for [Write].
func OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	return sys().OpenFile(name, flag, perm)
}

// Stat is os.Stat.
func Stat(name string) (fs.FileInfo, error) { return sys().Stat(name) }

// Remove is os.Remove.
func Remove(name string) error { return sys().Remove(name) }

// ReadDir is os.ReadDir.
func ReadDir(name string) ([]fs.DirEntry, error) { return sys().ReadDir(name) }

// ReadFile is os.ReadFile.
func ReadFile(name string) ([]byte, error) {
	f, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// Cause is the reason in an error of package os, without the operation and the path: the path in it may be that of a
// temporary file, which means nothing to the user.
func Cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	var le *os.LinkError
	if errors.As(err, &le) {
		return le.Err
	}
	return err
}
