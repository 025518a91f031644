package spec

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// formulaSpec is a decoder behind an encoder, with a layer by formula between.
func formulaSpec(more, formula string) string {
	return fmt.Sprintf(`kind: attention
tokenizer: bytes
shape: {batch: 2, steps: 4}
source: {steps: 5}
define:
  layer:
    %s
    formula: |
%s
encoder:
  - embedding: {size: 6}
  - gru: {units: 5}
decoder:
  - embedding: {name: written, size: 4}
  - lstm: {units: 8}
  - layer
  - dense
`, more, "      "+strings.ReplaceAll(formula, "\n", "\n      "))
}

// TestFormulaErrors holds what is said of formulas that are wrong: the line of the file and the column in it, or in
// the formula, and both sizes where two do not meet.
func TestFormulaErrors(t *testing.T) {
	for _, c := range []struct{ more, formula, at, says string }{
		{"parameters: [W]", "y = W·z", "9:13", `nothing is called z here`},
		{"parameters: [W]", "y = x + 1", "", "the parameter W stands in no equation"},
		{"parameters: [W, b]\n    sizes: {b: 3, W: [5, 8]}", "y = W·x +\n  b", "10:15", "the sizes are 5 and 3"},
		{"parameters: [W]\n    sizes: {W: [3, 4]}", "y = W·x", "", "the sizes are 4 and 8"},
		{"parameters: [W]", "h_t = tanh(W·[g_{t−1}, x_t])", "9:21",
			"g is read of the step before, but no equation gives it: the state is never set"},
		{"parameters: [W]", "h_t = W·x_t + h_{t-1}", "", "nothing says the size of h"},
		{"parameters: [W]\n    gives: z", "y = W·x", "", "no equation gives z"},
		{"parameters: [W, V]", "y = W·x\nz = y·x", "", "aᵀ·b, a number; which is meant?"},
		{"parameters: [W]", "y = W·x\ny = x", "10:7", "y has an equation already"},
		{"parameters: []", "y = x ? 2", "9:13", "has no meaning in a formula"},
		{"parameters: []", "y = (x + 1", "", "expected )"},
		{"parameters: []", "y = x^3", "", "expected ^T"},
		{"parameters: []", "y = xᵀ·x", "", "y, a number; it gives a vector"},
		{"parameters: []", "[a, b, c] = x\ny = a", "", "8 features cannot be cut into 3 equal parts"},
		// Sums over tokens.
		{"reads: [h, x]\n    parameters: [W]", "c = Σ_j x_k", "", "nothing says what k counts"},
		{"reads: [h, x]\n    parameters: [W]", "c = Σ_j W·h", "", "j counts nothing"},
		{"reads: [h, x]\n    parameters: [W]", "c = Σ_j (hᵀ·W·x_j)·h_j", "", "a sum is over one of them"},
		{"reads: [h, x]\n    parameters: [W]", "c = W·x", "",
			"x is the encoder's output, of which a layer reads all tokens"},
		{"reads: [h, x]\n    parameters: []", "s(a, b) = aᵀ·b\nc = Σ_j s(h, x_j)·x_j", "10:19",
			"the sizes are 8 and 5"},
		{"reads: [h, x]\n    parameters: []", "s(a, b) = aᵀ·b\nc = Σ_j s(x_j)·x_j", "",
			"s has 2 arguments, but here stand 1"},
		{"reads: [h, x]\n    parameters: []", "s(a) = s(a)\nc = Σ_j s(x_j)", "", "s is defined by itself"},
		{"reads: [h, x]\n    parameters: []", "c = Σ_j (Σ_k (x_jᵀ·x_k)·h)", "", "three tokens meet"},
		{"reads: [h, x]\n    parameters: []", "c_i = Σ_{j≤i} x_j", "10:13",
			"do not stand before or behind those of the layer"},
		{"reads: [h, x]\n    parameters: [W]", "c_t = tanh(W·c_{t-1} + Σ_j x_j)", "",
			"a formula reads the step before or sums over tokens, not both"},
		// Matrices of each token.
		{"parameters: [W, A]", "S_t = A·S_{t-1} + x_t·x_tᵀ\ny_t = S_t·x_t", "",
			"a product of two matrices has no place here"},
		{"parameters: [W]\n    sizes: {W: [3, 8]}", "S = (W·x)·xᵀ\ny = S·(W·x)", "11:12", "the sizes are 8 and 3"},
		{"parameters: []", "y = x·xᵀ", "", "y, a matrix; it gives a vector"},
		{"parameters: []", "y = N(x, x)", "", "what the heads of a latent vector end with"},
	} {
		_, err := Parse("m.yaml", []byte(formulaSpec(c.more, c.formula)), os.ReadFile)
		if err == nil {
			t.Errorf("%q is no error", c.formula)
			continue
		}
		if msg := err.Error(); !strings.Contains(msg, c.says) || !strings.Contains(msg, "column") ||
			c.at != "" && !strings.Contains(msg, "m.yaml:"+c.at) {
			t.Errorf("%q: %v; want %s at %s", c.formula, msg, c.says, c.at)
		}
	}
	for _, good := range []struct{ more, formula string }{
		{"parameters: [W, b]", "y = W·x\n  + b\n  + tanh(\n    x)\n"},
		{"parameters: [W, U]\n    scalars: [α]\n    sizes: {h: 8}", "h_t = α·tanh(W·x_t + U·h_{t-1})"},
		{"parameters: [b]", "c(h, x) = h + b"},
		{"reads: [h, x]\n    parameters: [W]",
			"s(h, x) = hᵀ·W·x\ne_{i,j} = exp s(h_i, x_j) / Σ_k exp s(h_i, x_k)\nc_i = Σ_j e_{i,j}·x_j"},
		{"reads: [h, x]\n    parameters: [W]", "c = sum_j softmax_j(h^T @ W @ x_j) x_j"},
		{"parameters: [W, V]\n    sizes: {v: 3, y: 4}", "k = x\nv = W x\nS = k·vᵀ∘2\ny = V·(Sᵀ·diag(x)·x + v)"},
	} {
		if _, err := Parse("m.yaml", []byte(formulaSpec(good.more, good.formula)), os.ReadFile); err != nil {
			t.Errorf("%q: %v", good.formula, err)
		}
	}
}
