package anyspec

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/spec"
)

// TestNew makes some specs: that they are valid is how they are made, so the test holds that they are the same each
// time, of all kinds, and use every layer that a spec can have in a list of layers.
func TestNew(t *testing.T) {
	used := Everything()
	kinds := map[string]bool{}
	for seed := range uint64(200) {
		s := New(seed)
		if again := New(seed); seed%50 == 0 && !bytes.Equal(s.Source, again.Source) {
			t.Errorf("seed %d gives two specs", seed)
		}
		kinds[s.Model.Kind] = true
		used.Add(s)
	}
	for _, k := range spec.Kinds() {
		if !kinds[k] {
			t.Errorf("no spec is of kind %s", k)
		}
	}
	layers := map[string]bool{}
	for key := range used {
		if word, _, ok := strings.Cut(key, "."); ok && !slices.Contains(spec.Kinds(), word) || word == "dense" {
			layers[word] = true
		}
	}
	for word := range layers {
		count := 0
		for key, n := range used {
			if strings.HasPrefix(key, word+".") {
				count += n
			}
		}
		if count == 0 {
			t.Errorf("no spec has a layer %s with a setting", word)
		}
	}
	t.Logf("%d layers, %d of %d keys and words", len(layers), len(used)-len(used.Unused()), len(used))
}

// TestRefused holds that what counts as taken by no spec is refused, and for itself.
func TestRefused(t *testing.T) {
	for key, source := range refused {
		_, inside, _ := strings.Cut(key, ".")
		_, err := spec.Parse("specimen.yaml", []byte(source), Read)
		var problems spec.Errors
		if !errors.As(err, &problems) || len(problems) != 1 || !strings.Contains(err.Error(), inside) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
