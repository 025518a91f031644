package build

import (
	"testing"

	"github.com/gradsmith/gradsmith/gen/formula"
	"github.com/gradsmith/gradsmith/spec"
)

// TestTold: no layer, activation or loss can be added without saying what it computes.
func TestTold(t *testing.T) {
	for _, kind := range append(spec.Words("layer"), "define", "define_attention", "define_source") {
		if c, ok := constructions[kind]; !ok || c.tell == nil {
			t.Errorf("the layer %s does not say what it computes: give its construction a tell", kind)
		}
	}
	valid := func(what string, formulas ...string) {
		if len(formulas) == 0 {
			t.Errorf("the %s has no formula", what)
		}
		for _, f := range formulas {
			if text, err := formula.Text(f); err != nil || text == "" {
				t.Errorf("the %s: %v", what, err)
			}
		}
	}
	for _, name := range spec.Words("activation") {
		if name != "none" {
			valid("activation "+name, activationFormulas[name]...)
		}
	}
	for name := range activations { // those of formulas too
		valid("function "+name, activationFormulas[name]...)
	}
	for _, name := range spec.Words("adversarial_loss") {
		f := adversarialFormulas[name]
		valid("loss "+name, f[:]...)
	}
	for _, name := range spec.Words("penalty") {
		valid("penalty "+name, penaltyFormulas[name])
	}
	for _, likelihood := range spec.Words("likelihood") {
		for _, annealing := range spec.Words("annealing") {
			m := &spec.Model{Likelihood: &spec.Likelihood{Kind: likelihood, Deviation: 1},
				Latent: &spec.Latent{Annealing: spec.Annealing{Kind: annealing, Steps: 9, Ramp: 0.5}, Beta: 1}}
			if likelihood != "categorical" {
				m.Vectors = &spec.Vectors{}
			}
			a := tellBound(m)
			valid("likelihood "+likelihood, a.Formulas...)
			if n := len(a.Formulas); n < 3 || annealing != "none" && n < 4 {
				t.Errorf("the loss of %s and %s has %d formulas", likelihood, annealing, n)
			}
		}
	}
}

func TestSymbol(t *testing.T) {
	for field, want := range map[string]string{
		"w": "W", "wx": "W_{x}", "b": "b", "bh": "b_{h}", "wqkv": `W_{\text{qkv}}`, "w_start_h": `W_{\text{start}, h}`,
		"gain": `\text{gain}`, "norm2_gain": `\text{gain}_{2}`, "bias": `\text{bias}`,
		"queries_gain": `\text{gain}_{\text{queries}}`,
		"table":        "E", "wx_lora_a": "A_{x}", "w_lora_b": "B", "w3": "W_{3}", "v": "v",
	} {
		if got := Symbol(field); got != want {
			t.Errorf("%s is %s, not %s", field, got, want)
		}
	}
}
