package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExplainSpec: what a spec does is said in every format, formulas in that format's form, and a format that does not
// exist is refused.
func TestExplainSpec(t *testing.T) {
	dir := t.TempDir()
	text := `kind: rnn
tokenizer: ascii
define:
  gate:
    parameters: [W, b]
    formula: y = σ(W·x + b) ∘ x
layers:
  - embedding: 12
  - gate
  - lstm: {name: read, units: 9}
  - dense
optimizer: {lion: 0.001}
`
	if err := os.WriteFile(filepath.Join(dir, "poet.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for format, wants := range map[string][]string{
		"text": {"read: lstm, poet.yaml:10", "y = σ(W·x + b) ⊙ x", "reads x: steps × batch × 12", "read.wx, 12 × 36",
			"cₜ = f ⊙ cₜ₋₁ + i ⊙ g", "sign(u)", "β₂ = 0.99", "ℒ = −(1/n)·Σᵢ log(pᵢ(targetᵢ))"},
		"markdown": {"### read: lstm, poet.yaml:10", "```math\nc_t = f \\odot c_{t-1} + i \\odot g\n```",
			"| $W_{x}$ | `read.wx` | 12 × 36 |"},
		"latex": {`\documentclass`, `\[ y = \sigma(W \cdot x + b) \odot x \]`, `\texttt{read.wx}`, `\end{document}`},
		"html": {"<!doctype html>\n<!-- gradsmith explain-spec -->", "<math display=\"block\"><mrow><msub><mi>c</mi>",
			"read.wx", "</html>"},
	} {
		code, out, errOut := command(t, dir, "explain-spec", "poet.yaml", "--format", format)
		if code != 0 {
			t.Fatal(errOut)
		}
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("%s has no %q:\n%s", format, want, out)
			}
		}
	}
	fails(t, dir, []string{"explain-spec", "poet.yaml", "--format", "pdf"}, "text, markdown, latex, html")
	fails(t, dir, []string{"explain-spec", "none.yaml"}, "none.yaml")
}
