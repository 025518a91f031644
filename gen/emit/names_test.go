package emit

import (
	"os"
	"path/filepath"
	"testing"
)

// Every name that is kept for the package is one that some package declares: the lists hold nothing that is no longer
// emitted. That they hold all that is, Package checks itself.
func TestNames(t *testing.T) {
	pkg, model, decoder := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, pattern := range []string{"../cases/*/doc.go", "../../generated/*/doc.go", "../../examples/*/doc.go",
		"../../examples/*/*/doc.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no packages at %s: %v", pattern, err)
		}
		for _, doc := range found {
			files := map[string][]byte{}
			sources, _ := filepath.Glob(filepath.Join(filepath.Dir(doc), "*.go"))
			for _, path := range sources {
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				files[path] = data
			}
			d, err := declarationsOf(files)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range []struct{ from, to map[string]bool }{{d.pkg, pkg}, {d.members["Model"], model},
				{d.members["Decoder"], decoder}} {
				for name := range x.from {
					x.to[name] = true
				}
			}
		}
	}
	// Of a source whose tokenizer is another one, of the same kind; no checked-in spec has that.
	for _, name := range []string{"sourcemerges", "sourcetokenizerFile", "sourcewords"} {
		pkg[name] = true
	}
	for what, x := range map[string]struct {
		names []string
		is    map[string]bool
	}{"package": {declared, pkg}, "model": {ofModel, model}, "decoder": {ofDecoder, decoder}} {
		for _, name := range x.names {
			if !x.is[name] {
				t.Errorf("%s is kept for the %s, and nothing of that name is emitted", name, what)
			}
		}
	}
}
