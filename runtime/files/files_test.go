package files_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/filestest"
)

// TestMain takes a disk that syncs nothing: the tests make thousands of files.
func TestMain(m *testing.M) {
	files.Use(filestest.NewDisk(-1, filestest.Way{}))
	os.Exit(m.Run())
}

func put(t *testing.T, path, data string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tree is what a folder holds: the content of each file, and "/" for a folder.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if d.IsDir() {
			all[filepath.ToSlash(rel)] = "/"
			return nil
		}
		data, err := os.ReadFile(path)
		all[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// hidden lists the names in a tree that begin with a dot.
func hidden(tree map[string]string) (names []string) {
	for name := range tree {
		if strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	return names
}

// oneLine checks the error of a command whose call failed.
func oneLine(t *testing.T, f filestest.Fault, err error) {
	t.Helper()
	if err != nil && (strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), ".tmp")) {
		t.Errorf("%v: the error is %q", f, err)
	}
}

// TestWriteFaults lets every call of Write fail in every way: the file is the old one or the new one, a reader at any
// time sees one of them, and the next Write removes what a killed one left.
func TestWriteFaults(t *testing.T) {
	old, new := strings.Repeat("old ", 40000), strings.Repeat("new! ", 50000)
	for _, there := range []bool{true, false} {
		filestest.Each(t, func(t *testing.T, do func(func() error) (filestest.Fault, error)) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			if there {
				put(t, path, old)
				if err := os.Chmod(path, 0o640); err != nil {
					t.Fatal(err)
				}
			}
			fault, err := do(func() error { return files.WriteFile(path, []byte(new)) })
			got := tree(t, dir)
			isOld := got["f"] == old && there || !there && got["f"] == ""
			if !(isOld || got["f"] == new) {
				t.Fatalf("%v: the file has %d bytes", fault, len(got["f"]))
			}
			if err == nil && got["f"] != new || err != nil && got["f"] == new && !fault.Way.After {
				t.Errorf("%v: error %v, but the file is another", fault, err)
			}
			oneLine(t, fault, err)
			if info, err := os.Stat(path); there &&
				(err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o640) {
				t.Errorf("%v: the permissions are %v", fault, info.Mode())
			}
			if left := hidden(got); len(left) > 0 && !fault.Way.Rest && !fault.Way.After &&
				!strings.HasPrefix(fault.Call, "remove") {
				t.Errorf("%v: %v stays", fault, left)
			}
			if err := files.WriteFile(filepath.Join(dir, "other"), nil); err != nil {
				t.Fatal(err)
			}
			if left := hidden(tree(t, dir)); len(left) > 0 {
				t.Errorf("%v: %v stays behind the next write", fault, left)
			}
		})
	}
}

// TestWriteSlowly looks at the file before every call of Write: another process sees the old file or the new one.
func TestWriteSlowly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	put(t, path, "old")
	d := filestest.NewDisk(-1, filestest.Way{})
	seen := map[string]int{}
	d.Before = func(int, string) error {
		data, err := os.ReadFile(path)
		seen[string(data)]++
		return err
	}
	defer files.Use(d)()
	if err := files.WriteFile(path, bytes.Repeat([]byte("new"), 100000)); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 || seen["old"] < 8 {
		t.Errorf("seen while it was written: %v", slices.Collect(maps.Values(seen)))
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	// A name as long as a name can be.
	long := at(strings.Repeat("x", 255))
	if err := files.WriteFile(long, []byte("a")); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		path string
		want error
	}{{dir, files.ErrFolder}, {at("no/file"), fs.ErrNotExist}, {"", fs.ErrNotExist}} {
		for _, err := range []error{files.WriteFile(c.path, nil), files.Writable(c.path)} {
			if !errors.Is(err, c.want) {
				t.Errorf("%q: %v, want %v", c.path, err, c.want)
			}
		}
	}
	if err := files.Writable(at("new")); err != nil {
		t.Error(err)
	}
	// What is not written whole is not written.
	full := errors.New("full")
	if err := files.Write(at("new"),
		func(w io.Writer) error { io.WriteString(w, "half"); return full }); !errors.Is(err, full) {
		t.Error(err)
	}
	put(t, at("kept"), "kept")
	if err := os.Chmod(at("kept"), 0o444); err != nil {
		t.Fatal(err)
	}
	if err := files.WriteFile(at("kept"), []byte("x")); !errors.Is(err, files.ErrReadOnly) {
		t.Errorf("a file that is read-only: %v", err)
	}
	if got := slices.Sorted(maps.Keys(tree(t, dir))); !slices.Equal(got, []string{"kept", filepath.Base(long)}) {
		t.Errorf("files %v", got)
	}
	if err := files.WriteFile(os.DevNull, []byte("x")); err != nil {
		t.Error(err)
	}
	if runtime.GOOS == "windows" {
		return // where links are not for everybody
	}
	// Through links, also to what is not there yet.
	put(t, at("target"), "old")
	for link, to := range map[string]string{"a": "b", "b": at("target"), "c": "made", "loop": "loop"} {
		if err := os.Symlink(to, at(link)); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"a": "target", "c": "made"} {
		if err := files.WriteFile(at(link), []byte("new")); err != nil {
			t.Error(err)
		}
		if data, err := os.ReadFile(at(target)); string(data) != "new" {
			t.Errorf("through the link %s: %q, %v", link, data, err)
		}
		if _, err := os.Readlink(at(link)); err != nil {
			t.Error(err)
		}
	}
	if err := files.WriteFile(at("loop"), nil); err == nil || !strings.Contains(err.Error(), "links") {
		t.Errorf("a loop of links: %v", err)
	}
}

// TestUmask checks that new files have the permissions that the user's mask says.
func TestUmask(t *testing.T) {
	for _, mask := range []int{0o022, 0o077, 0o002} {
		path := filepath.Join(t.TempDir(), "f")
		before := umask(mask)
		err := files.WriteFile(path, nil)
		umask(before)
		info, statErr := os.Stat(path)
		if err != nil || statErr != nil || runtime.GOOS != "windows" && info.Mode().Perm() != fs.FileMode(0o666&^mask) {
			t.Errorf("under the mask %03o: %v, %v, %v", mask, info.Mode(), err, statErr)
		}
	}
}

// TestTempsInUse checks that a temporary file is not removed as long as the process that writes it lives.
func TestTempsInUse(t *testing.T) {
	dir := t.TempDir()
	outer, inner := filepath.Join(dir, "outer"), filepath.Join(dir, "inner")
	err := files.Write(outer, func(w io.Writer) error {
		io.WriteString(w, "outer")
		return files.WriteFile(inner, []byte("inner"))
	})
	if got := tree(t, dir); err != nil || got["outer"] != "outer" || got["inner"] != "inner" || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	// A file of the user's that only looks alike stays.
	put(t, filepath.Join(dir, ".gradsmith-notes.tmp"), "x")
	put(t, filepath.Join(dir, ".gradsmith-0123456789abcdef.tmp"), "x")
	if err := files.WriteFile(inner, nil); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(tree(t, dir))); !slices.Equal(got,
		[]string{".gradsmith-notes.tmp", "inner", "outer"}) {
		t.Errorf("files %v", got)
	}
}

// changes are some of every kind, and what they make of the old tree.
func changes(t *testing.T, dir string) (list []files.Change, old, new map[string]string) {
	for name, data := range map[string]string{"replaced": "1", "removed": "2", "same": "3", "other": "4"} {
		put(t, filepath.Join(dir, name), data)
	}
	old = tree(t, dir)
	new = map[string]string{"replaced": "new", "same": "3", "other": "4", "created": "c", "a": "/", "a/b": "/",
		"a/b/deep": "d", "a/file": "f", "streamed": "s"}
	return []files.Change{
		{Name: "created", Data: []byte("c")}, {Name: "replaced", Data: []byte("new")},
		{Name: "same", Data: []byte("3")},
		{Name: "a/b/deep", Data: []byte("d")}, {Name: "a/file", Data: []byte("f")}, {Name: "removed", Remove: true},
		{Name: "gone", Remove: true},
		{Name: "streamed", Write: func(w io.Writer) error {
			_, err := io.WriteString(w, "s")
			return err
		}},
	}, old, new
}

// TestStageFaults lets every call of a change of several files fail in every way: all of them are old, or all are new,
// at once or, where the process was killed or the disk is gone, as soon as somebody comes for the next change.
func TestStageFaults(t *testing.T) {
	ended := map[string]int{}
	filestest.Each(t, func(t *testing.T, do func(func() error) (filestest.Fault, error)) {
		dir := t.TempDir()
		list, old, new := changes(t, dir)
		fault, err := do(func() error {
			s, err := files.Begin(dir)
			if err != nil {
				return err
			}
			defer s.Close()
			return s.Commit(list)
		})
		oneLine(t, fault, err)
		check := func(when string) {
			t.Helper()
			got := tree(t, dir)
			delete(got, files.StageName)
			for _, name := range hidden(got) {
				delete(got, name)
			}
			switch {
			case maps.Equal(got, old) && err != nil:
				ended["old"]++
			case maps.Equal(got, new):
				ended["new"]++
			default:
				t.Errorf("%v: %s, with the error %v, the folder holds %v", fault, when, err, got)
			}
		}
		if !fault.Way.Rest {
			check("at once")
		}
		s, beginErr := files.Begin(dir)
		if beginErr != nil {
			t.Fatalf("%v: the next change: %v", fault, beginErr)
		}
		s.Close()
		check("behind the next change")
		if left := hidden(tree(t, dir)); len(left) > 0 || files.Interrupted(dir) {
			t.Errorf("%v: %v stays", fault, left)
		}
	})
	if ended["old"] < 50 || ended["new"] < 50 {
		t.Errorf("the ends were not both seen: %v", ended)
	}
}

// TestStageFolder does so for a folder that is made first.
func TestStageFolder(t *testing.T) {
	filestest.Each(t, func(t *testing.T, do func(func() error) (filestest.Fault, error)) {
		top := t.TempDir()
		dir := filepath.Join(top, "x", "y")
		fault, err := do(func() error {
			s, err := files.Begin(dir)
			if err != nil {
				return err
			}
			defer s.Close()
			return s.Commit([]files.Change{{Name: "f", Data: []byte("f")}})
		})
		got := tree(t, top)
		if fault.Way.Rest {
			return
		}
		for name := range got {
			if strings.Contains(name, files.StageName) {
				delete(got, name)
			}
		}
		if err == nil && got["x/y/f"] != "f" ||
			err != nil && !(len(got) == 0 || got["x/y/f"] == "f" || fault.Way.After ||
				strings.HasPrefix(fault.Call, "remove")) {
			t.Errorf("%v: %v, the folder holds %v", fault, err, got)
		}
	})
}

// TestStageErrors checks what a change refuses, and that it then changes nothing.
func TestStageErrors(t *testing.T) {
	dir := t.TempDir()
	list, old, _ := changes(t, dir)
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o777); err != nil {
		t.Fatal(err)
	}
	old["folder"] = "/"
	s, err := files.Begin(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(append(list, files.Change{Name: "folder", Data: []byte("x")})); !errors.Is(err,
		files.ErrFolder) {
		t.Errorf("a folder: %v", err)
	}
	// Two at once.
	if _, err := files.Begin(dir); runtime.GOOS != "js" &&
		(err == nil || !strings.Contains(err.Error(), "another process")) {
		t.Errorf("a second change: %v", err)
	}
	s.Close()
	if got := tree(t, dir); !maps.Equal(got, old) {
		t.Errorf("the folder holds %v", got)
	}
	if _, err := files.Begin(filepath.Join(dir, "other", "x")); err == nil {
		t.Error("a folder below a file was made")
	}
	// A journal that is not one, or that leads elsewhere, is named, and nothing follows it.
	stage := filepath.Join(dir, files.StageName)
	for data, want := range map[string]string{"{": "is not a journal",
		`{"changes":[{"name":"../x","old":"y"}]}`: "outside"} {
		if err := os.MkdirAll(stage, 0o777); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(stage, "journal"), data)
		if _, err := files.Begin(dir); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "remove "+stage) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestStageLeavesOthers checks that a change which is completed late does not touch what a person wrote meanwhile.
func TestStageLeavesOthers(t *testing.T) {
	filestest.Each(t, func(t *testing.T, do func(func() error) (filestest.Fault, error)) {
		dir := t.TempDir()
		list, _, _ := changes(t, dir)
		fault, _ := do(func() error {
			s, err := files.Begin(dir)
			if err != nil {
				return err
			}
			defer s.Close()
			return s.Commit(list)
		})
		if !fault.Way.Dead {
			return
		}
		for _, name := range []string{"replaced", "removed", "created"} {
			put(t, filepath.Join(dir, name), "by hand")
		}
		s, err := files.Begin(dir)
		if err != nil {
			t.Fatalf("%v: %v", fault, err)
		}
		s.Close()
		if got := tree(t, dir); got["replaced"] != "by hand" || got["removed"] != "by hand" ||
			got["created"] != "by hand" {
			t.Errorf("%v: the folder holds %v", fault, got)
		}
	}, "killed")
}

func TestOwn(t *testing.T) {
	dir := t.TempDir()
	head := func(s string) string {
		return string([]byte{byte(len(s)), 0, 0, 0, 0, 0, 0, 0}) + s
	}
	for i, c := range []struct{ content, want string }{
		{"", ""},
		{"x", ""},
		{"Call me Ishmael.\n", ""},
		{head(`{"__metadata__":{"gradsmith.architecture":"x"},"a":`), "checkpoint"},
		{head(`{"__metadata__":{"format":"pt"}}`), ""},
		{`{"step":0,"seconds":0,"machine":{"kernels":"avx2","threads":2}}` + "\n", "log"},
		{`{"step":12,"seconds":0.8,"loss":2.1,"norm":0.9,"rate":0.002,"tokens":2048}` + "\n", "log"},
		{`{"step":12,"seconds":0.9,"validation":2.2,"best":true}` + "\n", "log"},
		{`{"step":12,"seconds":0.9}` + "\n", ""},
		{`{"step":"mix the flour","seconds":30}` + "\n", ""},
		{`{"step":12,"seconds":0.9,"valid`, ""}, // cut off
	} {
		path := filepath.Join(dir, fmt.Sprint(i))
		put(t, path, c.content)
		if got := files.Own(path); got != c.want {
			t.Errorf("%q is %q, want %q", c.content, got, c.want)
		}
	}
	if got := files.Own(filepath.Join(dir, "none")); got != "" {
		t.Errorf("a file that is not there is a %s", got)
	}
	if got := files.OwnHead("x/.gradsmith-0123456789abcdef.tmp", nil); got != "temporary file" {
		t.Errorf("a temporary file is %q", got)
	}
}

func TestCause(t *testing.T) {
	inner := syscall.ENOSPC
	for _, err := range []error{inner, &fs.PathError{Op: "a", Path: "b", Err: inner},
		fmt.Errorf("x: %w", &os.LinkError{Op: "a", Err: inner})} {
		if got := files.Cause(err); got != inner {
			t.Errorf("%v", got)
		}
	}
}
