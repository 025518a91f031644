package checkpoint

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// writing is a model with a table, a matrix and a bias, which writes by nothing.
type writing struct {
	model.Packer
	info   model.Info
	table  []float32 // [6, 40]
	w      []float32 // [40, 33]
	bias   []float32 // [33]
	kind   weights.Kind
	matrix [2]*weights.Matrix
}

func newWriting() *writing {
	x := &writing{info: model.Info{Name: "writing", Architecture: "one", Spec: "writing.yaml"},
		table: make([]float32, 240), w: make([]float32, 1320), bias: make([]float32, 33)}
	for i, p := range [][]float32{x.table, x.w, x.bias} {
		for j := range p {
			p[j] = float32(math.Sin(float64(i + 7*j)))
		}
	}
	return x
}

func (x *writing) Info() *model.Info { return &x.info }

func (x *writing) Tensors() []model.Tensor {
	return []model.Tensor{{Name: "table", Shape: []int{6, 40}, Value: x.table},
		{Name: "w", Shape: []int{40, 33}, Value: x.w}, {Name: "bias", Shape: []int{33}, Value: x.bias}}
}

func (x *writing) Lay(l *weights.Layout) error {
	bias := x.bias
	matrix := [2]*weights.Matrix{l.Rows(x.table, 6, 40, "table"), l.Matrix(x.w, 40, 33, "w")}
	l.Keep(&bias, "bias")
	if err := l.Err(); err != nil {
		return err
	}
	x.bias, x.matrix, x.kind = bias, matrix, l.Kind
	return nil
}

func (x *writing) Mount(l *weights.Layout) error { return x.Lay(l) }

func saveWriting(t *testing.T, kind weights.Kind) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "writing.safetensors")
	if err := SaveMatrices(path, newWriting(), kind); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMatrices(t *testing.T) {
	for _, kind := range weights.Kinds() {
		path := saveWriting(t, kind)
		m, want := newWriting(), newWriting()
		clear(m.bias)
		if err := LoadWeights(path, m); err != nil {
			t.Fatal(err)
		}
		if err := want.Lay(&weights.Layout{Kind: kind}); err != nil {
			t.Fatal(err)
		}
		if m.kind != kind || m.bias[3] != want.bias[3] {
			t.Errorf("%v: %v, bias %v", kind, m.kind, m.bias)
		}
		got, is := make([]float32, 1320), make([]float32, 1320)
		for i := range 2 {
			k, n := m.matrix[i].Dims()
			for j := range n {
				m.matrix[i].Column(got[j*k:], j)
				want.matrix[i].Column(is[j*k:], j)
			}
		}
		for i := range got {
			if got[i] != is[i] {
				t.Fatalf("%v: number %d is %v, and was %v", kind, i, got[i], is[i])
			}
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := ParseWeights(data, newWriting()); err != nil {
			t.Errorf("%v from memory: %v", kind, err)
		}
		if whole, err := Verify(path); !whole || err != nil {
			t.Errorf("%v: %v, %v", kind, whole, err)
		}
		info, err := Describe(path)
		if err != nil || info.Weights != kind.String() || info.Bytes == 0 {
			t.Errorf("%v: %+v, %v", kind, info, err)
		}
	}
}

// A file with any byte changed, or cut at any place, is an error that says what is wrong, and changes nothing.
func TestMatricesDamaged(t *testing.T) {
	data, err := os.ReadFile(saveWriting(t, weights.Q4))
	if err != nil {
		t.Fatal(err)
	}
	load := func(data []byte) error {
		m := newWriting()
		err := ParseWeights(data, m)
		if err != nil && m.matrix[1] != nil {
			t.Fatal("a file that is refused has changed the model")
		}
		return err
	}
	same := newWriting()
	if err := ParseWeights(data, same); err != nil {
		t.Fatal(err)
	}
	for i := range data {
		old := data[i]
		data[i] ^= 1 << (i % 8)
		m := newWriting()
		if err := ParseWeights(data, m); err == nil { // the header has other blanks or keys, and says the same
			if !bytes.Equal(m.matrix[0].Data(), same.matrix[0].Data()) || !slices.Equal(m.bias, same.bias) ||
				!bytes.Equal(m.matrix[1].Data(), same.matrix[1].Data()) {
				t.Fatalf("byte %d is changed, and the file is loaded, with other numbers", i)
			}
		}
		data[i] = old
	}
	for n := range data {
		if err := load(data[:n]); err == nil {
			t.Fatalf("the first %d bytes of %d are loaded", n, len(data))
		}
	}
	data[len(data)-400] ^= 1 // of a block
	if err := load(data); err == nil || !strings.Contains(err.Error(), `tensor "w/matrix"`) {
		t.Error(err)
	}
}

// loading is the error of going on with a training.
func loading(path string) error {
	_, _, err := Load(path, newTiny())
	return err
}

func TestMatricesOfOthers(t *testing.T) {
	path := saveWriting(t, weights.Q8)
	other := newWriting()
	other.info.Architecture = "two"
	for what, c := range map[string]struct {
		err  error
		says string
	}{
		"another spec":         {LoadWeights(path, other), "is of another spec (model writing)"},
		"a model of no tokens": {LoadWeights(path, newTiny()), "does not write token by token"},
		"a training":           {loading(path), "for writing alone"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.says) {
			t.Errorf("%s: %v", what, c.err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(data); err == nil || !strings.Contains(err.Error(), "for writing alone") {
		t.Errorf("as parameters: %v", err)
	}
	m := newWriting()
	m.w[5*33+7] = float32(math.Inf(-1))
	err = SaveMatrices(path, m, weights.Q8)
	if err == nil || !strings.Contains(err.Error(), "w: row 5, column 7 is -Inf") {
		t.Errorf("a weight that is not finite: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, data) {
		t.Error("a file was lost that could not be written", err)
	}
	m = newWriting()
	m.bias[2] = float32(math.NaN())
	if err := SaveMatrices(path, m, weights.Q8); err == nil || !strings.Contains(err.Error(), "bias: number 2 is NaN") {
		t.Errorf("a bias that is not finite: %v", err)
	}
}

// A file whose checksums are right may still have numbers that are not finite, of every kind: the tensor is named.
func TestMatricesNotFinite(t *testing.T) {
	for _, kind := range weights.Kinds() {
		for _, name := range []string{"w/matrix", "table/rows", "bias"} {
			data, err := os.ReadFile(saveWriting(t, kind))
			if err != nil {
				t.Fatal(err)
			}
			s, err := open(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			var parts []part
			for _, e := range s.entries {
				x := data[s.start:][e.Offsets[0]:e.Offsets[1]]
				if e.name == name { // its first four numbers, or scales, become NaN
					for i := range 8 {
						x[i] = 0xff
					}
				}
				s.metadata[checksumPrefix+e.name] = fmt.Sprintf("%08x", crc32.Checksum(x, castagnoli))
				parts = append(parts, part{e.name, e.DType, e.Shape, len(x), func(w io.Writer) error {
					_, err := w.Write(x)
					return err
				}})
			}
			var changed bytes.Buffer
			if err := writeTensors(&changed, withoutDigests(s.metadata), parts, weights.Align); err != nil {
				t.Fatal(err)
			}
			err = ParseWeights(changed.Bytes(), newWriting())
			if err == nil || !strings.Contains(err.Error(), `tensor "`+name+`"`) ||
				!strings.Contains(err.Error(), "finite") {
				t.Errorf("%v: %s with NaN: %v", kind, name, err)
			}
		}
	}
}
