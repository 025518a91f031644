package generated_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/lstm"
	"github.com/gradsmith/gradsmith/generated/translate"
	"github.com/gradsmith/gradsmith/runtime/explain"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// TestPyTorchAttributions compares where predictions come from, by every method, with what PyTorch computes in float64
// from the same weights and tokens (testdata/pytorch_attributions.py): to 1e-4 of the largest value.
func TestPyTorchAttributions(t *testing.T) {
	data, err := os.ReadFile("testdata/pytorch_attributions.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Points, Token int
		Models        map[string]struct {
			Score, Base float64
			Methods     map[explain.Method][][]float64
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	models := map[string]model.LanguageModel{"gptnano": gptnano.New(), "lstm": lstm.New(), "translate": translate.New()}
	if len(golden.Models) != len(models) {
		t.Errorf("PyTorch has %d models", len(golden.Models))
	}
	for name, want := range golden.Models {
		t.Run(name, func(t *testing.T) {
			m := models[name]
			info := m.Info()
			for i, ts := range m.Tensors() {
				copy(ts.Value, numbers(uint64(100+i), len(ts.Value), 0.1))
			}
			b := explain.Text(tokens(1, 24, info.Vocab))
			if info.Source != nil {
				b = explain.Pair(tokens(3, 11, info.Source.Vocab), tokens(1, 9, info.Vocab))
			}
			e, err := explain.New(m, "")
			if err != nil {
				t.Fatal(err)
			}
			target := explain.Target{Step: b.Steps - 1, Token: golden.Token, Against: -1}
			for _, by := range explain.Methods {
				a, err := e.Attribute(b, target, by, explain.Options{Points: golden.Points})
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(a.Score-want.Score) > 1e-5*math.Abs(want.Score) ||
					math.Abs(a.Base-want.Base) > 1e-5*math.Abs(want.Base) {
					t.Errorf("from %v to %v, PyTorch's from %v to %v", a.Base, a.Score, want.Base, want.Score)
				}
				theirs := want.Methods[by]
				if len(theirs) != len(a.Inputs) {
					t.Fatalf("%d inputs, PyTorch has %d", len(a.Inputs), len(theirs))
				}
				most, apart := 0.0, 0.0
				for k, in := range a.Inputs {
					if len(in.Values) != len(theirs[k]) {
						t.Fatalf("%s has %d positions, PyTorch's %d", in.Name, len(in.Values), len(theirs[k]))
					}
					for i, w := range theirs[k] {
						most, apart = max(most, math.Abs(w)), max(apart, math.Abs(in.Values[i]-w))
					}
				}
				t.Logf("%s: %.1e apart, of %.3g; it leaves %.2g %%", by, apart/most, most, 100*a.Error)
				if !(apart <= 1e-4*most) {
					t.Errorf("%s is %.2g away from PyTorch's, whose largest value is %.3g", by, apart, most)
				}
				if by == explain.Integrated && a.Error > 0.01 {
					t.Errorf("integrated gradients leave %.2g %%", 100*a.Error)
				}
			}
		})
	}
}
