package data_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"
	"unicode/utf8"

	kzstd "github.com/klauspost/compress/zstd"

	"github.com/gradsmith/gradsmith/runtime/data"
	_ "github.com/gradsmith/gradsmith/runtime/data/zstd"
)

func write(t testing.TB, path string, content []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func zip(content []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(content)
	z.Close()
	return b.Bytes()
}

func zstd(content []byte) []byte {
	z, _ := kzstd.NewWriter(nil)
	return z.EncodeAll(content, nil)
}

// encodings write text in every encoding that is told by a mark.
var encodings = map[string]func(s string) []byte{
	"UTF-8":    func(s string) []byte { return []byte("\xef\xbb\xbf" + s) },
	"UTF-16LE": func(s string) []byte { return utf16Of(binary.LittleEndian, s) },
	"UTF-16BE": func(s string) []byte { return utf16Of(binary.BigEndian, s) },
	"UTF-32LE": func(s string) []byte { return utf32Of(binary.LittleEndian, s) },
	"UTF-32BE": func(s string) []byte { return utf32Of(binary.BigEndian, s) },
}

func utf16Of(o binary.AppendByteOrder, s string) (b []byte) {
	for _, x := range append([]uint16{0xfeff}, utf16.Encode([]rune(s))...) {
		b = o.AppendUint16(b, x)
	}
	return b
}

func utf32Of(o binary.AppendByteOrder, s string) (b []byte) {
	for _, x := range append([]rune{0xfeff}, []rune(s)...) {
		b = o.AppendUint32(b, uint32(x))
	}
	return b
}

var compressions = map[string]func([]byte) []byte{"plain": func(b []byte) []byte { return b }, "gzip": zip,
	"zstd": zstd}

func readText(path string) (string, error) {
	r, err := data.Open(path)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := r.AllText()
	return string(b), err
}

// randomText has characters of every length, and is longer than buffers are.
func randomText(r *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		c := []rune{'a', '\n', 'é', '中', '😀', ' ', '\r', '\u0301'}[r.IntN(8)]
		b.WriteRune(c)
	}
	return b.String()
}

// A text is the same in every encoding and every compression.
func TestText(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	for _, n := range []int{0, 1, 2, 3, 100, 70_000} {
		want := randomText(r, n)
		for how, pack := range compressions {
			path := write(t, filepath.Join(dir, "text"), pack([]byte(want)))
			if got, err := readText(path); err != nil || got != want {
				t.Errorf("%d characters, %s: %d bytes, want %d: %v", n, how, len(got), len(want), err)
			}
			for name, encode := range encodings {
				path := write(t, filepath.Join(dir, "text"), pack(encode(want)))
				if got, err := readText(path); err != nil || got != want {
					t.Errorf("%d characters, %s of %s: %d bytes, want %d: %v", n, how, name, len(got), len(want), err)
				}
			}
		}
	}
}

// A compressed file of which any byte is changed, or the end cut off, is an error or still the same content: the
// header has bytes that do not matter, such as the time.
func TestDamage(t *testing.T) {
	want := strings.Repeat("It was a dark and stormy night. ", 20)
	dir := t.TempDir()
	for name, pack := range map[string]func([]byte) []byte{"gzip": zip, "zstd": zstd} {
		whole := pack([]byte(want))
		for i := range whole {
			changed := bytes.Clone(whole)
			changed[i] ^= 0x10
			path := write(t, filepath.Join(dir, "text"), changed)
			// Another magic number makes it a file that is not compressed: its zero bytes tell.
			if got, err := readText(path); err == nil && got != want {
				t.Errorf("%s: byte %d was changed, and the content is %q", name, i, got)
			}
		}
		for n := 4; n < len(whole); n++ {
			path := write(t, filepath.Join(dir, "text"), whole[:n])
			_, err := readText(path)
			if err == nil || !strings.Contains(err.Error(), "is compressed with "+name+", but ") {
				t.Errorf("%s: %d of %d bytes: the error is %v", name, n, len(whole), err)
			}
		}
	}
}

// End finds what stands behind an array, and what is wrong with the compressed file around it.
func TestEnd(t *testing.T) {
	whole := zip([]byte("abc"))
	for want, content := range map[string][]byte{
		"":                         whole,
		"goes on behind its end":   zip([]byte("abcd")),
		"gzip, but damaged":        append(bytes.Clone(whole[:len(whole)-8]), 1, 2, 3, 4, 3, 0, 0, 0),
		"gzip, but cut off":        whole[:len(whole)-2],
		"gzip, but damaged: gzip:": append(bytes.Clone(whole), "junk behind it"...),
	} {
		r, err := data.New("x", bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 3)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		err = r.End()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
}

const log = `{"step":1,"seconds":0.1,"loss":2,"norm":1,"rate":0.1,"tokens":10}` + "\n"

func TestNotText(t *testing.T) {
	dir := t.TempDir()
	header := `{"__metadata__":{"gradsmith.format":"1"}}`
	checkpoint := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	for want, content := range map[string][]byte{
		"is a PNG image, not text":                             []byte("\x89PNG\r\n\x1a\n\x00\x00"),
		"is a ZIP archive":                                     []byte("PK\x03\x04\x14\x00"),
		"is compressed with bzip2, which is not read":          []byte("BZh91AY&SY\x01\x02"),
		"is compressed with xz":                                []byte("\xfd7zXZ\x00\x00\x04"),
		"is an array of NumPy (NPY), not text":                 []byte("\x93NUMPY\x01\x00"),
		"is a model's checkpoint (safetensors), not text":      []byte("\x40\x00\x00\x00\x00\x00\x00\x00{\"a\":"),
		"is a checkpoint of gradsmith, which is not data":      checkpoint,
		"is a log of gradsmith, which is not data":             []byte(log),
		"byte 3 is zero":                                       []byte("abc\x00"),
		"it may be UTF-16 without a byte order mark":           utf16Of(binary.LittleEndian, "plain text")[2:],
		"byte 70000 is zero":                                   append(bytes.Repeat([]byte("a"), 70000), 0),
		"UTF-16, but byte 4 begins half of a character":        {0xff, 0xfe, 'a', 0, 0x00, 0xd8, 'b', 0},
		"UTF-16, but byte 2 begins half of a character, a":     {0xfe, 0xff, 0xd8, 0x00},
		"UTF-16, but ends within a character, at byte 3":       {0xff, 0xfe, 'a'},
		"UTF-32, but what stands at byte 4, 0x110000":          {0xff, 0xfe, 0, 0, 0, 0, 0x11, 0},
		"UTF-32, but what stands at byte 4, 0xd800":            {0, 0, 0xfe, 0xff, 0, 0, 0xd8, 0},
		"is compressed twice, with gzip and with gzip":         zip(zip([]byte("a"))),
		"is compressed twice, with zstd and with gzip: uncomp": zstd(zip([]byte("a"))),
	} {
		path := write(t, filepath.Join(dir, "x"), content)
		_, err := readText(path)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
	// Letters of a format alone do not make a text one.
	for _, s := range []string{"MZ and other letters", "GIF89a is a version", "BZh\xe9 in Latin-1", "ID3",
		"%PDF-1.4 is how it begins", "{\"step\":1}", "dos\x1a"} {
		path := write(t, filepath.Join(dir, "x"), []byte(s))
		if got, err := readText(path); err != nil || got != s {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
}

// Errors of the disk come through, whatever the file is.
func TestDiskError(t *testing.T) {
	broken := errors.New("broken disk")
	for name, content := range map[string][]byte{"plain": []byte("abc"), "gzip": zip([]byte("abc"))[:15],
		"UTF-16": {0xff, 0xfe, 'a', 0}} {
		r, err := data.New("x", io.MultiReader(bytes.NewReader(content), iotest.ErrReader(broken)))
		if err == nil {
			_, err = r.AllText()
		}
		if !errors.Is(err, broken) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	real, other := filepath.Join(dir, "data"), filepath.Join(dir, "other")
	for _, name := range []string{"b.txt", "a.txt", "sub/c.txt", ".hidden", ".git/x.txt", "d.md"} {
		write(t, filepath.Join(real, name), []byte("text"))
	}
	write(t, filepath.Join(other, "e.txt"), []byte("text"))
	write(t, filepath.Join(real, "log.txt"), []byte(log))
	header := `{"__metadata__":{"gradsmith.format":"1"}}`
	write(t, filepath.Join(real, "best.txt"),
		append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...))
	link := func(old, new string) {
		t.Helper()
		if err := os.Symlink(old, new); err != nil {
			t.Skip(err)
		}
	}
	link(other, filepath.Join(real, "linked"))                          // a folder
	link(filepath.Join(other, "e.txt"), filepath.Join(real, "f.txt"))   // a file
	link(real, filepath.Join(dir, "door"))                              // the folder that is named
	link(filepath.Join(dir, "door"), filepath.Join(dir, "second_door")) // and a link to that
	for _, root := range []string{real, filepath.Join(dir, "door"), filepath.Join(dir, "second_door")} {
		got, err := data.Files("*.txt", root)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"a.txt", "b.txt", "f.txt", "linked/e.txt", "sub/c.txt"}
		for i := range want {
			want[i] = filepath.Join(root, filepath.FromSlash(want[i]))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", root, got, want)
		}
	}
	if got, err := data.Files("*.txt", filepath.Join(real, "d.md"), other, other); err != nil || len(got) != 3 {
		t.Errorf("%q, %v", got, err)
	}

	bad := func(want, match string, paths ...string) {
		t.Helper()
		_, err := data.Files(match, paths...)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("the error is %v, want one line with %q", err, want)
		}
	}
	bad("none cannot be read: ", "", filepath.Join(dir, "none"))
	bad(`no file in it has a name like "*.go"`, "*.go", real)
	bad("is not valid", "[a", real)
	bad("no file is named", "")
	bad("no file is in it but what trainings wrote", "log.txt", real)
	link(real, filepath.Join(real, "sub", "loop"))
	bad("loop is a link that leads back to "+real+", which holds it: remove it", "", real)
	os.Remove(filepath.Join(real, "sub", "loop"))
	link(filepath.Join(dir, "nothing"), filepath.Join(real, "broken"))
	bad("broken is a link to what does not exist", "", real)
	if _, err := data.Open(real); err == nil || !strings.Contains(err.Error(), "it is a folder") {
		t.Errorf("a folder is opened: %v", err)
	}
}

// FuzzOpen checks that no content makes a Reader panic, that what it calls text has neither a mark nor a zero byte,
// and that an error is one line.
func FuzzOpen(f *testing.F) {
	for _, encode := range encodings {
		f.Add(encode("aé中😀\n"))
		f.Add(zip(encode("aé中😀\n")))
		f.Add(zstd(encode("aé中😀\n")))
	}
	f.Add([]byte("\xff\xfe\x00\xd8"))
	f.Add([]byte("\x89PNG\r\n\x1a\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		r, err := data.New("x", bytes.NewReader(content))
		var text []byte
		if err == nil {
			// Bombs are not what is tested here.
			var in io.Reader
			if in, err = r.Text(); err == nil {
				text, err = io.ReadAll(io.LimitReader(in, 1<<22))
			}
			r.Close()
		}
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x00") {
				t.Errorf("an error that is not one line: %q", err)
			}
			return
		}
		if bytes.IndexByte(text, 0) >= 0 {
			t.Error("a text with a zero byte")
		}
		if bytes.HasPrefix(content, []byte("\xff\xfe")) && !utf8.Valid(text) {
			t.Error("decoded text that is not UTF-8")
		}
	})
}
