package build

import (
	"fmt"
	"strings"

	"github.com/gradsmith/gradsmith/spec"
)

// Account says what a part of a model computes. Formulas are in the part of LaTeX that package formula reads, in which
// x is what a layer reads, a row, and y what it gives; parameters are called what Symbol makes of their names.
type Account struct {
	Words    []string // sentences
	Formulas []string
}

// say adds a sentence.
func (a *Account) say(format string, args ...any) {
	a.Words = append(a.Words, fmt.Sprintf(format, args...))
}

// show adds formulas.
func (a *Account) show(formulas ...string) { a.Formulas = append(a.Formulas, formulas...) }

// Tell says what a layer computes. Of a composite that is what it makes of what its layers give, f(x) of one list, f₁
// to fₙ of several.
func Tell(m *spec.Model, l spec.Layer) Account { return constructionOf(l).tell(m, l) }

// Symbol is what formulas call a parameter, by its name in the layer: W with an index for wx, b for b, gain for gain.
func Symbol(field string) string {
	base, rest := field, ""
	if w, a, ok := strings.Cut(field, "_lora_"); ok { // of an adapter: the two matrices of the change of w
		return strings.ToUpper(a) + strings.TrimPrefix(Symbol(w), "W")
	}
	switch {
	case field == "table":
		return "E"
	case field == "gain" || field == "bias":
	case strings.HasSuffix(field, "_gain"), strings.HasSuffix(field, "_bias"):
		cut := strings.LastIndex(field, "_")
		base, rest = field[cut+1:], strings.TrimPrefix(field[:cut], "norm")
	case strings.HasPrefix(field, "w"):
		base, rest = "W", field[1:]
	case strings.HasPrefix(field, "b"):
		base, rest = "b", field[1:]
	}
	if len(base) > 1 {
		base = `\text{` + base + "}"
	}
	var subs []string
	for _, s := range strings.Split(strings.Trim(rest, "_"), "_") {
		switch {
		case s == "":
		case len(s) > 1 && strings.Trim(s, "0123456789") != "":
			subs = append(subs, `\text{`+s+"}")
		default:
			subs = append(subs, s)
		}
	}
	if len(subs) == 0 {
		return base
	}
	return base + "_{" + strings.Join(subs, ", ") + "}"
}

// affine is x·W + b, with the parameters of these names; without b where bias is not set.
func affine(x, w, b string, bias bool) string {
	s := x + ` \cdot ` + Symbol(w)
	if bias {
		s += " + " + Symbol(b)
	}
	return s
}

// activated is an activation of a formula, and the formulas that define it; none where there is no activation.
func activated(name, of string, slope float64) (string, []string) {
	formulas := activationFormulas[name]
	if len(formulas) == 0 {
		return of, nil
	}
	head, _, _ := strings.Cut(formulas[0], "(")
	formulas = append([]string{}, formulas...)
	if name == "leaky_relu" {
		formulas = append(formulas, fmt.Sprintf("s = %s", figure(slope)))
	}
	return head + "(" + of + ")", formulas
}

// figure is a number in LaTeX.
func figure(x float64) string {
	s := fmt.Sprintf("%g", x)
	mantissa, exponent, ok := strings.Cut(s, "e")
	if !ok {
		return s
	}
	exponent = strings.TrimPrefix(exponent, "+")
	if minus, ok := strings.CutPrefix(exponent, "-"); ok {
		exponent = "-" + strings.TrimLeft(minus, "0")
	} else {
		exponent = strings.TrimLeft(exponent, "0")
	}
	if mantissa == "1" {
		return "10^{" + exponent + "}"
	}
	return mantissa + ` \cdot 10^{` + exponent + "}"
}

// percent is a share in words.
func percent(x float64) string { return fmt.Sprintf("%.4g %%", 100*x) }

// dropped says of a value that features of it are dropped in training.
func (a *Account) dropped(what string, rate float64) {
	if rate > 0 {
		a.say("In training %s of %s are set to 0 and the others multiplied with %.4g.", percent(rate), what, 1/(1-rate))
	}
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Aim is a part of what a training does, with its account.
type Aim struct {
	Name  string // "cross-entropy"
	Place string // in the spec, empty where it does not say so
	Account
}

// Objective says what the training of a model makes small.
func Objective(m *spec.Model) []Aim {
	at := func(p spec.Pos) string {
		if p.Line == 0 || p == m.Pos { // the spec does not say it
			return ""
		}
		return fmt.Sprintf("%s:%d", m.File, p.Line)
	}
	var aims []Aim
	add := func(name string, at string, a Account) { aims = append(aims, Aim{name, at, a}) }
	switch {
	case m.Latent != nil:
		add("the evidence lower bound", at(m.Likelihood.Pos), tellBound(m))
	case m.GAN != nil:
		if m.GAN.Text != nil {
			add("pretraining", at(m.GAN.Text.Pos), tellPretraining(m))
		}
		add("the adversarial loss", at(m.Loss.Pos), tellAdversarial(m))
		if m.GAN.Penalty.Kind != "" {
			add("the gradient penalty", at(m.GAN.Penalty.Pos), tellPenalty(m))
		}
		if m.GAN.Text != nil {
			add("the generator's gradient", at(m.GAN.Text.Pos), tellEstimator(m))
		}
	default:
		add("cross-entropy", at(m.Loss.Pos), tellCrossEntropy(m))
		if m.Masking != nil {
			add("masking", at(m.Masking.Pos), tellMasking(m))
		}
	}
	return aims
}
