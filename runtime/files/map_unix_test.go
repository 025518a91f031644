//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package files

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func mapped8(t *testing.T, path string, data []byte) *Mapping {
	t.Helper()
	if err := WriteFile(path, data); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := Map(f, path, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A mapping has the bytes of the file and is not disturbed when the file is replaced. A read behind the end of one that
// was shortened is a panic that Lost explains.
func TestMap(t *testing.T) {
	defer Use(OS{})() // files of the operating system alone are mapped
	path := filepath.Join(t.TempDir(), "x")
	data := bytes.Repeat([]byte{1, 2, 3, 4}, 1<<14)
	m := mapped8(t, path, data)
	if !bytes.Equal(m.Data, data) {
		t.Fatal("a mapping has other bytes than its file")
	}
	if err := WriteFile(path, []byte("shorter")); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.Data, data) {
		t.Fatal("a mapping has changed with the file that took the place of its own")
	}
	m = mapped8(t, path, data)
	if err := os.Truncate(path, 5000); err != nil {
		t.Fatal(err)
	}
	read := func() (err error) {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() { err = Lost(recover()) }()
		sum := byte(0)
		for _, x := range m.Data {
			sum += x
		}
		t.Error("the end of a file that was shortened can be read:", sum)
		return nil
	}
	if err := read(); err == nil || !strings.Contains(err.Error(), path) ||
		!strings.Contains(err.Error(), " cannot be read") {
		t.Error(err)
	}
	if err := Lost("something else"); err != nil {
		t.Error(err)
	}
}

func TestReadMapping(t *testing.T) {
	m, err := ReadMapping(strings.NewReader("abc"), "x", 3)
	if err != nil || string(m.Data) != "abc" {
		t.Error(m, err)
	}
	if _, err := ReadMapping(strings.NewReader("abc"), "x", 4); err == nil {
		t.Error("four bytes were read of three")
	}
}
