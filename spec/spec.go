// Package spec is the language in which models are described: its types, its strict decoding from YAML, its checks, and
// what is derived from it, the JSON Schema for editors and the reference page.
//
// A Model that this package returns is complete and consistent: every default is filled in, every name is unique, every
// size fits. What does not, is reported with its place in the file, all of it at once.
//
// The package must know nothing of graphs or of the code that is generated, but for what a valid Go identifier is.
package spec

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Error is one thing that is wrong with a spec, and where.
type Error struct {
	File string
	Pos
	Msg string // what was expected, what was found, what to do
}

// Error gives file:line:column: message, a form that editors and terminals make a link of. Of a place in the
// definition of a block it goes on with the use.
func (e Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	s := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Msg)
	for use := e.In; use != nil; use = use.In {
		s += fmt.Sprintf("; %s is used at %s:%d:%d", use.Block, e.File, use.Line, use.Col)
	}
	return s
}

// Errors is everything that is wrong with a spec, in the order of the file. It is the type of all errors of Parse.
type Errors []Error

// Error gives one line an error.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find a single Error.
func (es Errors) Unwrap() []error {
	all := make([]error, len(es))
	for i, e := range es {
		all[i] = e
	}
	return all
}

// sorted returns the errors file by file, in the order of the lines, each once: a value that aliases or uses of a
// block repeat is reported once.
func (es Errors) sorted() Errors {
	files := map[string]int{} // in the order in which they were first reported
	for _, e := range es {
		if _, ok := files[e.File]; !ok {
			files[e.File] = len(files)
		}
	}
	slices.SortStableFunc(es, func(a, b Error) int {
		return cmp.Or(cmp.Compare(files[a.File], files[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return slices.CompactFunc(es, func(a, b Error) bool {
		return a.File == b.File && a.Line == b.Line && a.Col == b.Col && a.Msg == b.Msg
	})
}

// Load reads the spec at path and the files that it names, which are looked up beside it.
func Load(path string) (*Model, error) {
	src, err := readSmall(path, maxFile)
	if err != nil {
		return nil, Errors{{File: path, Msg: "the spec cannot be read: " + reason(err)}}
	}
	return Parse(path, src, func(name string) ([]byte, error) {
		if filepath.IsAbs(name) {
			return readSmall(name, maxTokenizer)
		}
		return readSmall(filepath.Join(filepath.Dir(path), name), maxTokenizer)
	})
}

// Parse checks the spec src. File is its path for errors, and its base name gives the model's name when the spec does
// not. Read returns the content of a file that the spec names, by the name in the spec.
//
// The error, if any, is of type Errors.
func Parse(file string, src []byte, read func(name string) ([]byte, error)) (*Model, error) {
	root, errs := parseYAML(file, src)
	if root == nil {
		return nil, errs.sorted()
	}
	d := &decoder{file: file, lines: strings.Split(string(src), "\n"), errs: errs}
	kind := d.kind(root)
	if kind == nil {
		return nil, d.errs.sorted()
	}
	d.library(root)
	v := d.decode(root, kind.typ, "")
	c := &checker{decoder: d, read: read}
	m := kind.check(c, v)
	if len(d.errs) > 0 {
		return nil, d.errs.sorted()
	}
	m.File = filepath.Base(file)
	files := append([][]byte{src}, c.vocabularies...)
	if len(c.vocabularies) == 0 {
		files = append(files, nil)
	}
	m.Digest = digest(files...)
	return m, nil
}

// digest hashes files without regard to how their lines end, which version control may change.
func digest(files ...[]byte) string {
	h := sha256.New()
	for _, f := range files {
		f = []byte(strings.ReplaceAll(string(f), "\r\n", "\n"))
		fmt.Fprintf(h, "%d\n", len(f))
		h.Write(f)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Bounds of what is read of a spec or a vocabulary, and of a published tokenizer, which may have some 30 MB: a mistaken
// path should not fill the memory.
const (
	maxFile      = 4 << 20
	maxTokenizer = 64 << 20
)

func readSmall(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errors.New("it is a folder")
	}
	if info.Size() > most {
		return nil, fmt.Errorf("it has %d bytes, more than the %d that are allowed", info.Size(), most)
	}
	return os.ReadFile(path)
}

// reason drops the operation and the path from an error of package os; the caller names the path in its own way.
func reason(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}
