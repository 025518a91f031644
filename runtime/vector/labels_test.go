package vector

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

func readLabels(t *testing.T, data []byte, count int) (*Labels, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "labels")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := ReadLabels(path, count)
	if err != nil {
		if !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%v does not begin with the file", err)
		}
		return nil, err.Error()
	}
	return l, ""
}

// Every format gives the same labels.
func TestReadLabels(t *testing.T) {
	digest := ""
	for name, data := range map[string][]byte{
		"text":        []byte("3\n0\n2\n"),
		"spaces":      []byte(" 3\r\n\r\n0\n\n2"),
		"idx":         {0, 0, 8, 1, 0, 0, 0, 3, 3, 0, 2},
		"gzip of idx": zip(t, []byte{0, 0, 8, 1, 0, 0, 0, 3, 3, 0, 2}),
	} {
		l, failed := readLabels(t, data, 4)
		if failed != "" {
			t.Errorf("%s: %s", name, failed)
			continue
		}
		if !slices.Equal(l.Values, []int32{3, 0, 2}) {
			t.Errorf("%s: %v", name, l.Values)
		}
		if digest == "" {
			digest = l.Digest
		}
		if l.Digest != digest {
			t.Errorf("%s: another digest", name)
		}
	}
}

// Errors say where they are and what to do.
func TestReadLabelsErrors(t *testing.T) {
	for want, data := range map[string][]byte{
		"line 3: 4 is not one of the model's labels, which are 0 to 3: number the labels from 0 on, or give the spec " +
			"a larger labels.count": []byte("1\n\n4\n"),
		"line 1: -1 is not one of":                                      []byte("-1\n"),
		"line 2: \"cat\" is not a label: write one whole number a line": []byte("1\ncat\n"),
		"line 1: \"1.5\" is not a label":                                []byte("1.5\n"),
		"line 1: \"1,2\" is not a label":                                []byte("1,2\n"),
		"line 1: \"99999999999\" is not a label":                        []byte("99999999999\n"),
		"there are no labels":                                           []byte("\n"),
		"label 2: 7 is not one of":                                      {0, 0, 8, 1, 0, 0, 0, 2, 1, 7},
		"ends in label 2 of the 2 that its header tells of":             {0, 0, 8, 1, 0, 0, 0, 2, 1},
		"goes on behind its end":                                        {0, 0, 8, 1, 0, 0, 0, 1, 1, 1},
		"is IDX of shape [2 2]: labels have one dimension": {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 1, 1,
			1},
		"is IDX of float32: labels are bytes":                             {0, 0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0},
		"ends in the header of IDX":                                       {0, 0, 8, 1, 0},
		"says that it has 4294967295 labels: it can have at most 2147483": {0, 0, 8, 1, 255, 255, 255, 255},
	} {
		if l, failed := readLabels(t, data, 4); !strings.Contains(failed, want) {
			t.Errorf("%q gives %v, %s, want %s", data, l, failed, want)
		}
	}
	if _, err := ReadLabels(filepath.Join(t.TempDir(), "none"), 3); err == nil ||
		!strings.Contains(err.Error(), "none cannot be read") {
		t.Errorf("a file that is missing gives %v", err)
	}
}

// Labels stay with their vectors, through splits and every order.
func TestLabelled(t *testing.T) {
	format := model.Vector{Width: 1}
	data, values := make([]float32, 23), make([]int32, 23)
	for i := range data {
		data[i], values[i] = float32(i%5), int32(i%5)
	}
	s, err := New("made", data, format)
	if err != nil {
		t.Fatal(err)
	}
	plain := s.Digest
	short, err := NewLabels("short", values[:22], 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Label(short); err == nil ||
		err.Error() != "short has 22 labels and made has 23 vectors: one label must stand for each, in their order" {
		t.Errorf("too few labels give %v", err)
	}
	l, err := NewLabels("all", values, 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Label(l); err != nil || s.Digest == plain {
		t.Errorf("labelled, the digest is %s, %v", s.Digest, err)
	}
	train, valid, err := s.Split(0.3)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []*Set{train, valid} {
		b, err := part.Shuffled(4, 7)
		if err != nil {
			t.Fatal(err)
		}
		var w model.Batch
		for range 2 {
			seen := 0
			for b.Next(&w) {
				if len(w.Labels) != w.Batch {
					t.Fatalf("%d labels of %d vectors", len(w.Labels), w.Batch)
				}
				for i, x := range w.Vectors {
					if w.Labels[i] != int32(x) {
						t.Errorf("vector %v has label %d", x, w.Labels[i])
					}
				}
				seen += w.Batch
			}
			if seen != part.Len() {
				t.Errorf("%d of %d vectors", seen, part.Len())
			}
			b.NextPass()
		}
	}
}
