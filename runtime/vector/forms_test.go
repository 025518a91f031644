package vector

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"

	_ "github.com/gradsmith/gradsmith/runtime/data/zstd"
	"github.com/gradsmith/gradsmith/runtime/model"
)

func write(t testing.TB, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// A table of numbers gives the same vectors and labels however it is written.
func TestTables(t *testing.T) {
	utf16le := []byte{0xff, 0xfe}
	for _, x := range utf16.Encode([]rune("label,a,b\n2,0,255\n0,51,153\n")) {
		utf16le = binary.LittleEndian.AppendUint16(utf16le, x)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content string
		o       Options
	}{
		"named":           {"label,a,b\n2,0,255\n0,51,153\n", Options{Column: "label"}},
		"Kaggle's":        {"label,pixel0,pixel1\r\n2,0,255\r\n0,51,153\r\n", Options{Column: "label"}},
		"other case":      {"a, Label ,b\n0,2,255\n51,0,153\n", Options{Column: "label"}},
		"quoted":          {"\"a\",\"label\",\"b\"\n\"0\",\"2\",\"255\"\n51,0,153\n", Options{Column: "label"}},
		"numbered":        {"0,255,2\n51,153,0\n", Options{Column: "3"}},
		"both":            {"a,b,class\n0,255,2\n51,153,0\n", Options{Column: "3"}},
		"numbers as head": {"class,1,2\n2,0,255\n0,51,153\n", Options{Column: "1"}},
		"a header":        {"0,1,2\n2,0,255\n0,51,153\n", Options{Column: "1", Header: true}},
		"floats":          {"class,1,2\n2.0,0.0,255.0\n0.0,51.0,153.0\n", Options{Column: "class"}},
		"a mark":          {"\ufefflabel,a,b\n2,0,255\n\n   \n0,51,153", Options{Column: "label"}},
		"a mark, numbers": {"\ufeff2,0,255\n0,51,153", Options{Column: "1"}},
		"UTF-16":          {string(utf16le), Options{Column: "label"}},
		"gzip":            {string(zip(t, []byte("label,a,b\n2,0,255\n0,51,153\n"))), Options{Column: "label"}},
		"zstd": {string(z.EncodeAll([]byte("label,a,b\n2,0,255\n0,51,153\n"), nil)),
			Options{Column: "label"}},
	} {
		for _, classes := range []int{0, 3} {
			c.o.Scale, c.o.Classes = 255, classes
			s, err := Read([]string{write(t, t.TempDir(), "data", []byte(c.content))}, pair, c.o)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if !slices.Equal(s.Data, []float32{0, 1, 0.2, 0.6}) || len(s.Warnings) > 0 {
				t.Errorf("%s: %v, %q", name, s.Data, s.Warnings)
			}
			if want := map[int][]int32{0: nil, 3: {2, 0}}[classes]; !slices.Equal(s.Labels, want) {
				t.Errorf("%s: the labels are %v, want %v", name, s.Labels, want)
			}
		}
	}
}

func TestTablesBad(t *testing.T) {
	for want, c := range map[string]struct {
		content string
		o       Options
	}{
		"named label, as in Kaggle's digits: name it with --label-column label": {"label,pixel0,pixel1\n2,0,1\n",
			Options{}},
		"if one column is a label, name it (--label-column": {"2,0,1\n", Options{}},
		`no column is named "class", as that of the labels should be: the line re`: {"a,b,c\n1,2,3\n",
			Options{Column: "class"}},
		"there is no column 4 for labels: the line has 3 columns": {"1,2,3\n", Options{Column: "4"}},
		"line 2, column 1: \"x\" is not a label": {"l,a,b\nx,0,1\n",
			Options{Column: "l", Classes: 2}},
		"line 2, column 1: \"0.5\" is not a label": {"l,a,b\n0.5,0,1\n",
			Options{Column: "l", Classes: 2}},
		"line 2, column 1: \"2\" is not one of the model's labels, which are 0": {"l,a,b\n2,0,1\n",
			Options{Column: "l", Classes: 2}},
		"line 3 has 2 columns, the model's vectors have 2 and a label": {"l,a,b\n1,0,1\n1,1\n",
			Options{Column: "l", Classes: 2}},
		"line 1, column 1: \"name\" is not a number; if the line names the colum": {"name,1\n0,1\n", Options{}},
		"255 in line 2, column 1 is outside of [0, 1], which the model's vectors": {"a,b\n255,1\n", Options{}},
		"a scale of -1": {"0,1\n", Options{Scale: -1}},
		"is a ZIP archive, or a document that is one, not text": {"PK\x03\x04\x00", Options{}},
	} {
		_, err := Read([]string{write(t, t.TempDir(), "data", []byte(c.content))}, pair, c.o)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
}

// A first line that looks like numbers of columns is read, and said.
func TestColumnNumbers(t *testing.T) {
	three := model.Vector{Width: 3}
	for content, warned := range map[string]bool{"0,1,2\n5,5,5\n": true, "1,2,3\n": true, "2,3,4\n": false,
		"0,1,3\n": false, "0,0,0\n0,1,2\n": false} {
		s, err := Read([]string{write(t, t.TempDir(), "data", []byte(content))}, three, Options{})
		if err != nil || (len(s.Warnings) > 0) != warned || s.Len() != strings.Count(content, "\n") {
			t.Errorf("%q: %v, %v", content, s, err)
		}
	}
}

func imageOf(t *testing.T, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Images are vectors, whatever kind of PNG they are, and have the labels that their folders name.
func TestImages(t *testing.T) {
	four := model.Vector{Width: 4, Bounded: true, Low: 0, High: 1}
	shades := []uint8{0, 51, 153, 255}
	grey, wide, colour := image.NewGray(image.Rect(0, 0, 2, 2)), image.NewGray16(image.Rect(0, 0, 2,
		2)), image.NewNRGBA(image.Rect(0, 0, 2, 2))
	palette := image.NewPaletted(image.Rect(0, 0, 2, 2),
		color.Palette{color.Gray{0}, color.Gray{51}, color.Gray{153}, color.Gray{255}})
	for i, x := range shades {
		grey.Set(i%2, i/2, color.Gray{x})
		wide.Set(i%2, i/2, color.Gray16{uint16(x) * 257})
		colour.Set(i%2, i/2, color.NRGBA{x, x, x, 255})
		palette.Set(i%2, i/2, color.Gray{x})
	}
	dir := t.TempDir()
	for i, m := range []image.Image{grey, wide, colour, palette} {
		write(t, dir, fmt.Sprintf("%d/%d.png", i%2, i), imageOf(t, m))
	}
	s, err := Read([]string{dir}, four, Options{Classes: 2})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if !slices.Equal(s.Row(i), []float32{0, 0.2, 0.6, 1}) {
			t.Errorf("image %d is %v", i, s.Row(i))
		}
	}
	if !slices.Equal(s.Labels, []int32{0, 0, 1, 1}) {
		t.Errorf("the labels are %v", s.Labels)
	}
	// Colours, where the vectors have three numbers a pixel.
	colour.Set(0, 0, color.NRGBA{255, 0, 51, 255})
	path := write(t, dir, "colour/c.png", imageOf(t, colour))
	s, err = Read([]string{path}, model.Vector{Width: 12}, Options{Classes: 2})
	if err != nil || !slices.Equal(s.Row(0)[:4], []float32{1, 0, 0.2, 0.2}) || s.Labels != nil {
		t.Errorf("%v, %v", s, err)
	}
	colour.Set(0, 0, color.NRGBA{255, 0, 51, 100})
	whole := imageOf(t, grey)
	for want, content := range map[string][]byte{
		"has transparent pixels":       imageOf(t, colour),
		"has 3×1 pixels, 3 in all":     imageOf(t, image.NewGray(image.Rect(0, 0, 3, 1))),
		"is a PNG image, but damaged:": whole[:len(whole)-15],
	} {
		path := write(t, dir, "bad.png", content)
		if _, err := Read([]string{path}, four, Options{}); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
}

// Several files are one set, and errors name the one that is meant.
func TestSeveral(t *testing.T) {
	dir := t.TempDir()
	a, b := write(t, dir, "a.csv", []byte("x,y\n0,1\n")), write(t, dir, "b.npy",
		npy("<f4", "False", "(2, 2)", floats(0.5, 1, 0, 2)))
	if s, err := Read([]string{a, a}, pair, Options{}); err != nil || s.Len() != 2 {
		t.Errorf("%v, %v", s, err)
	}
	if _, err := Read([]string{a, b}, pair, Options{}); err == nil ||
		!strings.HasPrefix(err.Error(), b+": 2 in row 2, column 2 is outside") {
		t.Errorf("the error is %v", err)
	}
}

// One changed byte of compressed vectors or labels is an error, or changes nothing.
func TestDamage(t *testing.T) {
	vectors, labels := npy("<f4", "False", "(2, 2)", floats(0, 1, 0.2, 0.6)), []byte{0, 0, 8, 1, 0, 0, 0, 3, 3, 0, 2}
	dir := t.TempDir()
	for i, whole := range [][]byte{zip(t, vectors), zip(t, labels)} {
		for at := range whole {
			changed := bytes.Clone(whole)
			changed[at] ^= 0x08
			path := write(t, dir, "data", changed)
			if i == 0 {
				if s, err := Read([]string{path}, pair, Options{}); err == nil && !slices.Equal(s.Data,
					[]float32{0, 1, 0.2, 0.6}) {
					t.Errorf("byte %d was changed, and the vectors are %v", at, s.Data)
				}
			} else if l, err := ReadLabels(path, 4); err == nil && !slices.Equal(l.Values, []int32{3, 0, 2}) {
				t.Errorf("byte %d was changed, and the labels are %v", at, l.Values)
			}
		}
	}
}

// Vectors whose end is not like the rest are told from those in any order.
func TestTail(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const n, width = 200, 3
	make := func(sorted int) *Set {
		x := make([]float32, n*width)
		for i := range x {
			if x[i] = r.Float32(); i%width == sorted {
				x[i] = float32(i)
			}
		}
		s, err := New("x", x, model.Vector{Width: width})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	labelled := func(label func(i int) int32) *Set {
		s := make(-1)
		for i := range n {
			s.Labels = append(s.Labels, label(i))
		}
		return s
	}
	for _, c := range []struct {
		name, want string
		set        *Set
	}{
		{"in no order", "", make(-1)},
		{"by a number", "sorted by number 2 of each", make(1)},
		{"labels in turn", "", labelled(func(i int) int32 { return int32(i % 10) })},
		{"sorted labels", "sorted by their labels", labelled(func(i int) int32 { return int32(i / 18) })},
		{"falling labels", "sorted by their labels", labelled(func(i int) int32 { return int32((n - i) / 18) })},
		{"one class at the end", "have the label 3", labelled(func(i int) int32 {
			if i >= 180 {
				return 3
			}
			return int32(i % 5)
		})},
		{"one class in all", "", labelled(func(i int) int32 { return 1 })},
	} {
		if got := c.set.Tail(0.1); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		digest := c.set.Digest
		c.set.Shuffle()
		if got := c.set.Tail(0.1); got != "" || c.set.Digest == digest {
			t.Errorf("%s, shuffled: %q", c.name, got)
		}
	}
}
