package generated_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// TestSaved: Save of every checked-in model writes its parameters and nothing of a training, from which another one of
// its kind is the same, and String says in a line what it is.
func TestSaved(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, program := range programs {
		p := program()
		if p.Info.Params > 1_000_000 {
			continue // the same code
		}
		m := p.New(7)
		saver, ok := m.(interface {
			model.LanguageModel
			fmt.Stringer
			Save(path string) error
		})
		if !ok {
			t.Errorf("%s: %T has no Save or no String", name, m)
			continue
		}
		if s := saver.String(); strings.Contains(s, "\n") || !strings.Contains(s, p.Info.Name) ||
			!strings.Contains(s, p.Info.Kind) {
			t.Errorf("%s says %q", name, s)
		}
		const path = "saved.safetensors"
		if err := saver.Save(path); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if info, err := checkpoint.Describe(path); err != nil || info.Training != nil || info.Name != p.Info.Name {
			t.Errorf("%s: the checkpoint is of %+v, %v", name, info, err)
		}
		again := p.New(8)
		if err := checkpoint.LoadWeights(path, again); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, want := range m.Tensors() {
			if got := again.Tensors()[i]; got.Name != want.Name || !slices.Equal(got.Value, want.Value) {
				t.Errorf("%s: tensor %s comes back as another", name, want.Name)
			}
		}
		if err := saver.Save(filepath.Join("nowhere", path)); err == nil {
			t.Errorf("%s is saved in a folder that there is not", name)
		}
	}
}

// TestDocumentation: `go doc` of a package whose vocabulary is thousands of lines is what a person reads. The
// vocabularies stand in variables that are not exported.
func TestDocumentation(t *testing.T) {
	for _, dir := range []string{"translate", "textvae", "../examples/gocode"} {
		out, err := exec.Command("go", "doc", "-all", "./"+dir).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v, %s", dir, err, out)
		}
		if len(out) > 40_000 {
			t.Errorf("go doc of %s has %d bytes", dir, len(out))
		}
		for line := range strings.Lines(string(out)) {
			if len(line) > 400 {
				t.Errorf("go doc of %s has a line of %d bytes: %.100s", dir, len(line), line)
			}
		}
	}
}
