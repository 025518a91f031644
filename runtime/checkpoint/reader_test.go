package checkpoint

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestReader holds that tensors are read in parts, that others than numbers are listed, and that what is not there is
// an error.
func TestReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	var b bytes.Buffer
	f := &File{Tensors: []Tensor{{"a", []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}}, {"b", nil, []float32{7}}}}
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if e := r.Entries(); len(e) != 2 || e[0].Name != "a" || e[0].Numbers() != 6 || !e[0].Float() ||
		e[1].Numbers() != 1 {
		t.Errorf("entries %v", e)
	}
	x := make([]float32, 3)
	if err := r.Read("a", 2, x); err != nil || !slices.Equal(x, []float32{3, 4, 5}) {
		t.Errorf("%v, %v", x, err)
	}
	if err := r.Verify("a"); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{r.Read("c", 0, x), "has no tensor c"},
		{r.Read("a", 4, x), "3 from number 4 on were asked for"},
		{r.Read("a", -1, x), "from number -1"},
		{r.Verify("c"), "has no tensor c"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) || !strings.Contains(c.err.Error(), path) {
			t.Errorf("error %v, want %q", c.err, c.want)
		}
	}
	if _, err := Open(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a folder gives %v", err)
	}
	if _, err := Open(path + "x"); err == nil {
		t.Error("a missing file is no error")
	}
}

// TestWriteParts holds that tensors that are made one by one give the bytes of those in memory, and that an error ends
// the writing.
func TestWriteParts(t *testing.T) {
	f := &File{Metadata: map[string]string{"k": "v"}, Type: BF16,
		Tensors: []Tensor{{"a", []int{2}, []float32{1, 2}}, {"b", nil, []float32{3}}}}
	var want, got bytes.Buffer
	if err := f.Write(&want); err != nil {
		t.Fatal(err)
	}
	buffer := make([]float32, 2)
	parts := []Part{
		{"a", []int{2}, func() ([]float32, error) { return append(buffer[:0], 1, 2), nil }},
		{"b", nil, func() ([]float32, error) { return append(buffer[:0], 3), nil }},
	}
	if err := WriteParts(&got, f.Metadata, BF16, parts); err != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("%q, %v, want %q", got.Bytes(), err, want.Bytes())
	}
	parts[1].Make = func() ([]float32, error) { return nil, errors.New("gone") }
	if err := WriteParts(&got, nil, F32, parts); err == nil || err.Error() != "gone" {
		t.Errorf("error %v", err)
	}
}
