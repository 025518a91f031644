package vector

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

var pair = model.Vector{Width: 2, Bounded: true, Low: 0, High: 1}

func npy(descr, order, shape string, data []byte) []byte {
	head := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", descr, order, shape)
	b := append([]byte("\x93NUMPY\x01\x00"), byte(len(head)+1), 0)
	return append(append(b, head+"\n"...), data...)
}

func floats(xs ...float32) []byte {
	var b []byte
	for _, x := range xs {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

func doubles(xs ...float64) []byte {
	var b []byte
	for _, x := range xs {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return b
}

func zip(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(t *testing.T, data []byte, format model.Vector) (*Set, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Read([]string{path}, format, Options{})
	if err != nil {
		if !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%v does not begin with the file", err)
		}
		return nil, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), path+": "))
	}
	return s, nil
}

// Every format gives the same set.
func TestRead(t *testing.T) {
	want := []float32{0, 1, 0.2, 0.6}
	digest := ""
	for name, data := range map[string][]byte{
		"csv":         []byte("0,1\n 0.2 ,6e-1\n"),
		"csv, names":  []byte("left,right\r\n0,1\r\n\r\n0.2,0.6"),
		"float32":     npy("<f4", "False", "(2, 2)", floats(0, 1, 0.2, 0.6)),
		"float64":     npy("<f8", "False", "(2, 1, 2)", doubles(0, 1, 0.2, 0.6)),
		"bytes":       npy("|u1", "False", "(2, 2)", []byte{0, 255, 51, 153}),
		"idx":         append([]byte{0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2}, 0, 255, 51, 153),
		"gzip of csv": zip(t, []byte("0,1\n0.2,0.6\n")),
		"gzip of npy": zip(t, npy("<f4", "False", "(2, 2)", floats(0, 1, 0.2, 0.6))),
	} {
		s, err := read(t, data, pair)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(s.Data, want) || s.Len() != 2 || s.Width != 2 {
			t.Errorf("%s: %d vectors %v", name, s.Len(), s.Data)
		}
		if digest == "" {
			digest = s.Digest
		}
		if s.Digest != digest {
			t.Errorf("%s: another digest", name)
		}
	}
}

func TestBad(t *testing.T) {
	for want, data := range map[string][]byte{
		"there are no vectors":                                            nil,
		"line 2, column 1: \"x\" is not a number":                         []byte("0,1\nx,1\n"),
		"line 1, column 2: \"y\" is not a number":                         []byte("0,y\n"),
		"line 3 has 1 number, the model's vectors have 2":                 []byte("0,1\n\n1\n"),
		"1.5 in line 3, column 2 is outside of [0, 1], which the model's": []byte("a,b\n0,1\n0,1.5\n"),
		"line 1, column 1: the number is missing (\"nan\")":               []byte("nan,1\n"),
		"+Inf in line 1, column 2 is not a finite number":                 []byte("0,1e99\n"),
		"-0.5 in row 2, column 1 is outside of [0, 1]": npy("<f4", "False", "(2, 2)",
			floats(0, 1, -0.5, 1)),
		"ends in vector 2 of the 2 that its header tells of": npy("<f4", "False", "(2, 2)",
			floats(0, 1, 0.5)),
		"goes on behind its end": npy("<f4", "False", "(1, 2)", floats(0, 1, 0.5)),
		"its vectors have 3 numbers (shape [1 3]), the model takes 2": npy("<f4", "False", "(1, 3)", floats(0, 1, 0.5)),
		"its numbers are of type \"<i8\": save it as float32":         npy("<i8", "False", "(1, 2)", make([]byte, 16)),
		"is in Fortran order":                    npy("<f4", "True", "(1, 2)", floats(0, 1)),
		"does not describe an array of numbers":  npy("<f4", "Maybe", "(1, 2)", floats(0, 1)),
		"holds a single number":                  npy("<f4", "False", "()", floats(0)),
		"a vector has at most 16777216 numbers":  npy("<f4", "False", "(1, 9999999999)", nil),
		"it can have at most 2147483647 vectors": npy("<f4", "False", "(9999999999, 2)", nil),
		"is NPY of version 9":                    []byte("\x93NUMPY\x09\x00\x00\x00"),
		"ends in the header of NPY":              []byte("\x93NUMPY\x01\x00\xff"),
		"is IDX with numbers of type 0x0b":       {0, 0, 0x0b, 1, 0, 0, 0, 0},
		"ends in the header of IDX":              {0, 0, 8, 3, 0, 0},
		"is compressed with gzip, but cut":       []byte("\x1f\x8b\x08xxxxxxxxx"),
		"is compressed twice":                    zip(t, zip(t, []byte("0,1\n"))),
		"is compressed with gzip, but cut off":   zip(t, []byte("0,1\n0.2,0.6\n"))[:20],
		"line 1, column 1: \"0123456789012345678901234567890123456789…\" is not a num": []byte(
			strings.Repeat("0123456789", 5) + "x,1\n"),
	} {
		if _, err := read(t, data, pair); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := Read([]string{filepath.Join(t.TempDir(), "nothing")}, pair, Options{}); err == nil ||
		!strings.Contains(err.Error(), "nothing cannot be read") {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := New("three", make([]float32, 3), pair); err == nil ||
		!strings.Contains(err.Error(), "3 numbers are not whole vectors of 2") {
		t.Errorf("three numbers: %v", err)
	}
	if _, err := read(t, []byte("7,-3\n"), model.Vector{Width: 2}); err != nil {
		t.Errorf("any number may be in a vector without bounds: %v", err)
	}
}

func numbers(n int) *Set {
	data := make([]float32, 2*n)
	for i := range data {
		data[i] = float32(i / 2)
	}
	s, err := New("numbers", data, model.Vector{Width: 2})
	if err != nil {
		panic(err)
	}
	return s
}

func rows(b *model.Batch) []float32 {
	var out []float32
	for i := range b.Batch {
		out = append(out, b.Vectors[2*i])
	}
	return out
}

// A pass gives every vector once, in an order of its own; a position is gone back to exactly.
func TestBatches(t *testing.T) {
	s := numbers(10)
	b, err := s.Shuffled(4, 3)
	if err != nil {
		t.Fatal(err)
	}
	if b.Windows() != 3 || b.Tokens() != 10 {
		t.Errorf("%d batches of %d vectors", b.Windows(), b.Tokens())
	}
	var w model.Batch
	var passes [2][]float32
	var second []float32
	for pass := range passes {
		for b.Next(&w) {
			passes[pass] = append(passes[pass], rows(&w)...)
			if pass == 1 && b.Position() == 2 {
				second = rows(&w)
			}
		}
		b.NextPass()
	}
	for _, p := range passes {
		sorted := slices.Clone(p)
		slices.Sort(sorted)
		if !slices.Equal(sorted, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
			t.Errorf("a pass gives %v", p)
		}
	}
	if slices.Equal(passes[0], passes[1]) {
		t.Error("two passes have one order")
	}
	b.SetPosition(1, 1)
	b.Next(&w)
	if got := rows(&w); !slices.Equal(got, second) {
		t.Errorf("the second batch of the second pass is %v, was %v", got, second)
	}
	whole, err := s.Whole(3)
	if err != nil {
		t.Fatal(err)
	}
	var all []float32
	for whole.Next(&w) {
		all = append(all, rows(&w)...)
	}
	if !slices.Equal(all, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("evaluation gives %v", all)
	}
	if _, err := s.Whole(0); err == nil {
		t.Error("batches of no vectors are made")
	}
}

func TestSplit(t *testing.T) {
	a, b, err := numbers(10).Split(0.25)
	if err != nil || a.Len() != 7 || b.Len() != 3 || b.Row(0)[0] != 7 {
		t.Errorf("%v: %d and %d", err, a.Len(), b.Len())
	}
	if _, _, err := numbers(1).Split(0.5); err == nil {
		t.Error("a part without vectors is no error")
	}
}

// FuzzRead reads any content as vectors, with and without a column of labels, and as labels: no panic, errors of one
// line that name the file, and what is read is whole.
func FuzzRead(f *testing.F) {
	f.Add([]byte("0,1\n"), "", 0.0)
	f.Add([]byte("label,a,b\n1,0,255\n"), "label", 255.0)
	f.Add([]byte("0,1,2\n\"1\",0,1\n"), "2", 1.0)
	f.Add(npy("<f4", "False", "(1, 2)", floats(0, 1)), "", 0.0)
	f.Add(npy("|u1", "False", "(1, 2, 1)", []byte{1, 2}), "", 0.0)
	f.Add([]byte{0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2}, "", 0.0)
	f.Add([]byte{0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 0}, "", 0.0)
	f.Add([]byte("\xff\xfe1\x00\n\x002\x00"), "", 0.0)
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 2, 1))); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes(), "", 0.0)
	f.Fuzz(func(t *testing.T, content []byte, column string, scale float64) {
		path := write(t, t.TempDir(), "data", content)
		check := func(err error) {
			if strings.ContainsAny(err.Error(), "\n\r\x00") ||
				!strings.HasPrefix(err.Error(), path) && !strings.HasPrefix(err.Error(), "a scale of") {
				t.Errorf("an error that is not one line, or does not name the file: %q", err)
			}
		}
		for _, classes := range []int{0, 3} {
			s, err := Read([]string{path}, pair, Options{Column: column, Scale: scale, Classes: classes})
			if err != nil {
				check(err)
				continue
			}
			if s.Len() < 1 || len(s.Data) != 2*s.Len() || s.Labels != nil && len(s.Labels) != s.Len() {
				t.Errorf("%d numbers and %d labels in %d vectors", len(s.Data), len(s.Labels), s.Len())
			}
			for i, l := range s.Labels {
				if l < 0 || l > 2 {
					t.Errorf("label %d is %d", i, l)
				}
			}
			s.Tail(0.2)
		}
		l, err := ReadLabels(path, 3)
		if err != nil {
			check(err)
		} else if len(l.Values) == 0 {
			t.Error("no labels, and no error")
		}
	})
}
