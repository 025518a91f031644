package formula

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	for latex, want := range map[string]string{
		`-\frac{1}{n} \sum_i x_i`:                            "−(1/n)·Σᵢ xᵢ",
		`\frac{1}{2} \cdot a`:                                "(1/2)·a",
		`\frac{\exp(a)}{\exp(b) + 1}`:                        "exp(a)/(exp(b) + 1)",
		`\frac{f(a) \cdot (b)}{2}`:                           "(f(a)·(b))/2",
		`h_t = \tanh(x_t \cdot W_x + h_{t-1} \cdot W_h + b)`: "hₜ = tanh(xₜ·Wₓ + hₜ₋₁·Wₕ + b)",
		`\frac{1}{\sqrt{64}}`:                                "1/√64",
		`\frac{x - \mu}{\sqrt{v + 10^{-5}}}`:                 "(x − μ)/√(v + 10⁻⁵)",
		`W_{\text{up}}`:                                      "W_up",
		`W_{\text{start}, h}`:                                "W_{start,h}",
		`\hat{m} = \frac{m}{1 - \beta_1^t}`:                  "m̂ = m/(1 − β₁ᵗ)",
		`x^\top`:                                             "xᵀ",
		`-\log(p)`:                                           "−log(p)",
		`a = -b`:                                             "a = −b",
		`\max(x, -1)`:                                        "max(x, −1)",
		`\cos x`:                                             "cos x",
		`\sum_{j \le i} a_{i, j} \cdot v_j`:                  "Σ_{j≤i} a_{i,j}·vⱼ",
		`\operatorname{gelu\_tanh}(z)`:                       "gelu_tanh(z)",
		`x \leftarrow [x, 0.5]`:                              "x ← [x, 0.5]",
		`(\frac{a}{b})^2`:                                    "(a/b)²",
		`\frac{a}{b}^2`:                                      "(a/b)²",
		`\lVert g \rVert^2`:                                  "‖g‖²",
		`2^{-8 h / 4}`:                                       "2^{−8h/4}",
		`\alpha \quad \beta`:                                 "α  β",
		`u \in [0, 1)`:                                       "u ∈ [0, 1)",
	} {
		got, err := Text(latex)
		if err != nil || got != want {
			t.Errorf("%s is %q, not %q (%v)", latex, got, want, err)
		}
		m, err := MathML(latex)
		if err != nil {
			t.Error(err)
		}
		d := xml.NewDecoder(strings.NewReader(m))
		d.Strict = true
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v in %s", latex, err, m)
			}
		}
	}
}

func TestMathML(t *testing.T) {
	for latex, want := range map[string]string{
		`\frac{1}{2} \cdot x_t^2`: "<mrow><mfrac><mrow><mn>1</mn></mrow><mrow><mn>2</mn></mrow></mfrac><mo>·</mo>" +
			"<msubsup><mi>x</mi><mrow><mi>t</mi></mrow><mrow><mn>2</mn></mrow></msubsup></mrow>",
		`\sum_j -a`: `<mrow><munder><mo>∑</mo><mrow><mi>j</mi></mrow></munder><mo>−</mo><mi>a</mi></mrow>`,
		`(-a)`: `<mrow><mo stretchy="false">(</mo><mo form="prefix">−</mo><mi>a</mi><mo ` +
			`stretchy="false">)</mo></mrow>`,
		`t \quad \text{for } i`: `<mrow><mi>t</mi><mspace width="1em"/><mi mathvariant="normal">for` + "\u00a0" +
			`</mi><mi>i</mi></mrow>`,
		`a < b`: "<mrow><mi>a</mi><mo>&lt;</mo><mi>b</mi></mrow>",
	} {
		got, err := MathML(latex)
		if want = `<math display="block">` + want + "</math>"; err != nil || got != want {
			t.Errorf("%s is\n%s, not\n%s (%v)", latex, got, want, err)
		}
	}
}

// TestErrors: what has no meaning is named with its place, in every form.
func TestErrors(t *testing.T) {
	for latex, want := range map[string]string{
		`\frac{a}`: "in braces", `a}`: "closes nothing", `{a`: "is missing", `\foo`: "no command \\foo",
		`a_`: "nothing stands",
		`_a`: "behind nothing", `a_1_2`: "a second", `(a`: "is not closed", `a)`: "closes nothing", `\`: "command is " +
			"missing",
		`a & b`: "no meaning", `\text{a`: "missing", `\mathbb{Q}`: "no \\mathbb{Q}", `\frac{(a}{b)}`: "not closed",
		`\text`: "in braces", `x_\`: "command is missing",
	} {
		_, err := Text(latex)
		_, other := MathML(latex)
		if err == nil || other == nil || err.Error() != other.Error() || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; wanted %s", latex, err, other, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add(`\frac{a}{\sqrt{b_1^2}}`)
	f.Fuzz(func(t *testing.T, latex string) {
		_, err := Text(latex)
		if _, other := MathML(latex); (err == nil) != (other == nil) {
			t.Errorf("%q: %v and %v", latex, err, other)
		}
	})
}
