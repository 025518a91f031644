// Package filestest has file systems that fail, for tests of what writes files: [Each] runs a command again and again
// and lets each of its calls fail in each of the ways that disks have.
//
// It must not know what a command writes.
package filestest

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/files"
)

// Way is how a call fails.
type Way struct {
	Name string
	// Err is what the call returns; nil for a write that is short and says nothing of it.
	Err error
	// After lets the call have its effect before it returns the error.
	After bool
	// Rest lets every later call fail too: the disk has gone, or the process.
	Rest bool
	// Dead says that the process has ended: nobody reads its error.
	Dead bool
	// At tells the calls at which this is worth a run: the others do what another call or another way does.
	At func(op string) bool
}

// every call may fail.
func every(string) bool { return true }

// changing calls do something to the disk: between two of them, a process that is killed leaves the same.
func changing(op string) bool {
	return slices.Contains([]string{"open", "write", "sync", "chmod", "truncate", "mkdir", "rename", "link", "remove",
		"close", "lock"}, op)
}

// growing calls need room on the disk.
func growing(op string) bool {
	return slices.Contains([]string{"open", "write", "mkdir", "rename", "link"}, op)
}

func writing(op string) bool { return op == "write" }

// errDead is what calls return to a process that is supposed to have ended.
var errDead = errors.New("the process has ended")

// Ways are the ways in which Each lets calls fail. A write that fails has written half of its bytes.
var Ways = []Way{
	{Name: "I/O error", Err: syscall.EIO, At: every},
	{Name: "disk full", Err: syscall.ENOSPC, At: growing},
	{Name: "disk full from here on", Err: syscall.ENOSPC, Rest: true, At: growing},
	{Name: "short write", Err: nil, At: writing},
	{Name: "error after the effect", Err: syscall.EIO, After: true, At: changing},
	{Name: "killed", Err: errDead, Rest: true, Dead: true, At: changing},
}

// Disk is a [files.FS] in front of the operating system's, whose calls are counted.
type Disk struct {
	// Before is called before each call, with its number, from 0; an error is what the call returns. It may be nil.
	Before func(n int, call string) error

	under files.OS
	mu    sync.Mutex
	calls []string
	at    int // number of the call that fails; below 0 for none
	way   Way
	hit   string // the call that has failed
	open  map[*file]bool
}

// NewDisk makes a disk whose call of that number fails; with a number below 0 none does.
func NewDisk(at int, way Way) *Disk { return &Disk{at: at, way: way, open: map[*file]bool{}} }

// Hit is the call that has failed, or "" when the disk had fewer calls.
func (d *Disk) Hit() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hit
}

// Calls is the number of calls so far.
func (d *Disk) Calls() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.calls)
}

// call counts a call, and says what it returns and whether it has its effect before that.
func (d *Disk) call(name string) (fails, effect bool, err error) {
	d.mu.Lock()
	n := len(d.calls)
	d.calls = append(d.calls, name)
	here := n == d.at || d.at >= 0 && n > d.at && d.way.Rest
	if n == d.at {
		d.hit = name
	}
	d.mu.Unlock()
	if d.Before != nil {
		if err := d.Before(n, name); err != nil {
			return true, false, err
		}
	}
	if !here {
		return false, true, nil
	}
	return true, n == d.at && d.way.After, d.way.Err
}

// release closes what the process has open, as the operating system does when it ends.
func (d *Disk) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for f := range d.open {
		f.File.Close()
	}
	clear(d.open)
}

// do makes a call that either has its effect or has not.
func (d *Disk) do(op, path string, f func() error) error {
	fails, effect, err := d.call(op + " " + path)
	if effect {
		if real := f(); real != nil {
			return real
		}
	}
	if fails && err != nil {
		return &fs.PathError{Op: op, Path: path, Err: err}
	}
	if !effect {
		return f() // a short write is nothing that this call could be
	}
	return nil
}

// OpenFile is os.OpenFile.
func (d *Disk) OpenFile(name string, flag int, perm fs.FileMode) (files.File, error) {
	var f files.File
	err := d.do("open", name, func() (err error) {
		f, err = d.under.OpenFile(name, flag, perm)
		return err
	})
	if err != nil {
		if f != nil {
			f.Close()
		}
		return nil, err
	}
	x := &file{f, d, name}
	d.mu.Lock()
	d.open[x] = true
	d.mu.Unlock()
	return x, nil
}

// Stat is os.Stat.
func (d *Disk) Stat(name string) (i fs.FileInfo, err error) {
	err = d.do("stat", name, func() (err error) {
		i, err = d.under.Stat(name)
		return err
	})
	return i, err
}

// Lstat is os.Lstat.
func (d *Disk) Lstat(name string) (i fs.FileInfo, err error) {
	err = d.do("lstat", name, func() (err error) {
		i, err = d.under.Lstat(name)
		return err
	})
	return i, err
}

// Readlink is os.Readlink.
func (d *Disk) Readlink(name string) (to string, err error) {
	err = d.do("readlink", name, func() (err error) {
		to, err = d.under.Readlink(name)
		return err
	})
	return to, err
}

// ReadDir is os.ReadDir.
func (d *Disk) ReadDir(name string) (e []fs.DirEntry, err error) {
	err = d.do("readdir", name, func() (err error) {
		e, err = d.under.ReadDir(name)
		return err
	})
	return e, err
}

// Mkdir is os.Mkdir.
func (d *Disk) Mkdir(name string, perm fs.FileMode) error {
	return d.do("mkdir", name, func() error { return d.under.Mkdir(name, perm) })
}

// Rename is os.Rename.
func (d *Disk) Rename(from, to string) error {
	return d.do("rename", to, func() error { return d.under.Rename(from, to) })
}

// Link is os.Link.
func (d *Disk) Link(from, to string) error {
	return d.do("link", to, func() error { return d.under.Link(from, to) })
}

// Remove is os.Remove.
func (d *Disk) Remove(name string) error {
	return d.do("remove", name, func() error { return d.under.Remove(name) })
}

type file struct {
	files.File
	d    *Disk
	name string
}

func (f *file) Write(p []byte) (int, error) {
	fails, effect, err := f.d.call("write " + f.name)
	if effect {
		n, real := f.File.Write(p)
		if real != nil || !fails {
			return n, real
		}
		return n, &fs.PathError{Op: "write", Path: f.name, Err: err}
	}
	n, _ := f.File.Write(p[:len(p)/2])
	if err != nil {
		err = &fs.PathError{Op: "write", Path: f.name, Err: err}
	}
	return n, err
}

func (f *file) Read(p []byte) (n int, err error) {
	err = f.d.do("read", f.name, func() (err error) {
		n, err = f.File.Read(p)
		return err
	})
	return n, err
}

func (f *file) ReadAt(p []byte, at int64) (n int, err error) {
	err = f.d.do("read", f.name, func() (err error) {
		n, err = f.File.ReadAt(p, at)
		return err
	})
	return n, err
}

func (f *file) Stat() (i fs.FileInfo, err error) {
	err = f.d.do("fstat", f.name, func() (err error) {
		i, err = f.File.Stat()
		return err
	})
	return i, err
}

// Sync syncs nothing: nobody pulls the plug of a test.
func (f *file) Sync() error { return f.d.do("sync", f.name, func() error { return nil }) }

func (f *file) Lock() error { return f.d.do("lock", f.name, f.File.Lock) }

func (f *file) Truncate(size int64) error {
	return f.d.do("truncate", f.name, func() error { return f.File.Truncate(size) })
}

func (f *file) Like(info fs.FileInfo) error {
	return f.d.do("chmod", f.name, func() error { return f.File.Like(info) })
}

// Close closes the file even when the call fails: so does the operating system.
func (f *file) Close() error {
	err := f.d.do("close", f.name, func() error { return nil })
	f.d.mu.Lock()
	mine := f.d.open[f]
	delete(f.d.open, f)
	f.d.mu.Unlock()
	if !mine {
		return err
	}
	return errors.Join(f.File.Close(), err)
}

// Fault is one run of a command in which a call failed.
type Fault struct {
	Way  Way
	Call string // "rename /tmp/x"
}

// String names the fault, for messages of tests.
func (f Fault) String() string { return fmt.Sprintf("%s at: %s", f.Way.Name, f.Call) }

// Each calls run once with a disk that does not fail, and then once for each call that it has made and each way in
// which that call may fail. run sets up the files itself, before and after it calls do, in which the disk fails, and
// checks what came of it. A Fault without a Call is none. With names of ways it tries these alone.
func Each(t *testing.T, run func(t *testing.T, do func(command func() error) (Fault, error)), only ...string) {
	t.Helper()
	var calls []string
	with := func(at int, way Way) {
		t.Helper()
		run(t, func(command func() error) (Fault, error) {
			t.Helper()
			d := NewDisk(at, way)
			restore := files.Use(d)
			err := command()
			restore()
			d.release() // what a process that has ended had locked is free
			if at < 0 {
				calls = d.calls
			} else if d.Hit() == "" {
				t.Errorf("call %d, %s, was not made this time", at, calls[at])
			}
			return Fault{way, d.Hit()}, err
		})
	}
	with(-1, Way{Name: "no fault"})
	for _, way := range Ways {
		if only != nil && !slices.Contains(only, way.Name) {
			continue
		}
		for at, call := range calls {
			if op, _, _ := strings.Cut(call, " "); way.At(op) && !t.Failed() {
				with(at, way)
			}
		}
	}
}
