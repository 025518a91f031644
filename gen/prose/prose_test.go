package prose_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen"
	"github.com/gradsmith/gradsmith/gen/formula"
	"github.com/gradsmith/gradsmith/gen/prose"
	"github.com/gradsmith/gradsmith/spec"
)

// specs are the files of all specs of the project.
func specs(t *testing.T) []string {
	var all []string
	for _, root := range []string{"../../generated", "../../examples", "../cases", "../../bench"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && (filepath.Ext(path) == ".yaml" || filepath.Ext(path) == ".yml") {
				text, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				if strings.HasPrefix(string(text), "kind:") || strings.Contains(string(text), "\nkind:") {
					all = append(all, path)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 60 {
		t.Fatalf("only %d specs", len(all))
	}
	return all
}

// TestEverySpec: of every spec all layers are said, with formulas and shapes, and each parameter stands in a formula.
func TestEverySpec(t *testing.T) {
	for _, path := range specs(t) {
		t.Run(path, func(t *testing.T) {
			m, err := spec.Load(path)
			if err != nil {
				t.Skipf("not a spec by itself: %v", err)
			}
			d, err := gen.Explain(m)
			if err != nil {
				t.Fatal(err)
			}
			complete(t, m, d)
			for _, format := range prose.Formats {
				text, err := d.Write(format)
				if err != nil {
					t.Fatalf("%s: %v", format, err)
				}
				if strings.Contains(text, "%!") || strings.Contains(text, "<nil>") {
					t.Errorf("%s has a verb that nothing is for:\n%s", format, text)
				}
				if format == "latex" {
					balanced(t, text, m.Description)
				}
			}
		})
	}
}

// complete checks that nothing is left out.
func complete(t *testing.T, m *spec.Model, d *prose.Document) {
	t.Helper()
	var formulas []string
	said, kinds := map[string]bool{}, map[string]string{}
	for _, s := range d.Sections {
		if len(s.Parts) == 0 {
			t.Errorf("%s says nothing", s.Title)
		}
		network := !strings.HasPrefix(s.Title, "What") && !strings.HasPrefix(s.Title, "How")
		for _, p := range s.Parts {
			said[p.Name] = true
			if network {
				kinds[p.Name] = p.Kind
			}
			if len(p.Words) == 0 && len(p.Formulas) == 0 || network && p.Name != "labels" && (len(p.Formulas) == 0 ||
				p.Gives == "" || p.Name != "latent" && p.Reads == "") {
				t.Errorf("%s of %s is not said: %+v", p.Name, s.Title, p)
			}
			for _, f := range p.Formulas {
				formulas = append(formulas, f)
				if _, err := formula.MathML(f); err != nil {
					t.Errorf("%s: %v", p.Name, err)
				}
			}
		}
	}
	all := strings.Join(formulas, "\n")
	var params []string
	for _, s := range d.Sections {
		for _, p := range s.Parts {
			for _, q := range p.Params {
				params = append(params, q.Name)
				symbol := q.Symbol
				if name := strings.SplitN(q.Name, " ", 2)[0]; strings.HasSuffix(name, "_back") {
					continue // of the direction from the end, as the words say
				} else if strings.Contains(name, "_lora_") {
					symbol = symbol[:1] // of the change of any matrix
				}
				if !strings.Contains(all, symbol) {
					t.Errorf("%s: %s stands in no formula", q.Name, symbol)
				}
			}
		}
	}
	tensors, err := gen.Parameters(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range tensors {
		if !slices.ContainsFunc(params, func(name string) bool { return covers(name, p.Name) }) && !repeated(m,
			p.Name) {
			t.Errorf("the parameter %s is not said: %v", p.Name, params)
		}
	}
	stacks := [][]spec.Layer{m.Encoder, m.Layers}
	if m.GAN != nil {
		stacks = append(stacks, m.GAN.Discriminator)
	}
	for _, stack := range stacks {
		for l := range spec.Leaves(stack) {
			if kind, ok := kinds[l.LayerName()]; ok && kind != "" && kind != l.LayerName() &&
				!strings.HasPrefix(kind, l.LayerKind()) && !strings.HasPrefix(l.LayerName(), l.LayerKind()) {
				t.Errorf("the layer %s of kind %s is said to be of kind %s", l.LayerName(), l.LayerKind(), kind)
			}
			if !said[l.LayerName()] && !repeated(m, l.LayerName()+".") {
				t.Errorf("the layer %s is not said", l.LayerName())
			}
		}
	}
}

// covers reports whether "a.1.w … a.3.w" has the tensor a.2.w.
func covers(names, tensor string) bool {
	first, last, several := strings.Cut(names, " … ")
	if first == tensor || last == tensor {
		return true
	}
	a, b := strings.Split(first, "."), strings.Split(tensor, ".")
	return several && len(a) == len(b) && len(a) > 1 && a[0] == b[0] && a[len(a)-1] == b[len(b)-1]
}

// repeated reports whether a layer, or its parameter, is that of a repetition behind the first one of a repeat that is
// written out.
func repeated(m *spec.Model, name string) bool {
	layer, _, _ := strings.Cut(name, ".")
	found := false
	var look func(layers []spec.Layer, behind bool)
	look = func(layers []spec.Layer, behind bool) {
		for _, l := range layers {
			found = found || behind && l.LayerName() == layer
			if c, ok := l.(spec.Composite); ok {
				for i, list := range c.Lists() {
					_, repeats := l.(*spec.Repeat)
					look(list, behind || repeats && i > 0)
				}
			}
		}
	}
	look(m.Encoder, false)
	look(m.Layers, false)
	if m.GAN != nil {
		look(m.GAN.Discriminator, false)
	}
	return found
}

// balanced checks that a LaTeX document closes what it opens, in letters that all engines have.
func balanced(t *testing.T, text, description string) {
	t.Helper()
	depth, escaped := 0, false
	for _, r := range text {
		switch {
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
		case r == '{':
			depth++
		case r == '}':
			depth--
		}
		if depth < 0 {
			t.Fatal("a brace closes nothing")
		}
		if r > 127 && !strings.ContainsRune(description, r) {
			t.Errorf("%q is a sign that fonts of text may lack", r)
		}
	}
	if depth != 0 {
		t.Errorf("%d braces are not closed", depth)
	}
	for _, pair := range [][2]string{{`\[ `, ` \]`}, {`\begin{`, `\end{`}} {
		if strings.Count(text, pair[0]) != strings.Count(text, pair[1]) {
			t.Errorf("%s and %s are not as many", pair[0], pair[1])
		}
	}
}
