package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/gen"
	"github.com/gradsmith/gradsmith/gen/formula"
	"github.com/gradsmith/gradsmith/gen/prose"
	"github.com/gradsmith/gradsmith/runtime/cli"
	look "github.com/gradsmith/gradsmith/runtime/page"
	"github.com/gradsmith/gradsmith/spec"
)

//go:embed explainspec.html
var explainSpecText string

var explainSpecForm = look.Form("explain-spec", explainSpecText)

func newExplainSpec() *cobra.Command {
	format := "text"
	formats := append(append([]string{}, prose.Formats...), "html")
	cmd := &cobra.Command{
		Use:   "explain-spec SPEC",
		Short: "Say in words and formulas what a spec does",
		Long: `Explain-spec says what a spec does: what each layer computes, in words and formulas, the shapes of
what it reads and gives, and its parameters; what the training makes small; and how an update moves
the parameters, with the rate of each step. Layers by formula are shown as their equations.

Formulas are plain text, or LaTeX with --format markdown or latex, or MathML on a page that needs no
other file with --format html. It prints to standard output.`,
		Example: `  gradsmith explain-spec poet.yaml
  gradsmith explain-spec poet.yaml --format latex > poet.tex
  gradsmith explain-spec poet.yaml --format html > poet.html`,
		Args:              cli.Args("SPEC"),
		ValidArgsFunction: specs,
		RunE: func(cmd *cobra.Command, args []string) error {
			known := false
			for _, f := range formats {
				known = known || f == format
			}
			if !known {
				return fmt.Errorf("--format %s is not known: use %s", format, strings.Join(formats, ", "))
			}
			m, err := spec.Load(args[0])
			if err != nil {
				return err
			}
			d, err := gen.Explain(m)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			text, err := explained(d, format)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		},
	}
	cmd.Flags().StringVar(&format, "format", format, "`FORM` of what is printed: text, markdown, latex or html")
	return cmd
}

// explained is a document in a format.
func explained(d *prose.Document, format string) (string, error) {
	if format != "html" {
		return d.Write(format)
	}
	p := specPage{Title: d.Title, About: strings.Join(d.Words, " ")}
	math := func(latex string) (template.HTML, error) {
		s, err := formula.MathML(latex)
		return template.HTML(s), err
	}
	for _, s := range d.Sections {
		section := specSection{Title: s.Title, Words: strings.Join(s.Words, " ")}
		for i := range s.Parts {
			q := &s.Parts[i]
			part := specPart{Title: q.Heading(), Depth: q.Depth, Reads: q.Reads, Gives: q.Gives,
				Words: strings.Join(q.Words, " ")}
			for _, f := range q.Formulas {
				x, err := math(f)
				if err != nil {
					return "", fmt.Errorf("%s: %w", q.Name, err)
				}
				part.Formulas = append(part.Formulas, x)
			}
			for _, v := range q.Params {
				x, err := math(v.Symbol)
				if err != nil {
					return "", fmt.Errorf("%s: %w", v.Name, err)
				}
				part.Params = append(part.Params, specParam{x, v.Name, v.Shape})
			}
			section.Parts = append(section.Parts, part)
		}
		p.Sections = append(p.Sections, section)
	}
	var b strings.Builder
	b.WriteString("<!doctype html>\n<!-- gradsmith explain-spec -->\n")
	err := explainSpecForm.Execute(&b, p)
	return b.String(), err
}

// specPage is what the page of a spec shows.
type specPage struct {
	Title, About string
	Notes        []string
	Sections     []specSection
}

type specSection struct {
	Title, Words string
	Parts        []specPart
}

type specPart struct {
	Title, Words, Reads, Gives string
	Depth                      int
	Formulas                   []template.HTML
	Params                     []specParam
}

type specParam struct {
	Symbol      template.HTML
	Name, Shape string
}
