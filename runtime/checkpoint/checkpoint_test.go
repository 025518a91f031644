package checkpoint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// tiny is a model of two tensors; it is trained by nothing.
type tiny struct {
	model.LanguageModel
	info  model.Info
	a, b  []float32
	slot  []float32
	state []float32
	step  int
}

func newTiny() *tiny {
	return &tiny{info: model.Info{Name: "tiny", Architecture: "one", SpecDigest: "spec", Spec: "tiny.yaml"},
		a: []float32{1, 2, 3, 4, 5, 6}, b: []float32{float32(math.Inf(1)), -0.5}, slot: []float32{7, 8},
		state: []float32{9}, step: 12}
}

func (t *tiny) Info() *model.Info { return &t.info }
func (t *tiny) Tensors() []model.Tensor {
	return []model.Tensor{{Name: "layer.w", Shape: []int{2, 3}, Value: t.a},
		{Name: "layer.b", Shape: []int{2}, Value: t.b}}
}
func (t *tiny) Slots() []model.Slot { return []model.Slot{{Name: "adam.first", Value: t.slot}} }
func (t *tiny) State() []float32    { return t.state }
func (t *tiny) SetStep(s int)       { t.step = s }

func (t *tiny) clear() *tiny {
	clear(t.a)
	clear(t.b)
	clear(t.slot)
	clear(t.state)
	t.step = 0
	return t
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tiny.safetensors")
	m := newTiny()
	want := Training{Step: 12, Seed: math.MaxUint64, Loop: map[string]string{"window": "3"}}
	if err := Save(path, m, want); err != nil {
		t.Fatal(err)
	}
	n := newTiny().clear()
	got, changed, err := Load(path, n)
	if err != nil || changed {
		t.Fatal(err, changed)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || n.step != 12 ||
		fmt.Sprint(n.a, n.b, n.slot, n.state) != fmt.Sprint(m.a, m.b, m.slot, m.state) {
		t.Errorf("loaded %v %v, want %v %v", got, n, want, m)
	}
	n.info.SpecDigest = "other"
	if _, changed, err := Load(path, n); err != nil || !changed {
		t.Errorf("a changed spec gives %v, %v", changed, err)
	}
	if err := LoadWeights(path, newTiny().clear()); err != nil {
		t.Error(err)
	}
	i, err := Describe(path)
	if err != nil || i.Name != "tiny" || i.Training.Step != 12 || i.Tensors != 4 || i.Numbers != 11 {
		t.Errorf("%+v, %v", i, err)
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if len(left) != 1 {
		t.Errorf("files left behind: %v", left)
	}
}

func TestWeights(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := SaveWeights(path, newTiny()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := newTiny().clear()
	if err := ParseWeights(data, n); err != nil || n.a[5] != 6 {
		t.Error(err, n.a)
	}
	if _, _, err := Load(path, n); err == nil || !strings.Contains(err.Error(), "parameters alone") {
		t.Errorf("going on from parameters alone gives %v", err)
	}
}

// TestErrors holds that what does not fit is refused with its reason, and changes nothing.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	if err := Save(good, newTiny(), Training{Step: 1}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	raw := func(header string, body int) []byte {
		b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
		return append(append(b, header...), make([]byte, body)...)
	}
	other := newTiny()
	other.info.Architecture = "two"
	otherSpec := filepath.Join(dir, "other")
	if err := Save(otherSpec, other, Training{}); err != nil {
		t.Fatal(err)
	}
	otherData, _ := os.ReadFile(otherSpec)
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "has 0 bytes"},
		{"text", []byte("Call me Ishmael. Some years ago"), "not a safetensors file"},
		{"truncated header", data[:40], "truncated or not a safetensors file"},
		{"truncated data", data[:len(data)-2], `is truncated: tensor "training/state" ends at byte 44`},
		{"too long", append(append([]byte{}, data...), 0), "1 bytes after the last tensor"},
		{"no JSON", raw("[1]", 0), "not a JSON object"},
		{"broken JSON", raw(`{"a":`, 0), "header is not valid"},
		{"two headers", raw(`{}{}`, 0), "something follows the JSON object"},
		{"not all of it", raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 8),
			"4 bytes after the last tensor"},
		{"metadata", raw(`{"__metadata__":{"a":1}}`, 0), "metadata: json"},
		{"huge header", append([]byte{0, 0, 0, 0, 0, 0, 0, 255}, make([]byte, 50)...), "at most 100000000 are allowed"},
		{"gap", raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), `"a" begins at byte 4`},
		{"overlap",
			raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), `"b" begins at byte 4`},
		{"backwards", raw(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,-4]}}`, 0), "truncated"},
		{"twice", raw(
			`{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`, 0), "twice"},
		{"dtype", raw(`{"a":{"dtype":"X64","shape":[1],"data_offsets":[0,8]}}`, 8), `dtype "X64" is not supported`},
		{"whole numbers", raw(`{"layer.w":{"dtype":"I32","shape":[2,3],"data_offsets":[0,24]}}`, 24),
			"tensor layer.w has dtype I32"},
		{"shape", raw(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8), "takes 12 bytes, it has 8"},
		{"huge shape", raw(`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}`, 8),
			"does not fit"},
		{"foreign names", raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4),
			"has no tensor layer.w of shape [2 3]"},
		{"other spec", otherData, "is of another spec (model tiny): its tensors have the shapes of tiny.yaml, but"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(dir, "bad")
			if err := os.WriteFile(path, c.data, 0o644); err != nil {
				t.Fatal(err)
			}
			m, before := newTiny(), newTiny()
			for _, err := range []error{LoadWeights(path, m), ParseWeights(c.data, m)} {
				if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("error %v, want one line with %q", err, c.want)
				}
			}
			if fmt.Sprint(m) != fmt.Sprint(before) {
				t.Error("the model has changed")
			}
		})
	}
	if err := Save(filepath.Join(dir, "no such folder", "x"), newTiny(), Training{}); err == nil ||
		!strings.Contains(err.Error(), "can't write the checkpoint") {
		t.Errorf("an unwritable folder gives %v", err)
	}
	if err := LoadWeights(filepath.Join(dir, "nothing"), newTiny()); err == nil {
		t.Error("a missing file is no error")
	}
}

// TestForeign reads the other dtypes, as a file of another program has them.
func TestForeign(t *testing.T) {
	header := `{"layer.b":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"layer.w":{"dtype":"F16","shape":[2,3],"data_offsets":[4,16]}}`
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(b, header...)
	for _, h := range []uint16{0x3f80, 0xc000, 0x3c00, 0xc000, 0x0001, 0x7c00, 0x3555, 0x83ff} {
		b = binary.LittleEndian.AppendUint16(b, h)
	}
	m := newTiny()
	if err := ParseWeights(b, m); err != nil {
		t.Fatal(err)
	}
	want := []float32{1, -2, 1.0 / (1 << 24), float32(math.Inf(1)), 0.33325195, -1023.0 / (1 << 24)}
	if m.b[0] != 1 || m.b[1] != -2 || fmt.Sprint(m.a) != fmt.Sprint(want) {
		t.Errorf("%v %v, want %v", m.b, m.a, want)
	}
}

func FuzzParse(f *testing.F) {
	var b bytes.Buffer
	file := &File{Metadata: map[string]string{"k": "v"},
		Tensors: []Tensor{{"a", []int{2}, []float32{1, 2}}, {"b", nil, []float32{3}}}}
	if err := file.Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		// What can be read can be written, and is then the same.
		var b bytes.Buffer
		if err := file.Write(&b); err != nil {
			t.Fatal(err)
		}
		again, err := Parse(b.Bytes())
		if err != nil {
			t.Fatalf("%v of %q", err, b.Bytes())
		}
		if len(again.Tensors) != len(file.Tensors) {
			t.Fatalf("%d tensors, were %d", len(again.Tensors), len(file.Tensors))
		}
		for i, x := range again.Tensors {
			y := file.Tensors[i]
			for j := range x.Value {
				if math.Float32bits(x.Value[j]) != math.Float32bits(y.Value[j]) {
					t.Fatalf("%s[%d] is %v, was %v", x.Name, j, x.Value[j], y.Value[j])
				}
			}
		}
	})
}

// A checkpoint of a model that is larger than the buffer comes back whole, from a file and from memory, and into a
// model without garbage in proportion.
func TestLarge(t *testing.T) {
	big := func() *tiny {
		m := newTiny()
		m.a, m.b = make([]float32, 6), make([]float32, 2)
		m.slot = make([]float32, 100_003)
		return m
	}
	path := filepath.Join(t.TempDir(), "big")
	m := big()
	for i := range m.slot {
		m.slot[i] = float32(i) / 7
	}
	if err := Save(path, m, Training{Step: 3}); err != nil {
		t.Fatal(err)
	}
	n := big()
	if _, _, err := Load(path, n); err != nil {
		t.Fatal(err)
	}
	for i, x := range m.slot {
		if n.slot[i] != x {
			t.Fatalf("element %d is %v, want %v", i, n.slot[i], x)
		}
	}
	if err := LoadWeights(filepath.Dir(path), n); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a folder gives %v", err)
	}
}
