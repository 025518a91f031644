package files_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/filestest"
)

// holderOf names the file that TestHolder takes, in a process of its own.
const holderOf = "GRADSMITH_TEST_HOLDS"

// TestHolder is that process: it takes a file, says so, and waits until its input ends.
func TestHolder(t *testing.T) {
	path := os.Getenv(holderOf)
	if path == "" {
		t.Skip("it is run by TestHold")
	}
	if _, err := files.Take(path); err != nil {
		t.Fatal(err)
	}
	fmt.Println("taken")
	io.Copy(io.Discard, os.Stdin)
}

// TestHold takes a file that another process has, one that a killed process has had, and one of its own.
func TestHold(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.safetensors")
	first, err := files.Take(path)
	if err != nil {
		t.Skip(err)
	}
	if len(hidden(tree(t, dir))) == 0 {
		first.Release()
		t.Skip("the file system has no locks")
	}
	var in *files.InUse
	if _, err := files.Take(path); !errors.As(err, &in) || !errors.Is(err, files.ErrLocked) || in.PID != os.Getpid() {
		t.Errorf("a file that this process has: %v", err)
	}
	link := filepath.Join(dir, "link")
	if os.Symlink("c.safetensors", link) == nil {
		if _, err := files.Take(link); !errors.As(err, &in) {
			t.Errorf("a link to a file that is taken: %v", err)
		}
		os.Remove(link)
	}
	if other, err := files.Take(filepath.Join(dir, "other")); err != nil {
		t.Error(err)
	} else {
		other.Release()
	}
	first.Release()
	first.Release()
	if all := tree(t, dir); len(all) != 0 {
		t.Errorf("what stays is %v", all)
	}

	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run", "^TestHolder$", "-test.v")
	cmd.Env = append(os.Environ(), holderOf+"="+path)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "taken"; {
	}
	host, _ := os.Hostname()
	_, err = files.Take(path)
	if want := fmt.Sprintf("process %d on %s is writing it", cmd.Process.Pid, host); err == nil || err.Error() != want {
		t.Errorf("a file that another process has: %v, want %s", err, want)
	}
	cmd.Process.Kill()
	cmd.Wait()
	again, err := files.Take(path)
	if err != nil {
		t.Fatalf("a file that a killed process has had: %v", err)
	}
	again.Release()
	if all := tree(t, dir); len(all) != 0 {
		t.Errorf("what stays is %v", all)
	}
	if h, err := files.Take(os.DevNull); err != nil {
		t.Error(err)
	} else {
		h.Release()
	}
	if _, err := files.Take(filepath.Join(dir, "none", "c")); err == nil {
		t.Error("a file in a folder that there is not is taken")
	}
}

// TestHoldFaults lets every call of Take and Release fail: the file is taken, or an error says why not, and a killed
// process does not keep it.
func TestHoldFaults(t *testing.T) {
	filestest.Each(t, func(t *testing.T, do func(func() error) (filestest.Fault, error)) {
		dir := t.TempDir()
		path := filepath.Join(dir, "c")
		fault, err := do(func() error {
			h, err := files.Take(path)
			h.Release()
			return err
		})
		oneLine(t, fault, err)
		h, err := files.Take(path)
		if err != nil {
			t.Fatalf("%v: %v", fault, err)
		}
		h.Release()
		if all := tree(t, dir); len(all) != 0 {
			t.Errorf("%v: what stays is %v", fault, all)
		}
	})
}

// TestKeepFaults lets every call of Keep fail: the file stays, and has its second name or not.
func TestKeepFaults(t *testing.T) {
	for _, there := range []string{"", "old", "same"} {
		filestest.Each(t, func(t *testing.T, do func(func() error) (filestest.Fault, error)) {
			dir := t.TempDir()
			path, name := filepath.Join(dir, "c"), filepath.Join(dir, "c.1")
			put(t, path, "content")
			switch there {
			case "old":
				put(t, name, "old")
			case "same":
				if err := os.Link(path, name); err != nil {
					t.Skip(err)
				}
			}
			fault, err := do(func() error { return files.Keep(path, name) })
			oneLine(t, fault, err)
			all := tree(t, dir)
			if all["c"] != "content" || err == nil && all["c.1"] != "content" ||
				err != nil && all["c.1"] != "content" && all["c.1"] != strings.TrimPrefix(there, "same") {
				t.Errorf("%v: %v leaves %v", fault, err, all)
			}
			if err := files.WriteFile(path, []byte("next")); err != nil {
				t.Fatal(err)
			}
			if now := tree(t, dir); now["c"] != "next" || now["c.1"] != all["c.1"] {
				t.Errorf("%v: the next one leaves %v", fault, now)
			}
		})
	}
}
