package formula

import (
	"html"
	"strings"
)

// MathML is a formula as an element math that stands on a line of its own. An error names what is not in the part of
// LaTeX that the package reads.
func MathML(latex string) (string, error) {
	n, err := parse(latex)
	if err != nil {
		return "", err
	}
	return `<math display="block">` + element(n, nil) + `</math>`, nil
}

// element is a node, before being what stands before it.
func element(x, before *node) string {
	tag := func(name, content string) string { return "<" + name + ">" + content + "</" + name + ">" }
	// Blanks at the ends of an element count for nothing.
	text := strings.ReplaceAll(html.EscapeString(x.text), " ", "\u00a0")
	var s string
	switch x.kind {
	case row:
		var b strings.Builder
		var last *node
		for _, p := range x.parts {
			b.WriteString(element(p, last))
			last = p
		}
		s = tag("mrow", b.String())
	case letter:
		s = tag("mi", text)
	case number:
		s = tag("mn", text)
	case word:
		s = `<mi mathvariant="normal">` + text + `</mi>`
	case function:
		s = tag("mi", text) + "<mo>&#8289;</mo>"
		if x.sub != nil || x.sup != nil {
			s = tag("mi", text)
		}
	case binary:
		if s = tag("mo", text); signed(x, before) {
			s = `<mo form="prefix">` + text + `</mo>`
		}
	case open, closing:
		s = `<mo stretchy="false">` + text + `</mo>`
	case large:
		s = "<mo>∑</mo>"
	case space:
		s = `<mspace width="1em"/>`
		if x.text == " " {
			s = `<mspace width="0.17em"/>`
		}
	case fraction:
		s = tag("mfrac", element(x.parts[0], nil)+element(x.parts[1], nil))
	case root:
		s = tag("msqrt", element(x.parts[0], nil))
	case accent:
		s = `<mover accent="true">` + element(x.parts[0], nil) + tag("mo", html.EscapeString(accents[x.text][1])) +
			"</mover>"
	default:
		s = tag("mo", text)
	}
	below, above := "sub", "sup"
	if x.kind == large {
		below, above = "under", "over"
	}
	switch {
	case x.sub != nil && x.sup != nil:
		return tag("m"+below+above, s+element(x.sub, nil)+element(x.sup, nil))
	case x.sub != nil:
		return tag("m"+below, s+element(x.sub, nil))
	case x.sup != nil:
		return tag("m"+above, s+element(x.sup, nil))
	}
	return s
}
