package spec

import (
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// latex is an equation in LaTeX, as it is written in the spec: its functions are not put in.
func (e *formulaEquation) latex() string {
	var names []string
	for _, n := range e.names {
		names = append(names, n.latex())
	}
	left := strings.Join(names, ", ")
	if len(names) > 1 {
		left = "[" + left + "]"
	}
	if len(e.args) > 0 {
		var args []string
		for _, a := range e.args {
			args = append(args, a.latex())
		}
		left += "(" + strings.Join(args, ", ") + ")"
	}
	sign := " = "
	if e.expr.Op == "call" && e.expr.token.text == "N" {
		sign = ` \sim `
	}
	return left + sign + e.expr.latex(0)
}

// How tightly the signs of a formula bind, from the loosest.
const (
	bindsSum = iota + 1
	bindsProduct
	bindsScript
)

// latex is a formula as it was read, in parentheses where it binds less tightly than what stands around it.
func (x *Expr) latex(around int) string {
	in := func(binds int, s string) string {
		if binds < around {
			return "(" + s + ")"
		}
		return s
	}
	arg := func(i, binds int) string { return x.Args[i].latex(binds) }
	switch x.Op {
	case "number":
		s := strconv.FormatFloat(x.Number, 'g', -1, 64)
		if mantissa, exponent, ok := strings.Cut(s, "e"); ok {
			return in(bindsProduct, mantissa+` \cdot 10^{`+strings.TrimLeft(strings.TrimPrefix(exponent, "+"), "0")+"}")
		}
		return s
	case "name":
		return x.token.latex()
	case "call":
		var args []string
		for i := range x.Args {
			args = append(args, arg(i, 0))
		}
		name := x.token.latex()
		if name == "N" {
			name = `\mathcal{N}`
		}
		return name + "(" + strings.Join(args, ", ") + ")"
	case "sum":
		index := x.Index
		if x.Name != "" {
			index += ` \le ` + x.Name
		}
		return in(bindsProduct, `\sum_{`+index+"} "+arg(0, bindsProduct))
	case "softmax over":
		return `\operatorname{softmax}_{` + x.Index + "}(" + arg(0, 0) + ")"
	case "ᵀ":
		return in(bindsScript, arg(0, bindsScript+1)+`^\top`)
	case "²":
		return in(bindsScript, arg(0, bindsScript+1)+"^2")
	case "-":
		if x.Args[0].Op == "number" && x.Args[0].Number == 0 { // a sign
			return in(bindsSum, "-"+arg(1, bindsProduct))
		}
		return in(bindsSum, arg(0, bindsSum)+" - "+arg(1, bindsProduct))
	case "+":
		return in(bindsSum, arg(0, bindsSum)+" + "+arg(1, bindsSum))
	case "·", "∘", "*":
		sign := map[string]string{"·": ` \cdot `, "∘": ` \odot `, "*": ` \times `}[x.Op]
		return in(bindsProduct, arg(0, bindsProduct)+sign+arg(1, bindsProduct))
	case "/":
		return `\frac{` + arg(0, 0) + "}{" + arg(1, 0) + "}"
	case "join":
		var args []string
		for i := range x.Args {
			args = append(args, arg(i, 0))
		}
		return "[" + strings.Join(args, ", ") + "]"
	case "sqrt":
		return `\sqrt{` + arg(0, 0) + "}"
	case "sigmoid":
		return `\sigma(` + arg(0, 0) + ")"
	case "tanh", "exp", "log":
		return `\` + x.Op + "(" + arg(0, 0) + ")"
	}
	return `\operatorname{` + strings.ReplaceAll(x.Op, "_", `\_`) + "}(" + arg(0, 0) + ")"
}

// latex is a name with its subscripts, the time the last of them.
func (t formulaToken) latex() string {
	subs := append([]string{}, t.subs...)
	if t.time != "" {
		subs = append(subs, t.time)
	}
	s, primes := letterLaTeX(t.base)
	if len(subs) > 0 {
		for i, sub := range subs {
			if sub == "t-1" {
				continue
			}
			sub, p := letterLaTeX(sub)
			subs[i] = sub + strings.Repeat("'", p)
		}
		s += "_{" + strings.Join(subs, ", ") + "}"
	}
	return s + strings.Repeat("'", primes)
}

// letterLaTeX is a name of one letter or several, without the primes behind it, and how many of these there are.
func letterLaTeX(name string) (string, int) {
	short := strings.TrimRight(name, "'′")
	primes := len([]rune(name)) - len([]rune(short))
	r := []rune(norm.NFD.String(short)) // a letter, and what stands over it
	accent := map[rune]string{'\u0302': `\hat`, '\u0303': `\tilde`, '\u0304': `\bar`}
	switch {
	case len(r) == 0:
		return "", primes
	case len(r) == 2 && accent[r[1]] != "" && greekOrASCII(r[0]) != "":
		return accent[r[1]] + "{" + greekOrASCII(r[0]) + "}", primes
	case len(r) == 1 && greekOrASCII(r[0]) != "":
		return greekOrASCII(r[0]), primes
	case strings.Trim(short, "0123456789") == "":
		return short, primes
	}
	return `\text{` + strings.NewReplacer("_", `\_`, "{", "", "}", "", `\`, "").Replace(short) + "}", primes
}

// greekOrASCII is a letter in LaTeX; empty for others.
func greekOrASCII(r rune) string {
	switch {
	case r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r)):
		return string(r)
	case greek[r] != "":
		return `\` + greek[r]
	case greek[unicode.ToLower(r)] != "" && strings.ContainsRune("ΓΔΘΛΞΠΦΨΩ", r):
		name := greek[unicode.ToLower(r)]
		return `\` + strings.ToUpper(name[:1]) + name[1:]
	}
	return ""
}
