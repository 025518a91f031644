// Package data opens what models are trained on: it finds the files that paths name, through links and in folders, and
// gives their content, uncompressed, and as UTF-8 where it is text.
//
// It also tells when examples are sorted, so that the end of them is not like the rest.
//
// It is the only place that decides what a file is. It must not know what the content says: tokens, vectors and labels
// are the business of packages text and vector. Like these it depends on the standard library alone; a program that is
// to read zstd imports the package zstd below this one.
package data

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
)

// Reader reads the content of a file, uncompressed. Its errors do not name the file, whose name is Name: who makes
// something of the content puts the name in front of all of them.
type Reader struct {
	Name string

	in    *bufio.Reader
	close []func() error
	size  int64 // of the file where it is known and not compressed, or 0
}

const bufferSize = 1 << 16

// Open opens the file at path and uncompresses it as its content says. The error names the file.
func Open(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = errors.New("it is a folder")
	}
	if err != nil {
		f.Close()
		return nil, unreadable(path, err)
	}
	r, err := New(path, f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(r.close) == 0 && info.Mode().IsRegular() {
		r.size = info.Size()
	}
	r.close = append(r.close, f.Close)
	return r, nil
}

// unreadable is the error for a path that cannot be read, which an error of package os names in its own way.
func unreadable(path string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		path, err = pe.Path, pe.Err
	}
	return fmt.Errorf("%s cannot be read: %w", path, err)
}

// New makes a Reader of the content that from gives, such as the standard input, and uncompresses it as it says.
// Closing the Reader does not close from.
func New(name string, from io.Reader) (*Reader, error) {
	r := &Reader{Name: name, in: bufio.NewReaderSize(from, bufferSize)}
	f := compression(r.in)
	if f == nil {
		return r, nil
	}
	if f.open == nil {
		return nil, fmt.Errorf("is compressed with %s, which this program cannot read: uncompress it, or import %s",
			f.name, f.from)
	}
	in := &unpacked{name: f.name}
	z, err := f.open(r.in)
	if err != nil {
		return nil, in.damaged(err)
	}
	in.Reader = z
	r.in = bufio.NewReaderSize(in, bufferSize)
	r.close = append(r.close, z.Close)
	if again := compression(r.in); again != nil {
		z.Close()
		return nil, fmt.Errorf("is compressed twice, with %s and with %s: uncompress it once", f.name, again.name)
	}
	return r, nil
}

// Close closes what Open opened.
func (r *Reader) Close() error {
	var errs []error
	for _, c := range r.close {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// Read reads the content as it is.
func (r *Reader) Read(p []byte) (int, error) { return r.in.Read(p) }

// Starts reports whether the content goes on with the magic, which is at most 64 KiB.
func (r *Reader) Starts(magic string) bool { return starts(r.in, magic) }

// starts waits for no more of r than it takes to tell: what comes through a pipe is to be read as it comes.
func starts(r *bufio.Reader, magic string) bool {
	for n := 1; n <= len(magic); n++ {
		if got, _ := r.Peek(n); len(got) < n || got[n-1] != magic[n-1] {
			return false
		}
	}
	return true
}

// head is what there is of the next part of the content, at least a byte unless it has ended.
func (r *Reader) head() ([]byte, error) {
	if _, err := r.in.Peek(1); err != nil {
		return nil, err
	}
	return r.in.Peek(min(headSize, r.in.Buffered()))
}

// Bytes reads the bytes of the file as they are. A file that is compressed has been uncompressed.
func (r *Reader) Bytes() ([]byte, error) { return r.all(r.in) }

// AllText reads the rest of the content as [Reader.Text] gives it.
func (r *Reader) AllText() ([]byte, error) {
	in, err := r.Text()
	if err != nil {
		return nil, err
	}
	return r.all(in)
}

// all reads in, into one piece of memory where the size is known.
func (r *Reader) all(in io.Reader) ([]byte, error) {
	var b bytes.Buffer
	if r.size > 0 && r.size < 1<<40 {
		b.Grow(int(r.size) + bytes.MinRead)
	}
	_, err := b.ReadFrom(in)
	return b.Bytes(), err
}

// End is nil when the content ends here and was sound up to its end: the checksums of compressed files stand behind
// their content. More of it is an error that says so.
func (r *Reader) End() error {
	switch _, err := r.in.ReadByte(); {
	case err == nil:
		return errors.New("goes on behind its end")
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}

// format is a form of compression.
type format struct {
	name  string
	magic string
	open  func(io.Reader) (io.ReadCloser, error)
	from  string // the package that knows it
}

var (
	formatsMutex sync.RWMutex
	formats      = []*format{
		{name: "gzip", magic: "\x1f\x8b\x08",
			open: func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }},
		{name: "zstd", magic: "\x28\xb5\x2f\xfd", from: "github.com/gradsmith/gradsmith/runtime/data/zstd"},
	}
)

// Register makes compressed content of a known form readable, as image.RegisterFormat does for pictures. A form that is
// not known is a mistake of the program and panics.
func Register(name string, open func(io.Reader) (io.ReadCloser, error)) {
	formatsMutex.Lock()
	defer formatsMutex.Unlock()
	for i, f := range formats {
		if f.name == name {
			known := *f
			known.open = open
			formats[i] = &known
			return
		}
	}
	panic(fmt.Sprintf("data: the compression %q is not known", name))
}

// compression is how the content that r goes on with is compressed, or nil.
func compression(r *bufio.Reader) *format {
	formatsMutex.RLock()
	defer formatsMutex.RUnlock()
	for _, f := range formats {
		if starts(r, f.magic) {
			return f
		}
	}
	return nil
}

// unpacked reads uncompressed content, and says what is wrong with what it was made of.
type unpacked struct {
	io.Reader
	name string
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = u.damaged(err)
	}
	return n, err
}

func (u *unpacked) damaged(err error) error {
	var path *os.PathError
	switch {
	case errors.As(err, &path):
		return err // of the disk
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("is compressed with %s, but cut off: its end is missing", u.name)
	}
	return fmt.Errorf("is compressed with %s, but damaged: %w", u.name, err)
}
