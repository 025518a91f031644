package formula

import "strings"

// Text is a formula as plain text with Unicode: h_{t-1} is hₜ₋₁, \frac{a}{b} is a/b. An error names what is not in the
// part of LaTeX that the package reads.
func Text(latex string) (string, error) {
	n, err := parse(latex)
	if err != nil {
		return "", err
	}
	return plain(n), nil
}

func plain(n *node) string {
	var b strings.Builder
	for i, x := range n.parts {
		s := part(x)
		var before, behind *node
		if i > 0 {
			before = n.parts[i-1]
		}
		if i+1 < len(n.parts) {
			behind = n.parts[i+1]
		}
		switch {
		case x.kind == binary && signed(x, before):
			b.WriteString(s)
		case x.kind == fraction && multiplies(behind):
			if x.sub == nil && x.sup == nil {
				s = "(" + s + ")"
			}
			if b.WriteString(s); behind.kind != binary {
				b.WriteString("·")
			}
		case x.kind == binary && x.text == "·":
			b.WriteString("·")
		case x.kind == binary:
			b.WriteString(" " + s + " ")
		case x.kind == function && behind != nil && behind.kind != open && behind.kind != closing &&
			behind.kind != other:
			b.WriteString(s + " ")
		case x.kind == large && behind != nil:
			b.WriteString(s + " ")
		case x.kind == other && (x.text == "," || x.text == ";" || x.text == ":") && behind != nil &&
			behind.kind != space:
			b.WriteString(s + " ")
		default:
			b.WriteString(s)
		}
	}
	return strings.TrimSpace(b.String())
}

// multiplies reports whether what stands behind a fraction is multiplied with it.
func multiplies(behind *node) bool {
	if behind == nil {
		return false
	}
	switch behind.kind {
	case binary:
		return strings.Contains("·⊙×", behind.text)
	case closing, other, space:
		return false
	}
	return true
}

// signed reports whether a minus, or plus, is the sign of what stands behind it.
func signed(x, before *node) bool {
	if x.text != "−" && x.text != "+" && x.text != "±" {
		return false
	}
	return before == nil || before.kind == binary || before.kind == open ||
		before.kind == other && before.text == "," ||
		before.kind == space
}

// part is a node with its scripts.
func part(x *node) string {
	s := x.text
	switch x.kind {
	case row:
		s = plain(x)
	case fraction:
		s = beside(x.parts[0]) + "/" + beside(x.parts[1])
		if x.sup != nil || x.sub != nil {
			s = "(" + s + ")"
		}
	case root:
		s = "√" + beside(x.parts[0])
	case accent:
		s = plain(x.parts[0]) + accents[x.text][0]
	}
	if x.sub != nil {
		s += script(x.sub, subscripts, "_")
	}
	if x.sup != nil {
		s += script(x.sup, superscripts, "^")
	}
	return s
}

// beside is a formula that can stand beside a sign: in parentheses where it has signs itself.
func beside(n *node) string {
	s := plain(n)
	if call(n) || len(n.parts) == 1 && n.parts[0].kind != fraction || !strings.ContainsAny(s, " ·/,") &&
		(len(n.parts) == 0 || n.parts[0].kind != binary) {
		return s
	}
	return "(" + s + ")"
}

// call reports whether n is a function with its arguments, and nothing else.
func call(n *node) bool {
	if len(n.parts) < 3 || n.parts[1].kind != open || n.parts[0].kind != function && n.parts[0].kind != letter &&
		n.parts[0].kind != word {
		return false
	}
	depth := 0
	for i, x := range n.parts[1:] {
		switch x.kind {
		case open:
			depth++
		case closing:
			if depth--; depth == 0 {
				return i == len(n.parts)-2
			}
		}
	}
	return false
}

// script is n in small letters where all of them exist, and else behind a sign.
func script(n *node, small map[rune]rune, sign string) string {
	s := plain(n)
	tight := strings.ReplaceAll(s, " ", "")
	words := false
	for _, x := range n.parts {
		words = words || x.kind == word && len([]rune(x.text)) > 1
	}
	var b strings.Builder
	for _, r := range tight {
		if small[r] == 0 || words {
			if len([]rune(tight)) == 1 || words && len(n.parts) == 1 {
				return sign + s
			}
			return sign + "{" + tight + "}"
		}
		b.WriteRune(small[r])
	}
	return b.String()
}

var (
	subscripts   = table("0123456789aehijklmnoprstuvx+−=()βγρφχ", "₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ₊₋₌₍₎ᵦᵧᵨᵩᵪ")
	superscripts = table("0123456789abcdefghijklmnoprstuvwxyz+−=()⊤′*", "⁰¹²³⁴⁵⁶⁷⁸⁹ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ⁺⁻⁼⁽⁾ᵀ′*")
)

func table(from, to string) map[rune]rune {
	m, small := map[rune]rune{}, []rune(to)
	for i, r := range []rune(from) {
		m[r] = small[i]
	}
	return m
}
