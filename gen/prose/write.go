package prose

import (
	"fmt"
	"strings"

	"github.com/gradsmith/gradsmith/gen/formula"
)

// Formats are the forms in which a document can be written as plain text.
var Formats = []string{"text", "markdown", "latex"}

// Write is the document in one of Formats.
func (d *Document) Write(format string) (string, error) {
	switch format {
	case "text":
		return d.text()
	case "markdown":
		return d.markdown()
	case "latex":
		return d.latex()
	}
	return "", fmt.Errorf("there is no format %q: use one of %s", format, strings.Join(Formats, ", "))
}

// Heading is the name of a part with its kind and its place in the spec.
func (p *Part) Heading() string {
	s := p.Name
	if p.Kind != "" {
		s += ": " + p.Kind
	}
	if p.Place != "" {
		s += ", " + p.Place
	}
	return s
}

// wrap breaks words into lines of at most 100 columns behind an indent.
func wrap(b *strings.Builder, indent string, text string) {
	const width = 100
	column := 0
	for _, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case column == 0:
			b.WriteString(indent)
			column = len([]rune(indent))
		case column+1+n > width:
			b.WriteString("\n" + indent)
			column = len([]rune(indent))
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	b.WriteByte('\n')
}

func (d *Document) text() (string, error) {
	var b strings.Builder
	b.WriteString(d.Title + "\n\n")
	wrap(&b, "", strings.Join(d.Words, " "))
	for _, s := range d.Sections {
		fmt.Fprintf(&b, "\n%s\n%s\n", s.Title, strings.Repeat("=", len([]rune(s.Title))))
		if len(s.Words) > 0 {
			wrap(&b, "", strings.Join(s.Words, " "))
		}
		for _, p := range s.Parts {
			indent := strings.Repeat("  ", p.Depth)
			fmt.Fprintf(&b, "\n%s%s\n", indent, p.Heading())
			indent += "  "
			if p.Reads != "" {
				wrap(&b, indent, "reads x: "+p.Reads)
			}
			if len(p.Words) > 0 {
				wrap(&b, indent, strings.Join(p.Words, " "))
			}
			for _, f := range p.Formulas {
				t, err := formula.Text(f)
				if err != nil {
					return "", fmt.Errorf("%s: %w", p.Name, err)
				}
				b.WriteString(indent + "    " + t + "\n")
			}
			if p.Gives != "" {
				wrap(&b, indent, "gives y: "+p.Gives)
			}
			if len(p.Params) > 0 {
				var params []string
				for _, q := range p.Params {
					t, err := formula.Text(q.Symbol)
					if err != nil {
						return "", fmt.Errorf("%s: %w", q.Name, err)
					}
					params = append(params, fmt.Sprintf("%s is %s, %s", t, q.Name, q.Shape))
				}
				wrap(&b, indent, "parameters: "+strings.Join(params, "; "))
			}
		}
	}
	return b.String(), nil
}

func (d *Document) markdown() (string, error) {
	var b strings.Builder
	escape := strings.NewReplacer("\\", "\\\\", "*", "\\*", "_", "\\_", "`", "\\`", "<", "&lt;", "[", "\\[", "|", "\\|",
		"$", "\\$").Replace
	b.WriteString("# " + escape(d.Title) + "\n\n")
	wrap(&b, "", escape(strings.Join(d.Words, " ")))
	for _, s := range d.Sections {
		fmt.Fprintf(&b, "\n## %s\n", escape(s.Title))
		if len(s.Words) > 0 {
			b.WriteByte('\n')
			wrap(&b, "", escape(strings.Join(s.Words, " ")))
		}
		for _, p := range s.Parts {
			fmt.Fprintf(&b, "\n%s %s\n\n", strings.Repeat("#", min(6, 3+p.Depth)), escape(p.Heading()))
			if p.Reads != "" {
				wrap(&b, "", "Reads $x$: "+escape(p.Reads)+".")
			}
			if len(p.Words) > 0 {
				wrap(&b, "", escape(strings.Join(p.Words, " ")))
			}
			for _, f := range p.Formulas {
				fmt.Fprintf(&b, "\n```math\n%s\n```\n", f)
			}
			if p.Gives != "" {
				b.WriteByte('\n')
				wrap(&b, "", "Gives $y$: "+escape(p.Gives)+".")
			}
			if len(p.Params) > 0 {
				b.WriteString("\n| | parameter | shape |\n|---|---|---|\n")
				for _, q := range p.Params {
					fmt.Fprintf(&b, "| $%s$ | `%s` | %s |\n", q.Symbol, q.Name, escape(q.Shape))
				}
			}
		}
	}
	return b.String(), nil
}

// plainTeX are signs of words that fonts of text may not have, and those that mean something to LaTeX.
var plainTeX = strings.NewReplacer(`\`, `\textbackslash{}`, "{", `\{`, "}", `\}`, "_", `\_`, "%", `\%`, "&", `\&`,
	"#", `\#`, "$", `\$`, "^", `\^{}`, "~", `\~{}`, "−", "$-$", "·", `$\cdot$`, "×", `$\times$`, "⊙", `$\odot$`,
	"≤", `$\le$`, "…", `\ldots{}`, "μ", `$\mu$`, "ℓ", `$\ell$`, "π", `$\pi$`, "₀", "$_0$", "₁", "$_1$", "ₙ", "$_n$")

func (d *Document) latex() (string, error) {
	var b strings.Builder
	b.WriteString("\\documentclass{article}\n\\usepackage[T1]{fontenc}\n\\usepackage[utf8]{inputenc}\n" +
		"\\usepackage{amsmath,amssymb}\n\\begin{document}\n")
	text := func(words ...string) {
		if len(words) > 0 {
			wrap(&b, "", plainTeX.Replace(strings.Join(words, " ")))
		}
	}
	fmt.Fprintf(&b, "\\section*{%s}\n", plainTeX.Replace(d.Title))
	text(d.Words...)
	for _, s := range d.Sections {
		fmt.Fprintf(&b, "\n\\subsection*{%s}\n", plainTeX.Replace(s.Title))
		text(s.Words...)
		for _, p := range s.Parts {
			fmt.Fprintf(&b, "\n\\subsubsection*{%s}\n", plainTeX.Replace(p.Heading()))
			if p.Reads != "" {
				fmt.Fprintf(&b, "Reads $x$: %s.\n", plainTeX.Replace(p.Reads))
			}
			text(p.Words...)
			for _, f := range p.Formulas {
				fmt.Fprintf(&b, "\\[ %s \\]\n", f)
			}
			if p.Gives != "" {
				fmt.Fprintf(&b, "Gives $y$: %s.\n", plainTeX.Replace(p.Gives))
			}
			if len(p.Params) > 0 {
				b.WriteString("\\begin{center}\\begin{tabular}{lll}\n")
				for _, q := range p.Params {
					fmt.Fprintf(&b, "$%s$ & \\texttt{%s} & %s \\\\\n", q.Symbol, plainTeX.Replace(q.Name),
						plainTeX.Replace(q.Shape))
				}
				b.WriteString("\\end{tabular}\\end{center}\n")
			}
		}
	}
	b.WriteString("\\end{document}\n")
	return b.String(), nil
}
