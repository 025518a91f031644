package app

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/explain"
	"github.com/gradsmith/gradsmith/runtime/explain/pages"
	"github.com/gradsmith/gradsmith/runtime/page"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// mostOfCorpus is how many tokens of a text are taken for its own: units are shown and searched at far fewer places.
const mostOfCorpus = 16 << 20

// readsCorpus reports whether the model reads plain texts, in which its units can be searched.
func (a *program) readsCorpus() bool {
	return a.Info.Source == nil && a.Info.Latent == nil && a.Info.Adversary == nil
}

// explainsCorpus is the help of what is explained of a long text.
func (a *program) explainsCorpus() string {
	if !a.readsCorpus() {
		return ""
	}
	return `

Without --text, --unit shows the places of a long text (--data) where a unit is largest and smallest,
and --find searches all units of recurrent layers, or of the blocks of a model without them, for those
that go with a property of the text: line-length, word-length (characters since the line or the word
began), quotes, brackets (one is open), capitals, digits, or a regular expression, in whose matches a
position stands. The search reads the first four fifths of the text, and what it finds is held to the
last fifth; beside it stands what the best unit has by chance, with the property turned against the
text. A model that remembers in states alone is read on from part to part.`
}

func (a *program) corpusExample() string {
	if !a.readsCorpus() {
		return ""
	}
	return fmt.Sprintf("\n  %s explain --find line-length --data book.txt", a.Info.Name)
}

// ofCorpus reports whether it is a long text that is explained, and refuses flags that contradict each other.
func (a *program) ofCorpus(cmd *cobra.Command, f *explaining) (bool, error) {
	flags := cmd.Flags()
	long := f.find != "" || f.text == "" && len(f.units) > 0 && a.readsCorpus()
	switch {
	case f.text != "" && f.find != "":
		return false, errors.New("--text and --find contradict each other: units are found in the long text of --data")
	case f.find != "" && len(f.units) > 0:
		return false, errors.New("--find and --unit contradict each other: one names units, the other searches them")
	case f.text == "" && !long && a.readsCorpus():
		return false, errors.New("name what to explain with --text TEXT, or units of a long text with --find PROPERTY or " +
			"--unit UNIT")
	case f.text == "" && !long:
		return false, errors.New("name what to explain with --text TEXT")
	case long && f.positions < 100:
		return false, fmt.Errorf("--positions %d: give 100 or more", f.positions)
	}
	without := map[bool][]string{true: {"at", "token", "against", "other", "probe", "tuned-lens"},
		false: {"data", "match", "field", "separator", "raw", "positions"}}
	for _, name := range without[long] {
		if flags.Changed(name) {
			of := "--find, or --unit without --text"
			if long {
				of = "--text"
			}
			return false, fmt.Errorf("--%s has no effect here: it is for %s", name, of)
		}
	}
	return long, nil
}

// explainCorpus writes a page about units in a long text, and prints what it says in short.
func (a *program) explainCorpus(cmd *cobra.Command, f *explaining, path string) error {
	units, err := unitsOf(f.units)
	if err != nil {
		return err
	}
	var property *explain.Property
	if f.find != "" {
		if property, err = explain.PropertyOf(f.find); err != nil {
			return fmt.Errorf("--find: %w", err)
		}
	}
	in, err := f.data.text(cmd.Context(), a)
	if err != nil {
		return err
	}
	lm, err := a.trained(path, checkpoint.LoadWeights)
	if err != nil {
		return err
	}
	e, err := explain.New(lm, "")
	if err != nil {
		return err
	}
	corpus, err := a.corpus(in, text.Options{Separator: f.data.separator})
	if err != nil {
		return err
	}
	part := corpus.Train
	c := &pages.Corpus{Info: a.Info, Explainer: e, Name: part.Name, Piece: a.Tokenizer.Piece, Positions: f.positions,
		Tokens: part.Slice(0, min(part.Tokens(), mostOfCorpus))}
	var p *page.Page
	out := cmd.OutOrStdout()
	if property != nil {
		var found *explain.Found
		if p, found, err = c.Find(cmd.Context(), property); err != nil {
			return err
		}
		printFound(out, found)
	} else {
		var liked []explain.Liked
		if p, liked, err = c.Likes(cmd.Context(), units); err != nil {
			return fmt.Errorf("--unit: %w", err)
		}
		for _, l := range liked {
			fmt.Fprintf(out, "%s: largest %+.3f at token %s, smallest %+.3f at token %s\n", l.Unit, l.Most[0].Value,
				thousands(l.Most[0].At+1), l.Least[0].Value, thousands(l.Least[0].At+1))
		}
	}
	if len(c.Tokens) < part.Tokens() {
		p.Notes = append(p.Notes, fmt.Sprintf("of the text only the first %s tokens of %s are taken",
			thousands(len(c.Tokens)), thousands(part.Tokens())))
	}
	return writeExplained(p, f.out, f.pictures)
}

// printFound prints the units that go with a property.
func printFound(out io.Writer, f *explain.Found) {
	m := f.Property.Measure()
	fmt.Fprintf(out, "%s: %s units, %s positions searched, held to %s others\n", f.Property.Name, thousands(f.Units),
		thousands(f.Searched), thousands(f.Held))
	for _, x := range f.Best[:min(5, len(f.Best))] {
		fmt.Fprintf(out, "  %-24s %s %s searched, %s held\n", x.Unit, m, f.Property.Text(x.Search),
			f.Property.Text(x.Held))
	}
	fmt.Fprintf(out, "  by chance, %d times: the best unit %.3f, at most %.3f; the first unit, held, %.3f, at most "+
		"%.3f\n", f.Rotations, f.Chance[0], f.Chance[1], f.ChanceHeld[0], f.ChanceHeld[1])
}
