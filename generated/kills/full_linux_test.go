package kills_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// disk is what a training writes to, which can be full.
type disk interface {
	// fill leaves no room for a process, and free makes room again.
	fill(cmd *exec.Cmd) error
	free(cmd *exec.Cmd) error
}

// small is a file system in memory, which a file fills.
type small struct{ dir string }

func (s small) filler() string { return filepath.Join(s.dir, "filler") }

func (s small) fill(*exec.Cmd) error {
	f, err := os.Create(s.filler())
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2 // to the last byte
		}
	}
	return nil
}

func (s small) free(*exec.Cmd) error { return os.Remove(s.filler()) }

// limited is a limit of the size of files that a process may write: it is less than a checkpoint.
type limited struct{}

func (limited) fill(cmd *exec.Cmd) error {
	return unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 4096, Max: unix.RLIM_INFINITY}, nil)
}

func (limited) free(cmd *exec.Cmd) error {
	err := unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_FSIZE,
		&unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}, nil)
	if err == unix.ESRCH {
		return nil // it has ended
	}
	return err
}

// TestFullDisk fills the disk of trainings at random moments, which then go on until there is room again, are killed or
// are ended, and goes on with them until they are done, as often as the flag says. The disk is one of a few megabytes
// where the process may mount it, and otherwise a limit of the system for the size of files.
func TestFullDisk(t *testing.T) {
	const name = "rnn"
	r := newRun(t, name, t.TempDir())
	r.whole()
	want := r.leaves()
	room := int64(0)
	for _, content := range want {
		room += int64(len(content))
	}
	var d disk = limited{}
	how := "a limit for the size of files"
	if dir := t.TempDir(); syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", 2*room)) == nil {
		defer syscall.Unmount(dir, 0)
		d, how, r.dir = small{dir}, fmt.Sprintf("a file system of %d bytes", 2*room), dir
	}
	random := rand.New(rand.NewPCG(*seed, 1))
	var c filled
	for c.filled < *full && !t.Failed() {
		for name := range r.leaves() {
			os.Remove(filepath.Join(r.dir, name))
		}
		r = newRun(t, name, r.dir)
		for !r.fullLife(random, d, &c) {
			if t.Failed() {
				return
			}
		}
		r.compare(want, true)
		c.done++
	}
	t.Logf("%s: filled %d times; then %d went on when there was room again, %d were killed, %d ended by SIGTERM, "+
		"%d of all said that they could not write; %d trainings came to their end with the same bits", how, c.filled,
		c.wentOn, c.killed, c.ended, c.failed, c.done)
}

// filled are counts of what has happened.
type filled struct{ filled, wentOn, killed, ended, failed, done int }

// fullLife starts a training and fills its disk; it reports true where it came to its end.
func (r *run) fullLife(random *rand.Rand, d disk, c *filled) (done bool) {
	r.t.Helper()
	cmd, said := r.start()
	ended := ending(cmd)
	if over, err := r.moment(random, ended); over {
		if err != nil {
			r.t.Errorf("%v: %s", err, said)
		}
		return err == nil
	}
	if err := d.fill(cmd); err != nil {
		r.t.Fatal(err)
	}
	c.filled++
	over, err := r.until(ended, after(time.Duration(random.IntN(60))*time.Millisecond))
	way := random.IntN(3)
	switch {
	case over:
	case way == 0:
		cmd.Process.Kill()
		err = <-ended
		c.killed++
	case way == 1:
		cmd.Process.Signal(syscall.SIGTERM)
		err = <-ended
		c.ended++
	}
	if err := d.free(cmd); err != nil {
		r.t.Fatal(err)
	}
	if !over && way == 2 {
		c.wentOn++
		if err := <-ended; err != nil {
			r.t.Errorf("there was room again, but %v: %s", err, said)
		}
		return true
	}
	if err == nil {
		return strings.Contains(said.String(), ", done")
	}
	if (over || way == 1) && !interruptedEarly(err) {
		c.failed++ // there was no room for the last checkpoint
		if text := said.String(); !strings.Contains(text, "no space left") && !strings.Contains(text, "too large") {
			r.t.Errorf("%v: %s", err, text)
		}
	}
	return false
}

// after shows when a time has passed.
func after(d time.Duration) func(glimpse) bool {
	end := time.Now().Add(d)
	return func(glimpse) bool { return time.Now().After(end) }
}
