package data

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/gradsmith/gradsmith/runtime/files"
)

// Text reads the content as UTF-8 without a byte order mark. UTF-16 and UTF-32 with one are decoded. Content that is
// not text is an error that says what it is: it has a zero byte, or begins as a known format does. So are the files
// that a training writes, which are never data. Bytes that are not UTF-8 but might be text of another encoding are
// left to the reader, as some take any bytes.
func (r *Reader) Text() (io.Reader, error) {
	head, err := r.head()
	if err != nil && err != io.EOF {
		return nil, err
	}
	if what := files.OwnHead(r.Name, head); what != "" {
		return nil, fmt.Errorf("is a %s of gradsmith, which is not data", what)
	}
	var in io.Reader = r.in
	for _, m := range marks {
		if starts(r.in, m.mark) {
			if _, err := r.in.Discard(len(m.mark)); err != nil {
				return nil, err
			}
			if m.unit > 1 {
				in = &decoder{in: r.in, encoding: m, at: int64(len(m.mark))}
			}
			return &textReader{in: in}, nil
		}
	}
	if what := binaryKind(head); what != "" {
		return nil, fmt.Errorf("is %s, not text", what)
	}
	return &textReader{in: in, head: head}, nil
}

// headSize is how much of a file says what it is.
const headSize = files.HeadSize

// encoding is an encoding of Unicode and the byte order mark that tells of it.
type encoding struct {
	name  string
	mark  string
	unit  int // bytes
	order binary.ByteOrder
}

// The mark of UTF-32, little endian, begins with that of UTF-16 and so comes before it.
var marks = []encoding{
	{"UTF-8", "\xef\xbb\xbf", 1, nil},
	{"UTF-32", "\xff\xfe\x00\x00", 4, binary.LittleEndian},
	{"UTF-32", "\x00\x00\xfe\xff", 4, binary.BigEndian},
	{"UTF-16", "\xff\xfe", 2, binary.LittleEndian},
	{"UTF-16", "\xfe\xff", 2, binary.BigEndian},
}

// decoder makes UTF-8 of another encoding. What is not valid is an error: nothing is replaced.
type decoder struct {
	in *bufio.Reader
	encoding
	at   int64 // bytes read
	out  []byte
	sent int
	err  error
}

func (d *decoder) Read(p []byte) (int, error) {
	if d.sent == len(d.out) {
		d.out, d.sent = d.out[:0], 0
		for d.err == nil && len(d.out) < bufferSize {
			var c rune
			if len(d.out) > 0 && d.in.Buffered() < 2*d.unit {
				break // what is there must not wait for what is not
			}
			if c, d.err = d.next(); d.err == nil {
				d.out = utf8.AppendRune(d.out, c)
			}
		}
		if len(d.out) == 0 {
			return 0, d.err
		}
	}
	n := copy(p, d.out[d.sent:])
	d.sent += n
	return n, nil
}

// next reads a character.
func (d *decoder) next() (rune, error) {
	at := d.at
	c, err := d.code()
	if err != nil {
		return 0, err
	}
	if d.unit == 2 && utf16.IsSurrogate(c) {
		low, err := d.code()
		if err != nil && err != io.EOF {
			return 0, err
		}
		if c = utf16.DecodeRune(c, low); c == utf8.RuneError || err == io.EOF {
			return 0, fmt.Errorf("is %s, but byte %d begins half of a character, a lone surrogate", d.name, at)
		}
	}
	if !utf8.ValidRune(c) {
		return 0, fmt.Errorf("is %s, but what stands at byte %d, %#x, is not a character", d.name, at, uint32(c))
	}
	return c, nil
}

// code reads a number of the encoding.
func (d *decoder) code() (rune, error) {
	var b [4]byte
	n, err := io.ReadFull(d.in, b[:d.unit])
	d.at += int64(n)
	switch {
	case err == io.ErrUnexpectedEOF:
		return 0, fmt.Errorf("is %s, but ends within a character, at byte %d", d.name, d.at)
	case err != nil:
		return 0, err
	case d.unit == 2:
		return rune(d.order.Uint16(b[:])), nil
	}
	return rune(d.order.Uint32(b[:])), nil
}

// textReader refuses zero bytes, which no text has.
type textReader struct {
	in   io.Reader
	head []byte // what the file begins with, until it has been read on; nil where it was decoded
	at   int64
	err  error
}

func (t *textReader) Read(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	half := halfZero(t.head)
	n, err := t.in.Read(p)
	t.head = nil
	if i := bytes.IndexByte(p[:n], 0); i >= 0 {
		t.err = fmt.Errorf("is not text: byte %d is zero", t.at+int64(i))
		if half {
			t.err = fmt.Errorf("%w; it may be UTF-16 without a byte order mark: convert it to UTF-8", t.err)
		}
		return i, t.err
	}
	t.at += int64(n)
	return n, err
}

// halfZero reports whether every other byte is mostly zero, as in UTF-16 of languages with Latin letters.
func halfZero(head []byte) bool {
	var zero [2]int
	for i, b := range head {
		if b == 0 {
			zero[i%2]++
		}
	}
	most, least := max(zero[0], zero[1]), min(zero[0], zero[1])
	return most > len(head)/4 && least < most/8+1
}
